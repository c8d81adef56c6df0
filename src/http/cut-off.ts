import { Stop, type StopSignal } from "../stop-signal.ts";

/** What ends one request: its client's departure, or the end of the whole server. */
export type CutOff = {
  signal: StopSignal;
  /** Lets go of the server's signal, which outlives all requests. */
  close(): void;
};

/**
 * Gives each request the one signal that ends it. They are remembered here, since a listener of the server's signal for
 * each of them would cost more (`AbortSignal.any` never lets go of it, in Bun).
 */
export function createCutOffs(
  server: AbortSignal,
): (client: AbortSignal, onLeft?: () => void) => CutOff {
  const running = new Set<Stop>();
  server.addEventListener("abort", () => running.forEach((stop) => stop.abort()), { once: true });
  return (client, onLeft) => {
    const stop = new Stop();
    if (client.aborted || server.aborted) {
      stop.abort();
      return { signal: stop, close() {} };
    }
    running.add(stop);
    const leave = (): void => {
      stop.abort();
      onLeft?.();
    };
    client.addEventListener("abort", leave, { once: true });
    return { signal: stop, close: () => running.delete(stop) };
  };
}
