import type { FailureKind } from "../conversation/failure.ts";
import type { KiroFaultKind } from "./failure.ts";

/** The exception that a stream ends with when the reply has become too long, or the prompt was. */
export const LENGTH_EXCEPTION = "ContentLengthExceededException";

/** What an answer says of its failure. `status` is what the type implies where there is no telling one. */
export type Refusal = {
  status: number;
  type: string;
  /** A reason code such as `TOOL_SCHEMA_INVALID`, or empty. */
  reason: string;
  /** In lower case, for looking things up. Never shown. */
  text: string;
};

export type Rule = {
  /** Reason codes that make the rule apply, or what else does. */
  reasons?: string[];
  when?: (refusal: Refusal) => boolean;
  kind: KiroFaultKind;
  failure: Exclude<FailureKind, "thread-unsupported">;
  message: string;
};

/**
 * The first rule that applies decides. What the account's owner must know comes first, then reason codes, which outrank
 * the status: quota was seen with 400, 402 and 429, tool pairing with 5xx.
 */
const RULES: Rule[] = [
  {
    reasons: ["TEMPORARILY_SUSPENDED"],
    when: ({ status, text }) =>
      (status === 401 || status === 403) && hasAny(text, SUSPENSION_PHRASES),
    kind: "suspended",
    failure: "permission",
    message: "Kiro has suspended the account; its owner must contact Kiro's support",
  },
  {
    when: ({ text }) => text.includes("suspicious activity") && text.includes("temporary limits"),
    kind: "suspicious",
    failure: "rate-limited",
    message: "Kiro limits the account for a while because of unusual activity",
  },
  {
    reasons: ["DAILY_REQUEST_COUNT"],
    kind: "daily-quota",
    failure: "rate-limited",
    message: "The account's Kiro requests for today are used up",
  },
  {
    reasons: ["CONVERSATION_LIMIT_EXCEEDED", "INVALID_CONVERSATION_ID"],
    kind: "conversation-rejected",
    failure: "invalid-request",
    message: "Kiro takes no more requests for this conversation",
  },
  {
    reasons: ["MONTHLY_REQUEST_COUNT", "OVERAGE_REQUEST_LIMIT_EXCEEDED"],
    when: ({ status }) => status === 402,
    kind: "quota",
    failure: "quota",
    message: "The account's Kiro quota is used up until it resets",
  },
  {
    reasons: ["CONTENT_LENGTH_EXCEEDS_THRESHOLD", "PROMPT_TOO_LONG"],
    when: ({ type, text }) => type === LENGTH_EXCEPTION || text.includes("input is too long"),
    kind: "rejected",
    failure: "context-overflow",
    message: "prompt is too long",
  },
  {
    reasons: ["INVALID_MODEL_ID"],
    kind: "model-unavailable",
    failure: "model-not-found",
    message: "Kiro does not know the model, or the account's plan does not have it",
  },
  {
    reasons: ["THINKING_SIGNATURE_INVALID"],
    when: ({ status, text }) =>
      status === 400 && text.includes("signature") && text.includes("thinking"),
    kind: "reasoning-rejected",
    failure: "invalid-request",
    message: "Kiro did not accept the signature of a thinking block in the history",
  },
  {
    reasons: ["TOOL_USE_RESULT_MISMATCH", "TOOL_SCHEMA_INVALID"],
    when: ({ reason, text }) =>
      /^(?:IMAGE|DOCUMENT|TOOL|REQUEST_BODY)_/.test(reason) ||
      text.includes("expected toolresult blocks"),
    kind: "rejected",
    failure: "invalid-request",
    message: "Kiro rejected a part of the request",
  },
  {
    reasons: ["FEATURE_NOT_SUPPORTED"],
    when: ({ reason }) => reason.startsWith("UNAUTHORIZED_"),
    kind: "forbidden",
    failure: "permission",
    message: "The account is not allowed to use this feature of Kiro",
  },
  {
    reasons: ["INSUFFICIENT_MODEL_CAPACITY", "MODEL_TEMPORARILY_UNAVAILABLE"],
    when: ({ status, text }) => status === 503 || text.includes("unexpectedly high load"),
    kind: "capacity",
    failure: "overloaded",
    message: "The model is out of capacity at Kiro",
  },
  {
    when: ({ status, text }) =>
      status === 403 && !text.includes("bearer token") && hasAny(text, DENIAL_PHRASES),
    kind: "forbidden",
    failure: "permission",
    message: "The account is not allowed to do this at Kiro",
  },
  {
    when: ({ status }) => status === 401 || status === 403,
    kind: "token-refused",
    failure: "unavailable",
    message: "Kiro refused the upstream credential",
  },
  {
    when: ({ status }) => status === 429,
    kind: "throttled",
    failure: "rate-limited",
    message: "Kiro asks the account to slow down",
  },
  {
    // The origin behind the proxy took longer than that waits, and would again.
    when: ({ status, text }) =>
      status === 524 || (status >= 500 && text.includes("524") && hasAny(text, PROXY_PHRASES)),
    kind: "rejected",
    failure: "upstream",
    message: "Kiro took too long to answer this request",
  },
  {
    when: ({ status }) => status === 408 || status === 504,
    kind: "unavailable",
    failure: "timeout",
    message: "Kiro did not answer in time",
  },
  {
    when: ({ status }) => status === 413,
    kind: "rejected",
    failure: "too-large",
    message: "Kiro finds the request too large",
  },
  {
    when: ({ status, reason }) => status === 400 && reason === "",
    kind: "malformed",
    failure: "invalid-request",
    message:
      "Kiro found the request improperly formed; a tool's name or schema, or the order of the messages, is the likely cause",
  },
  {
    when: ({ status }) => status === 400,
    kind: "rejected",
    failure: "invalid-request",
    message: "Kiro rejected the request",
  },
  {
    when: ({ status }) => status > 400 && status < 500,
    kind: "rejected",
    failure: "upstream",
    message: "Kiro could not serve the request",
  },
];

const OTHERWISE: Rule = {
  kind: "unavailable",
  failure: "upstream",
  message: "Kiro failed to answer",
};

const SUSPENSION_PHRASES = [
  "locked your account",
  "temporarily suspended",
  "temporarily is suspended",
  "violation of terms",
  "terms of service",
];
/** In a 403: a new token would not help. */
const DENIAL_PHRASES = [
  "not authorized to access",
  "not allowed",
  "disabled",
  "payment required",
  "quota",
  "limit exceeded",
];
const PROXY_PHRASES = ["status code", "gateway timeout", "server-side issue"];

/** What a refusal means, and in which words a client hears of it. */
export function ruleFor(refusal: Refusal): Rule {
  return RULES.find((rule) => applies(rule, refusal)) ?? OTHERWISE;
}

/** A reason code that stands in the text: some answers are not JSON, and some have it in the message alone. */
export function reasonIn(message: string): string {
  return RULES.flatMap(({ reasons = [] }) => reasons).find((code) => message.includes(code)) ?? "";
}

function applies({ reasons, when }: Rule, refusal: Refusal): boolean {
  return reasons?.includes(refusal.reason) === true || when?.(refusal) === true;
}

function hasAny(text: string, phrases: string[]): boolean {
  return phrases.some((phrase) => text.includes(phrase));
}
