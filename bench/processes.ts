import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { Accounts } from "../tests/emulator/accounts.ts";
import type { Driven, News, Order } from "./driver.ts";
import type { LoadOrder } from "./load.ts";
import type { WorkloadName } from "./workloads.ts";

const root = join(import.meta.dir, "..");
/** Service and load have the first core, what is measured has the second to itself. */
const canPin = cpus().length >= 2 && Bun.which("taskset") !== null;
const AROUND = canPin ? ["taskset", "-c", "0"] : [];
const TARGET = canPin ? ["taskset", "-c", "1"] : [];

export const API_KEY = "bench-key";

const running = new Set<Bun.Subprocess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

function started<Child extends Bun.Subprocess>(child: Child): Child {
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** The service and the load; orders are given one at a time. */
export type Driver = {
  /** Of the service. */
  url: string;
  answerWith(workload: WorkloadName, events?: number): Promise<void>;
  run(order: LoadOrder): Promise<Driven>;
  stop(): void;
};

export async function startDriver(port: number): Promise<Driver> {
  let heard: ((news: News) => void) | undefined;
  const news = (): Promise<News> => new Promise((resolve) => (heard = resolve));
  const first = news();
  const file = join(import.meta.dir, "driver.ts");
  const child = started(
    // On a core that it shares with what is measured it would only be in the way.
    Bun.spawn([...AROUND, process.execPath, file, String(port), ...(canPin ? ["awake"] : [])], {
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "json",
      ipc: (message: News) => heard?.(message),
    }),
  );
  const ended = child.exited.then((): never => {
    throw new Error("the driver has ended");
  });
  // Whoever waits for the driver hears of it.
  ended.catch(() => undefined);
  const ask = async (order: Order): Promise<News> => {
    const answer = news();
    child.send(order);
    return await Promise.race([answer, ended]);
  };
  const listens = await Promise.race([first, ended]);
  if (!("port" in listens)) throw new Error("the driver does not say where it listens");
  return {
    url: `http://127.0.0.1:${listens.port}`,
    async answerWith(workload, events) {
      await ask({ answer: workload, events });
    },
    async run(order) {
      const done = await ask({ load: order });
      if (!("result" in done)) throw new Error("the driver gives no result");
      return done.result;
    },
    stop: () => child.kill(),
  };
}

/** What is measured. Without a process id, only what clients see. */
export type Target = { name: string; kind: LoadOrder["kind"]; url: string; pid?: number };

export type Started = Target & { pid: number; stop(): Promise<void> };

/** Starts `command` and gives it back at once; it will listen on `port`. */
function target(
  name: string,
  kind: Target["kind"],
  port: number,
  command: string[],
  folder: string,
) {
  const log = openSync(join(folder, `${name}.log`), "a");
  const child = started(
    Bun.spawn([...TARGET, ...command], {
      cwd: folder,
      env: { PATH: process.env["PATH"], HOME: folder, BUN_CONFIG_MAX_HTTP_REQUESTS: "65535" },
      stdio: ["ignore", log, log],
    }),
  );
  closeSync(log);
  return {
    name,
    kind,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

export type Starter = (port: number) => Promise<Started>;

/** `folder` is where logs and files go. */
export function floorStarter(upstream: string, folder: string): Starter {
  const file = join(import.meta.dir, "floor.ts");
  return async (port) =>
    target("floor", "raw", port, [process.execPath, file, upstream, String(port)], folder);
}

/** The gateway as in production: a key, the ledger, a log in a file. It is the compiled one unless there is another command. */
export function gatewayStarter(
  upstream: string,
  folder: string,
  name = "kiro-proxy",
  command?: string[],
): Starter {
  const credentials = new Accounts().credential("social");
  return async (port) => {
    const config = {
      port,
      apiKey: API_KEY,
      upstream: { apiUrl: `${upstream}/api/{region}` },
      databasePath: join(folder, `${name}.db`),
    };
    await Bun.write(join(folder, `${name}.json`), JSON.stringify(config));
    await Bun.write(join(folder, "credentials.json"), JSON.stringify(credentials));
    const paths = [
      "-config",
      join(folder, `${name}.json`),
      "-credentials",
      join(folder, "credentials.json"),
    ];
    return target(name, "gateway", port, [...(command ?? [await binary()]), ...paths], folder);
  };
}

/** `KIRO_PROXY_BINARY`, else a fresh build of the sources. */
async function binary(): Promise<string> {
  const given = process.env["KIRO_PROXY_BINARY"];
  if (given !== undefined) return given;
  buildOnce ??= build();
  return await buildOnce;
}

let buildOnce: Promise<string> | undefined;

async function build(): Promise<string> {
  const building = Bun.spawn([process.execPath, "build.ts", "--quiet"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if ((await building.exited) !== 0) throw new Error("the binary could not be built");
  return join(root, "dist/kiro-proxy");
}

/** Waits until it answers at all. */
export async function listening({ name, url }: Pick<Target, "name" | "url">): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    try {
      await fetch(url, { method: "HEAD" });
      return;
    } catch {
      await Bun.sleep(10);
    }
  }
  throw new Error(`${name} does not listen at ${url}`);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = server;
  server.stop(true);
  return port;
}

/** CPU time that a process has used, all threads, in milliseconds. The kernel gives hundredths of a second. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Megabytes: now, and at most since `forgetPeak`. */
export function memoryMb(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const read = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN) / 1024;
  return { now: read("VmRSS"), peak: read("VmHWM") };
}

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}
