import type { Runtime } from "../runtime.ts";

/** The promise's value if it comes in time, else undefined. The promise itself goes on. */
export function within<T>(
  runtime: Pick<Runtime, "timer">,
  ms: number,
  promise: Promise<T>,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = runtime.timer(ms, () => resolve(undefined));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
