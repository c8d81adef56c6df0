import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { chat } from "../../../src/wire/chat/chat-completions.ts";
import {
  bodyWith,
  conversationOf,
  noHeaders,
  noticeCodes,
  parsed,
  refusalOf,
  refusedAs,
  withMessages,
} from "./requests.ts";

const stopsOf = (stop: unknown) => conversationOf({ stop }).limits.stopSequences;
const sessionOf = (fields: Record<string, unknown>, headers: Record<string, string> = {}) =>
  conversationOf(fields, new Headers(headers)).sessionId;
const reasoningOf = (fields: Record<string, unknown>) => conversationOf(fields).reasoning;
const withInput = (input: unknown, fields: Record<string, unknown> = {}) =>
  conversationOf({ messages: undefined, input, ...fields });
const said = (words: string) => ({ type: "text" as const, text: words });

describe("a request", () => {
  test("a plain one is read whole", () => {
    expect(parsed()).toMatchObject({
      stream: false,
      conversation: {
        model: "claude-sonnet-4-5",
        system: "",
        turns: [{ role: "user", parts: [{ type: "text", text: "Hi" }] }],
        tools: [],
        toolChoice: { type: "auto" },
        reasoning: { type: "unset" },
        output: { type: "text" },
        limits: { stopSequences: [], parallelToolCalls: true },
        notices: [],
      },
    });
    expect(conversationOf({}).limits).not.toHaveProperty("maxTokens");
  });

  test.each([null, undefined, [], "text", 1, true].map((body) => ({ body })))(
    "no request: %j",
    ({ body }) => {
      expect(chat.parse(body, noHeaders)).toMatchObject({
        ok: false,
        failure: { kind: "invalid-request" },
      });
    },
  );

  test.each([
    { field: "model", value: undefined },
    { field: "model", value: 4 },
    { field: "model", value: "" },
    { field: "messages", value: undefined },
    { field: "messages", value: null },
    { field: "messages", value: {} },
    { field: "messages", value: "Hi" },
    { field: "messages", value: [] },
    { field: "stream", value: "true" },
    { field: "stop", value: 5 },
    { field: "tools", value: {} },
    { field: "max_tokens", value: "100" },
    { field: "max_tokens", value: 0 },
    { field: "max_completion_tokens", value: 1.5 },
    { field: "parallel_tool_calls", value: "no" },
  ])("B-02: refused with its name as param: %j", ({ field, value }) => {
    expect(refusedAs({ [field]: value })).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      param: field,
      code: null,
    });
  });

  test("B-02: a fault inside a list is named by its place", () => {
    expect(refusedAs({ messages: ["Hi"] })).toMatchObject({ param: "messages.0" });
    expect(refusedAs({ messages: [{ content: "Hi" }] })).toMatchObject({
      param: "messages.0.role",
    });
    expect(refusedAs({ messages: [{ role: 5 }] })).toMatchObject({ param: "messages.0.role" });
    expect(refusedAs({ stop: ["a", 1] })).toMatchObject({ param: "stop.1" });
    expect(refusedAs({ tools: [{ type: "function", function: {} }] })).toMatchObject({
      param: "tools.0.function.name",
    });
  });

  test("only `stream` in the body asks for a stream", () => {
    expect(parsed({ stream: true }).stream).toBe(true);
    expect(parsed({ stream: null }).stream).toBe(false);
    expect(parsed({}, new Headers({ accept: "text/event-stream" })).stream).toBe(false);
  });

  test("stop sequences are a string, a list of any length, or null", () => {
    expect(stopsOf("END")).toEqual(["END"]);
    expect(stopsOf(["a", "b", "c", "d", "e"])).toEqual(["a", "b", "c", "d", "e"]);
    expect(stopsOf(null)).toEqual([]);
    expect(stopsOf(["a", ""])).toEqual(["a"]);
    expect(stopsOf("")).toEqual([]);
  });

  test.each([
    { name: "neither", fields: {}, limit: undefined },
    { name: "the old one", fields: { max_tokens: 5 }, limit: 5 },
    { name: "the new one", fields: { max_completion_tokens: 6 }, limit: 6 },
    { name: "both", fields: { max_tokens: 5, max_completion_tokens: 6 }, limit: 6 },
    { name: "null", fields: { max_tokens: 5, max_completion_tokens: null }, limit: 5 },
  ])("B-18: a limit by $name", ({ fields, limit }) => {
    expect(conversationOf(fields).limits.maxTokens).toBe(limit as number);
  });

  test.each([2, 0, "2", 1.5])("B-31: n %p is refused by name", (n) => {
    expect(refusedAs({ n })).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      param: "n",
      code: "unsupported_value",
    });
  });

  test("B-31: one choice may be asked for", () => {
    expect(conversationOf({ n: 1 }).notices).toEqual([]);
    expect(conversationOf({ n: null }).notices).toEqual([]);
  });

  test("audio is refused where it is demanded", () => {
    expect(refusedAs({ modalities: ["text", "audio"], audio: { voice: "a" } })).toMatchObject({
      status: 400,
      param: "modalities",
      code: "unsupported_value",
    });
    expect(conversationOf({ modalities: ["text"] }).notices).toEqual([]);
  });

  test("B-32: what has no meaning here is ignored and named", () => {
    const fields = {
      logprobs: true,
      top_logprobs: 3,
      seed: 1,
      logit_bias: { "1": 2 },
      store: true,
      metadata: { a: "b" },
      service_tier: "auto",
      verbosity: "low",
      temperature: 0.2,
      top_p: null,
      frequency_penalty: 1,
    };
    expect(noticeCodes(conversationOf(fields)).toSorted()).toEqual([
      "ignored-frequency-penalty",
      "ignored-logit-bias",
      "ignored-logprobs",
      "ignored-metadata",
      "ignored-seed",
      "ignored-service-tier",
      "ignored-store",
      "ignored-temperature",
      "ignored-top-logprobs",
      "ignored-verbosity",
    ]);
  });

  test("unknown fields are ignored and named together", () => {
    expect(conversationOf({ frobnicate: 1, other: {}, "odd name": 1 }).notices).toEqual([
      { code: "ignored-field", detail: "frobnicate, other" },
    ]);
  });

  test("B-34: the name of the model stays as it is for whoever resolves it", () => {
    const model = "claude-4.5-opus-high-thinking";
    expect(conversationOf({ model })).toMatchObject({ model, reasoning: { type: "unset" } });
  });
});

describe("the session", () => {
  test.each(["x-session-affinity", "x-session-id", "session_id", "conversation_id"])(
    "is said by the header %s",
    (name) => {
      expect(sessionOf({}, { [name]: " ses_1 " })).toBe("ses_1");
    },
  );

  test("is said by the fields where no header does", () => {
    expect(sessionOf({})).toBeUndefined();
    expect(sessionOf({ user: "u" })).toBe("u");
    expect(sessionOf({ user: "u", prompt_cache_key: "k" })).toBe("k");
    expect(sessionOf({ user: "u", prompt_cache_key: "k" }, { session_id: "s" })).toBe("s");
    expect(sessionOf({ user: 5, prompt_cache_key: null })).toBeUndefined();
    expect(conversationOf({ user: "u", prompt_cache_key: "k" }).notices).toEqual([]);
  });
});

describe("reasoning", () => {
  test.each([
    { effort: "none", asked: { type: "off" } },
    { effort: "minimal", asked: { type: "off" } },
    { effort: "low", asked: { type: "adaptive", effort: "low" } },
    { effort: "medium", asked: { type: "adaptive", effort: "medium" } },
    { effort: "high", asked: { type: "adaptive", effort: "high" } },
    { effort: "xhigh", asked: { type: "adaptive", effort: "xhigh" } },
    { effort: "max", asked: { type: "adaptive", effort: "max" } },
    { effort: null, asked: { type: "unset" } },
    { effort: "of_tomorrow", asked: { type: "unset" } },
    { effort: 3, asked: { type: "unset" } },
  ] as const)("B-30: the effort $effort is accepted", ({ effort, asked }) => {
    expect(reasoningOf({ reasoning_effort: effort })).toEqual(asked);
    expect(reasoningOf({ reasoning: { effort } })).toEqual(asked);
  });

  test("B-30: an effort that means nothing is named", () => {
    expect(conversationOf({ reasoning_effort: "of_tomorrow" }).notices).toEqual([
      { code: "ignored-effort", detail: "of_tomorrow" },
    ]);
  });

  test.each([
    { fields: { thinking: { type: "disabled" } }, asked: { type: "off" } },
    {
      fields: { thinking: { type: "enabled", budget_tokens: 4000 }, reasoning_effort: "high" },
      asked: { type: "budget", tokens: 4000, effort: "high" },
    },
    {
      fields: { thinking: { type: "enabled", budget_tokens: 4000 }, max_tokens: 2000 },
      asked: { type: "budget", tokens: 1999 },
    },
    { fields: { thinking: { type: "adaptive" } }, asked: { type: "adaptive" } },
    { fields: { reasoning: { max_tokens: 3000 } }, asked: { type: "budget", tokens: 3000 } },
    { fields: { reasoning: { enabled: true } }, asked: { type: "adaptive" } },
    { fields: { reasoning: { enabled: false } }, asked: { type: "off" } },
    { fields: { reasoning: {} }, asked: { type: "unset" } },
    { fields: { reasoning: "odd" }, asked: { type: "unset" } },
    { fields: { enable_thinking: true }, asked: { type: "adaptive" } },
    { fields: { enable_thinking: false }, asked: { type: "off" } },
    {
      fields: { enable_thinking: true, reasoning_effort: "low" },
      asked: { type: "adaptive", effort: "low" },
    },
  ] as const)("asked for in another way: %j", ({ fields, asked }) => {
    expect(reasoningOf(fields)).toEqual(asked);
  });
});

describe("the format of the answer", () => {
  const schema = { type: "object", properties: { a: { type: "string" } } };

  test.each([
    { format: { type: "text" }, output: { type: "text" } },
    { format: null, output: { type: "text" } },
    { format: { type: "json_object" }, output: { type: "json" } },
    { format: { type: "json_object", schema }, output: { type: "json", schema } },
    {
      format: { type: "json_schema", json_schema: { name: "a", strict: true, schema } },
      output: { type: "json", schema },
    },
    { format: { type: "json_schema", name: "a", schema }, output: { type: "json", schema } },
    { format: { type: "json_schema", json_schema: { name: "a" } }, output: { type: "json" } },
    { format: "json_object", output: { type: "json" } },
    { format: { type: "grammar" }, output: { type: "text" } },
  ])("B-29: read from %j", ({ format, output }) => {
    expect(conversationOf({ response_format: format }).output).toEqual(output as never);
  });

  test("B-29: that JSON is only asked for in words is said", () => {
    expect(noticeCodes(conversationOf({ response_format: { type: "json_object" } }))).toEqual([
      "emulated-response-format",
    ]);
    expect(conversationOf({ response_format: { type: "grammar" } }).notices).toEqual([
      { code: "ignored-response-format", detail: "grammar" },
    ]);
    expect(conversationOf({ response_format: { type: "text" } }).notices).toEqual([]);
  });
});

describe("a body with `input` instead of `messages`", () => {
  test("B-26: is read as the conversation that it is", () => {
    const conversation = withInput(
      [
        { type: "message", role: "developer", content: [{ type: "input_text", text: "Rules." }] },
        { role: "user", content: [{ type: "input_text", text: "Go." }] },
        { type: "reasoning", summary: [{ type: "summary_text", text: "Hm" }], content: null },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Yes." }] },
        { type: "function_call", id: "fc_1", call_id: "c1", name: "run", arguments: '{"a":1}' },
        { type: "custom_tool_call", call_id: "c2", name: "patch", input: "*** Begin" },
        { type: "function_call_output", call_id: "c1", output: "42" },
        {
          type: "custom_tool_call_output",
          call_id: "c2",
          output: [{ type: "input_text", text: "ok" }],
        },
        { type: "item_reference", id: "msg_1" },
        { role: "user", content: "More." },
      ],
      { instructions: "Be brief." },
    );
    expect(conversation.system).toBe("Be brief.\n\nRules.");
    const result = (callId: string, words: string) => ({
      type: "tool-result",
      callId,
      content: [said(words)],
      isError: false,
    });
    expect(conversation.turns as unknown).toEqual([
      { role: "user", parts: [said("Go.")] },
      { role: "assistant", parts: [{ type: "reasoning", text: "Hm" }] },
      { role: "assistant", parts: [said("Yes.")] },
      { role: "assistant", parts: [{ type: "tool-call", id: "c1", name: "run", input: { a: 1 } }] },
      {
        role: "assistant",
        parts: [{ type: "tool-call", id: "c2", name: "patch", input: { input: "*** Begin" } }],
      },
      { role: "user", parts: [result("c1", "42"), result("c2", "ok")] },
      { role: "user", parts: [said("More.")] },
    ]);
    expect(conversation.notices).toEqual([{ code: "dropped-item", detail: "item_reference" }]);
  });

  test("B-26: may be one string, with the options of that API", () => {
    const conversation = withInput("Hi", {
      max_output_tokens: 50,
      reasoning: { effort: "low", summary: "auto" },
      text: { format: { type: "json_schema", name: "a", schema: { type: "object" } } },
      tools: [{ type: "function", name: "run", parameters: { type: "object" } }],
    });
    expect(conversation).toMatchObject({
      turns: [{ role: "user", parts: [said("Hi")] }],
      limits: { maxTokens: 50 },
      reasoning: { type: "adaptive", effort: "low" },
      output: { type: "json", schema: { type: "object" } },
      tools: [{ name: "run" }],
    });
    expect(noticeCodes(conversation)).toEqual(["emulated-response-format"]);
  });

  test("items of tools that nobody here has are told as text", () => {
    const conversation = withInput([
      { type: "web_search_call", id: "ws_1", action: { query: "q" } },
      { type: "local_shell_call_output", output: "done" },
      { type: "function_call", name: "run", arguments: "ls" },
    ]);
    expect(conversation.turns).toMatchObject([
      { role: "assistant", parts: [said("[web_search_call]\nq")] },
      { role: "user", parts: [said("[local_shell_call_output]\ndone")] },
      { role: "assistant", parts: [{ type: "text", text: "[function_call]\nrun\nls" }] },
    ]);
  });

  test("may declare tools among its items", () => {
    const items = [
      { type: "additional_tools", role: "developer", tools: [{ type: "function", name: "late" }] },
      { role: "user", content: "Hi" },
    ];
    const conversation = withInput(items, { tool_choice: { type: "function", name: "late" } });
    expect(conversation.tools).toMatchObject([{ name: "late" }]);
    expect(conversation.turns).toHaveLength(1);
    expect(conversationOf({ input: items }).tools).toEqual([]);
  });

  test("gives way to messages, and is named then", () => {
    const conversation = conversationOf({ input: "no" });
    expect(conversation.turns).toMatchObject([{ parts: [said("Hi")] }]);
    expect(conversation.notices).toEqual([{ code: "ignored-input" }]);
  });

  test.each([{ input: {} }, { input: 5 }, { input: ["Hi"] }])("is refused: %j", ({ input }) => {
    expect(refusalOf({ messages: undefined, input }).message).toStartWith("input");
  });

  test("can't go on from a reply that nobody has kept", () => {
    expect(
      refusedAs({ messages: undefined, input: "Hi", previous_response_id: "resp_1" }),
    ).toMatchObject({ status: 400, param: "previous_response_id" });
  });
});

describe("for any JSON", () => {
  const anything = fc.jsonValue({ maxDepth: 3 });
  const word = fc.string({ maxLength: 8 });
  const dataUrl = fc.constantFrom("data:image/png;base64,iVBORw0KGgo=", "https://a/b.png", "", "=");
  const wrapped = fc.record(
    {
      name: fc.oneof(word, anything),
      arguments: fc.oneof(word, anything, fc.constant('{"a":1}')),
      input: fc.oneof(word, anything),
      parameters: anything,
      description: anything,
      format: fc.oneof(anything, fc.record({ grammar: anything })),
    },
    { requiredKeys: [] },
  );
  const types =
    "text input_text output_text refusal image_url input_image input_audio file input_file image document tool_use tool_result thinking function custom web_search message function_call function_call_output custom_tool_call reasoning item_reference of_tomorrow __proto__ constructor";
  const { entry } = fc.letrec<{ entry: unknown; content: unknown }>((tie) => ({
    entry: fc.oneof(
      { depthSize: "small" },
      anything,
      fc.record(
        {
          type: fc.constantFrom(...types.split(" ")),
          role: fc.constantFrom("user", "assistant", "system", "tool", "function", "robot"),
          text: fc.oneof(word, anything),
          refusal: fc.oneof(word, anything),
          image_url: fc.oneof(dataUrl, anything, fc.record({ url: dataUrl })),
          file: fc.oneof(anything, fc.record({ file_data: dataUrl, filename: word })),
          file_data: fc.oneof(dataUrl, anything),
          file_id: fc.oneof(word, anything),
          id: fc.oneof(word, anything),
          call_id: fc.oneof(word, anything),
          name: fc.oneof(word, anything),
          tool_call_id: fc.oneof(word, anything),
          arguments: fc.oneof(word, anything),
          input: fc.oneof(word, anything),
          output: tie("content"),
          summary: anything,
          function: fc.oneof(wrapped, anything),
          custom: fc.oneof(wrapped, anything),
          parameters: anything,
          tool_calls: fc.oneof(anything, fc.array(tie("entry"), { maxLength: 3 })),
          function_call: fc.oneof(wrapped, anything),
          reasoning_content: fc.oneof(word, anything),
          content: tie("content"),
        },
        { requiredKeys: [] },
      ),
    ),
    content: fc.oneof(
      { depthSize: "small" },
      word,
      anything,
      fc.array(tie("entry"), { maxLength: 3 }),
    ),
  }));
  const entries = fc.array(entry, { maxLength: 4 });
  const request = fc.record(
    {
      model: fc.oneof(word, anything),
      messages: fc.oneof({ weight: 9, arbitrary: entries }, anything),
      input: fc.oneof(entries, anything, word),
      system: fc.oneof(word, anything),
      instructions: anything,
      tools: fc.oneof(anything, entries),
      functions: fc.oneof(anything, entries),
      tool_choice: fc.oneof(anything, entry, word),
      function_call: fc.oneof(anything, wrapped),
      response_format: fc.oneof(anything, fc.record({ type: word, json_schema: anything })),
      text: anything,
      stop: fc.oneof(anything, word),
      max_tokens: fc.oneof(fc.nat(), anything),
      thinking: anything,
      reasoning: fc.oneof(anything, fc.record({ effort: anything, max_tokens: anything })),
      reasoning_effort: anything,
      modalities: anything,
      n: anything,
      stream: fc.oneof(fc.boolean(), anything),
      stream_options: anything,
    },
    { requiredKeys: [] },
  );

  test("parsing never throws and never changes its input", () => {
    fc.assert(
      fc.property(fc.oneof(anything, request), (body) => {
        deepFreeze(body);
        chat.parse(body, noHeaders);
      }),
      { numRuns: 3000 },
    );
  });

  test("what is refused in a history is bytes that can't be had or a role that is missing", () => {
    const allowed =
      /^messages\.\d+(\.role: Missing required parameter|: Invalid type: expected an object|\.content\.[\w.]+: (Could not process image|The document is not valid base64|URLs are not fetched here|There is no Files API here))/;
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (messages) => {
        const result = chat.parse(bodyWith({ messages }), noHeaders);
        if (!result.ok) expect(result.failure.message).toMatch(allowed);
      }),
      { numRuns: 2000 },
    );
  });

  test("no words of anybody are lost or said twice", () => {
    const roles = fc.constantFrom("user", "assistant", "system", "tool", "function", "robot");
    const shapes = fc.constantFrom<(text: string) => unknown>(
      (text) => text,
      (text) => [{ type: "text", text: "" }, null, { type: "text", text }],
      (text) => [{ type: "input_text", text }],
      (text) => ({ type: "text", text }),
    );
    const extras = fc.constantFrom<(text: string) => object>(
      () => ({}),
      (text) => ({ tool_calls: [{ id: "c", function: { name: "f", arguments: text } }] }),
      (text) => ({ tool_calls: [{ function: { name: "f", arguments: text } }] }),
      (text) => ({ function_call: { name: "f", arguments: `{"a":"${text}"}` } }),
      (text) => ({ reasoning_content: text }),
      (text) => ({ refusal: text }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(roles, shapes, extras), { minLength: 1 }), (history) => {
        const expected: string[] = [];
        const messages = history.map(([role, shape, extra], index) => {
          expected.push(`<${index}>`);
          const message = { role, content: shape(`<${index}>`), tool_call_id: "c", name: "f" };
          if (role !== "assistant") return message;
          const more = extra(`<${index}x>`);
          if (Object.keys(more).length > 0) expected.push(`<${index}x>`);
          return { ...message, ...more };
        });
        const { system, turns } = withMessages(...messages);
        const heard = JSON.stringify([system, turns]).match(/<\d+x?>/g) ?? [];
        expect(heard.toSorted()).toEqual(expected.toSorted());
      }),
    );
  });
});

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  Object.values(value).forEach(deepFreeze);
}
