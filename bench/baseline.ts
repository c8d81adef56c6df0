import { median, type StartFigures } from "./measure.ts";
import { FLOOR, type Ratios, ratios, type Report } from "./report.ts";

/** What the gateway's figures were against the floor's: `bench/baseline.json`, from `--save-baseline`. */
export type Baseline = Record<string, Record<string, number>>;

/** A ratio may be this much worse in a run of a few seconds without anything being wrong: five of one binary differed by a quarter. */
const TOLERANCE = 0.3;
/** Below it a figure in milliseconds is noise. */
const SLACK_MS = 1;

export function summary({ rounds, starts }: Report, target: string): Baseline {
  const found: Baseline = {};
  for (const [workload, byTarget] of Object.entries(rounds)) {
    const { rate, cpu, lagP99Ms }: Ratios = ratios(byTarget[target] ?? [], byTarget[FLOOR] ?? []);
    found[workload] = {
      ...(rate !== undefined && { rate }),
      ...(cpu !== undefined && { cpu }),
      ...(lagP99Ms !== undefined && { lagP99Ms }),
    };
  }
  const [own, floor] = [starts[target], starts[FLOOR]];
  if (own !== undefined && floor !== undefined) {
    const against = (read: (figures: StartFigures) => number): number =>
      median(own.map(read)) / median(floor.map(read));
    found["start"] = {
      time: against((one) => one.coldStartMs),
      memory: against((one) => one.idleMb),
    };
  }
  return found;
}

/** What is worse than it was, as lines for people. */
export function worse(now: Baseline, then: Baseline): string[] {
  return Object.entries(then).flatMap(([workload, figures]) =>
    Object.entries(figures).flatMap(([name, was]) => {
      const is = now[workload]?.[name];
      if (is === undefined) return [];
      const isWorse =
        name === "rate"
          ? is < was * (1 - TOLERANCE)
          : is > was * (1 + TOLERANCE) + (name.endsWith("Ms") ? SLACK_MS : 0);
      return isWorse ? [`${workload}: ${name} was ${was.toFixed(2)} and is ${is.toFixed(2)}`] : [];
    }),
  );
}
