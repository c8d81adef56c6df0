/**
 * How fast the compiled gateway is, and what it costs, against a plain pass-through in the same run: `bun run bench`.
 * What the figures mean is in docs/performance.md.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Baseline, summary, worse } from "./baseline.ts";
import { round, startRound } from "./measure.ts";
import {
  floorStarter,
  freePort,
  gatewayStarter,
  listening,
  startDriver,
  type Target,
} from "./processes.ts";
import { FLOOR, plot, type Report, tables } from "./report.ts";
import { isWorkload, type WorkloadName, workloads } from "./workloads.ts";

const HELP = `bun run bench [options]

  --quick             a minute instead of fifteen: fewer and shorter rounds, compared with bench/baseline.json
  --only A,B          these workloads alone: ${Object.keys(workloads).join(", ")}, start
  --rounds N          how often each is measured (5)
  --seconds N         how long a round lasts where a workload has no length of its own
  --peer NAME=URL     another gateway for the same run; it has to use the driver as its service and to take
                      the key "bench-key". NAME=URL,PID to see its CPU time and memory as well
  --port N            where the service listens, for a peer's configuration
  --out FOLDER        where the results go (bench/results)
  --save-baseline     keeps the ratios of this run for later quick ones`;

const GATEWAY = "kiro-proxy";
const BASELINE = join(import.meta.dir, "baseline.json");
const QUICK: (WorkloadName | "start")[] = ["small", "burst-50", "large", "paced-200", "start"];
/** Until the engine has compiled what is hot. */
const WARM_UP_SECONDS = process.argv.includes("--quick") ? 2.5 : 8;

const { values: options } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    peer: { type: "string", multiple: true, default: [] },
    port: { type: "string", default: "0" },
    out: { type: "string", default: join(import.meta.dir, "results") },
    "save-baseline": { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP);
  process.exit(0);
}

const { quick } = options;
const rounds = Number(options.rounds ?? (quick ? 3 : 5));
const seconds = options.seconds ?? (quick ? "1" : undefined);
const wanted = options.only?.split(",") ?? (quick ? QUICK : [...Object.keys(workloads), "start"]);
const unknown = wanted.filter((name) => name !== "start" && !isWorkload(name));
if (unknown.length > 0 || !(rounds >= 1)) {
  console.error(unknown.length > 0 ? `No such workload: ${unknown.join(", ")}\n\n${HELP}` : HELP);
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-bench-"));
try {
  const report = await measure();
  const text = tables(report);
  await mkdir(options.out, { recursive: true });
  await Bun.write(join(options.out, "results.md"), text);
  await Bun.write(join(options.out, "results.json"), JSON.stringify(report, null, 1));
  await Bun.write(join(options.out, "results.svg"), plot(report));
  console.log(`\n${text}\nThe same with every round: ${options.out}`);
  const now = summary(report, GATEWAY);
  if (options["save-baseline"]) await Bun.write(BASELINE, `${JSON.stringify(now, null, 2)}\n`);
  else if (quick) await compare(now);
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();

async function measure(): Promise<Report> {
  const driver = await startDriver(Number(options.port));
  const starters = {
    [FLOOR]: floorStarter(driver.url, folder),
    [GATEWAY]: gatewayStarter(driver.url, folder),
  };
  const report: Report = {
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, ${process.platform} ${process.arch}`,
    versions: { Bun: Bun.version },
    rounds: {},
    starts: {},
  };
  if (wanted.includes("start")) {
    for (let at = 0; at < (quick ? 3 : 10); at++) {
      for (const [name, start] of Object.entries(starters)) {
        (report.starts[name] ??= []).push(await startRound(driver, start));
      }
    }
  }
  const names = wanted.filter(isWorkload);
  if (names.length === 0) return report;

  const targets: Target[] = [];
  for (const start of Object.values(starters)) targets.push(await start(await freePort()));
  targets.push(...options.peer.map(peerOf));
  for (const target of targets) await listening(target);
  for (const name of names) {
    const { load } = workloads[name];
    const scale =
      load.type === "paced"
        ? { ...(quick && { events: 75 }) }
        : { ...(seconds !== undefined && { seconds: Number(seconds) }) };
    for (const target of targets) {
      await round(driver, target, name, { seconds: WARM_UP_SECONDS, events: 25 });
    }
    const byTarget: Record<string, Awaited<ReturnType<typeof round>>[]> = {};
    report.rounds[name] = byTarget;
    for (let at = 0; at < rounds; at++) {
      // Every round begins with another target, so that none always follows the same one.
      for (const offset of targets.keys()) {
        const target = targets[(at + offset) % targets.length]!;
        (byTarget[target.name] ??= []).push(await round(driver, target, name, scale));
      }
    }
    // The floor's row is the first.
    report.rounds[name] = Object.fromEntries(
      targets.map(({ name: target }) => [target, byTarget[target] ?? []]),
    );
    console.error(`${name}: ${rounds} rounds`);
  }
  return report;
}

function peerOf(text: string): Target {
  const [, name, url, pid] = /^([^=]+)=([^,]+)(?:,(\d+))?$/.exec(text) ?? [];
  if (name === undefined || url === undefined || !URL.canParse(url)) {
    throw new Error(`--peer ${text}: should be NAME=URL or NAME=URL,PID`);
  }
  return { name, kind: "gateway", url, ...(pid !== undefined && { pid: Number(pid) }) };
}

async function compare(now: Baseline): Promise<void> {
  const then: Baseline = await Bun.file(BASELINE).json();
  const found = worse(now, then);
  console.log(
    found.length === 0 ? "Nothing got worse." : `Worse than it was:\n  ${found.join("\n  ")}`,
  );
  if (found.length > 0) process.exitCode = 1;
}
