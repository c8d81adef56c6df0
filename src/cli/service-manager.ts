import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";

/** Tells systemd how it goes, where the unit asks for that (`Type=notify`, `WatchdogSec`). */
export type ServiceManager = {
  ready(): void;
  stopping(): void;
  /** Signs of life for the watchdog, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** Bun has no datagram sockets of this kind, so `systemd-notify` speaks for us; the unit needs `NotifyAccess=all`. */
export function createServiceManager(deps: {
  env: Record<string, string | undefined>;
  runtime: Pick<Runtime, "sleep">;
  log: Log;
}): ServiceManager {
  const { env, runtime, log } = deps;
  const isAsked = Boolean(env["NOTIFY_SOCKET"]);
  const watchdogMs = isAsked ? Number(env["WATCHDOG_USEC"] ?? 0) / 1_000 : 0;
  const tell = (state: string): void => {
    if (!isAsked) return;
    try {
      const { NOTIFY_SOCKET, PATH } = env;
      Bun.spawn(["systemd-notify", state], {
        env: { NOTIFY_SOCKET, PATH },
        stdio: ["ignore", "ignore", "ignore"],
      });
    } catch (error) {
      log.error("notify-failed", { detail: String(error) });
    }
  };
  return {
    ready: () => tell("READY=1"),
    stopping: () => tell("STOPPING=1"),
    async run(signal) {
      if (!(watchdogMs > 0)) return;
      while (!signal.aborted) {
        tell("WATCHDOG=1");
        await runtime.sleep(watchdogMs / 2, signal).catch(() => undefined);
      }
    },
  };
}
