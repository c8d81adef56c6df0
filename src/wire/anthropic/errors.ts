import type { Failure, FailureKind } from "../../conversation/failure.ts";
import { retryAdvice, type RetryRule } from "../retry-advice.ts";
import type { WireError } from "../wire.ts";

type ErrorKind = RetryRule & { status: number; type: string };

/** The vendor's error table. Claude Code and the SDKs decide by status, type and these headers, never by the text. */
const ERRORS = {
  "invalid-request": { status: 400, type: "invalid_request_error", retry: false },
  "context-overflow": { status: 400, type: "invalid_request_error", retry: false },
  "thread-unsupported": { status: 400, type: "invalid_request_error", retry: false },
  "previous-response-not-found": { status: 400, type: "invalid_request_error", retry: false },
  authentication: { status: 401, type: "authentication_error", retry: false },
  quota: { status: 402, type: "billing_error", retry: false },
  // What the Go build answers, and what its clients look for.
  "activation-refused": { status: 403, type: "authentication_error", retry: false },
  permission: { status: 403, type: "permission_error", retry: false },
  "not-found": { status: 404, type: "not_found_error", retry: false },
  "model-not-found": { status: 404, type: "not_found_error", retry: false },
  "too-large": { status: 413, type: "request_too_large", retry: false },
  "request-timeout": { status: 408, type: "timeout_error", retry: true },
  "not-supported": { status: 501, type: "not_supported", retry: false },
  "rate-limited": { status: 429, type: "rate_limit_error", retry: true, retryAfterSeconds: 5 },
  "limit-reached": { status: 429, type: "rate_limit_error", retry: false },
  internal: { status: 500, type: "api_error", retry: true },
  upstream: { status: 502, type: "api_error", retry: true },
  // This type is retried by every client, whatever the status.
  unavailable: { status: 503, type: "overloaded_error", retry: true, retryAfterSeconds: 5 },
  timeout: { status: 504, type: "timeout_error", retry: true },
  overloaded: { status: 529, type: "overloaded_error", retry: true, retryAfterSeconds: 5 },
} satisfies Record<FailureKind, ErrorKind>;

/** The words on which Claude Code and opencode compact their history: said of anything else, they do harm. */
const OVERFLOW = /prompt is too long/gi;

export type ErrorObject = {
  type: string;
  message: string;
  /** On `thread_unsupported_request` alone the SDK's tool runner goes on with the whole history. */
  details?: { error_code: string; unsupported: string[] };
};

/** A failure as the `error` member of an error body and of an `error` event. */
export function errorObject(failure: Failure): ErrorObject {
  const { type } = ERRORS[failure.kind];
  if (failure.kind === "context-overflow") {
    const { limit } = failure;
    const tokens = Math.max(Math.ceil(failure.tokens), limit + 1);
    return { type, message: `prompt is too long: ${tokens} tokens > ${limit} maximum` };
  }
  const message = failure.message.replace(OVERFLOW, "prompt refused for its length");
  if (failure.kind !== "thread-unsupported") return { type, message };
  const details = { error_code: "thread_unsupported_request", unsupported: ["thread"] };
  return { type, message, details };
}

/** A failure as HTTP. `requestId` is in the `request-id` header, which is the one SDKs show, and in the body. */
export function errorResponse(failure: Failure, requestId: string): WireError {
  const rule: ErrorKind = ERRORS[failure.kind];
  const { seconds, pointless } = retryAdvice(failure, rule);
  return {
    status: rule.status,
    headers: {
      "request-id": requestId,
      ...(seconds === undefined ? {} : { "retry-after": String(seconds) }),
      ...(pointless ? { "x-should-retry": "false" } : {}),
    },
    body: { type: "error", error: errorObject(failure), request_id: requestId },
  };
}
