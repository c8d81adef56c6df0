import type { Failure, FailureKind } from "../conversation/failure.ts";
import type { CredentialSource, PoolEmpty } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { KiroFault } from "../kiro/failure.ts";

/** Nobody reads it: the client has gone. */
export const clientLeft: Failure = {
  kind: "internal",
  message: "the client closed the connection",
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

function credentialFailure(source: CredentialSource): Failure {
  switch (source.type) {
    case "inline":
      return {
        kind: "authentication",
        message: "Kiro refused the credential sent with this request. Sign in to Kiro again.",
      };
    case "pool":
      return {
        kind: "unavailable",
        message:
          "Kiro refused the gateway's upstream credential; your own key is fine. Its operator must sign in to Kiro again.",
      };
    default:
      return source satisfies never;
  }
}

/** Why no credential could be had, in words for a client: counts, never identities. */
export function poolFailure(empty: PoolEmpty, now: number): Failure {
  const retryAfterMs = empty.readyAt === undefined ? undefined : Math.max(0, empty.readyAt - now);
  const later = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (empty.reason === "no-credentials") {
    return {
      kind: "unavailable",
      message:
        "This gateway has no Kiro credentials. Its operator must add one to credentials.json.",
    };
  }
  const states = Object.entries(empty.states).filter(([, count]) => count > 0);
  const counts = states.map(([state, count]) => `${count} ${state}`).join(", ");
  const only = states.length === 1 ? states[0]?.[0] : undefined;
  const message = `No Kiro credential can serve right now (${counts}).`;
  if (only === "exhausted") {
    return { kind: "quota", message: `The Kiro quota is used up (${counts}).`, ...later };
  }
  return { kind: only === "cooling" ? "rate-limited" : "unavailable", message, ...later };
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
  "invalid-request": 0,
  authentication: 0,
  permission: 0,
  "not-found": 0,
  "model-not-found": 0,
  "too-large": 0,
  "not-supported": 0,
  internal: 0,
  "context-overflow": 0,
  "thread-unsupported": 0,
} satisfies Record<FailureKind, number>;
