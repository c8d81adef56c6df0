import { helpText, parseArguments } from "./cli/arguments.ts";
import { credentials } from "./cli/credentials.ts";
import { health } from "./cli/health.ts";
import { importCredentials } from "./cli/import.ts";
import { login } from "./cli/login.ts";
import { withManyConnections } from "./cli/many-connections.ts";
import { replay } from "./cli/replay.ts";
import { serve } from "./cli/serve.ts";
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
    case "usage":
      return await usage(command.value, processTerminal());
    case "health":
      return await health(command.value, processTerminal(), realRuntime());
    case "replay":
      return await replay(command.value, processTerminal(), realRuntime());
    default:
      return command.value satisfies never;
  }
}

process.exit(await main(process.argv.slice(2)));
