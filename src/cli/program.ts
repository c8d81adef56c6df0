import { helpText, parseArguments } from "./arguments.ts";
import { commands } from "./commands.ts";
import { processTerminal } from "./terminal.ts";
import { realRuntime } from "../runtime.ts";
import { commit, version } from "../version.ts";

/** Runs one command; gives the exit code. Each is loaded by itself, so that none waits for what only the others need. */
export async function run(argv: string[]): Promise<number> {
  const command = parseArguments(argv);
  if (!command.ok) {
    console.error(command.failure.message);
    return 2;
  }
  const { value } = command;
  switch (value.type) {
    case "help":
      console.log(helpText(value.command));
      return 0;
    case "version":
      console.log(`kiro-proxy ${version} (${commit}, Bun ${Bun.version})`);
      return 0;
    case "serve":
      return await (await import("./serve.ts")).serve(value, realRuntime());
    case "login":
      return await (await import("./login.ts")).login(value, processTerminal(), realRuntime());
    case "import": {
      const { importCredentials } = await import("./import.ts");
      return await importCredentials(value, processTerminal(), realRuntime());
    }
    case "credentials": {
      const { credentials } = await import("./credentials.ts");
      return await credentials(value, processTerminal(), realRuntime());
    }
    case "explain":
      return await (await import("./explain.ts")).explain(value, processTerminal());
    case "usage":
      return await (await import("./usage.ts")).usage(value, processTerminal());
    case "health":
      return await (await import("./health.ts")).health(value, processTerminal(), realRuntime());
    case "replay":
      return await (await import("./replay.ts")).replay(value, processTerminal(), realRuntime());
    case "init":
      return await (await import("./init.ts")).init(value, processTerminal(), realRuntime());
    case "setup":
      return await (
        await import("./setup/setup.ts")
      ).setup(value, processTerminal(), realRuntime());
    case "env":
      return await (await import("./env.ts")).env(value, processTerminal());
    case "doctor":
      return await (
        await import("./doctor/doctor.ts")
      ).doctor(value, processTerminal(), realRuntime());
    case "completions":
      console.log((await import("./completions.ts")).completions(commands, value.shell));
      return 0;
    default:
      return value satisfies never;
  }
}
