import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArguments } from "../../src/cli/arguments.ts";
import { credentials } from "../../src/cli/credentials.ts";
import { commands } from "../../src/cli/commands.ts";
import { doctor } from "../../src/cli/doctor/doctor.ts";
import { env } from "../../src/cli/env.ts";
import { explain } from "../../src/cli/explain.ts";
import { importCredentials } from "../../src/cli/import.ts";
import { init } from "../../src/cli/init.ts";
import { login } from "../../src/cli/login.ts";
import { setup } from "../../src/cli/setup/setup.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { realRuntime, type Runtime } from "../../src/runtime.ts";
import type { KiroEmulator } from "../emulator/kiro.ts";

/** A home directory with a configuration in it, and a person who types commands. */
export type World = {
  home: string;
  credentialsPath: string;
  /** Content of the credentials file; undefined for none. */
  saved(): Promise<unknown>;
  write(path: string, content: unknown): Promise<string>;
  /** Runs a command as it is typed. */
  run(command: string, person?: Person): Promise<Run>;
  /** Everything that was ever printed. */
  printed(): string;
  end(): Promise<void>;
};

export type Run = { code: number; out: string; err: string };

type Person = {
  env?: Record<string, string>;
  hasBrowser?: boolean;
  /** What the browser does with the address that it is to open. */
  browse?: (url: string) => Promise<unknown>;
  /** Looks at each line that appears, and may answer with one of its own. */
  sees?: (line: string) => Promise<string | undefined> | string | undefined;
  /** Given to the command for interrupting it. */
  interruption?: AbortController;
};

export async function createWorld(kiro: KiroEmulator): Promise<World> {
  const home = await mkdtemp(join(tmpdir(), "kiro-proxy-cli-"));
  const credentialsPath = join(home, "credentials.json");
  const config = join(home, "config.json");
  await Bun.write(config, JSON.stringify({ upstream: kiro.upstream }));
  let printed = "";

  return {
    home,
    credentialsPath,
    async saved() {
      const file = Bun.file(credentialsPath);
      return (await file.exists()) ? await file.json() : undefined;
    },
    async write(path, content) {
      const target = join(home, path);
      await Bun.$`mkdir -p ${dirname(target)}`.quiet();
      await Bun.write(target, typeof content === "string" ? content : JSON.stringify(content));
      return target;
    },
    printed: () => printed,
    async run(command, person = {}) {
      const { sees, browse, interruption = new AbortController() } = person;
      const run: Run = { code: -1, out: "", err: "" };
      const typed: string[] = [];
      let wake = Promise.withResolvers<void>();
      const appear = (line: string): void => {
        printed += `${line}\n`;
        void Promise.resolve(sees?.(line)).then((answer) => {
          if (answer === undefined) return;
          typed.push(answer);
          wake.resolve();
        });
      };
      const terminal: Terminal = {
        env: person.env ?? {},
        home,
        platform: "linux",
        print(line) {
          run.out += `${line}\n`;
          appear(line);
        },
        complain(line) {
          run.err += `${line}\n`;
          appear(line);
        },
        async *lines() {
          for (;;) {
            yield* typed.splice(0);
            await wake.promise;
            wake = Promise.withResolvers<void>();
          }
        },
        hasBrowser: person.hasBrowser ?? false,
        openBrowser: (url) => void browse?.(url),
        interrupted: interruption.signal,
      };
      const words = command.split(" ").filter((word) => word !== "");
      const { flags = {} } = commands[words.find((word) => word in commands) ?? ""] ?? {};
      // What is typed comes later and wins.
      const places = ["-config", config, "-credentials", credentialsPath];
      const parsed = parseArguments([...places.slice(0, "credentials" in flags ? 4 : 2), ...words]);
      if (!parsed.ok) throw new Error(parsed.failure.message);
      const real = realRuntime();
      // A service that wants to be asked every second is a patient one.
      const runtime: Runtime = {
        ...real,
        sleep: async (ms, signal) => await real.sleep(ms / 20, signal),
      };
      switch (parsed.value.type) {
        case "login":
          run.code = await login(parsed.value, terminal, runtime);
          break;
        case "import":
          run.code = await importCredentials(parsed.value, terminal, runtime);
          break;
        case "credentials":
          run.code = await credentials(parsed.value, terminal, runtime);
          break;
        case "doctor":
          run.code = await doctor(parsed.value, terminal, real);
          break;
        case "init":
          run.code = await init(parsed.value, terminal, real);
          break;
        case "setup":
          run.code = await setup(parsed.value, terminal, real);
          break;
        case "env":
          run.code = await env(parsed.value, terminal);
          break;
        case "explain":
          run.code = await explain(parsed.value, terminal);
          break;
        case "usage":
        case "health":
        case "replay":
        case "completions":
        case "serve":
        case "version":
        case "help":
          throw new Error(`${command} is for another test`);
      }
      return run;
    },
    end: async () => await rm(home, { recursive: true }),
  };
}
