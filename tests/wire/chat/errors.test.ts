import { describe, expect, test } from "bun:test";
import type { Failure } from "../../../src/conversation/failure.ts";
import { chat } from "../../../src/wire/chat/chat-completions.ts";

const failed = (failure: Failure) => chat.failure(failure, "req_1");
const errorOf = (failure: Failure) => (failed(failure).body as { error: object }).error;

describe("a failure as HTTP", () => {
  const badRequest = { status: 400, type: "invalid_request_error", retry: false };
  const serverError = { type: "server_error", code: null, retry: true };

  test.each([
    { kind: "invalid-request", ...badRequest, code: null },
    { kind: "not-supported", ...badRequest, code: "unsupported_value" },
    { kind: "thread-unsupported", ...badRequest, code: null },
    { kind: "authentication", ...badRequest, status: 401, code: "invalid_api_key" },
    { kind: "permission", status: 403, type: "permission_error", code: null, retry: false },
    { kind: "not-found", ...badRequest, status: 404, code: "unknown_url" },
    { kind: "model-not-found", ...badRequest, status: 404, code: "model_not_found" },
    { kind: "too-large", ...badRequest, status: 413, code: null },
    {
      kind: "quota",
      status: 429,
      type: "insufficient_quota",
      code: "insufficient_quota",
      retry: false,
    },
    {
      kind: "rate-limited",
      status: 429,
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
      retry: true,
    },
    { kind: "internal", ...serverError, status: 500 },
    { kind: "upstream", ...serverError, status: 502 },
    { kind: "unavailable", ...serverError, status: 503 },
    { kind: "overloaded", ...serverError, status: 503, code: "server_is_overloaded" },
    { kind: "timeout", ...serverError, status: 504 },
  ] as const)("B-02: $kind is $status $type $code", ({ kind, status, type, code, retry }) => {
    const error = failed({ kind, message: "Because." });
    const param = kind === "model-not-found" ? "model" : null;
    expect(error.status).toBe(status);
    expect(error.body).toEqual({ error: { type, message: "Because.", param, code } });
    expect(error.headers["x-request-id"]).toBe("req_1");
    expect(error.headers["x-should-retry"]).toBe(retry ? undefined : "false");
    const waits = kind === "rate-limited" || kind === "unavailable" || kind === "overloaded";
    expect(error.headers["retry-after"]).toBe(waits ? "5" : undefined);
  });

  test.each([
    { message: "messages.0.content: Odd.", param: "messages.0.content" },
    { message: "tool_choice: Odd.", param: "tool_choice" },
    {
      message: "messages.0.content.1.image_url.url: Odd.",
      param: "messages.0.content.1.image_url.url",
    },
    { message: "The body: Odd.", param: null },
    { message: "Odd.", param: null },
    { message: "Odd: even.", param: null },
  ])("B-02: the param is the path at the head of a refusal: $message", ({ message, param }) => {
    expect(errorOf({ kind: "invalid-request", message })).toMatchObject({ message, param });
    expect(errorOf({ kind: "upstream", message })).toMatchObject({ param: null });
  });

  test("B-35: an unknown model is a 404 with its code", () => {
    expect(failed({ kind: "model-not-found", message: "model: gpt-9" })).toMatchObject({
      status: 404,
      body: { error: { code: "model_not_found", param: "model", message: "model: gpt-9" } },
    });
  });

  test("B-36: an overflow has the words of both families and the numbers", () => {
    const overflow: Failure = {
      kind: "context-overflow",
      message: "",
      tokens: 210_000,
      limit: 200_000,
    };
    expect(failed(overflow)).toEqual({
      status: 400,
      headers: { "x-request-id": "req_1", "x-should-retry": "false" },
      body: {
        error: {
          type: "invalid_request_error",
          message:
            "This model's maximum context length is 200000 tokens. " +
            "However, your messages resulted in 210000 tokens. " +
            "(prompt is too long: 210000 tokens > 200000 maximum)",
          param: "messages",
          code: "context_length_exceeded",
        },
      },
    });
    expect(errorOf({ ...overflow, tokens: 10 })).toMatchObject({
      message: expect.stringContaining("prompt is too long: 200001 tokens > 200000 maximum"),
    });
  });

  test.each(["Prompt is too long", "maximum context length", "context_length_exceeded"])(
    "B-36: nothing else says %s",
    (words) => {
      const error = errorOf({ kind: "invalid-request", message: `It has ${words} in it.` });
      expect(JSON.stringify(error).toLowerCase()).not.toContain(words.toLowerCase());
    },
  );

  test("B-37: a bad key and a used-up plan are told as such, and no retry helps", () => {
    expect(failed({ kind: "authentication", message: "Unknown key." })).toMatchObject({
      status: 401,
      headers: { "x-should-retry": "false" },
      body: { error: { code: "invalid_api_key" } },
    });
    expect(failed({ kind: "quota", message: "Used up.", retryAfterMs: 60_000 })).toMatchObject({
      status: 429,
      headers: { "x-should-retry": "false" },
      body: { error: { type: "insufficient_quota", code: "insufficient_quota" } },
    });
  });

  test.each([
    { retryAfterMs: 0, header: "1" },
    { retryAfterMs: 400, header: "1" },
    { retryAfterMs: 2000, header: "2" },
    { retryAfterMs: 2001, header: "3" },
  ])("waiting $retryAfterMs ms is said as $header s", ({ retryAfterMs, header }) => {
    const error = failed({ kind: "rate-limited", message: "Slow down.", retryAfterMs });
    expect(error.headers).toEqual({ "x-request-id": "req_1", "retry-after": header });
  });

  test("a wait that no client should sleep through is not said at all", () => {
    const error = failed({ kind: "rate-limited", message: "Tomorrow.", retryAfterMs: 36_000_000 });
    expect(error.headers).toEqual({ "x-request-id": "req_1", "x-should-retry": "false" });
  });
});
