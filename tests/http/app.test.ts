import { describe, expect, test } from "bun:test";
import type { Failure } from "../../src/conversation/failure.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import type { CompletionRequest } from "../../src/gateway/attempt.ts";
import type { Gateway } from "../../src/gateway/complete.ts";
import { type AppDeps, createApp } from "../../src/http/app.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { callerDeps } from "../support/auth.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { adminWorld } from "./admin/world.ts";
import { usageDeps } from "./usage.ts";

const KEY = "sk-test-0123456789";
const model = {
  id: "claude-opus-4-6",
  displayName: "Claude Opus 4.6",
  createdAt: "2026-02-04T00:00:00Z",
  window: 1_000_000,
  maxOutput: 64_000,
};
const hello: ReplyEvent[] = [
  { type: "text", text: "Hi" },
  {
    type: "usage",
    usage: { inputTokens: 3, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 },
    source: "upstream",
  },
  { type: "credits", credits: 0.5 },
  { type: "stop", reason: "end-turn" },
];

/** The app on a gateway that answers by hand. */
function world(
  answer: ReplyEvent[] | Failure | (() => never) = hello,
  keyless = false,
  more: Partial<AppDeps> = {},
) {
  const { runtime } = createTestRuntime();
  const asked: CompletionRequest[] = [];
  const lines: string[] = [];
  const gateway: Gateway = {
    async complete(request) {
      asked.push(request);
      request.onAttempt?.({ credential: "c0", fault: "throttled", ms: 0 });
      request.onAttempt?.({ credential: "c1", ms: 0 });
      if (typeof answer === "function") return answer();
      if (!Array.isArray(answer)) return fail(answer);
      async function* events() {
        yield answer;
      }
      return ok({
        events: events() as AsyncGenerator<ReplyEvent[], void, undefined>,
        model: "claude-opus-4.6",
        credentialId: "c1",
        notices: [{ code: "tool-renamed", detail: "x" }, { code: "tool-renamed" }],
        attempts: 2,
      });
    },
  };
  const usage = usageDeps();
  const app = createApp({
    ...usage,
    gateway,
    runtime,
    log: createLog({
      level: "info",
      format: "json",
      write: (line) => void lines.push(line),
      now: () => 0,
    }),
    ...callerDeps(keyless ? {} : { apiKey: new Secret(KEY) }),
    counter: { exact: async () => 42, quick: () => 40, text: (text) => text.length },
    models: { list: () => [model], find: (id) => (id === model.id ? model : undefined) },
    corsOrigins: ["*"],
    keyless,
    body: { maxBytes: 10_000, withinMs: 60_000 },
    stalledMs: 60_000,
    closing: new AbortController().signal,
    headWithinMs: 10_000,
    heartbeatMs: 10_000,
    ...more,
  });
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) =>
    await app.request(
      path,
      {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "x-api-key": KEY, ...headers },
      },
      {},
    );
  const get = async (path: string, headers: Record<string, string> = { "x-api-key": KEY }) =>
    await app.request(path, { headers }, {});
  return { app, asked, lines, post, get, accounts: usage.accounts };
}

const request = {
  model: "claude-opus-4-6",
  max_tokens: 10,
  messages: [{ role: "user", content: "secret prompt" }],
};

describe("messages", () => {
  test("a body without stream is answered in one piece, with what was changed in a header", async () => {
    const { post, asked } = world();
    const response = await post("/v1/messages", { ...request, top_k: 3 });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-kiro-proxy-notice")).toBe("ignored-top-k; tool-renamed: x");
    expect(await response.json()).toMatchObject({
      content: [{ type: "text", text: "Hi" }],
      model: "claude-opus-4-6",
      usage: { input_tokens: 3, output_tokens: 1 },
    });
    expect(asked[0]).toMatchObject({ promptTokens: 40, caller: "api-key" });
  });

  test("a stream is one, and its events are those of the body", async () => {
    const { post } = world();
    const response = await post("/v1/messages", { ...request, stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const names = (await response.text()).match(/^event: .*$/gm);
    expect(names).toEqual([
      "event: message_start",
      "event: content_block_start",
      "event: content_block_delta",
      "event: content_block_stop",
      "event: message_delta",
      "event: message_stop",
    ]);
  });

  test("a failure before the first event is a status, streaming or not", async () => {
    const failure: Failure = { kind: "rate-limited", message: "Slow down.", retryAfterMs: 1_200 };
    for (const stream of [true, false]) {
      const response = await world(failure).post("/v1/messages", { ...request, stream });
      expect(response.status).toBe(429);
      expect(response.headers.get("retry-after")).toBe("2");
    }
  });

  test("a reply that fails is an error with its status where nothing has been sent yet", async () => {
    const failure: Failure = { kind: "upstream", message: "It broke off." };
    const broken: ReplyEvent[] = [
      { type: "text", text: "Hi" },
      { type: "failed", failure },
    ];
    const response = await world(broken).post("/v1/messages", request);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ type: "error", error: { type: "api_error" } });
  });

  test("the log line has figures, ids and states, and no prompt or key", async () => {
    const { post, lines } = world();
    await post("/v1/messages", request);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      event: "request",
      wire: "messages",
      status: 200,
      outcome: "complete",
      model: "claude-opus-4-6",
      upstreamModel: "claude-opus-4.6",
      credential: "c1",
      attempts: 2,
      inputTokens: 3,
      outputTokens: 1,
      credits: 0.5,
      notices: "tool-renamed",
    });
    expect(lines.join("")).not.toContain("secret prompt");
    expect(lines.join("")).not.toContain(KEY);
  });

  test("what is wrong with a request is told the client and not the log", async () => {
    const { post, lines } = world();
    const tool_choice = { type: "tool", name: "my-secret-tool" };
    const response = await post("/v1/messages", { ...request, tool_choice, messages: "secret" });
    expect(response.status).toBe(400);
    expect(lines).toHaveLength(1);
    expect(lines.join("")).not.toContain("secret");
  });

  test("other routes have a line in the log too, probes only for those who debug", async () => {
    const { get, lines } = world();
    const response = await get("/v1/models");
    await get("/healthz");
    await get("/nowhere");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: "request", path: "/v1/models", status: 200 },
      { event: "request", method: "GET", status: 404 },
    ]);
    expect(lines[1]).not.toContain("nowhere");
    expect(JSON.parse(lines[0] ?? "").request).toBe(response.headers.get("request-id"));
  });

  test("a bug is a 500 in the envelope, and its text stays in the log", async () => {
    const { post, lines } = world(() => {
      throw new Error("very internal");
    });
    const response = await post("/v1/messages", request);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("very internal");
    expect(lines.join("")).toContain("very internal");
  });

  test("count_tokens counts without any call", async () => {
    const { post, asked } = world();
    const response = await post("/v1/messages/count_tokens?beta=true", {
      ...request,
      max_tokens: undefined,
    });
    expect(await response.json()).toEqual({ input_tokens: 42 });
    expect(asked).toHaveLength(0);
  });
});

describe("chat completions", () => {
  test("a body without stream is answered in one piece", async () => {
    const response = await world().post("/v1/chat/completions", { ...request, seed: 3 });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-kiro-proxy-notice")).toBe("ignored-seed; tool-renamed: x");
    expect(await response.json()).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: "Hi" }, finish_reason: "stop" }],
      usage: { total_tokens: 4 },
    });
  });

  test("a stream ends with [DONE]", async () => {
    const response = await world().post("/chat/completions", { ...request, stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toEndWith("data: [DONE]\n\n");
  });
});

describe("responses", () => {
  const body = { model: "claude-opus-4-6", input: "secret prompt" };

  test("C-21: a body without stream is answered in one piece, with what was ignored in a header", async () => {
    const { post, asked, lines } = world();
    const response = await post("/v1/responses", { ...body, store: true });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-kiro-proxy-notice")).toBe("ignored-store; tool-renamed: x");
    expect(await response.json()).toMatchObject({
      object: "response",
      status: "completed",
      output: [{ type: "message", content: [{ text: "Hi", annotations: [] }] }],
      usage: { input_tokens: 3, output_tokens: 1, total_tokens: 4 },
    });
    expect(asked).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ wire: "responses", status: 200 });
  });

  test("C-03: a stream goes from created to completed, and nothing follows", async () => {
    const response = await world().post("/v1/responses", { ...body, stream: true });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const text = await response.text();
    const names = text.match(/^event: .*$/gm) ?? [];
    expect(names.at(0)).toBe("event: response.created");
    expect(names.at(-1)).toBe("event: response.completed");
    expect(text.slice(text.indexOf("event: response.completed"))).toMatch(/^.*\n.*\n\n$/);
  });

  test("C-16: what goes on from a reply that nobody kept is refused without a call", async () => {
    const { post, asked } = world();
    const response = await post("/v1/responses", { ...body, previous_response_id: "resp_1" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "previous_response_not_found", param: "previous_response_id" },
    });
    expect(asked).toHaveLength(0);
  });

  test("C-18: overflow is a 400 with its code, streaming or not", async () => {
    const failure: Failure = { kind: "context-overflow", message: "", tokens: 9, limit: 8 };
    for (const stream of [true, false]) {
      const response = await world(failure).post("/v1/responses", { ...body, stream });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { code: "context_length_exceeded", param: "input" },
      });
    }
  });

  test.each(["/v1/responses/resp_1", "/v1/responses/resp_1/input_items"])(
    "nothing is kept, so there is no %s",
    async (path) => {
      const response = await world().get(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: "unknown_url" } });
    },
  );
});

describe("every route", () => {
  test("ids of the request are in the headers of every answer and in the body of every error", async () => {
    const { get, post, app } = world();
    for (const response of [
      await get("/"),
      await get("/v1/models"),
      await get("/nowhere"),
      await post("/v1/messages", "{"),
      await app.request("/v1/messages", { method: "OPTIONS" }),
    ]) {
      const id = response.headers.get("request-id");
      expect(id).toMatch(/^req_[0-9a-f]{32}$/);
      expect(response.headers.get("x-request-id")).toBe(id);
      if (response.status >= 400) expect(await response.json()).toMatchObject({ request_id: id });
    }
  });

  test("an unknown path is JSON that both vendors' clients read", async () => {
    const response = await world().get("/v1/files");
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      type: "error",
      error: { type: "not_found_error", param: null, code: "unknown_url" },
    });
  });

  test("probes need no key", async () => {
    const { app } = world();
    for (const path of ["/", "/api/hello", "/healthz"]) {
      expect((await app.request(path)).status).toBe(200);
      expect((await app.request(path, { method: "HEAD" })).status).toBe(200);
    }
  });

  test("any origin may call, with any header it asks for", async () => {
    const { app } = world();
    const response = await app.request("/v1/messages", {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,anthropic-dangerous-direct-browser-access",
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("access-control-allow-headers")).toContain(
      "anthropic-dangerous-direct-browser-access",
    );
  });
});

describe("the admin API", () => {
  test("is loaded when it is asked for, under the id of the request and with its route in the log", async () => {
    const { deps } = await adminWorld();
    const { get, lines } = world(hello, false, { admin: deps });
    for (const path of ["/api/admin/openapi.json", "/api/admin//openapi.json/"]) {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(response.headers.get("request-id")).toMatch(/^req_/);
    }
    expect((await get("/api/admin/users/act-secret", {})).status).toBe(401);
    expect(lines.join("")).toContain('"path":"/api/admin"');
    expect(lines.join("")).not.toContain("act-secret");
  });
});

describe("without a key", () => {
  test.each([
    [undefined, 200],
    ["http://localhost:5173", 200],
    ["http://127.0.0.1:3000", 200],
    ["http://[::1]:3000", 200],
    ["tauri://localhost", 200],
    ["https://evil.example", 403],
    ["null", 403],
    ["nonsense", 403],
    ["file://", 403],
    ["http://localhost.evil.example", 403],
    ["http://127.0.0.1.evil.example", 403],
  ])("a request from origin %p is answered with %p", async (origin, status) => {
    const { post } = world(hello, true);
    const headers: Record<string, string> = origin === undefined ? {} : { origin };
    expect((await post("/v1/messages", request, headers)).status).toBe(status);
  });

  test("with a key any origin may call", async () => {
    const { post } = world();
    const headers = { origin: "https://app.example" };
    expect((await post("/v1/messages", request, headers)).status).toBe(200);
  });
});

describe("models", () => {
  test("the list has what both vendors' SDKs and the Go build's clients read", async () => {
    const response = await world().get("/v1/models?limit=1000");
    expect(await response.json()).toEqual({
      object: "list",
      data: [
        {
          id: "claude-opus-4-6",
          object: "model",
          type: "model",
          created: 1_770_163_200,
          created_at: "2026-02-04T00:00:00Z",
          owned_by: "anthropic",
          display_name: "Claude Opus 4.6",
          max_input_tokens: 1_000_000,
          max_tokens: 64_000,
        },
      ],
      has_more: false,
      first_id: "claude-opus-4-6",
      last_id: "claude-opus-4-6",
    });
  });

  test("one model is found by its id, an unknown one is a 404", async () => {
    const { get } = world();
    expect((await get("/v1/models/claude-opus-4-6")).status).toBe(200);
    const missing = await get("/v1/models/vendor%2Fother%5B1m%5D");
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({
      error: { message: "model: vendor/other[1m]", code: "model_not_found" },
    });
  });

  test("D-03: an error is in the envelope of who is calling", async () => {
    const { get } = world();
    const versioned = { "x-api-key": KEY, "anthropic-version": "2023-06-01" };
    const anthropic: unknown = await (await get("/v1/models/none", versioned)).json();
    expect(anthropic).toMatchObject({ type: "error", error: { type: "not_found_error" } });
    const openai: unknown = await (await get("/v1/models/none")).json();
    expect(openai).toEqual({
      error: {
        type: "invalid_request_error",
        message: "model: none",
        param: "model",
        code: "model_not_found",
      },
    });
  });

  test("the list needs a key", async () => {
    const response = await world().get("/v1/models", {});
    expect(response.status).toBe(401);
    expect(response.headers.get("x-should-retry")).toBe("false");
  });
});
