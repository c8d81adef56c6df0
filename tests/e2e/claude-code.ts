/**
 * The real Claude Code, headless, through the compiled gateway to the emulator: it is told to write a file, calls its tool
 * for that, and reports. Not part of `bun test`, because it downloads that program (some 360 MB).
 *
 *     bun tests/e2e/claude-code.ts [--binary dist/kiro-proxy] [--version 2.1.330] [--claude PATH]
 *
 * `--claude` takes an installed one instead. All traffic of the run itself stays on loopback.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startKiro } from "../emulator/kiro.ts";
import { calls, says } from "../emulator/scenarios.ts";

const CONTENT = "written through the gateway";
const REPORT = "The file hello.txt is written.";
/** Nothing listens there: whatever Claude Code would send to the world ends at once. */
const NOWHERE = "http://127.0.0.1:9";

const { values: options } = parseArgs({
  options: {
    binary: { type: "string", default: "dist/kiro-proxy" },
    version: { type: "string", default: "2.1.330" },
    claude: { type: "string" },
  },
});

const scratch = await mkdtemp(join(tmpdir(), "kiro-proxy-claude-code-"));
const home = join(scratch, "home");
const project = join(scratch, "project");
await Promise.all([home, project].map(async (folder) => await mkdir(folder)));

const kiro = startKiro();
let gateway: Bun.Subprocess | undefined;
const failures: string[] = [];
try {
  const claude = options.claude ?? (await install(options.version));
  const url = await startGateway();
  console.log(`Claude Code ${await output([claude, "--version"])}`);
  console.log(`Gateway     ${await output([resolve(options.binary), "version"])} at ${url}`);

  const file = join(project, "hello.txt");
  kiro.otherwise(({ toolResults, tools }) => {
    if (toolResults.length > 0) return says(REPORT);
    return tools.includes("Write")
      ? calls("Write", { file_path: file, content: CONTENT })
      : says("Hello");
  });
  const result = await askClaude(claude, url, `Write a file ${file} that says: ${CONTENT}`);

  check("Claude Code ends without an error", result.code === 0, result.stderr || result.stdout);
  check("its last words are the model's", result.text === REPORT, result.stdout);
  const written = Bun.file(file);
  check("the file is there", (await written.exists()) && (await written.text()) === CONTENT);
  check("the gateway's requests keep the rules", kiro.violations().length === 0, kiro.violations());
  const toolResult = kiro.chats().find(({ body }) => JSON.stringify(body).includes("toolResults"));
  check("the tool's result came back", toolResult !== undefined);
  console.log(`Requests    ${kiro.chats().length} chat, ${kiro.requests.length} in all`);
} finally {
  gateway?.kill();
  await gateway?.exited;
  await kiro.stop();
  await rm(scratch, { recursive: true, force: true });
}
console.log(failures.length === 0 ? "PASSED" : `FAILED: ${failures.join("; ")}`);
process.exitCode = failures.length === 0 ? 0 : 1;

function check(what: string, holds: boolean, evidence?: unknown): void {
  console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  if (holds) return;
  failures.push(what);
  if (evidence !== undefined) console.log(evidence);
}

async function install(version: string): Promise<string> {
  console.log(`Installing @anthropic-ai/claude-code@${version} …`);
  const npm = Bun.spawn(
    ["npm", "install", "--no-audit", "--no-fund", "--prefix", scratch].concat(
      `@anthropic-ai/claude-code@${version}`,
    ),
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  if ((await npm.exited) !== 0) throw new Error("npm could not install Claude Code");
  return join(scratch, "node_modules/.bin/claude");
}

/** Resolves with the gateway's address once it answers. */
async function startGateway(): Promise<string> {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = free;
  free.stop(true);

  const config = join(scratch, "config.json");
  const credentials = join(scratch, "credentials.json");
  await Bun.write(config, JSON.stringify({ port, logLevel: "warn", upstream: kiro.upstream }));
  await Bun.write(
    credentials,
    JSON.stringify(kiro.accounts.credential("social", { expired: true })),
  );
  gateway = Bun.spawn([resolve(options.binary), "-config", config, "-credentials", credentials], {
    stdio: ["ignore", "inherit", "inherit"],
  });

  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (gateway.exitCode !== null) throw new Error("the gateway has stopped");
    const healthy = await fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (healthy) return url;
    await Bun.sleep(20);
  }
}

type Result = { code: number; text: unknown; stdout: string; stderr: string };

async function askClaude(claude: string, url: string, prompt: string): Promise<Result> {
  const child = Bun.spawn(
    [claude, "-p", prompt, "--output-format", "json", "--model", "claude-sonnet-4-5"].concat([
      "--allowedTools",
      "Write",
      "--permission-mode",
      "acceptEdits",
    ]),
    {
      cwd: project,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_AUTH_TOKEN: "local",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
        HTTP_PROXY: NOWHERE,
        HTTPS_PROXY: NOWHERE,
        NO_PROXY: "127.0.0.1,localhost",
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A run takes some seconds; without an end a loop between the two would go unnoticed.
      timeout: 120_000,
    },
  );
  const [stdout, stderr, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, text: resultOf(stdout), stdout, stderr };
}

/** What the client prints with `--output-format json`: one object with the last text in it. */
function resultOf(stdout: string): unknown {
  try {
    return JSON.parse(stdout).result;
  } catch {
    return undefined;
  }
}

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "ignore"] });
  return (await child.stdout.text()).trim();
}
