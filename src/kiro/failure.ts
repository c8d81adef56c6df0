import type { Failure } from "../conversation/failure.ts";
import type { FrameFault } from "../eventstream/frame.ts";
import { isFields, type KiroEvent, parseFields } from "./events.ts";
import { reasonIn, type Refusal, ruleFor } from "./refusal.ts";

/** Whose fault an upstream answer is; `gateway/retry` maps it to a verdict on the credential and the next step. */
export type KiroFaultKind =
  /** The request's own fault (too long, malformed), or an answer that another attempt would only repeat. Never retried. */
  | "rejected"
  /** "Improperly formed request" without a reason: once more, written more conservatively, may work. */
  | "malformed"
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
  | "unavailable"
  /** The answer ended cleanly and had nothing in it that a client could see. */
  | "empty-reply";

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

/** What the words of a fault need to know. Tokens for `prompt is too long`; `now` (ms since the epoch) for dates. */
export type AnswerContext = { window: number; estimatedTokens: number; now: number };

/** An HTTP answer that is not a 200. Of a long body the beginning is enough. */
export type RefusedAnswer = {
  status: number;
  headers: { get(name: string): string | null };
  body: string;
};

export type NetworkCause =
  | "connect"
  /** The proxy on the way answered, and did not let the call through. */
  | "proxy"
  | "headers-timeout"
  | "first-event-timeout"
  | "idle-timeout"
  | "total-timeout"
  | "reset";

/** What is wrong with a stream whose HTTP side is well. */
export type BrokenReply =
  | FrameFault["kind"]
  | "malformed-event"
  | "tool-input-too-long"
  | "empty-reply";

/** What an exception's type implies where there is no HTTP status, or only a general one. */
const STATUS_OF_TYPE = new Map([
  ["ValidationException", 400],
  ["ExpiredTokenException", 401],
  ["ExpiredToken", 401],
  ["UnrecognizedClientException", 401],
  ["ServiceQuotaExceededException", 402],
  ["AccessDeniedException", 403],
  ["ResourceNotFoundException", 404],
  ["ConflictException", 409],
  ["ThrottlingException", 429],
  ["InternalServerException", 500],
  ["ServiceUnavailableException", 503],
]);

/** The one status that only a proxy gives. */
const PROXY_REFUSED = 407;

/** A refusal by HTTP. Accepts both of AWS's JSON forms, and bodies that are not JSON. */
export function faultOfResponse(answer: RefusedAnswer, context: AnswerContext): KiroFault {
  const { status, headers } = answer;
  if (status === PROXY_REFUSED) return faultOfNetwork("proxy");
  const body = readBody(answer.body);
  const type = shapeName(headers.get("x-amzn-errortype") ?? body.type);
  const refusal = {
    status: impliedStatus(status, type),
    type,
    reason: body.reason,
    text: body.message.toLowerCase(),
  };
  const waitMs = retryAfterMs(headers.get("retry-after"), context.now);
  const requestId = headers.get("x-amzn-requestid");
  return {
    ...judge(refusal, context, waitMs),
    status,
    ...(requestId !== null && { requestId }),
  };
}

/** A failure that came as an event of a stream whose status was 200. */
export function faultOfException(
  event: Extract<KiroEvent, { type: "exception" | "error" | "invalid-state" }>,
  context: AnswerContext,
): KiroFault {
  if (event.type === "exception") {
    return inStream(event.exceptionType, event.reason, event.message, context);
  }
  if (event.type === "error") return inStream(event.code, undefined, event.message, context);
  return inStream("InternalServerException", event.reason, event.message, context);
}

function inStream(
  name: string,
  reason: string | undefined,
  message: string,
  context: AnswerContext,
): KiroFault {
  const type = shapeName(name);
  const status = STATUS_OF_TYPE.get(type) ?? 500;
  const text = message.toLowerCase();
  return judge({ status, type, reason: reasonCode(reason, message), text }, context);
}

/** A connection that failed, was reset, or ran into one of our limits. */
export function faultOfNetwork(cause: NetworkCause): KiroFault {
  const late = cause.endsWith("-timeout");
  return {
    kind: "unavailable",
    failure: { kind: late ? "timeout" : "upstream", message: NETWORK_MESSAGES[cause] },
    reason: cause,
  };
}

const NETWORK_MESSAGES = {
  connect: "The gateway could not connect to Kiro.",
  proxy: "The gateway's proxy did not let it connect to Kiro.",
  reset: "The connection to Kiro broke off.",
  "headers-timeout": "Kiro did not answer in time.",
  "first-event-timeout": "Kiro did not begin its reply in time.",
  "idle-timeout": "Kiro stopped in the middle of its reply.",
  "total-timeout": "The reply took longer than the gateway allows.",
} satisfies Record<NetworkCause, string>;

/** A stream that was cut, damaged, unreadable or empty. */
export function faultOfFrame({ kind: reason }: { kind: BrokenReply }): KiroFault {
  const message = BROKEN_MESSAGES[reason];
  return reason === "empty-reply"
    ? // Not an overload: clients repeat those, and the service would say nothing again, at the same price.
      { kind: reason, failure: { kind: "invalid-request", message }, reason }
    : { kind: "unavailable", failure: { kind: "upstream", message }, reason };
}

const DAMAGED = "Kiro's reply was damaged on its way.";
const BROKEN_MESSAGES = {
  "prelude-checksum": DAMAGED,
  "message-checksum": DAMAGED,
  length: DAMAGED,
  headers: DAMAGED,
  "malformed-event": DAMAGED,
  truncated: "Kiro's reply was cut off.",
  "tool-input-too-long": "Kiro's reply has a tool call that is too large.",
  "empty-reply":
    "Kiro's reply was empty; its content filter may have stepped in. Rephrase the request.",
} satisfies Record<BrokenReply, string>;

function judge(
  refusal: Refusal,
  { window, estimatedTokens }: AnswerContext,
  waitMs?: number,
): KiroFault {
  const rule = ruleFor(refusal);
  const code = refusal.reason || refusal.type;
  const later = waitMs !== undefined && rule.kind !== "rejected" ? { retryAfterMs: waitMs } : {};
  const named = { kind: rule.kind, ...later, ...(code !== "" && { reason: code }) };
  if (rule.failure === "context-overflow") {
    const tokens = Math.max(estimatedTokens, window + 1);
    const message = `${rule.message}: ${tokens} tokens > ${window} maximum`;
    return { ...named, failure: { kind: rule.failure, message, tokens, limit: window } };
  }
  const message = code === "" ? `${rule.message}.` : `${rule.message} (${code}).`;
  return { ...named, failure: { kind: rule.failure, message, ...later } };
}

/** The type's status where the answer's own is one that AWS uses for anything. */
function impliedStatus(status: number, type: string): number {
  const implied = STATUS_OF_TYPE.get(type) ?? status;
  if (status === 400) return implied;
  // A bare ValidationException in a 500 was seen for faults of the service, so only these two are believed.
  return status === 500 && (implied === 429 || implied === 503) ? implied : status;
}

function readBody(body: string): { type: string; reason: string; message: string } {
  const fields = parseFields(body);
  if (fields === undefined) return { type: "", reason: reasonCode(undefined, body), message: body };
  const inner = isFields(fields["error"]) ? fields["error"] : {};
  const message = firstString(fields["message"], fields["Message"], inner["message"]);
  return {
    type: firstString(fields["code"], fields["__type"]),
    reason: reasonCode(firstString(fields["reason"], inner["reason"]), message),
    message,
  };
}

/** Only what looks like a code: it is shown to clients. */
function reasonCode(reason: string | undefined, message: string): string {
  if (reason !== undefined && /^[A-Z][A-Z_]{2,63}$/.test(reason)) return reason;
  return reasonIn(message);
}

/** `com.amazon.aws.codewhisperer#ThrottlingException:http://…` is `ThrottlingException`. */
function shapeName(type: string): string {
  const name = type.slice(type.indexOf("#") + 1).split(":", 1)[0] ?? "";
  return /^[A-Za-z]{1,64}$/.test(name) ? name : "";
}

/** Seconds, or a date as HTTP writes it. */
function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d{1,7}(?:\.\d+)?\s*$/.test(value)) return Math.ceil(Number(value) * 1000);
  const at = /^[A-Z][a-z]+, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function firstString(...values: unknown[]): string {
  return values.find((value) => typeof value === "string" && value !== "")?.toString() ?? "";
}
