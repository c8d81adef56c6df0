/** What an attempt, or the lack of a token, says about the credential. */
export type Verdict =
  | { type: "served" }
  /** Says nothing: the request's own fault, an outage, a lack of capacity. */
  | { type: "unchanged" }
  /** The account was not accepted, for a reason that may pass. Only several in a row count. */
  | { type: "refused" }
  | { type: "cooling"; forMs: number }
  /** `until` is milliseconds since the epoch. */
  | { type: "exhausted"; until: number }
  | { type: "suspended" }
  | { type: "needs-login" };

/**
 * `until` is milliseconds since the epoch; the state ends by itself then. `suspended`, `needs-login` and `disabled` end
 * only when somebody acts.
 */
export type CredentialState =
  /** `refusals`: how many came in a row. */
  | { type: "ready"; refusals: number }
  | { type: "cooling"; until: number; refusals: number }
  | { type: "exhausted"; until: number }
  | { type: "needs-login" }
  | { type: "suspended" }
  | { type: "disabled" };

/** What a request asks of a credential. `tried` holds the ids that it has been through. */
export type Want = { model: string; sessionId?: string; tried: ReadonlySet<string> };

export type Candidate = {
  credential: { id: string; priority: number };
  state: CredentialState;
};

export const READY: CredentialState = { type: "ready", refusals: 0 };

const REFUSALS_ALLOWED = 3;
const REFUSED_REST_MS = 5 * 60_000;
const REFUSED_REST_MAX_MS = 60 * 60_000;
/** A longer `Retry-After` is more likely a mistake than a wish. */
const COOLING_MAX_MS = 24 * 60 * 60_000;

/** The ready credential of the lowest priority number that was not tried yet; among equals the first. */
export function pick<C extends Candidate>(
  candidates: readonly C[],
  now: number,
  want: Want,
): C | undefined {
  let best: C | undefined;
  for (const candidate of candidates) {
    const { id, priority } = candidate.credential;
    if (stateAt(candidate.state, now).type !== "ready" || want.tried.has(id)) continue;
    if (best === undefined || priority < best.credential.priority) best = candidate;
  }
  return best;
}

/** The state with rests that are over ended. */
export function stateAt(state: CredentialState, now: number): CredentialState {
  switch (state.type) {
    case "cooling":
      return state.until <= now ? { type: "ready", refusals: state.refusals } : state;
    case "exhausted":
      return state.until <= now ? READY : state;
    case "ready":
    case "needs-login":
    case "suspended":
    case "disabled":
      return state;
    default:
      return state satisfies never;
  }
}

/**
 * The state after a verdict. Requests overlap, so a verdict may be about an attempt that began before the present
 * state: a rest is never shortened and a graver state never lifted, not even by a success.
 */
export function settle(state: CredentialState, verdict: Verdict, now: number): CredentialState {
  const current = stateAt(state, now);
  switch (verdict.type) {
    case "unchanged":
      return current;
    case "served":
      return current.type === "ready" ? READY : current;
    case "refused":
      return current.type === "ready" ? afterRefusal(current.refusals + 1, now) : current;
    case "cooling": {
      const refusals = "refusals" in current ? current.refusals : 0;
      const until = now + Math.min(verdict.forMs, COOLING_MAX_MS);
      return graver(current, { type: "cooling", until, refusals });
    }
    case "exhausted":
      return graver(current, { type: "exhausted", until: verdict.until });
    case "suspended":
    case "needs-login":
      return graver(current, { type: verdict.type });
    default:
      return verdict satisfies never;
  }
}

/** An account that refuses again and again is asked ever more rarely, never given up: the cause may be upstream. */
function afterRefusal(refusals: number, now: number): CredentialState {
  if (refusals < REFUSALS_ALLOWED) return { type: "ready", refusals };
  const restMs = REFUSED_REST_MS * 2 ** (refusals - REFUSALS_ALLOWED);
  return { type: "cooling", until: now + Math.min(restMs, REFUSED_REST_MAX_MS), refusals };
}

const GRAVITY = {
  ready: 0,
  cooling: 1,
  exhausted: 2,
  "needs-login": 3,
  suspended: 4,
  disabled: 5,
} satisfies Record<CredentialState["type"], number>;

function graver(current: CredentialState, next: CredentialState): CredentialState {
  if (GRAVITY[current.type] !== GRAVITY[next.type]) {
    return GRAVITY[current.type] > GRAVITY[next.type] ? current : next;
  }
  return "until" in current && "until" in next && next.until > current.until ? next : current;
}
