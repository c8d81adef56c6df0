/** A timer that has been started; `refresh` starts it anew, `cancel` ends it. Both may be called at any time. */
export type Timer = { refresh(): void; cancel(): void };

/** What the code needs of the outside world. Nothing else may read a clock, draw a random number or open a connection. */
export type Runtime = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds on a clock that never steps; only differences mean anything. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  timer(ms: number, onFire: () => void): Timer;
  randomUUID(): string;
  /** At least 0, below 1. */
  random(): number;
  fetch(url: string, init: BunFetchRequestInit): Promise<Response>;
};

export function realRuntime(): Runtime {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep,
    timer(ms, onFire) {
      const timeout = setTimeout(onFire, ms);
      return { refresh: () => timeout.refresh(), cancel: () => clearTimeout(timeout) };
    },
    randomUUID: () => crypto.randomUUID(),
    random: () => Math.random(),
    fetch: async (url, init) => await fetch(url, init),
  };
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, ms);
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timeout);
    signal?.removeEventListener("abort", onAbort);
  }
}
