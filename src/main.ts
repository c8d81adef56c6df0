import { helpText, parseArguments } from "./cli/arguments.ts";
import { commands } from "./cli/commands.ts";
import { completions } from "./cli/completions.ts";
import { credentials } from "./cli/credentials.ts";
import { health } from "./cli/health.ts";
import { doctor } from "./cli/doctor/doctor.ts";
import { env } from "./cli/env.ts";
import { explain } from "./cli/explain.ts";
import { importCredentials } from "./cli/import.ts";
import { init } from "./cli/init.ts";
import { login } from "./cli/login.ts";
import { withManyConnections } from "./cli/many-connections.ts";
import { replay } from "./cli/replay.ts";
import { serve } from "./cli/serve.ts";
import { setup } from "./cli/setup/setup.ts";
import { processTerminal } from "./cli/terminal.ts";
import { usage } from "./cli/usage.ts";
import { realRuntime } from "./runtime.ts";
import { commit, version } from "./version.ts";

async function main(argv: string[]): Promise<number> {
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
      return (await withManyConnections()) ?? (await serve(command.value, realRuntime()));
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

process.exit(await main(process.argv.slice(2)));
