import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { KiroEmulator } from "../emulator/kiro.ts";

export type BinaryOptions = {
  /** Where the binary is to find Kiro; without it the configuration says nothing of that. */
  kiro?: KiroEmulator;
  /** Members of config.json besides `port: 0`, `apiKey` and `upstream`; undefined leaves one of those out. */
  config?: Record<string, unknown>;
  /** The content of credentials.json, a text as it is; null for no file. Without it: one social log-in. */
  credentials?: object | string | null;
  /** The whole environment besides PATH, HOME and TMPDIR. */
  env?: Record<string, string>;
  args?: string[];
  /** For commands that know nothing of a configuration: only `args` are given. */
  bare?: boolean;
  /** Further files of the folder that it runs in. */
  files?: Record<string, string>;
};

/** One line of the log. */
export type LogLine = Record<string, unknown> & { level: string; event: string };

export type Gateway = {
  url: string;
  /** What clients must send. */
  apiKey: string;
  /** All lines so far. */
  logs: readonly LogLine[];
  /** The first log line that fits, once there is one. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>;
  /** All that was printed, the log included. */
  output(): string;
  credentialsPath: string;
  /** Where it runs; its home and its place for temporary files, too. */
  folder: string;
  process: Bun.Subprocess;
  /** Kills it. */
  stop(): Promise<void>;
};

const root = join(import.meta.dir, "../..");
const running = new Set<Gateway>();
// For runs that end before their `afterAll`.
process.on("exit", () => running.forEach(({ process: child }) => child.kill("SIGKILL")));

/** The compiled binary on a free port, listening. A file that calls this has `afterAll(stopGateways)`. */
export async function startGateway(options: BinaryOptions): Promise<Gateway> {
  const { command, apiKey, credentialsPath, folder, env } = await prepare(options);
  const child = Bun.spawn(command, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let rest = "";
  const lines: LogLine[] = [];
  void collect(child.stdout, (text) => (output += text));
  const closed = collect(child.stderr, (text) => {
    output += text;
    const [...whole] = (rest + text).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) if (line.startsWith("{")) lines.push(JSON.parse(line));
  });

  const gateway: Gateway = {
    url: "",
    apiKey,
    logs: lines,
    async logged(fits) {
      await until(() => lines.some(fits));
      return lines.find(fits)!;
    },
    output: () => output,
    credentialsPath,
    folder,
    process: child,
    async stop() {
      running.delete(gateway);
      child.kill("SIGKILL");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
  running.add(gateway);
  const started = gateway.logged(({ event }) => event === "listening");
  const ready = await Promise.race([started, closed]);
  if (ready === undefined) throw new Error(`the gateway did not start:\n${gateway.output()}`);
  gateway.url = String(ready["url"]);
  return gateway;
}

/** Ends all that `startGateway` has started. */
export async function stopGateways(): Promise<void> {
  await Promise.all(Array.from(running, async (gateway) => await gateway.stop()));
}

export type Run = { code: number; stdout: string; stderr: string; files: Record<string, string> };

/** The binary for a start that is to end by itself. `files` are those of its folder afterwards. */
export async function runBinary(options: BinaryOptions): Promise<Run> {
  const { command, folder, env } = await prepare(options);
  const child = Bun.spawn(command, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  try {
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    const names = [...new Bun.Glob("**").scanSync({ cwd: folder, dot: true })];
    const files = await Promise.all(
      names.map(async (name) => [name, await Bun.file(join(folder, name)).text()]),
    );
    return { code, stdout, stderr, files: Object.fromEntries(files) };
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}

/** Waits for as long as it takes; the test's own limit ends a wait in vain. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5);
}

type Prepared = {
  command: string[];
  apiKey: string;
  credentialsPath: string;
  folder: string;
  env: Record<string, string>;
};

async function prepare(options: BinaryOptions): Promise<Prepared> {
  const { kiro, args = [] } = options;
  const credentials =
    options.credentials === undefined ? kiro?.accounts.credential("social") : options.credentials;
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-e2e-"));
  const apiKey = `key-${crypto.randomUUID()}`;
  const config = { port: 0, apiKey, upstream: kiro?.upstream, ...options.config };
  const files: Record<string, string> = {
    "config.json": JSON.stringify(config),
    ...(credentials && {
      "credentials.json":
        typeof credentials === "string" ? credentials : JSON.stringify(credentials),
    }),
    ...options.files,
  };
  await Promise.all(
    Object.entries(files).map(async ([name, text]) => await Bun.write(join(folder, name), text)),
  );
  const credentialsPath = join(folder, "credentials.json");
  const paths = ["-config", join(folder, "config.json"), "-credentials", credentialsPath];
  return {
    command: [await binary(), ...(options.bare === true ? [] : paths), ...args],
    apiKey,
    credentialsPath,
    folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TMPDIR: folder, ...options.env },
  };
}

/** `KIRO_PROXY_BINARY`, else the one in dist; that one is built where it is missing or older than the sources. */
export async function binary(): Promise<string> {
  const given = process.env["KIRO_PROXY_BINARY"];
  if (given !== undefined) return resolve(given);
  const path = join(root, "dist/kiro-proxy");
  const sources = [...new Bun.Glob("src/**/*.ts").scanSync(root)];
  const newest = Math.max(...sources.map((name) => Bun.file(join(root, name)).lastModified));
  const file = Bun.file(path);
  if ((await file.exists()) && file.lastModified >= newest) return path;
  const build = Bun.spawn([process.execPath, "build.ts", "--quiet"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if ((await build.exited) !== 0) throw new Error("the binary could not be built");
  return path;
}

/** Resolves when the stream has ended. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  add: (text: string) => void,
): Promise<undefined> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) add(decoder.decode(bytes, { stream: true }));
}
