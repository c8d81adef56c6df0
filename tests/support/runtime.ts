import type { Runtime, Timer } from "../../src/runtime.ts";

export type FetchCall = { url: string; init: BunFetchRequestInit };
export type ScriptedFetch = (
  url: string,
  init: BunFetchRequestInit,
) => Response | Promise<Response>;

export type TestRuntime = {
  runtime: Runtime;
  /** Every call of `fetch` so far, in order. */
  calls: FetchCall[];
  /** Moves both clocks and fires what falls due, in order of time; what that starts may run before this resolves. */
  advance: (ms: number) => Promise<void>;
  /** Lets everything run that waits for no timer. */
  settle: () => Promise<void>;
  /** How many timers and sleeps are waiting. */
  pending: () => number;
};

/**
 * A world without surprises: the clock stands until it is moved, random numbers and UUIDs come in a fixed order, and
 * `fetch` answers by script. An aborted signal ends a scripted call as it ends a real one, also one that never answers.
 */
export function createTestRuntime(
  options: { now?: number; fetch?: ScriptedFetch } = {},
): TestRuntime {
  const start = options.now ?? Date.UTC(2026, 0, 15, 12);
  let elapsed = 0;
  let order = 0;
  let seed = 1;
  let uuids = 0;
  const waiting = new Set<{ at: number; order: number; fire: () => void }>();
  const calls: FetchCall[] = [];

  const timer = (ms: number, onFire: () => void): Timer => {
    const entry = { at: 0, order: 0, fire: onFire };
    const refresh = (): void => {
      entry.at = elapsed + Math.max(0, ms);
      entry.order = order++;
      waiting.add(entry);
    };
    refresh();
    return { refresh, cancel: () => void waiting.delete(entry) };
  };

  const runtime: Runtime = {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    timer,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const alarm = timer(ms, resolve);
      await untilAborted(promise, signal, reject).finally(() => alarm.cancel());
    },
    randomUUID: () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, "0")}`,
    random() {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    },
    async fetch(url, init) {
      calls.push({ url, init });
      const signal = init.signal ?? undefined;
      signal?.throwIfAborted();
      if (options.fetch === undefined) throw new Error(`no answer was scripted for ${url}`);
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      Promise.resolve(options.fetch(url, init)).then(resolve, reject);
      return await untilAborted(promise, signal, reject);
    },
  };

  return {
    runtime,
    calls,
    settle,
    pending: () => waiting.size,
    async advance(ms) {
      const end = elapsed + ms;
      await settle();
      for (;;) {
        const [next] = [...waiting].toSorted((a, b) => a.at - b.at || a.order - b.order);
        if (next === undefined || next.at > end) break;
        waiting.delete(next);
        elapsed = Math.max(elapsed, next.at);
        next.fire();
        await settle();
      }
      elapsed = end;
    },
  };
}

async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  reject: (reason: unknown) => void,
): Promise<T> {
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  return await promise.finally(() => signal?.removeEventListener("abort", onAbort));
}

async function settle(): Promise<void> {
  // A turn of the event loop runs every promise that is ready; bodies of responses take a few.
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((next) => setImmediate(next));
}
