import { type ConfigFlags, describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import type { Runtime } from "../runtime.ts";
import { localUrl } from "./gateway-address.ts";
import type { Terminal } from "./terminal.ts";

export type HealthOptions = {
  flags: ConfigFlags;
  /** Without it, the address is the one that the configuration says. */
  url: string | undefined;
  /** Whether it can serve, not only whether it lives. */
  ready: boolean;
};

type Asked = Pick<Terminal, "print" | "complain" | "env" | "platform" | "home">;

const LIMIT_MS = 5_000;

/** Asks the gateway of this machine whether it lives, for containers and scripts. Gives the exit code. */
export async function health(
  options: HealthOptions,
  terminal: Asked,
  runtime: Pick<Runtime, "fetch" | "timer">,
): Promise<number> {
  const url = options.url ?? (await configuredUrl(options.flags, terminal));
  if (url === undefined) return 1;
  const late = new AbortController();
  const timer = runtime.timer(LIMIT_MS, () => late.abort());
  try {
    const { status } = await runtime.fetch(
      `${url.replace(/\/+$/, "")}/${options.ready ? "readyz" : "healthz"}`,
      {
        signal: late.signal,
        // No proxy of the environment either.
        proxy: false,
        // Its certificate is for the name that others call it by.
        tls: { rejectUnauthorized: false },
      },
    );
    if (status === 200) {
      terminal.print(`${url} answers`);
      return 0;
    }
    terminal.complain(`${url} answers with status ${status}`);
  } catch {
    const why = late.signal.aborted
      ? `does not answer within ${LIMIT_MS / 1_000} s`
      : "can't be reached";
    terminal.complain(`${url} ${why}`);
  } finally {
    timer.cancel();
  }
  return 1;
}

async function configuredUrl(flags: ConfigFlags, terminal: Asked): Promise<string | undefined> {
  const { env, platform, home } = terminal;
  const loaded = await loadConfig({ flags, env, platform, home, readFile: readTextFile });
  if (!loaded.ok) {
    for (const problem of loaded.failure) terminal.complain(describeProblem(problem));
    return undefined;
  }
  return localUrl(loaded.value.config);
}
