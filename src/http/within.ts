import type { Runtime } from "../runtime.ts";

/** The promise's value if it comes in time, else undefined. The promise itself goes on. */
export async function within<T>(
  runtime: Pick<Runtime, "timer">,
  ms: number,
  promise: Promise<T>,
): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = runtime.timer(ms, () => resolve(undefined));
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.cancel();
  }
}
