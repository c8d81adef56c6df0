import type { Runtime } from "../runtime.ts";

/** Those who wait for something that comes free, first come, first served. */
export type Queue<T> = {
  /**
   * Waits until `attempt` gives something; undefined from it means to go on waiting. Nobody waits behind one who waits
   * for something else. Rejects with the signal's reason as soon as it aborts.
   */
  join(
    attempt: () => T | undefined,
    signal: AbortSignal,
  ): Promise<{ type: "served"; value: T } | { type: "full" } | { type: "timeout" }>;
  /** Lets all try in their order. To be called whenever something may have come free. */
  serve(): void;
  length(): number;
};

/** While somebody waits: rests that end, end without a call. */
const SERVE_EVERY_MS = 1_000;

export function createQueue<T>(deps: {
  runtime: Pick<Runtime, "timer">;
  maxLength: number;
  maxWaitMs: number;
}): Queue<T> {
  const { runtime, maxLength, maxWaitMs } = deps;
  type Waiter = { attempt: () => T | undefined; serve(value: T): void };
  const waiting = new Set<Waiter>();

  const serve = (): void => {
    for (const waiter of waiting) {
      const value = waiter.attempt();
      if (value === undefined) continue;
      waiting.delete(waiter);
      waiter.serve(value);
    }
  };

  return {
    async join(attempt, signal) {
      signal.throwIfAborted();
      if (waiting.size >= maxLength) return { type: "full" };
      const { promise, resolve, reject } = Promise.withResolvers<
        { type: "served"; value: T } | { type: "timeout" }
      >();
      const waiter: Waiter = { attempt, serve: (value) => resolve({ type: "served", value }) };
      const onAbort = (): void => {
        waiting.delete(waiter);
        reject(signal.reason);
      };
      const limit = runtime.timer(maxWaitMs, () => {
        waiting.delete(waiter);
        resolve({ type: "timeout" });
      });
      const tick = runtime.timer(SERVE_EVERY_MS, () => {
        serve();
        if (waiting.has(waiter)) tick.refresh();
      });
      waiting.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await promise;
      } finally {
        limit.cancel();
        tick.cancel();
        signal.removeEventListener("abort", onAbort);
      }
    },
    serve,
    length: () => waiting.size,
  };
}
