import type { Verdict } from "../credentials/rotation.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { KiroFault } from "../kiro/failure.ts";

/** How often and how long a request may be tried. */
export type RetryPolicy = {
  perCredential: number;
  perRequest: number;
  backoffMs: number;
  backoffMaxMs: number;
  /** A `Retry-After` up to this long is waited for; a longer one goes to the client. */
  patienceMs: number;
  /** How long an account rests after "suspicious activity". */
  suspiciousMs: number;
  /** How long an account rests after a rate limit that names no time. */
  throttledMs: number;
};

export const retryPolicy: RetryPolicy = {
  perCredential: 3,
  perRequest: 9,
  backoffMs: 200,
  backoffMaxMs: 2_000,
  patienceMs: 2_000,
  suspiciousMs: 30 * 60_000,
  throttledMs: 10_000,
};

/** What is known of a request's attempts when one has failed. */
export type History = {
  /** All attempts so far, this one included. */
  attempts: number;
  /** Those of them with this credential. */
  withCredential: number;
  /** This credential's token has been refreshed for this request. */
  refreshed: boolean;
  /** The request has been rendered anew once already. */
  rerendered: boolean;
  /** Earlier attempts that ended in a reply without any content. */
  emptyReplies: number;
};

export type Step =
  /** Give the client this fault's failure. */
  | { type: "answer" }
  /** The same credential again, with a new token or after a wait. */
  | { type: "refresh" }
  | { type: "again"; waitMs: number }
  /** Another credential; where there is none, the same one again after `orAgainMs` if that is given. */
  | { type: "next"; orAgainMs?: number }
  /** The same credential with the request written differently. */
  | { type: "rerender"; how: "drop-reasoning" | "new-conversation" | "conservative" };

export type Decision = { verdict: Verdict; step: Step };

/**
 * From a fault to the verdict on the credential and the next step. Pure: `random` is a number in [0, 1) for the
 * jitter, `now` is milliseconds since the epoch. Client errors, outages and capacity never count against a credential.
 */
export function decide(
  fault: KiroFault,
  history: History,
  policy: RetryPolicy,
  world: { now: number; random: number },
): Decision {
  const decision = unlimited(fault, history, policy, world);
  const spent = history.attempts >= policy.perRequest;
  return spent ? { verdict: decision.verdict, step: { type: "answer" } } : decision;
}

function unlimited(
  fault: KiroFault,
  history: History,
  policy: RetryPolicy,
  world: { now: number; random: number },
): Decision {
  const again = history.withCredential < policy.perCredential;
  const waitMs = backoff(history.attempts, policy, world.random);
  switch (fault.kind) {
    case "rejected":
      return { verdict: { type: "unchanged" }, step: { type: "answer" } };
    case "malformed":
      return onceMore(history, "conservative");
    case "reasoning-rejected":
      return onceMore(history, "drop-reasoning");
    case "conversation-rejected":
      return onceMore(history, "new-conversation");
    case "model-unavailable":
      return { verdict: { type: "unchanged" }, step: next };
    case "token-refused":
      return history.refreshed
        ? { verdict: { type: "refused" }, step: next }
        : { verdict: { type: "unchanged" }, step: { type: "refresh" } };
    case "forbidden":
      return { verdict: { type: "refused" }, step: next };
    case "suspended":
      return { verdict: { type: "suspended" }, step: next };
    case "suspicious":
      return {
        verdict: { type: "cooling", forMs: fault.retryAfterMs ?? policy.suspiciousMs },
        step: next,
      };
    case "quota":
      return { verdict: { type: "exhausted", until: nextMonth(world.now) }, step: next };
    case "daily-quota":
      return {
        verdict: { type: "cooling", forMs: fault.retryAfterMs ?? nextDay(world.now) - world.now },
        step: next,
      };
    case "throttled": {
      const askedMs = fault.retryAfterMs ?? 0;
      const patient = again && askedMs <= policy.patienceMs;
      return {
        verdict: { type: "cooling", forMs: fault.retryAfterMs ?? policy.throttledMs },
        step: patient ? { type: "next", orAgainMs: Math.max(waitMs, askedMs) } : next,
      };
    }
    case "capacity":
      return {
        verdict: { type: "unchanged" },
        step: again ? { type: "again", waitMs } : { type: "answer" },
      };
    case "empty-reply":
      return {
        verdict: { type: "unchanged" },
        step: history.emptyReplies > 0 ? { type: "answer" } : { type: "next", orAgainMs: 0 },
      };
    case "unavailable":
      return {
        verdict: { type: "unchanged" },
        step: again ? { type: "again", waitMs } : next,
      };
    default:
      return fault.kind satisfies never;
  }
}

const next: Step = { type: "next" };

function onceMore(
  history: History,
  how: "drop-reasoning" | "new-conversation" | "conservative",
): Decision {
  return {
    verdict: { type: "unchanged" },
    step: history.rerendered ? { type: "answer" } : { type: "rerender", how },
  };
}

/** 200 ms, 400 ms … up to the limit, plus up to a quarter so that waiting requests do not march in step. */
function backoff(attempts: number, policy: RetryPolicy, random: number): number {
  const doubled = policy.backoffMs * 2 ** (attempts - 1);
  return Math.min(doubled, policy.backoffMaxMs) * (1 + random / 4);
}

/** Plans renew with the calendar month unless the service says otherwise. */
function nextMonth(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

function nextDay(now: number): number {
  const date = new Date(now);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1);
}

/** No token could be had, so nothing was sent: on to the next credential. */
export function decideWithoutToken(fault: RefreshFault): Decision {
  return {
    verdict: { type: fault.kind === "needs-login" ? "needs-login" : "unchanged" },
    step: next,
  };
}
