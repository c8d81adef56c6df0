/** What ends one request: its client's departure, or the end of the whole server. */
export type CutOff = {
  signal: AbortSignal;
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
  const running = new Set<AbortController>();
  server.addEventListener("abort", () => running.forEach((abort) => abort.abort()), { once: true });
  return (client, onLeft) => {
    const abort = new AbortController();
    if (client.aborted || server.aborted) {
      abort.abort();
      return { signal: abort.signal, close() {} };
    }
    running.add(abort);
    const leave = (): void => {
      abort.abort();
      onLeft?.();
    };
    client.addEventListener("abort", leave, { once: true });
    return { signal: abort.signal, close: () => running.delete(abort) };
  };
}
