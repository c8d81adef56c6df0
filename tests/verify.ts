/**
 * Everything that must hold, from a clean clone: `bun verify`. Installs what the lock file says, checks, builds and
 * tests, and ends with one line, `N passed, N failed`. Uses nothing that is not in Bun: it runs before the install.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Counts = { passed: number; failed: number; skipped: number };

const repository = join(import.meta.dir, "..");
const scratch = await mkdtemp(join(tmpdir(), "kiro-proxy-verify-"));
const report = join(scratch, "junit.xml");

const failedSteps: string[] = [];
let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
try {
  if (await step("install", ["install", "--frozen-lockfile"])) {
    await step("check", ["run", "check"]);
    await step("build", ["build.ts"]);
    const tested = await step("test", [
      "test",
      "--only-failures",
      // For tests that hang. Bun's five seconds are too few for the longest on a busy machine.
      "--timeout=60000",
      "--coverage",
      "--reporter=junit",
      `--reporter-outfile=${report}`,
    ]);
    const told = await readCounts();
    counts = told ?? counts;
    // Failed tests are counted one by one; without any, the run as such failed: coverage, or an error between tests.
    if (!tested) failedSteps.pop();
    if (!tested && counts.failed === 0) {
      failedSteps.push(
        "test (a file below the coverage that bunfig.toml asks for, or an error outside of the tests)",
      );
    }
    if (tested && told === undefined) failedSteps.push("test (it ended without a report)");
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}

const failed = counts.failed + failedSteps.length;
if (failedSteps.length > 0) console.log(`\nFailed: ${failedSteps.join(", ")}`);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
console.log(`\n${counts.passed} passed, ${failed} failed${skipped}`);
process.exitCode = failed > 0 ? 1 : 0;

/** Runs this very Bun in the repository, its output going where ours goes. */
async function step(name: string, args: string[]): Promise<boolean> {
  console.log(`\n── ${name}: bun ${args.join(" ")}`);
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: repository,
    // With it Bun refuses `.only`; elsewhere it would only make some tools send colours into a file.
    env: name === "test" ? { ...process.env, CI: "1" } : process.env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const passed = (await child.exited) === 0;
  if (!passed) failedSteps.push(name);
  return passed;
}

/** The totals stand on the root element. No report means that the run broke off before it could write one. */
async function readCounts(): Promise<Counts | undefined> {
  const file = Bun.file(report);
  const text = (await file.exists()) ? await file.text() : "";
  const root = /<testsuites [^>]*>/.exec(text)?.[0];
  if (root === undefined) return undefined;
  const total = (name: string): number =>
    Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const counted = { failed: total("failures"), skipped: total("skipped") };
  return { passed: total("tests") - counted.failed - counted.skipped, ...counted };
}
