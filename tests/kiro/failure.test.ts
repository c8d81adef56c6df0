import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { FailureKind } from "../../src/conversation/failure.ts";
import {
  type AnswerContext,
  type BrokenReply,
  faultOfException,
  faultOfFrame,
  faultOfNetwork,
  faultOfResponse,
  type KiroFault,
  type KiroFaultKind,
  type NetworkCause,
} from "../../src/kiro/failure.ts";

const context: AnswerContext = {
  window: 200_000,
  estimatedTokens: 1_000,
  now: Date.UTC(2026, 0, 1),
};

function refused(
  status: number,
  body: object | string,
  headers: Record<string, string> = {},
): KiroFault {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return faultOfResponse({ status, headers: new Headers(headers), body: text }, context);
}

function reason(code: string): object {
  return { message: "no", reason: code };
}

const BEARER = { message: "The bearer token included in the request is invalid.", reason: null };
const SUSPENDED = {
  message:
    "Your User ID (d-123.someone) temporarily is suspended. We've locked your account as a security precaution. To restore access, write to help@example.com",
  reason: null,
};
const SUSPICIOUS = {
  message:
    "Due to suspicious activity, we are imposing temporary limits on how frequently your account (d-123) can send a request to Kiro while we investigate.",
  reason: null,
};

describe("the action table", () => {
  test.each<[name: string, status: number, body: object | string, KiroFaultKind, FailureKind]>([
    [
      "the month's requests are used up, 402",
      402,
      reason("MONTHLY_REQUEST_COUNT"),
      "quota",
      "quota",
    ],
    [
      "the month's requests are used up, 429",
      429,
      reason("MONTHLY_REQUEST_COUNT"),
      "quota",
      "quota",
    ],
    [
      "the month's requests are used up, 400",
      400,
      reason("MONTHLY_REQUEST_COUNT"),
      "quota",
      "quota",
    ],
    [
      "the month's requests are used up, the reason inside",
      402,
      { error: { reason: "MONTHLY_REQUEST_COUNT" } },
      "quota",
      "quota",
    ],
    [
      "the month's requests are used up, not as JSON",
      429,
      "<p>MONTHLY_REQUEST_COUNT</p>",
      "quota",
      "quota",
    ],
    ["the overage is used up", 402, reason("OVERAGE_REQUEST_LIMIT_EXCEEDED"), "quota", "quota"],
    ["a 402 without a reason", 402, { message: "You have reached the limit." }, "quota", "quota"],
    ["a 402 with a reason of next year", 402, reason("NOVEL_REASON"), "quota", "quota"],
    [
      "the quota exception with a general status",
      400,
      { __type: "com.amazon#ServiceQuotaExceededException" },
      "quota",
      "quota",
    ],
    [
      "the day's requests are used up",
      429,
      reason("DAILY_REQUEST_COUNT"),
      "daily-quota",
      "rate-limited",
    ],
    [
      "the conversation is used up",
      402,
      reason("CONVERSATION_LIMIT_EXCEEDED"),
      "conversation-rejected",
      "invalid-request",
    ],
    [
      "the account is suspended, by its reason",
      403,
      reason("TEMPORARILY_SUSPENDED"),
      "suspended",
      "permission",
    ],
    ["the account is suspended, by its words", 403, SUSPENDED, "suspended", "permission"],
    [
      "the account broke the terms",
      403,
      { message: "Blocked for a violation of terms" },
      "suspended",
      "permission",
    ],
    [
      "the one word suspended",
      403,
      { message: "This feature is suspended" },
      "token-refused",
      "unavailable",
    ],
    [
      "words of suspension about something else",
      400,
      { message: "temporarily suspended" },
      "malformed",
      "invalid-request",
    ],
    ["a 401", 401, "", "token-refused", "unavailable"],
    ["a 403 with the bearer text", 403, BEARER, "token-refused", "unavailable"],
    [
      "a 403 with the bearer text and a denial",
      403,
      { message: "The bearer token is invalid or disabled" },
      "token-refused",
      "unavailable",
    ],
    [
      "an expired token with a general status",
      400,
      { __type: "ExpiredTokenException" },
      "token-refused",
      "unavailable",
    ],
    [
      "too much content",
      400,
      reason("CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
      "rejected",
      "context-overflow",
    ],
    ["a prompt too long", 400, reason("PROMPT_TOO_LONG"), "rejected", "context-overflow"],
    [
      "an input too long, in words",
      400,
      { message: "Input is too long.", reason: null },
      "rejected",
      "context-overflow",
    ],
    ["an unknown model", 400, reason("INVALID_MODEL_ID"), "model-unavailable", "model-not-found"],
    [
      "a conversation id of no use",
      400,
      reason("INVALID_CONVERSATION_ID"),
      "conversation-rejected",
      "invalid-request",
    ],
    ["an image", 400, reason("IMAGE_SIZE_EXCEEDED"), "rejected", "invalid-request"],
    ["a document", 400, reason("DOCUMENT_SIZE_EXCEEDED"), "rejected", "invalid-request"],
    ["a body", 400, reason("REQUEST_BODY_INVALID"), "rejected", "invalid-request"],
    ["a tool", 400, reason("TOOL_DUPLICATE"), "rejected", "invalid-request"],
    [
      "tool pairing, as a 500",
      500,
      reason("TOOL_USE_RESULT_MISMATCH"),
      "rejected",
      "invalid-request",
    ],
    [
      "a tool's schema, as a 503",
      503,
      reason("TOOL_SCHEMA_INVALID"),
      "rejected",
      "invalid-request",
    ],
    [
      "tool pairing, in words",
      500,
      { message: "Expected toolResult blocks at messages.2" },
      "rejected",
      "invalid-request",
    ],
    [
      "a signature, by its reason",
      400,
      reason("THINKING_SIGNATURE_INVALID"),
      "reasoning-rejected",
      "invalid-request",
    ],
    [
      "a signature, in words",
      400,
      { message: "Invalid `signature` in `thinking` block" },
      "reasoning-rejected",
      "invalid-request",
    ],
    [
      "a bad request without a reason",
      400,
      { message: "Improperly formed request.", reason: null },
      "malformed",
      "invalid-request",
    ],
    [
      "a bad request with a reason of next year",
      400,
      reason("NOVEL_REASON"),
      "rejected",
      "invalid-request",
    ],
    ["a feature", 403, reason("FEATURE_NOT_SUPPORTED"), "forbidden", "permission"],
    [
      "a resource",
      403,
      reason("UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS"),
      "forbidden",
      "permission",
    ],
    [
      "a 403 that says a new token would not help",
      403,
      { message: "User is not authorized to access this" },
      "forbidden",
      "permission",
    ],
    ["any other 403", 403, { message: "Forbidden" }, "token-refused", "unavailable"],
    ["no capacity, 429", 429, reason("INSUFFICIENT_MODEL_CAPACITY"), "capacity", "overloaded"],
    [
      "no capacity, in the message",
      500,
      { message: "x INSUFFICIENT_MODEL_CAPACITY x" },
      "capacity",
      "overloaded",
    ],
    [
      "a model that is away",
      500,
      reason("MODEL_TEMPORARILY_UNAVAILABLE"),
      "capacity",
      "overloaded",
    ],
    [
      "high load",
      500,
      {
        message:
          "Encountered unexpectedly high load when processing the request, please try again.",
      },
      "capacity",
      "overloaded",
    ],
    ["a 503", 503, "<html>", "capacity", "overloaded"],
    [
      "an unavailable service inside a 500",
      500,
      { __type: "ServiceUnavailableException" },
      "capacity",
      "overloaded",
    ],
    ["suspicious activity", 429, SUSPICIOUS, "suspicious", "rate-limited"],
    ["any other 429", 429, { message: "Too many requests" }, "throttled", "rate-limited"],
    [
      "a rate with its reason",
      429,
      reason("SERVICE_REQUEST_RATE_EXCEEDED"),
      "throttled",
      "rate-limited",
    ],
    [
      "throttling with a general status",
      400,
      { __type: "ThrottlingException" },
      "throttled",
      "rate-limited",
    ],
    ["a 408", 408, "", "unavailable", "timeout"],
    ["a 500", 500, "", "unavailable", "upstream"],
    [
      "a 500 that calls itself a validation error",
      500,
      { __type: "ValidationException", message: "x" },
      "unavailable",
      "upstream",
    ],
    ["a 502", 502, "<html>", "unavailable", "upstream"],
    [
      "a 502 that calls itself throttling",
      502,
      { __type: "ThrottlingException" },
      "unavailable",
      "upstream",
    ],
    ["a 504", 504, "", "unavailable", "timeout"],
    ["a 524", 524, "", "rejected", "upstream"],
    ["a 524 inside a 500", 500, { message: "Failed with status code 524" }, "rejected", "upstream"],
    ["a 404", 404, "", "rejected", "upstream"],
    ["a 409", 409, reason("MISMATCHED_KMS_KEY"), "rejected", "upstream"],
    ["a 413", 413, "", "rejected", "too-large"],
    ["a 418", 418, "", "rejected", "upstream"],
    ["a redirect", 302, "", "unavailable", "upstream"],
  ])("%s", (_, status, body, kind, failure) => {
    const fault = refused(status, body);
    expect([fault.kind, fault.failure.kind]).toEqual([kind, failure]);
    expect(fault.status).toBe(status);
  });
});

test.each<[phrase: string, status: number, kind: KiroFaultKind]>([
  ["We've locked your account", 403, "suspended"],
  ["You are temporarily suspended", 403, "suspended"],
  ["You are temporarily suspended", 401, "suspended"],
  ["It temporarily is suspended", 403, "suspended"],
  ["This is a violation of terms", 403, "suspended"],
  ["See the Terms of Service", 403, "suspended"],
  ["Not authorized to access it", 403, "forbidden"],
  ["That is not allowed", 403, "forbidden"],
  ["The account is disabled", 403, "forbidden"],
  ["Payment required", 403, "forbidden"],
  ["No quota", 403, "forbidden"],
  ["Limit exceeded", 403, "forbidden"],
  ["Suspicious activity, but no limits", 429, "throttled"],
  ["There are temporary limits for everybody", 429, "throttled"],
  ["524 Gateway Timeout", 500, "rejected"],
  ["524, a server-side issue", 502, "rejected"],
  ["524 tokens", 500, "unavailable"],
  ["Status code 52", 500, "unavailable"],
])("the words %p with a %p mean %p", (message, status, kind) => {
  expect(refused(status, { message }).kind).toBe(kind);
});

describe("an overflow", () => {
  const body = JSON.stringify(reason("CONTENT_LENGTH_EXCEEDS_THRESHOLD"));
  const answer = { status: 400, headers: new Headers(), body };

  test("names a number above the window even if our estimate is below it", () => {
    expect(faultOfResponse(answer, context).failure).toEqual({
      kind: "context-overflow",
      message: "prompt is too long: 200001 tokens > 200000 maximum",
      tokens: 200_001,
      limit: 200_000,
    });
  });

  test("names our estimate if that is above the window", () => {
    const fault = faultOfResponse(answer, { ...context, estimatedTokens: 250_000 });
    expect(fault.failure.message).toBe("prompt is too long: 250000 tokens > 200000 maximum");
  });
});

describe("where the type is read", () => {
  test.each<[name: string, headers: Record<string, string>, body: object]>([
    [
      "the header",
      { "x-amzn-errortype": "ThrottlingException" },
      { __type: "ValidationException" },
    ],
    [
      "the header with its suffix",
      { "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/" },
      {},
    ],
    [
      "the header with its name space",
      { "x-amzn-errortype": "com.amazon.aws.codewhisperer#ThrottlingException" },
      {},
    ],
    ["the code", {}, { code: "ThrottlingException", __type: "ValidationException" }],
    ["the body's type", {}, { __type: "com.amazon.aws.codewhisperer#ThrottlingException" }],
  ])("%s", (_, headers, body) => {
    expect(refused(400, body, headers)).toMatchObject({
      kind: "throttled",
      reason: "ThrottlingException",
    });
  });
});

describe("what goes to the log", () => {
  test("the reason code, or else the type, and the request id", () => {
    const headers = { "x-amzn-requestid": "req-1", "x-amzn-errortype": "ThrottlingException" };
    expect(refused(429, {}, headers)).toMatchObject({
      reason: "ThrottlingException",
      requestId: "req-1",
    });
    expect(refused(429, reason("NOVEL_REASON"), headers)).toMatchObject({ reason: "NOVEL_REASON" });
  });

  test("nothing that the answer does not have", () => {
    expect(refused(500, "")).toEqual({
      kind: "unavailable",
      failure: { kind: "upstream", message: "Kiro failed to answer." },
      status: 500,
    });
  });

  test("no reason or type that does not look like one", () => {
    const body = { reason: "account 123456789012", code: "someone@example.com", __type: 5 };
    expect(refused(429, body)).not.toHaveProperty("reason");
  });
});

describe("Retry-After", () => {
  test.each<[name: string, value: string, expected: number | undefined]>([
    ["seconds", "30", 30_000],
    ["seconds with a fraction and space", " 1.5 ", 1_500],
    ["zero", "0", 0],
    ["a date", "Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["a date that has passed", "Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["a negative number", "-5", undefined],
    ["words", "soon", undefined],
    ["a name that is no day", "Soon, perhaps", undefined],
    ["a number beyond all use", "9".repeat(400), undefined],
    ["nothing", "", undefined],
  ])("%s", (_, value, expected) => {
    const fault = refused(429, "", { "retry-after": value });
    expect(fault.retryAfterMs).toBe(expected as number);
    expect(fault.failure.retryAfterMs).toBe(expected as number);
  });

  test("says nothing with a request that must not come again", () => {
    const fault = refused(400, reason("TOOL_DUPLICATE"), { "retry-after": "30" });
    expect(fault).not.toHaveProperty("retryAfterMs");
    expect(fault.failure).not.toHaveProperty("retryAfterMs");
  });
});

describe("what a client reads", () => {
  test("names the reason code", () => {
    expect(refused(400, reason("TOOL_SCHEMA_INVALID")).failure.message).toBe(
      "Kiro rejected a part of the request (TOOL_SCHEMA_INVALID).",
    );
  });

  test("has nothing of the upstream's own words", () => {
    const secret = "arn:aws:iam::123456789012:user/someone@example.com eyJhbGciOi";
    const status = fc.integer({ min: 300, max: 599 });
    const code = fc.constantFrom("MONTHLY_REQUEST_COUNT", "IMAGE_SIZE_EXCEEDED", secret, "", null);
    const words = fc.constantFrom(SUSPENDED.message, SUSPICIOUS.message, BEARER.message, "");
    fc.assert(
      fc.property(status, code, words, (number, told, said) => {
        const body = { message: `${said} ${secret}`, reason: told, __type: secret };
        const { failure } = refused(number, body, { "x-amzn-errortype": secret });
        for (const word of [...secret.split(" "), "123", "someone", "help@"]) {
          expect(failure.message).not.toContain(word);
        }
      }),
    );
  });
});

describe("a failure inside a stream", () => {
  test.each<
    [name: string, exceptionType: string, reason: string | undefined, KiroFaultKind, FailureKind]
  >([
    ["throttling", "ThrottlingException", undefined, "throttled", "rate-limited"],
    [
      "throttling for want of capacity",
      "ThrottlingException",
      "INSUFFICIENT_MODEL_CAPACITY",
      "capacity",
      "overloaded",
    ],
    ["an internal error", "InternalServerException", undefined, "unavailable", "upstream"],
    ["the modelled error", "error", undefined, "unavailable", "upstream"],
    [
      "an access that is denied",
      "AccessDeniedException",
      undefined,
      "token-refused",
      "unavailable",
    ],
    ["a validation error", "ValidationException", undefined, "malformed", "invalid-request"],
    [
      "a validation error with its reason",
      "ValidationException",
      "TOOL_SCHEMA_INVALID",
      "rejected",
      "invalid-request",
    ],
    ["a quota", "ServiceQuotaExceededException", "MONTHLY_REQUEST_COUNT", "quota", "quota"],
    ["an unavailable service", "ServiceUnavailableException", undefined, "capacity", "overloaded"],
    [
      "content that is too long",
      "ContentLengthExceededException",
      undefined,
      "rejected",
      "context-overflow",
    ],
    ["an exception of next year", "NovelException", undefined, "unavailable", "upstream"],
  ])("%s", (_, exceptionType, code, kind, failure) => {
    const event = {
      type: "exception",
      exceptionType,
      message: "no",
      ...(code && { reason: code }),
    } as const;
    const fault = faultOfException(event, context);
    expect([fault.kind, fault.failure.kind]).toEqual([kind, failure]);
    expect(fault).not.toHaveProperty("status");
  });

  test("an error by its code, and by its words", () => {
    const error = { type: "error", code: "ThrottlingException", message: "" } as const;
    expect(faultOfException(error, context)).toMatchObject({
      kind: "throttled",
      reason: "ThrottlingException",
    });
    const overflow = {
      type: "error",
      code: "UnknownError",
      message: "Input is too long.",
    } as const;
    expect(faultOfException(overflow, context).failure.kind).toBe("context-overflow");
  });

  test("an invalid state", () => {
    const event = {
      type: "invalid-state",
      reason: "INVALID_TASK_ASSIST_PLAN",
      message: "secret",
    } as const;
    expect(faultOfException(event, context)).toEqual({
      kind: "unavailable",
      failure: { kind: "upstream", message: "Kiro failed to answer (INVALID_TASK_ASSIST_PLAN)." },
      reason: "INVALID_TASK_ASSIST_PLAN",
    });
  });
});

test.each<[cause: NetworkCause, FailureKind]>([
  ["connect", "upstream"],
  ["reset", "upstream"],
  ["headers-timeout", "timeout"],
  ["first-event-timeout", "timeout"],
  ["idle-timeout", "timeout"],
  ["total-timeout", "timeout"],
])("the network failure %s is nobody's fault", (cause, kind) => {
  expect(faultOfNetwork(cause)).toMatchObject({
    kind: "unavailable",
    reason: cause,
    failure: { kind },
  });
});

test.each<[kind: BrokenReply]>([
  ["prelude-checksum"],
  ["message-checksum"],
  ["length"],
  ["headers"],
  ["truncated"],
  ["malformed-event"],
  ["tool-input-too-long"],
])("a reply broken by %s is the upstream's failure", (kind) => {
  expect(faultOfFrame({ kind })).toMatchObject({
    kind: "unavailable",
    reason: kind,
    failure: { kind: "upstream" },
  });
});

test("an empty reply is a fault of its own, which clients do not repeat", () => {
  expect(faultOfFrame({ kind: "empty-reply" })).toMatchObject({
    kind: "empty-reply",
    reason: "empty-reply",
    failure: { kind: "invalid-request" },
  });
});
