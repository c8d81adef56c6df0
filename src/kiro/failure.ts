import type { Failure } from "../conversation/failure.ts";

/** Whose fault an upstream answer is; `gateway/retry` maps it to a verdict on the credential and the next step. */
export type KiroFaultKind =
  /** The request's own fault: too long, malformed, unknown model. Never retried. */
  | "rejected"
  /** The service did not accept the signature of a thinking block in the history; once more without them may work. */
  | "reasoning-rejected"
  /** The conversation id was refused or is used up; once more with a new one may work. */
  | "conversation-rejected"
  /** The model is not in this credential's plan or not known at all. */
  | "model-unavailable"
  /** The access token was refused: refresh it once. */
  | "token-refused"
  /** The account may not do this; another may. */
  | "forbidden"
  /** The account is locked. Nothing more may be sent with it until a person has acted. */
  | "suspended"
  /** The account is limited "due to suspicious activity": no call for a good while. */
  | "suspicious"
  /** The plan is used up until its reset. */
  | "quota"
  /** The daily allowance is used up. */
  | "daily-quota"
  /** The account is asked to slow down. */
  | "throttled"
  /** The model is out of capacity, for everybody. */
  | "capacity"
  /** Network, 5xx, a time limit, a cut or corrupt stream. Says nothing about the credential. */
  | "unavailable";

export type KiroFault = {
  kind: KiroFaultKind;
  /** What the client may see of it. */
  failure: Failure;
  retryAfterMs?: number;
  /** For the log: the HTTP status (absent for in-stream and network faults), AWS's reason code, its request id. */
  status?: number;
  reason?: string;
  requestId?: string;
};
