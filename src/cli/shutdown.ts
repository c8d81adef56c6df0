import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { Listener } from "./listener.ts";

/** From the moment that answers are told to end until the connections are cut, for the error events to get out. */
const LAST_WORDS_MS = 2_000;

export type Ending = {
  listener: Pick<Listener, "running" | "stop">;
  /** Called first: the server takes no new requests any more. */
  stopping(): void;
  /** Ends the answers that still run, each with an error of its protocol. */
  cutOff(): void;
  /** How long to go on answering before the port is closed, while another process takes over what comes. */
  lingerMs: number;
  /** How long running answers may take to finish. */
  graceMs: number;
  runtime: Pick<Runtime, "sleep">;
  log: Log;
};

/** Waits for SIGTERM or SIGINT, then for the running answers, but not longer than they may take. A second signal ends all at once. */
export async function shutdown(deps: Ending): Promise<void> {
  const { listener, runtime, log } = deps;
  const { promise: asked, resolve: ask } = Promise.withResolvers<string>();
  /** There is nothing more to wait for. */
  const over = new AbortController();
  let signals = 0;
  let running = true;
  const onSignal = (signal: string): void => {
    signals += 1;
    if (signals === 1) ask(signal);
    else over.abort();
  };
  const pause = async (ms: number): Promise<void> =>
    await runtime.sleep(ms, over.signal).catch(() => undefined);

  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  log.info("stopping", { signal: await asked, running: listener.running() });
  deps.stopping();
  if (deps.lingerMs > 0) await pause(deps.lingerMs);
  const stopped = listener.stop().finally(() => {
    running = false;
    over.abort();
  });
  await pause(deps.graceMs);
  if (running) {
    log.warn("answers-cut-off", { running: listener.running() });
    deps.cutOff();
    if (signals < 2) await Promise.race([stopped, runtime.sleep(LAST_WORDS_MS)]);
    void listener.stop(true);
  }
  await stopped;
  process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  log.info("stopped");
}
