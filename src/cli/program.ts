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
    case "serve": {
      const { serve } = await import("./serve.ts");
      return await serve(value, realRuntime());
    }
    case "login": {
      const { login } = await import("./login.ts");
      return await login(value, processTerminal(), realRuntime());
    }
    case "import": {
      const { importCredentials } = await import("./import.ts");
      return await importCredentials(value, processTerminal(), realRuntime());
    }
    case "credentials": {
      const { credentials } = await import("./credentials.ts");
      return await credentials(value, processTerminal(), realRuntime());
    }
    case "explain": {
      const { explain } = await import("./explain.ts");
      return await explain(value, processTerminal());
    }
    case "usage": {
      const { usage } = await import("./usage.ts");
      return await usage(value, processTerminal());
    }
    case "health": {
      const { health } = await import("./health.ts");
      return await health(value, processTerminal(), realRuntime());
    }
    case "replay": {
      const { replay } = await import("./replay.ts");
      return await replay(value, processTerminal(), realRuntime());
    }
    case "init": {
      const { init } = await import("./init.ts");
      return await init(value, processTerminal(), realRuntime());
    }
    case "setup": {
      const { setup } = await import("./setup/setup.ts");
      return await setup(value, processTerminal(), realRuntime());
    }
    case "env": {
      const { env } = await import("./env.ts");
      return await env(value, processTerminal());
    }
    case "doctor": {
      const { doctor } = await import("./doctor/doctor.ts");
      return await doctor(value, processTerminal(), realRuntime());
    }
    case "completions": {
      const { completions } = await import("./completions.ts");
      console.log(completions(commands, value.shell));
      return 0;
    }
    default:
      return value satisfies never;
  }
}
