import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { messages, parseCountTokens } from "../../../src/wire/anthropic/messages.ts";
import { bodyWith, conversationOf, noHeaders, noticeCodes, parsed, refusalOf } from "./requests.ts";

describe("parseRequest", () => {
  test("a plain request is read whole", () => {
    expect(parsed({ stop_sequences: ["END"], system: "Be brief." })).toMatchObject({
      stream: false,
      conversation: {
        model: "claude-sonnet-4-5",
        system: "Be brief.",
        turns: [{ role: "user", parts: [{ type: "text", text: "Hi" }] }],
        tools: [],
        toolChoice: { type: "auto" },
        reasoning: { type: "unset" },
        output: { type: "text" },
        limits: { maxTokens: 1000, stopSequences: ["END"], parallelToolCalls: true },
        notices: [],
      },
    });
  });

  test("A-02: the version of the API makes no difference", () => {
    const versions = ["2023-06-01", "2026-10-21", "foo"];
    for (const version of versions) {
      const headers = new Headers({ "anthropic-version": version });
      expect(conversationOf({}, headers)).toEqual(conversationOf({}));
    }
  });

  test("A-03: an unknown beta makes no difference", () => {
    const headers = new Headers({ "anthropic-beta": "no-such-beta-2031-01-01, ,other" });
    expect(conversationOf({}, headers)).toEqual(conversationOf({}));
  });

  test.each([null, undefined, [], "text", 1, true].map((body) => ({ body })))(
    "A-09: no request: %j",
    ({ body }) => {
      expect(messages.parse(body, noHeaders)).toMatchObject({
        ok: false,
        failure: { kind: "invalid-request" },
      });
    },
  );

  test.each([
    { field: "model", value: undefined, problem: "Field required" },
    { field: "model", value: null, problem: "Field required" },
    { field: "model", value: 4, problem: "Input should be a valid string" },
    { field: "model", value: "", problem: "String should have at least 1 character" },
    { field: "max_tokens", value: undefined, problem: "Field required" },
    { field: "max_tokens", value: "100", problem: "Input should be a valid integer" },
    { field: "max_tokens", value: 1.5, problem: "Input should be a valid integer" },
    { field: "max_tokens", value: Infinity, problem: "Input should be a valid integer" },
    { field: "max_tokens", value: -1, problem: "Input should be greater than or equal to 0" },
    { field: "messages", value: undefined, problem: "Field required" },
    { field: "messages", value: {}, problem: "Input should be a valid list" },
    { field: "messages", value: [], problem: "at least one message is required" },
    { field: "system", value: 7, problem: "Input should be a valid list" },
    { field: "stream", value: "true", problem: "Input should be a valid boolean" },
    { field: "stop_sequences", value: "END", problem: "Input should be a valid list" },
    { field: "tools", value: {}, problem: "Input should be a valid list" },
  ])("A-10: refused: %j", ({ field, value, problem }) => {
    expect(refusalOf({ [field]: value })).toEqual({
      kind: "invalid-request",
      message: `${field}: ${problem}`,
    });
  });

  test("A-10: a fault inside a list is named by its place", () => {
    expect(refusalOf({ stop_sequences: ["a", 1] }).message).toBe(
      "stop_sequences.1: Input should be a valid string",
    );
    expect(refusalOf({ messages: ["Hi"] }).message).toBe(
      "messages.0: Input should be a valid dictionary",
    );
  });

  test("A-10: of several faults the first is told", () => {
    expect(refusalOf({ model: 1, max_tokens: "x", messages: [] }).message).toStartWith("model: ");
  });

  test("A-11: unknown fields are ignored and named", () => {
    const conversation = conversationOf({ frobnicate: { a: 1 }, "odd name\n": 1 });
    expect(conversation.notices).toEqual([{ code: "ignored-field", detail: "frobnicate" }]);
  });

  test("A-12: only `stream` in the body asks for a stream", () => {
    expect(parsed({ stream: true }, new Headers({ accept: "application/json" })).stream).toBe(true);
    expect(parsed({}, new Headers({ accept: "text/event-stream" })).stream).toBe(false);
    expect(parsed({ stream: null }).stream).toBe(false);
  });

  test("A-34: zero tokens are a limit like any other", () => {
    expect(conversationOf({ max_tokens: 0 }).limits.maxTokens).toBe(0);
  });

  test("A-64: fields without a meaning here are accepted, and named when present", () => {
    const conversation = conversationOf({
      temperature: 1,
      top_p: 0.9,
      top_k: null,
      context_management: { edits: [{ type: "clear_thinking_20251015" }] },
      metadata: { user_id: "u" },
      service_tier: "auto",
      mcp_servers: [],
      container: "c",
      cache_control: { type: "ephemeral" },
    });
    expect(noticeCodes(conversation).toSorted()).toEqual([
      "ignored-cache-control",
      "ignored-container",
      "ignored-context-management",
      "ignored-mcp-servers",
      "ignored-service-tier",
      "ignored-temperature",
      "ignored-top-p",
    ]);
  });

  test("A-65: safeguards are refused by name", () => {
    const failure = refusalOf({ safeguards: [{ type: "x" }] });
    expect(failure).toMatchObject({ kind: "invalid-request" });
    expect(failure.message).toContain("safeguards");
  });

  test("a thread is refused in the way that makes the SDK go on without it", () => {
    const failure = refusalOf({ thread: { type: "create" } });
    expect(messages.failure(failure, "req_1")).toMatchObject({
      status: 400,
      body: {
        error: { details: { error_code: "thread_unsupported_request", unsupported: ["thread"] } },
      },
    });
    expect(refusalOf({ thread: { type: "continue" }, model: undefined }).kind).toBe(
      "thread-unsupported",
    );
    expect(conversationOf({ thread: null }).notices).toEqual([]);
  });

  test("A-75: a non-streaming request may think and ask for many tokens", () => {
    const fields = { stream: false, max_tokens: 32_000, thinking: { type: "adaptive" } };
    expect(parsed(fields)).toMatchObject({
      stream: false,
      conversation: { limits: { maxTokens: 32_000 }, reasoning: { type: "adaptive" } },
    });
  });
});

describe("parseCountTokens", () => {
  test("A-68: a count needs no max_tokens", () => {
    const result = parseCountTokens(bodyWith({ max_tokens: undefined }), noHeaders);
    expect(result).toMatchObject({ ok: true, value: { model: "claude-sonnet-4-5" } });
    expect(result.ok && "maxTokens" in result.value.limits).toBe(false);
  });

  test("whatever else is wrong is refused as for a reply", () => {
    expect(parseCountTokens(bodyWith({ messages: [] }), noHeaders)).toMatchObject({
      ok: false,
      failure: { message: "messages: at least one message is required" },
    });
  });
});

describe("for any JSON", () => {
  const anything = fc.jsonValue({ maxDepth: 3 });
  const word = fc.string({ maxLength: 8 });
  const source = fc.oneof(
    anything,
    fc.record(
      {
        type: fc.constantFrom("base64", "url", "file", "text", "content", "other"),
        data: fc.oneof(word, fc.constant("iVBORw0KGgo="), anything),
        url: fc.oneof(word, fc.constant("data:image/png;base64,iVBORw0KGgo=")),
        media_type: fc.oneof(word, fc.constant("text/plain")),
        content: fc.oneof(word, fc.array(fc.record({ type: fc.constant("text"), text: word }))),
      },
      { requiredKeys: [] },
    ),
  );
  const blockTypes =
    "text image document tool_use tool_result thinking redacted_thinking tool_reference compaction search_result server_tool_use web_search_tool_result tool_addition tool_removal __proto__ constructor";
  const { block } = fc.letrec<{ block: unknown; content: unknown }>((tie) => ({
    block: fc.oneof(
      { depthSize: "small" },
      anything,
      fc.record(
        {
          type: fc.constantFrom(...blockTypes.split(" ")),
          text: fc.oneof(word, anything),
          source,
          title: word,
          id: fc.oneof(word, anything),
          tool_use_id: fc.oneof(word, anything),
          name: fc.oneof(word, anything),
          tool_name: word,
          tool: fc.oneof(anything, fc.record({ name: word, definition: anything })),
          input: fc.oneof(anything, fc.record({ __unparsedToolInput: anything })),
          content: tie("content"),
          thinking: fc.oneof(word, anything),
          signature: fc.oneof(word, anything),
          data: fc.oneof(word, anything),
        },
        { requiredKeys: ["type"] },
      ),
    ),
    content: fc.oneof(
      { depthSize: "small" },
      word,
      anything,
      fc.array(tie("block"), { maxLength: 3 }),
    ),
  }));
  const message = fc.record(
    {
      role: fc.constantFrom("user", "assistant", "system", "tool", "developer"),
      content: fc.oneof(word, anything, fc.array(block, { maxLength: 4 })),
      output_config: fc.oneof(anything, fc.record({ effort: fc.constantFrom("low", "odd", 1) })),
      clear_at: fc.constantFrom("next_user_message", "never", null),
      tool_call_id: fc.oneof(word, anything),
    },
    { requiredKeys: ["role"] },
  );
  const tool = fc.oneof(
    anything,
    fc.record(
      {
        type: fc.constantFrom("custom", "bash_20250124", "web_search_20250305", null),
        name: fc.oneof(word, anything),
        description: anything,
        input_schema: anything,
      },
      { requiredKeys: [] },
    ),
  );
  const request = fc.record(
    {
      model: fc.oneof(word, anything),
      max_tokens: fc.oneof(fc.nat(), anything),
      messages: fc.oneof({ weight: 9, arbitrary: fc.array(message) }, anything),
      system: fc.oneof(word, anything, fc.array(block, { maxLength: 3 })),
      tools: fc.oneof(anything, fc.array(tool, { maxLength: 3 })),
      tool_choice: fc.oneof(
        anything,
        fc.record({ type: fc.constantFrom("auto", "any", "tool", "none"), name: word }),
      ),
      thinking: fc.oneof(
        anything,
        fc.record({ type: fc.constantFrom("enabled", "adaptive"), budget_tokens: anything }),
      ),
      output_config: anything,
      output_format: anything,
      stop_sequences: anything,
      metadata: fc.oneof(anything, fc.record({ user_id: anything })),
      stream: fc.boolean(),
    },
    { requiredKeys: ["messages"] },
  );

  test("parsing never throws and never changes its input", () => {
    fc.assert(
      fc.property(fc.oneof(anything, request), (body) => {
        deepFreeze(body);
        messages.parse(body, noHeaders);
        parseCountTokens(body, noHeaders);
      }),
      { numRuns: 3000 },
    );
  });

  test("no words of anybody are lost or said twice", () => {
    const roles = fc.constantFrom("user", "assistant", "system", "tool", "developer");
    const shapes = fc.constantFrom<(text: string) => unknown>(
      (text) => text,
      (text) => [{ type: "text", text: "" }, null, { type: "text", text }],
      (text) => ({ type: "text", text }),
      (text) => [{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text }] }],
      (text) => [{ type: "of_tomorrow", content: { text } }],
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(roles, shapes), { minLength: 1 }), (said) => {
        const history = said.map(([role, shape], index) => {
          const text = `<${index}>`;
          const system = role === "system" || role === "developer";
          return { role, content: system ? text : shape(text) };
        });
        const { system, turns } = conversationOf({ messages: history });
        const heard = JSON.stringify([system, turns]).match(/<\d+>/g) ?? [];
        expect(heard.toSorted()).toEqual(said.map((_, index) => `<${index}>`).toSorted());
      }),
    );
  });

  test("what is refused in a history is bytes that can't be had, and nothing else", () => {
    const allowed =
      /^messages\.\d+\.content\.[\w.]+: (Could not process image|The document is not valid base64|URLs are not fetched here|There is no Files API here)/;
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), (history) => {
        const result = messages.parse(bodyWith({ messages: history }), noHeaders);
        if (!result.ok) expect(result.failure.message).toMatch(allowed);
      }),
      { numRuns: 2000 },
    );
  });

  test("an object nested a million deep is no trouble", () => {
    const depth = 1_000_000;
    const deep: unknown = JSON.parse('{"content":'.repeat(depth) + "1" + "}".repeat(depth));
    const content = [
      { type: "tool_use", id: "a", name: "b", input: deep },
      { type: "odd", content: deep, input: deep },
      deep,
    ];
    expect(conversationOf({ messages: [{ role: "assistant", content }] }).turns).toHaveLength(1);
  });
});

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
}
