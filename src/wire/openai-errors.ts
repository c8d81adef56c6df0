import type { Failure, FailureKind } from "../conversation/failure.ts";
import { retryAdvice, type RetryRule } from "./retry-advice.ts";
import type { WireError } from "./wire.ts";

type ErrorKind = RetryRule & {
  status: number;
  type: string;
  code: string | null;
};

const badRequest = { status: 400, type: "invalid_request_error", code: null, retry: false };
const serverError = { type: "server_error", code: null, retry: true };

/** The vendor's error table. The SDKs decide by status and headers, agents by `code` and `type` as well. */
const ERRORS = {
  "invalid-request": badRequest,
  "not-supported": { ...badRequest, code: "unsupported_value" },
  "context-overflow": { ...badRequest, code: "context_length_exceeded" },
  "thread-unsupported": badRequest,
  "previous-response-not-found": { ...badRequest, code: "previous_response_not_found" },
  authentication: { ...badRequest, status: 401, code: "invalid_api_key" },
  "activation-refused": { ...badRequest, status: 403, type: "authentication_error" },
  permission: { ...badRequest, status: 403, type: "permission_error" },
  "not-found": { ...badRequest, status: 404, code: "unknown_url" },
  "model-not-found": { ...badRequest, status: 404, code: "model_not_found" },
  "too-large": { ...badRequest, status: 413 },
  "request-timeout": { ...badRequest, status: 408 },
  // Codex stops at once on this type; as any other 429 it would come again and again.
  quota: { status: 429, type: "insufficient_quota", code: "insufficient_quota", retry: false },
  "limit-reached": {
    status: 429,
    type: "insufficient_quota",
    code: "insufficient_quota",
    retry: false,
  },
  "rate-limited": {
    status: 429,
    type: "rate_limit_error",
    code: "rate_limit_exceeded",
    retry: true,
    retryAfterSeconds: 5,
  },
  internal: { ...serverError, status: 500 },
  upstream: { ...serverError, status: 502 },
  unavailable: { ...serverError, status: 503, retryAfterSeconds: 5 },
  overloaded: {
    ...serverError,
    status: 503,
    code: "server_is_overloaded",
    retryAfterSeconds: 5,
  },
  timeout: { ...serverError, status: 504 },
} satisfies Record<FailureKind, ErrorKind>;

/** Words on which agents compact their history: said of anything else, they do harm. */
const OVERFLOW = /prompt is too long|maximum context length|context_length_exceeded/gi;

/** Refusals of a request, which say what they are about, as in `messages.0.content: …`. */
const NAMES_PARAM = new Set<FailureKind>([
  "invalid-request",
  "not-supported",
  "previous-response-not-found",
]);
const PARAM = /^([a-z_]+(?:\.\w+)*): /;

export type ErrorObject = {
  type: string;
  message: string;
  param: string | null;
  code: string | null;
};

/** A failure as the `error` member of an error body. `promptParam` is the field that holds the prompt. */
export function errorObject(failure: Failure, promptParam: "messages" | "input"): ErrorObject {
  const { type, code }: ErrorKind = ERRORS[failure.kind];
  if (failure.kind === "context-overflow") {
    const { limit } = failure;
    const tokens = Math.max(failure.tokens, limit + 1);
    // The first two sentences are this vendor's, the words in brackets the other's: agents look for either.
    const message =
      `This model's maximum context length is ${limit} tokens. ` +
      `However, your messages resulted in ${tokens} tokens. ` +
      `(prompt is too long: ${tokens} tokens > ${limit} maximum)`;
    return { type, message, param: promptParam, code };
  }
  const message = failure.message.replace(OVERFLOW, "prompt refused for its length");
  return { type, message, param: paramOf(failure), code };
}

function paramOf({ kind, message }: Failure): string | null {
  if (kind === "model-not-found") return "model";
  return NAMES_PARAM.has(kind) ? (PARAM.exec(message)?.[1] ?? null) : null;
}

/** A failure as HTTP. `x-request-id` is the header that the SDKs show. */
export function errorResponse(
  failure: Failure,
  requestId: string,
  promptParam: "messages" | "input",
): WireError {
  const rule: ErrorKind = ERRORS[failure.kind];
  const { seconds, pointless } = retryAdvice(failure, rule);
  const headers: Record<string, string> = { "x-request-id": requestId };
  if (pointless) headers["x-should-retry"] = "false";
  // Where its type does not stop them, these clients sleep for as long as they are told, however long that is.
  if (seconds !== undefined && (!pointless || failure.kind === "limit-reached")) {
    headers["retry-after"] = String(seconds);
  }
  return { status: rule.status, headers, body: { error: errorObject(failure, promptParam) } };
}
