import { describe, expect, test } from "bun:test";
import type { Failure } from "../../../src/conversation/failure.ts";
import { errorObject } from "../../../src/wire/anthropic/errors.ts";
import { messages } from "../../../src/wire/anthropic/messages.ts";

const failed = (failure: Failure) => messages.failure(failure, "req_1");
const overflow: Failure = {
  kind: "context-overflow",
  message: "",
  tokens: 210_000,
  limit: 200_000,
};

describe("a failure as HTTP", () => {
  test.each([
    { kind: "invalid-request", status: 400, type: "invalid_request_error", retry: false },
    { kind: "thread-unsupported", status: 400, type: "invalid_request_error", retry: false },
    { kind: "authentication", status: 401, type: "authentication_error", retry: false },
    { kind: "quota", status: 402, type: "billing_error", retry: false },
    { kind: "permission", status: 403, type: "permission_error", retry: false },
    { kind: "not-found", status: 404, type: "not_found_error", retry: false },
    { kind: "model-not-found", status: 404, type: "not_found_error", retry: false },
    { kind: "too-large", status: 413, type: "request_too_large", retry: false },
    { kind: "rate-limited", status: 429, type: "rate_limit_error", retry: true },
    { kind: "internal", status: 500, type: "api_error", retry: true },
    { kind: "not-supported", status: 501, type: "not_supported", retry: false },
    { kind: "upstream", status: 502, type: "api_error", retry: true },
    { kind: "unavailable", status: 503, type: "overloaded_error", retry: true },
    { kind: "timeout", status: 504, type: "timeout_error", retry: true },
    { kind: "overloaded", status: 529, type: "overloaded_error", retry: true },
  ] as const)("$kind is $status $type", ({ kind, status, type, retry }) => {
    const error = failed({ kind, message: "Because." });
    expect(error.status).toBe(status);
    expect(error.body).toMatchObject({
      type: "error",
      error: { type, message: "Because." },
      request_id: "req_1",
    });
    expect(error.headers["request-id"]).toBe("req_1");
    expect(error.headers["x-should-retry"]).toBe(retry ? undefined : "false");
    const waits = kind === "rate-limited" || kind === "unavailable" || kind === "overloaded";
    expect(error.headers["retry-after"]).toBe(waits ? "5" : undefined);
  });

  test("A-37: an overflow has the words and the numbers that clients compact on", () => {
    expect(failed(overflow)).toMatchObject({
      status: 400,
      headers: { "x-should-retry": "false" },
      body: {
        error: {
          type: "invalid_request_error",
          message: "prompt is too long: 210000 tokens > 200000 maximum",
        },
      },
    });
    expect(errorObject({ ...overflow, tokens: 10 }).message).toBe(
      "prompt is too long: 200001 tokens > 200000 maximum",
    );
  });

  test("A-37: nothing else says that the prompt is too long", () => {
    const failure: Failure = {
      kind: "invalid-request",
      message: "Tool 'Prompt is too long' and prompt is too long",
    };
    expect(errorObject(failure).message).not.toMatch(/prompt is too long/i);
  });

  test.each([
    { retryAfterMs: 0, header: "1" },
    { retryAfterMs: 400, header: "1" },
    { retryAfterMs: 2000, header: "2" },
    { retryAfterMs: 2001, header: "3" },
  ])("A-39: waiting $retryAfterMs ms is said as $header s", ({ retryAfterMs, header }) => {
    const error = failed({ kind: "rate-limited", message: "Slow down.", retryAfterMs });
    expect(error.headers).toEqual({ "request-id": "req_1", "retry-after": header });
  });

  test("a wait that no client should sleep through is not retried", () => {
    const error = failed({ kind: "rate-limited", message: "Tomorrow.", retryAfterMs: 36_000_000 });
    expect(error.headers).toMatchObject({ "retry-after": "36000", "x-should-retry": "false" });
  });

  test("A-41: used-up plans are a bill, and no retry helps", () => {
    expect(failed({ kind: "quota", message: "Used up.", retryAfterMs: 60_000 })).toMatchObject({
      status: 402,
      headers: { "x-should-retry": "false", "retry-after": "60" },
      body: { error: { type: "billing_error" } },
    });
  });

  test("A-67: an unknown model is named", () => {
    expect(failed({ kind: "model-not-found", message: "model: gpt-9" })).toMatchObject({
      status: 404,
      body: { error: { type: "not_found_error", message: "model: gpt-9" } },
    });
  });

  test("A-77: an unknown path is an error body like any other", () => {
    expect(failed({ kind: "not-found", message: "No such path." })).toEqual({
      status: 404,
      headers: { "request-id": "req_1", "x-should-retry": "false" },
      body: {
        type: "error",
        error: { type: "not_found_error", message: "No such path." },
        request_id: "req_1",
      },
    });
  });
});
