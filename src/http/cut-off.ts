/** What ends one request: its client's departure, or the end of the whole server. */
export type CutOff = {
  signal: AbortSignal;
  /** Lets go of the server's signal, which outlives all requests. (`AbortSignal.any` never does, in Bun.) */
  close(): void;
};

export function cutOffBy(client: AbortSignal, server: AbortSignal): CutOff {
  const abort = new AbortController();
  const end = (): void => abort.abort();
  for (const signal of [client, server]) {
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  }
  return { signal: abort.signal, close: () => server.removeEventListener("abort", end) };
}
