import type { Verdict } from "../credentials/state.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { mayHaveMoved } from "../kiro/moved-hosts.ts";

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
  /** How long a request may take as a whole: the wait for a credential, all attempts and the reply. */
  totalMs: number;
};

export const retryPolicy: RetryPolicy = {
  perCredential: 3,
  perRequest: 9,
  backoffMs: 200,
  backoffMaxMs: 2_000,
  patienceMs: 2_000,
  suspiciousMs: 30 * 60_000,
  throttledMs: 10_000,
  totalMs: 720_000,
};

/** What is known of a request's attempts when one has failed. */
export type History = {
  /** All attempts so far, this one included. */
  attempts: number;
  /** Those of them with this credential. */
  withCredential: number;
  /** This credential's token has been refreshed for this request, or can't be refreshed at all. */
  refreshed: boolean;
  /** The request has been rendered anew once already. */
  rerendered: boolean;
  /** Earlier attempts that ended in a reply without any content. */
  emptyReplies: number;
  /** The service may also live at a host that was not asked yet. */
  otherHost?: boolean;
};

export type Step =
  /** Give the client this fault's failure. */
  | { type: "answer" }
  /** The same credential again, with a new token or after a wait. */
  | { type: "refresh" }
  | { type: "again"; waitMs: number }
  /** The same credential at the next host. */
  | { type: "host" }
  /** Another credential; where there is none, the same one again after `orAgainMs` if that is given. */
  | { type: "next"; orAgainMs?: number }
  /** The same credential with the request written differently. */
  | { type: "rerender"; how: "drop-reasoning" | "new-conversation" | "conservative" };

export type Decision = { verdict: Verdict; step: Step };

type World = { now: number; random: number };

/**
 * From a fault to the verdict on the credential and the next step. Pure: `random` is a number in [0, 1) for the
 * jitter, `now` is milliseconds since the epoch. Client errors, outages and capacity never count against a credential.
 */
export function decide(
  fault: KiroFault,
  history: History,
  policy: RetryPolicy,
  world: World,
): Decision {
  const isSpent = history.attempts >= policy.perRequest;
  if (!isSpent && history.otherHost === true && mayHaveMoved(fault, history.refreshed)) {
    return { verdict: { type: "unchanged" }, step: { type: "host" } };
  }
  return {
    // A token that can still be refreshed says nothing yet.
    verdict:
      fault.kind === "token-refused" && !history.refreshed
        ? { type: "unchanged" }
        : verdictOn(fault, policy, world.now),
    step: isSpent ? { type: "answer" } : stepAfter(fault, history, policy, world.random),
  };
}

/** What a fault says about the credential, whenever it came. */
export function verdictOn(fault: KiroFault, policy: RetryPolicy, now: number): Verdict {
  switch (fault.kind) {
    case "rejected":
    case "malformed":
    case "reasoning-rejected":
    case "conversation-rejected":
    case "model-unavailable":
    case "capacity":
    case "unavailable":
    case "empty-reply":
      return { type: "unchanged" };
    case "token-refused":
    case "forbidden":
      return { type: "refused" };
    case "suspended":
      return { type: "suspended" };
    case "suspicious":
      return { type: "suspicious", forMs: fault.retryAfterMs ?? policy.suspiciousMs };
    case "quota":
      return { type: "exhausted", until: nextMonth(now) };
    case "daily-quota":
      return { type: "cooling", forMs: fault.retryAfterMs ?? nextDay(now) - now };
    case "throttled":
      return { type: "cooling", forMs: fault.retryAfterMs ?? policy.throttledMs };
    default:
      return fault.kind satisfies never;
  }
}

function stepAfter(fault: KiroFault, history: History, policy: RetryPolicy, random: number): Step {
  const askedMs = fault.retryAfterMs ?? 0;
  const again = history.withCredential < policy.perCredential && askedMs <= policy.patienceMs;
  const waitMs = Math.max(backoff(history.attempts, policy, random), askedMs);
  switch (fault.kind) {
    case "rejected":
      return { type: "answer" };
    case "malformed":
      return onceMore(history, "conservative");
    case "reasoning-rejected":
      return onceMore(history, "drop-reasoning");
    case "conversation-rejected":
      return onceMore(history, "new-conversation");
    case "token-refused":
      return history.refreshed ? next : { type: "refresh" };
    case "model-unavailable":
    case "forbidden":
    case "suspended":
    case "suspicious":
    case "quota":
    case "daily-quota":
      return next;
    case "throttled":
      return again ? { type: "next", orAgainMs: waitMs } : next;
    case "capacity":
      return again ? { type: "again", waitMs } : { type: "answer" };
    case "empty-reply":
      return history.emptyReplies > 0 ? { type: "answer" } : { type: "next", orAgainMs: 0 };
    case "unavailable":
      return again ? { type: "again", waitMs } : next;
    default:
      return fault.kind satisfies never;
  }
}

const next: Step = { type: "next" };

function onceMore(
  history: History,
  how: "drop-reasoning" | "new-conversation" | "conservative",
): Step {
  return history.rerendered ? { type: "answer" } : { type: "rerender", how };
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
