import { helpText, parseArguments } from "./arguments.ts";
import { commands } from "./commands.ts";
import { completions } from "./completions.ts";
import { credentials } from "./credentials.ts";
import { health } from "./health.ts";
import { doctor } from "./doctor/doctor.ts";
import { env } from "./env.ts";
import { explain } from "./explain.ts";
import { importCredentials } from "./import.ts";
import { init } from "./init.ts";
import { login } from "./login.ts";
import { replay } from "./replay.ts";
import { serve } from "./serve.ts";
import { setup } from "./setup/setup.ts";
import { processTerminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { realRuntime } from "../runtime.ts";
import { commit, version } from "../version.ts";

/** Runs one command; gives the exit code. */
export async function run(argv: string[]): Promise<number> {
  const command = parseArguments(argv);
  if (!command.ok) {
    console.error(command.failure.message);
    return 2;
  }
  switch (command.value.type) {
    case "help":
      console.log(helpText(command.value.command));
      return 0;
    case "version":
      console.log(`kiro-proxy ${version} (${commit}, Bun ${Bun.version})`);
      return 0;
    case "serve":
      return await serve(command.value, realRuntime());
    case "login":
      return await login(command.value, processTerminal(), realRuntime());
    case "import":
      return await importCredentials(command.value, processTerminal(), realRuntime());
    case "credentials":
      return await credentials(command.value, processTerminal(), realRuntime());
    case "explain":
      return await explain(command.value, processTerminal());
    case "usage":
      return await usage(command.value, processTerminal());
    case "health":
      return await health(command.value, processTerminal(), realRuntime());
    case "replay":
      return await replay(command.value, processTerminal(), realRuntime());
    case "init":
      return await init(command.value, processTerminal(), realRuntime());
    case "setup":
      return await setup(command.value, processTerminal(), realRuntime());
    case "env":
      return await env(command.value, processTerminal());
    case "doctor":
      return await doctor(command.value, processTerminal(), realRuntime());
    case "completions":
      console.log(completions(commands, command.value.shell));
      return 0;
    default:
      return command.value satisfies never;
  }
}
