import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";

/** Where a real agent runs headless through the compiled gateway to the emulator. */
export type Bench = {
  kiro: KiroEmulator;
  gateway: Gateway;
  /** Empty at the start: the agent's home and the folder that it works in. */
  home: string;
  project: string;
  /** Installs an npm package for this run alone and gives the path of its program. */
  install: (spec: string, program: string) => Promise<string>;
  /** Runs a program in the project, with nothing of our own environment but PATH, until it ends. */
  run: (command: string[], env?: Record<string, string>) => Promise<Ended>;
  /** Prints what should hold and whether it does. */
  check: (what: string, holds: boolean, evidence?: unknown) => void;
};

export type Ended = { code: number; stdout: string; stderr: string };

/** Nothing listens there: whatever an agent would send to the world ends at once. */
const NOWHERE = "http://127.0.0.1:9";

/** Sets a bench up and takes it down; the process fails where a check did. `config` is for the gateway. */
export async function onBench(
  config: Record<string, unknown>,
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "kiro-proxy-agent-"));
  const home = join(scratch, "home");
  const project = join(scratch, "project");
  await Promise.all([home, project].map(async (folder) => await mkdir(folder)));
  const kiro = startKiro();
  const failures: string[] = [];

  const run = async (command: string[], env = {}): Promise<Ended> => {
    const child = Bun.spawn(command, {
      cwd: project,
      env: {
        PATH: process.env["PATH"],
        HOME: home,
        TMPDIR: scratch,
        HTTP_PROXY: NOWHERE,
        HTTPS_PROXY: NOWHERE,
        NO_PROXY: "127.0.0.1,localhost",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A run takes some seconds; without an end a loop between the two would go unnoticed.
      timeout: 120_000,
    });
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  };

  try {
    const gateway = await startGateway({ kiro, config });
    const { version } = await gateway.logged(({ event }) => event === "listening");
    console.log(`Gateway     ${String(version)} at ${gateway.url}`);
    await work({
      kiro,
      gateway,
      home,
      project,
      run,
      async install(spec, program) {
        console.log(`Installing ${spec} …`);
        const flags = ["--no-audit", "--no-fund", "--prefix", scratch];
        const npm = Bun.spawn(["npm", "install", ...flags, spec], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        if ((await npm.exited) !== 0) throw new Error(`npm could not install ${spec}`);
        return join(scratch, "node_modules", program);
      },
      check(what, holds, evidence) {
        console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
        if (holds) return;
        failures.push(what);
        if (evidence !== undefined) console.log(evidence);
      },
    });
    const violations = kiro.violations();
    if (violations.length > 0) failures.push(`the gateway's requests: ${violations.join("; ")}`);
    console.log(`Requests    ${kiro.chats().length} chat, ${kiro.requests.length} in all`);
  } finally {
    await stopGateways();
    await kiro.stop();
    await rm(scratch, { recursive: true, force: true });
  }
  console.log(failures.length === 0 ? "PASSED" : `FAILED: ${failures.join("; ")}`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
