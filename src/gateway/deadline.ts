import type { Runtime } from "../runtime.ts";
import type { StopSignal } from "../stop-signal.ts";

/** The time that a request has, together with the client's patience. */
export type Deadline = {
  /** Aborts when the time is up or the client leaves. Made when somebody first asks: most requests never wait. */
  readonly signal: AbortSignal;
  leftMs(): number;
  /** Ends the watch. Without it the timer would run on. */
  close(): void;
};

export function startDeadline(
  runtime: Pick<Runtime, "timer" | "monotonic">,
  ms: number,
  client: StopSignal,
): Deadline {
  const end = runtime.monotonic() + ms;
  const leftMs = (): number => Math.max(0, end - runtime.monotonic());
  let watch: { signal: AbortSignal; close(): void } | undefined;
  return {
    get signal() {
      watch ??= startWatch(runtime, leftMs(), client);
      return watch.signal;
    },
    leftMs,
    close: () => watch?.close(),
  };
}

function startWatch(
  runtime: Pick<Runtime, "timer">,
  ms: number,
  client: StopSignal,
): { signal: AbortSignal; close(): void } {
  const abort = new AbortController();
  const leave = (): void => abort.abort();
  const timer = runtime.timer(ms, () => abort.abort());
  if (client.aborted) leave();
  else if (ms <= 0) abort.abort();
  else client.addEventListener("abort", leave, { once: true });
  return {
    signal: abort.signal,
    close() {
      timer.cancel();
      client.removeEventListener("abort", leave);
    },
  };
}
