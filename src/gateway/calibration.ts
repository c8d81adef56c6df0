import { BoundedMap } from "../bounded-map.ts";

/**
 * Puts right what the service says of a prompt's size. It says it as a share of the model's window, and not always of the
 * window that is known to us.
 */
export type Calibration = {
  /**
   * The prompt's tokens. `counted` is our own count, `shown` what the service's share amounts to. Once for each reply: it
   * learns from it.
   */
  correct: (model: string, counted: number, shown: number) => number;
};

/** Our own count errs by a quarter at most on usual text; what is off by more than this is the service's share. */
const OFF = 1.3;
/** Below this, what the service itself adds to a prompt counts for too much. */
const LEARN_FROM = 5_000;
const ENOUGH = 5;
const KEPT = 31;
const MODELS_MAX = 100;
/** What the service may have added to a prompt. */
const ADDED_MAX = 10_000;

export function createCalibration(): Calibration {
  const known = new BoundedMap<string, number[]>(MODELS_MAX);

  return {
    correct(model, counted, shown) {
      const ratios = known.get(model) ?? [];
      if (counted >= LEARN_FROM && shown > 0) {
        ratios.push(counted / shown);
        if (ratios.length > KEPT) ratios.shift();
        known.set(model, ratios);
      }
      const corrected = Math.round(shown * factorOf(ratios));
      return Math.max(Math.ceil(counted / 2), Math.min(corrected, 2 * counted + ADDED_MAX));
    },
  };
}

function factorOf(ratios: number[]): number {
  if (ratios.length < ENOUGH) return 1;
  const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 1;
  return median > OFF || median < 1 / OFF ? median : 1;
}
