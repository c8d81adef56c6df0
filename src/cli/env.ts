import { gatewayAddress, type GatewayAddress, type GatewayOptions } from "./gateway-address.ts";
import { complain, type Terminal } from "./terminal.ts";

export const ENV_SHELLS = ["sh", "fish", "powershell"] as const;

export type EnvOptions = GatewayOptions & { shell: (typeof ENV_SHELLS)[number] };

/** The variable that settings of clients name where they would else hold the key. */
export const KEY_VARIABLE = "KIRO_GATEWAY_KEY";

/** What a client is to send where the gateway asks for no key: some do not start without one. */
export const ANY_KEY = "local";

/** Prints what a shell has to run so that clients in it use the gateway. Gives the exit code. */
export async function env(options: EnvOptions, terminal: Terminal): Promise<number> {
  const address = await gatewayAddress(options, terminal);
  if (!address.ok) return complain(terminal, ...address.failure);
  for (const [name, value] of Object.entries(variables(address.value))) {
    terminal.print(line(name, value, options.shell));
  }
  return 0;
}

function variables({ url, key = ANY_KEY }: GatewayAddress): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_AUTH_TOKEN: key,
    OPENAI_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: key,
    [KEY_VARIABLE]: key,
  };
}

function line(name: string, value: string, shell: EnvOptions["shell"]): string {
  switch (shell) {
    case "sh":
      return `export ${name}='${value.replaceAll("'", "'\\''")}'`;
    case "fish":
      return `set -gx ${name} '${value.replaceAll(/[\\']/g, "\\$&")}'`;
    case "powershell":
      return `$env:${name} = '${value.replaceAll("'", "''")}'`;
    default:
      return shell satisfies never;
  }
}
