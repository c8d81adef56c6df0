/** `priority` spends one account before the next; `balanced` spreads the load over all of them. */
export type Rotation = "priority" | "balanced";

/** A credential that could take a request now. */
export type Candidate = {
  credential: { id: string; priority: number };
  /** Requests that it is serving. */
  inFlight: number;
  /** What is left of its plan, where that is known. */
  quota?: { remaining: number } | undefined;
  /** A number that grows with each lease, so the lowest has been idle for longest. */
  lastUse: number;
};

/**
 * Which of them takes the request. `bound` is the id that served the same conversation before, whose prompt the service
 * may still have in its cache: a preference, without effect where that one is not among the candidates. `priority`: the
 * lowest number, then the bound one, then the first in order. `balanced`: the bound one, then the least in flight, then the
 * most left of its plan where all are known, then the one idle for longest.
 */
export function pick<C extends Candidate>(
  candidates: readonly C[],
  rotation: Rotation,
  bound: string | undefined,
): C | undefined {
  switch (rotation) {
    case "priority": {
      const first = Math.min(...candidates.map(({ credential }) => credential.priority));
      const equals = candidates.filter(({ credential }) => credential.priority === first);
      return equals.find(({ credential }) => credential.id === bound) ?? equals[0];
    }
    case "balanced": {
      const same = candidates.find(({ credential }) => credential.id === bound);
      // A plan of unknown size is neither large nor small, so then nobody's counts.
      const known = candidates.every(({ quota }) => quota !== undefined);
      const left = ({ quota }: C): number => (known ? (quota?.remaining ?? 0) : 0);
      return (
        same ??
        candidates.toSorted(
          (a, b) => a.inFlight - b.inFlight || left(b) - left(a) || a.lastUse - b.lastUse,
        )[0]
      );
    }
    default:
      return rotation satisfies never;
  }
}
