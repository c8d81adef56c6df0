import type { Runtime } from "../runtime.ts";

/** Does something with a signal that aborts when its time is over. */
export async function bounded<T>(
  runtime: Pick<Runtime, "timer">,
  limitMs: number,
  work: (late: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = runtime.timer(limitMs, () => late.abort());
  try {
    return await work(late.signal);
  } finally {
    timer.cancel();
  }
}
