import type { Failure, FailureKind } from "../conversation/failure.ts";
import type { CredentialSource, PoolEmpty } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { KiroFault } from "../kiro/failure.ts";

/** Nobody reads it: the client has gone. */
export const clientLeft: Failure = {
  kind: "internal",
  message: "the client closed the connection",
};

export const tooLate: Failure = {
  kind: "timeout",
  message: "The request took longer than the gateway allows.",
};

/** A refused token is the caller's business only if the credential is the caller's own. */
export function faultFailure(fault: KiroFault, source: CredentialSource): Failure {
  return fault.kind === "token-refused" ? credentialFailure(source) : fault.failure;
}

export function tokenFailure(fault: RefreshFault, source: CredentialSource): Failure {
  if (fault.kind === "needs-login") return credentialFailure(source);
  return {
    kind: "unavailable",
    message: "The upstream credential's token could not be renewed just now. Try again shortly.",
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  };
}

function credentialFailure({ type }: Pick<CredentialSource, "type">): Failure {
  switch (type) {
    case "inline":
      return {
        kind: "authentication",
        message: "Kiro refused the credential sent with this request. Sign in to Kiro again.",
      };
    case "user":
      return {
        kind: "unavailable",
        message:
          "Kiro refused your own Kiro credential; your activation code is fine. Sign in to Kiro again.",
      };
    case "pool":
      return {
        kind: "unavailable",
        message:
          "Kiro refused the gateway's upstream credential; your own key is fine. Its operator must sign in to Kiro again.",
      };
    default:
      return type satisfies never;
  }
}

/** Why no credential could be had, in words for a client: counts, never identities. `model` is as the client named it. */
export function poolFailure(
  empty: PoolEmpty,
  { source, model, now }: { source: CredentialSource; model: string; now: number },
): Failure {
  const later =
    empty.readyAt === undefined ? {} : { retryAfterMs: Math.max(0, empty.readyAt - now) };
  switch (empty.reason) {
    case "no-credentials":
      return {
        kind: "unavailable",
        message:
          "This gateway has no Kiro credentials. Its operator must add one to credentials.json.",
      };
    case "model-not-offered":
      return {
        kind: "model-not-found",
        message: `model: ${model.slice(0, 200)} (no Kiro account of this gateway may use it)`,
      };
    case "queue-full":
      return {
        kind: "rate-limited",
        message: "All Kiro credentials are busy, and too many requests wait for them already.",
        retryAfterMs: BUSY_MS,
      };
    case "queue-timeout":
      return {
        kind: "unavailable",
        message: "All Kiro credentials have been busy for too long.",
        retryAfterMs: BUSY_MS,
      };
    case "all-tried":
    case "none-ready":
      return source.type === "pool"
        ? { ...restingFailure(empty.states), ...later }
        : { ...ownFailure(empty.states, source), ...later };
    default:
      return empty.reason satisfies never;
  }
}

/** Slots come free all the time, but one who comes back at once meets the same crowd. */
const BUSY_MS = 5_000;

function restingFailure(counted: Record<string, number>): Failure {
  const states = Object.keys(counted);
  const counts = states.map((state) => `${counted[state]} ${state}`).join(", ");
  const message = `No Kiro credential can serve right now (${counts}).`;
  if (states.join() === "exhausted") {
    return { kind: "quota", message: `The Kiro quota is used up (${counts}).` };
  }
  return { kind: states.join() === "cooling" ? "rate-limited" : "unavailable", message };
}

/** The credential is the caller's own, so the caller may know all about it. */
function ownFailure(
  states: Record<string, number>,
  source: Pick<CredentialSource, "type">,
): Failure {
  const own = source.type === "inline" ? "the credential sent with this request" : "your own";
  if ("suspended" in states) {
    return {
      kind: "permission",
      message: `Kiro has suspended the account of ${own}; its owner must contact Kiro's support.`,
    };
  }
  if ("needs-login" in states) return credentialFailure(source);
  if ("exhausted" in states)
    return { kind: "quota", message: `The Kiro quota of ${own} is used up.` };
  if ("disabled" in states)
    return { kind: "permission", message: `The credential is switched off.` };
  return { kind: "rate-limited", message: `Kiro has limited the account of ${own} for a while.` };
}

/** Of two failures of one request, the one that gives the client more hope: waiting may help. */
export function moreHopeful(earlier: Failure | undefined, later: Failure): Failure {
  return earlier !== undefined && HOPE[earlier.kind] > HOPE[later.kind] ? earlier : later;
}

const HOPE = {
  "rate-limited": 4,
  overloaded: 3,
  timeout: 2,
  upstream: 2,
  unavailable: 2,
  quota: 1,
  "limit-reached": 1,
  "invalid-request": 0,
  authentication: 0,
  permission: 0,
  "activation-refused": 0,
  "not-found": 0,
  "model-not-found": 0,
  "too-large": 0,
  "request-timeout": 0,
  "not-supported": 0,
  internal: 0,
  "context-overflow": 0,
  "thread-unsupported": 0,
  "previous-response-not-found": 0,
} satisfies Record<FailureKind, number>;
