/** What an attempt, or the lack of a token, says about the credential. */
export type Verdict =
  | { type: "served" }
  /** Says nothing: the request's own fault, an outage, a lack of capacity. */
  | { type: "unchanged" }
  /** The account was not accepted, for a reason that may pass. Only several in a row count. */
  | { type: "refused" }
  | { type: "cooling"; forMs: number }
  /** The service limits the account as one that looks misused: a rest that its operator has to hear of. */
  | { type: "suspicious"; forMs: number }
  /** `until` is milliseconds since the epoch. */
  | { type: "exhausted"; until: number }
  | { type: "suspended" }
  | { type: "needs-login" };

/**
 * What the service thinks of an account. `until` is milliseconds since the epoch; the state ends by itself then.
 * `suspended` and `needs-login` end only when somebody acts.
 */
export type AccountState =
  /** `refusals`: how many came in a row. */
  | { type: "ready"; refusals: number }
  | { type: "cooling"; until: number; refusals: number }
  /** `since` is when the service said so, 0 if that was said of a log-in that has been replaced. */
  | { type: "exhausted"; since: number; until: number }
  | { type: "needs-login" }
  | { type: "suspended" };

/** As others see it. The operator's switch hides the account's state and does not change it. */
export type CredentialState = AccountState | { type: "disabled" };

export type Quota = {
  /** What is left, in the plan's own unit. */
  remaining: number;
  /** When the plan renews, in milliseconds since the epoch. */
  resetAt?: number | undefined;
};

export const READY: AccountState = { type: "ready", refusals: 0 };

const REFUSALS_ALLOWED = 3;
const REFUSED_REST_MS = 5 * 60_000;
const REFUSED_REST_MAX_MS = 60 * 60_000;
/** A longer `Retry-After` is more likely a mistake than a wish. */
const COOLING_MAX_MS = 24 * 60 * 60_000;
/** For so long a refusal outweighs a quota that says that something is left. */
const REFUSAL_OUTWEIGHS_QUOTA_MS = 60 * 60_000;
/** No plan renews more rarely; a later date is a mistake. */
const PLAN_MAX_MS = 366 * 24 * 60 * 60_000;
/** A shorter rest is not worth a write to the disk. */
const BRIEF_REST_MS = 2 * 60_000;

/** The state with rests that are over ended. */
export function stateAt(state: AccountState, now: number): AccountState {
  switch (state.type) {
    case "cooling":
      return state.until <= now ? { type: "ready", refusals: state.refusals } : state;
    case "exhausted":
      return state.until <= now ? READY : state;
    case "ready":
    case "needs-login":
    case "suspended":
      return state;
    default:
      return state satisfies never;
  }
}

/**
 * The state after a verdict. Requests overlap, so a verdict may be about an attempt that began before the present
 * state: a rest is never shortened and a graver state never lifted, not even by a success.
 */
export function settle(state: AccountState, verdict: Verdict, now: number): AccountState {
  const current = stateAt(state, now);
  switch (verdict.type) {
    case "unchanged":
      return current;
    case "served":
      return current.type === "ready" ? READY : current;
    case "refused":
      return current.type === "ready" ? afterRefusal(current.refusals + 1, now) : current;
    case "cooling":
    case "suspicious": {
      const refusals = "refusals" in current ? current.refusals : 0;
      const until = now + Math.min(verdict.forMs, COOLING_MAX_MS);
      return graver(current, { type: "cooling", until, refusals });
    }
    case "exhausted":
      return graver(current, {
        type: "exhausted",
        since: now,
        until: Math.min(verdict.until, now + PLAN_MAX_MS),
      });
    case "suspended":
    case "needs-login":
      return graver(current, { type: verdict.type });
    default:
      return verdict satisfies never;
  }
}

/**
 * The state after the account's quota was read. It only concerns one that is used up: nothing left sets the end to the
 * plan's own reset; something left ends it, though not within an hour of the refusal, or the two would take turns.
 */
export function withQuota(state: AccountState, quota: Quota, now: number): AccountState {
  const current = stateAt(state, now);
  if (current.type !== "exhausted") return current;
  if (quota.remaining > 0) {
    const until = Math.min(current.until, current.since + REFUSAL_OUTWEIGHS_QUOTA_MS);
    return stateAt({ ...current, until }, now);
  }
  const { resetAt = 0 } = quota;
  const plausible = resetAt > now && resetAt <= now + PLAN_MAX_MS;
  return plausible ? { ...current, until: resetAt } : current;
}

/**
 * The state after somebody put another log-in into the record. It may be a renewal by another program as well as
 * another account, so a plan stays used up until its quota was read.
 */
export function withNewLogin(state: AccountState): AccountState {
  switch (state.type) {
    case "needs-login":
      return READY;
    case "exhausted":
      return { ...state, since: 0 };
    case "ready":
    case "cooling":
    case "suspended":
      return state;
    default:
      return state satisfies never;
  }
}

/** Whether a restart must not forget it. */
export function outlivesRestart(state: AccountState, now: number): boolean {
  switch (state.type) {
    case "ready":
      return false;
    case "cooling":
      return state.until - now > BRIEF_REST_MS;
    case "exhausted":
    case "needs-login":
    case "suspended":
      return true;
    default:
      return state satisfies never;
  }
}

/** An account that refuses again and again is asked ever more rarely, never given up: the cause may be upstream. */
function afterRefusal(refusals: number, now: number): AccountState {
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
} satisfies Record<AccountState["type"], number>;

/** The graver of two states; of two rests the longer. */
export function graver(current: AccountState, next: AccountState): AccountState {
  if (GRAVITY[current.type] !== GRAVITY[next.type]) {
    return GRAVITY[current.type] > GRAVITY[next.type] ? current : next;
  }
  // The end of a used-up plan may have been learned from its quota, which knows better than a refusal.
  return current.type === "cooling" && next.type === "cooling" && next.until > current.until
    ? next
    : current;
}
