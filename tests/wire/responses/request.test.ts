import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Turn } from "../../../src/conversation/conversation.ts";
import { sealedReasoning } from "../../../src/wire/openai-reasoning.ts";
import { responses } from "../../../src/wire/responses/responses.ts";
import { PNG } from "../chat/requests.ts";
import {
  bodyWith,
  conversationOf,
  noHeaders,
  noticeCodes,
  parsed,
  refusalOf,
  refusedAs,
} from "./requests.ts";

const said = (text: string) => ({ type: "text", text });
const text = (words: string) => ({ type: "input_text", text: words });
const fn = (name: string, more: object = {}) => ({ type: "function", name, ...more });
const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };

/** With what TypeScript knows of turns left out, so that literals compare. */
const turnsOf = (...input: unknown[]): unknown[] => conversationOf({ input }).turns;
const partsOf = (...input: unknown[]): unknown[] =>
  conversationOf({ input }).turns.flatMap((turn: Turn): unknown[] => turn.parts);

describe("input", () => {
  test("C-01: a string is one user message", () => {
    expect(conversationOf({ input: "Hi" })).toEqual({
      model: "claude-sonnet-4-5",
      system: "",
      turns: [{ role: "user", parts: [{ type: "text", text: "Hi" }] }],
      tools: [],
      toolChoice: { type: "auto" },
      reasoning: { type: "unset" },
      output: { type: "text" },
      limits: { stopSequences: [], parallelToolCalls: true },
      notices: [],
    });
  });

  test("C-01: items are messages, with or without a type, in their order", () => {
    expect(
      turnsOf(
        { type: "message", role: "user", content: [{ type: "input_text", text: "1" }] },
        { role: "assistant", content: "2" },
        {
          type: "message",
          id: "msg_1",
          status: "completed",
          role: "assistant",
          content: [{ type: "output_text", text: "3", annotations: [], logprobs: [] }],
        },
        { role: "user", content: "4" },
      ),
    ).toEqual([
      { role: "user", parts: [said("1")] },
      { role: "assistant", parts: [said("2")] },
      { role: "assistant", parts: [said("3")] },
      { role: "user", parts: [said("4")] },
    ]);
  });

  test.each(["developer", "system"])("C-02: %s items are system text", (role) => {
    const conversation = conversationOf({
      instructions: "Be brief.",
      input: [
        { type: "message", role, content: [text("Rules."), text("More.")] },
        { role, content: "Last." },
        { role: "user", content: "Hi" },
      ],
    });
    expect(conversation.system).toBe("Be brief.\n\nRules.\n\nMore.\n\nLast.");
    expect(conversation.turns).toHaveLength(1);
  });

  test("C-02: one in the midst of the conversation stays in its place, as a note", () => {
    const turns = turnsOf(
      { role: "user", content: "Hi" },
      { role: "developer", content: "Now in German." },
    );
    expect(turns).toEqual([
      {
        role: "user",
        parts: [said("Hi"), said("<system-reminder>\nNow in German.\n</system-reminder>")],
      },
    ]);
  });

  test("images and files are read, and a refusal is text", () => {
    const url = `data:image/png;base64,${PNG}`;
    expect(
      partsOf(
        {
          role: "user",
          content: [
            { type: "input_image", image_url: url, detail: "auto" },
            { type: "input_file", filename: "a.txt", file_data: "data:text/plain;base64,SGk=" },
          ],
        },
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] },
      ),
    ).toEqual([{ type: "image", format: "png", base64: PNG }, said("a.txt\n\nHi"), said("No.")]);
  });

  test.each([
    { input: undefined, message: "input: Missing required parameter" },
    { input: null, message: "input: Missing required parameter" },
    { input: {}, message: "input: Invalid type: expected a string or an array of items" },
    { input: 5, message: "input: Invalid type: expected a string or an array of items" },
    { input: ["Hi"], message: "input.0: Invalid type: expected an object" },
    { input: [{ content: "Hi" }], message: "input.0.role: Missing required parameter" },
  ])("what no client means is refused: $input", ({ input, message }) => {
    expect(refusalOf({ input })).toEqual({ kind: "invalid-request", message });
  });

  test("an empty one is still answered", () => {
    expect(conversationOf({ input: [], instructions: "Go." })).toMatchObject({
      system: "Go.",
      turns: [{ role: "user", parts: [] }],
    });
  });

  test("C-23: a request for a summary, without tools, is an ordinary one", () => {
    const conversation = conversationOf({
      tools: [],
      parallel_tool_calls: false,
      input: [
        { role: "user", content: "Do it." },
        { type: "function_call", call_id: "c1", name: "run", arguments: "{}" },
        { type: "function_call_output", call_id: "c1", output: "done" },
        { role: "user", content: "Summarise." },
      ],
    });
    expect(conversation.tools).toEqual([]);
    expect(conversation.turns).toHaveLength(4);
    expect(conversation.notices).toEqual([]);
  });
});

const result = (callId: string, ...content: object[]) => ({
  type: "tool-result",
  callId,
  content,
  isError: false,
});

describe("calls and their outputs", () => {
  test("C-09: are paired by call_id, several calls ahead of several outputs", () => {
    expect(
      turnsOf(
        { type: "function_call", id: "fc_1", call_id: "c1", name: "run", arguments: '{"a":1}' },
        { type: "function_call", id: "fc_2", call_id: "c2", name: "run", arguments: "" },
        { type: "custom_tool_call", id: "x", call_id: "c3", name: "patch", input: '{"a":1}' },
        { type: "function_call_output", call_id: "c2", output: "two" },
        { type: "function_call_output", call_id: "c1", output: "one" },
        { type: "custom_tool_call_output", call_id: "c3", output: "three" },
      ),
    ).toEqual([
      { role: "assistant", parts: [{ type: "tool-call", id: "c1", name: "run", input: { a: 1 } }] },
      { role: "assistant", parts: [{ type: "tool-call", id: "c2", name: "run", input: {} }] },
      {
        role: "assistant",
        parts: [{ type: "tool-call", id: "c3", name: "patch", input: { input: '{"a":1}' } }],
      },
      {
        role: "user",
        parts: [result("c2", said("two")), result("c1", said("one")), result("c3", said("three"))],
      },
    ]);
  });

  test("C-09: an output may be a list of texts and images", () => {
    expect(
      partsOf({
        type: "function_call_output",
        call_id: "c1",
        output: [
          { type: "input_text", text: "see" },
          { type: "input_image", image_url: `data:image/png;base64,${PNG}` },
        ],
      }),
    ).toEqual([result("c1", said("see"), { type: "image", format: "png", base64: PNG })]);
  });

  test("C-10: calls of a group's tools keep their group", () => {
    const tools = [{ type: "namespace", name: "ns", tools: [fn("run")] }, fn("run")];
    const call = { type: "function_call", name: "run", arguments: "{}" };
    const conversation = conversationOf({
      tools,
      input: [
        { ...call, call_id: "c1", namespace: "ns" },
        { ...call, call_id: "c2" },
        { ...call, call_id: "c3", namespace: "gone" },
        { ...call, call_id: "c4", name: undefined, namespace: "ns" },
      ],
    });
    expect(conversation.turns.map((turn) => turn.parts[0])).toMatchObject([
      { name: "ns__run" },
      { name: "run" },
      { name: "gone__run" },
      { type: "text" },
    ]);
  });

  test("those of tools that nobody here has are told as text", () => {
    const conversation = conversationOf({
      input: [
        { type: "local_shell_call", call_id: "c1", action: { command: ["ls", "-l"] } },
        { type: "local_shell_call_output", call_id: "c1", output: "a.txt" },
        { type: "web_search_call", id: "ws_1", action: { query: "q" } },
      ],
    });
    expect(conversation.turns as unknown).toEqual([
      { role: "assistant", parts: [said("[local_shell_call]\nls\n-l")] },
      { role: "user", parts: [said("[local_shell_call_output]\na.txt")] },
      { role: "assistant", parts: [said("[web_search_call]\nq")] },
    ]);
  });

  test("items that say nothing are dropped and named", () => {
    const conversation = conversationOf({
      input: [
        { role: "user", content: "Hi" },
        { type: "item_reference", id: "msg_1" },
        { type: "compaction", encrypted_content: "gAAAA" },
        { type: "of_tomorrow" },
      ],
    });
    expect(conversation.turns).toHaveLength(1);
    expect(conversation.notices).toContainEqual({
      code: "dropped-item",
      detail: "item_reference, compaction, of_tomorrow",
    });
  });
});

describe("reasoning items", () => {
  const summary = [{ type: "summary_text", text: "Hm" }];

  test("C-13: are thinking, with the signature that they carry", () => {
    const signed = { type: "reasoning", text: "Hm, so.", signature: "s" } as const;
    const redacted = { type: "redacted-reasoning", data: "Zm9v" } as const;
    const item = (part: typeof signed | typeof redacted, more: object) => ({
      type: "reasoning",
      id: "rs_1",
      encrypted_content: sealedReasoning(part),
      ...more,
    });
    expect(
      partsOf(
        item(signed, { summary, content: null }),
        item(signed, { summary: [] }),
        item(redacted, { summary: [] }),
      ),
    ).toEqual([signed, signed, redacted]);
  });

  test("C-13: from elsewhere lose what can't be read, with a notice", () => {
    const conversation = conversationOf({
      input: [
        { type: "reasoning", id: "rs_1", summary, content: null, encrypted_content: "gAAAA" },
        {
          type: "reasoning",
          id: "rs_2",
          summary: [],
          encrypted_content: "kiro-proxy.reasoning:e30=",
        },
        { type: "reasoning", id: "rs_3", summary: [], encrypted_content: "kiro-proxy.reasoning:%" },
        { type: "reasoning", id: "rs_4", summary: [], encrypted_content: null },
        { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "Ah" }] },
      ],
    });
    expect(conversation.turns.flatMap((turn): unknown[] => turn.parts)).toEqual([
      { type: "reasoning", text: "Hm" },
      { type: "reasoning", text: "Ah" },
    ]);
    expect(conversation.notices).toEqual([{ code: "foreign-reasoning-dropped" }]);
  });

  test("C-13: any text and signature come back as they went", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ minLength: 1 }),
        (thinking, signature) => {
          const part = { type: "reasoning", text: thinking, signature } as const;
          const item = { type: "reasoning", summary: [], encrypted_content: sealedReasoning(part) };
          expect(partsOf(item)).toEqual([part]);
        },
      ),
    );
  });
});

const toolsOf = (...tools: unknown[]) => conversationOf({ tools }).tools;
const group = (name: string, ...tools: unknown[]) => ({ type: "namespace", name, tools });
const nameOf = (name: string, tools: unknown[]) => {
  const encoder = parsed({ tools }).encoder({ id: "a", createdAt: 0, inputTokens: 0 });
  const events = encoder.push({ type: "tool-call", id: "c", name, json: "{}" });
  const item = events.flatMap((event) =>
    event.type === "response.output_item.done" ? [event.item] : [],
  )[0];
  return item?.type === "function_call" ? { name: item.name, in: item.namespace } : undefined;
};

describe("tools", () => {
  test("functions are flat", () => {
    expect(toolsOf(fn("run", { description: "d", parameters: schema, strict: true }))).toEqual([
      { name: "run", description: "d", schema },
    ]);
  });

  test("C-11: custom tools have one text as input, and their grammar in the description", () => {
    const format = { type: "grammar", syntax: "lark", definition: "start: A" };
    expect(toolsOf({ type: "custom", name: "patch", description: "d", format })).toEqual([
      {
        name: "patch",
        description: "d\n\nThe input must follow this lark grammar:\nstart: A",
        schema: { type: "object", properties: { input: { type: "string" } }, required: ["input"] },
      },
    ]);
  });

  test("C-10: those of a group are offered under a joined name, with the group's description", () => {
    const inner = [fn("spawn", { description: "Spawns.", parameters: schema }), fn("wait")];
    const agents = { ...group("agents", ...inner), description: "Sub-agents." };
    expect(toolsOf(fn("wait"), agents)).toMatchObject([
      { name: "wait", description: "" },
      { name: "agents__spawn", description: "Sub-agents.\n\nSpawns.", schema },
      { name: "agents__wait", description: "Sub-agents." },
    ]);
  });

  test("C-10: joined names that meet stay apart, and each leads back", () => {
    const tools = [group("a", fn("b__c")), group("a__b", fn("c"), fn("c")), fn("a__b__c"), fn("b")];
    const conversation = conversationOf({ tools });
    const names = conversation.tools.map((tool) => tool.name);
    expect(names).toEqual(["a__b__c", "a__b__c_", "a__b__c__", "b"]);
    expect(names.map((name) => nameOf(name, tools))).toEqual([
      { name: "b__c", in: "a" },
      { name: "c", in: "a__b" },
      { name: "a__b__c", in: undefined },
      { name: "b", in: undefined },
    ]);
    expect(conversation.notices).toEqual([{ code: "duplicate-tool", detail: "c" }]);
  });

  test("C-10: any names in any groups are offered apart and lead back", () => {
    const word = fc.constantFrom("a", "b", "a_", "_a", "a__b", "b__a", "_", "__");
    const entry = fc.oneof(
      word.map((name) => fn(name)),
      fc
        .tuple(word, fc.array(word, { minLength: 1, maxLength: 3 }))
        .map(([name, inner]) => group(name, ...inner.map((tool) => fn(tool)))),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), (tools) => {
        const wanted = tools.flatMap((tool) =>
          "tools" in tool
            ? tool.tools.map((inner) => ({
                name: (inner as { name: string }).name,
                in: tool.name as string | undefined,
              }))
            : [{ name: tool.name, in: undefined }],
        );
        const offered = conversationOf({ tools }).tools.map((tool) => tool.name);
        expect(new Set(offered).size).toBe(offered.length);
        const back = offered.map((name) => JSON.stringify(nameOf(name, tools)));
        expect(new Set(back)).toEqual(new Set(wanted.map((name) => JSON.stringify(name))));
      }),
    );
  });

  test.each([
    { type: "web_search", external_web_access: true },
    { type: "image_generation", output_format: "png" },
    { type: "local_shell" },
    { type: "file_search", vector_store_ids: [] },
    { type: "code_interpreter", container: { type: "auto" } },
    { type: "computer_use_preview" },
    { type: "mcp", server_label: "a" },
    { type: "apply_patch" },
    { type: "tool_search" },
    { type: "namespace" },
    { type: "namespace", name: "ns", tools: [] },
  ])("C-12: $type is dropped, never refused", (tool) => {
    const conversation = conversationOf({ tools: [tool, fn("run")] });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["run"]);
    expect(conversation.notices).toEqual([{ code: "dropped-tool", detail: tool.type }]);
  });

  test("may be declared among the items, and chosen", () => {
    const conversation = conversationOf({
      tools: [fn("run")],
      tool_choice: { type: "function", name: "late" },
      input: [
        { type: "additional_tools", role: "developer", tools: [fn("late"), fn("run")] },
        { role: "user", content: "Hi" },
      ],
    });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["run", "late"]);
    expect(conversation.turns).toHaveLength(1);
    expect(conversation.toolChoice).toEqual({ type: "tool", name: "late" });
  });

  test.each([
    { tool: {}, param: "tools.0.name" },
    { tool: 5, param: "tools.0" },
    { tool: group("ns", {}), param: "tools.0.tools.0.name" },
  ])("refused: $param", ({ tool, param }) => {
    expect(refusedAs({ tools: [tool] })).toMatchObject({ status: 400, param });
  });
});

describe("the choice of a tool", () => {
  const tools = [
    fn("a"),
    { type: "custom", name: "b" },
    { type: "namespace", name: "ns", tools: [fn("c"), fn("d")] },
    { type: "web_search", name: "search" },
  ];
  const choice = (tool_choice: unknown) => conversationOf({ tools, tool_choice });
  const namesFor = (mode: string, ...allowed: object[]) => {
    const conversation = choice({ type: "allowed_tools", mode, tools: allowed });
    return [conversation.toolChoice.type, ...conversation.tools.map((tool) => tool.name)];
  };

  test.each([
    { asked: "auto", read: { type: "auto" } },
    { asked: "none", read: { type: "none" } },
    { asked: "required", read: { type: "any" } },
    { asked: { type: "function", name: "a" }, read: { type: "tool", name: "a" } },
    { asked: { type: "custom", name: "b" }, read: { type: "tool", name: "b" } },
    {
      asked: { type: "function", name: "c", namespace: "ns" },
      read: { type: "tool", name: "ns__c" },
    },
    { asked: { type: "web_search" }, read: { type: "auto" } },
    { asked: { type: "function", name: "search" }, read: { type: "auto" } },
  ] as const)("may be $asked", ({ asked, read }) => {
    expect(choice(asked).toolChoice).toEqual(read);
  });

  test("of some leaves the others out", () => {
    expect(namesFor("auto", fn("a"), { type: "custom", name: "b" })).toEqual(["auto", "a", "b"]);
    expect(namesFor("required", fn("c", { namespace: "ns" }))).toEqual(["any", "ns__c"]);
    expect(namesFor("auto", { type: "namespace", name: "ns" })).toEqual(["auto", "ns__c", "ns__d"]);
  });

  test("of a name that is nowhere is refused", () => {
    const tool_choice = { type: "function", name: "c" };
    expect(refusedAs({ tools, tool_choice })).toMatchObject({ status: 400, param: "tool_choice" });
  });
});

describe("options", () => {
  test.each([
    { reasoning: null, read: { type: "unset" } },
    { reasoning: { summary: "auto" }, read: { type: "unset" } },
    { reasoning: { effort: null }, read: { type: "unset" } },
    { reasoning: { effort: "none" }, read: { type: "off" } },
    { reasoning: { effort: "minimal" }, read: { type: "off" } },
    { reasoning: { effort: "high" }, read: { type: "adaptive", effort: "high" } },
    { reasoning: { effort: "xhigh" }, read: { type: "adaptive", effort: "xhigh" } },
  ] as const)("reasoning may be $reasoning", ({ reasoning, read }) => {
    expect(conversationOf({ reasoning }).reasoning).toEqual(read);
  });

  test.each([
    { format: { type: "json_schema", name: "a", schema, strict: true }, read: schema },
    { format: { type: "json_object" }, read: undefined },
  ])("JSON is asked for in words: $format.type", ({ format, read }) => {
    const conversation = conversationOf({ text: { format, verbosity: "low" } });
    expect(conversation.output).toEqual(
      read === undefined ? { type: "json" } : { type: "json", schema: read },
    );
    expect(noticeCodes(conversation)).toEqual(["emulated-response-format", "ignored-verbosity"]);
  });

  test("limits are read", () => {
    expect(
      conversationOf({ max_output_tokens: 32_000, parallel_tool_calls: false }).limits,
    ).toEqual({ maxTokens: 32_000, parallelToolCalls: false, stopSequences: [] });
    expect(parsed({ stream: true }).stream).toBe(true);
    expect(parsed({ stream: null }).stream).toBe(false);
  });

  test("C-15: what is known and has no meaning here is ignored and named", () => {
    const conversation = conversationOf({
      store: true,
      include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
      client_metadata: { a: 1 },
      prompt_cache_key: "k",
      truncation: "auto",
      metadata: {},
      temperature: 0.5,
      of_tomorrow: 1,
    });
    expect(conversation.notices).toEqual([
      { code: "ignored-include", detail: "message.output_text.logprobs" },
      { code: "ignored-store" },
      { code: "ignored-client-metadata" },
      { code: "ignored-truncation" },
      { code: "ignored-metadata" },
      { code: "ignored-temperature" },
      { code: "ignored-field", detail: "of_tomorrow" },
    ]);
  });

  test("C-15: what asks for what happens anyway is not worth a word", () => {
    const fields = {
      store: false,
      background: false,
      truncation: "disabled",
      service_tier: "auto",
      metadata: null,
    };
    expect(conversationOf(fields).notices).toEqual([]);
  });

  test("C-16: a reply that nobody has kept can't be gone on from", () => {
    expect(refusedAs({ previous_response_id: "resp_1" })).toEqual({
      status: 400,
      type: "invalid_request_error",
      code: "previous_response_not_found",
      param: "previous_response_id",
      message:
        "previous_response_id: Previous response not found: none is kept here; send the whole conversation",
    });
    expect(conversationOf({ previous_response_id: null }).notices).toEqual([]);
  });

  test.each([
    { conversation: "conv_1" },
    { conversation: { id: "conv_1" } },
    { prompt: { id: "p_1" } },
    { background: true },
  ])("what only the vendor's servers could do is refused: %j", (fields) => {
    expect(refusedAs(fields)).toMatchObject({
      status: 400,
      code: "unsupported_value",
      param: Object.keys(fields)[0],
    });
  });

  test.each([
    { fields: { model: undefined }, param: "model" },
    { fields: { stream: "yes" }, param: "stream" },
    { fields: { max_output_tokens: 0 }, param: "max_output_tokens" },
    { fields: { parallel_tool_calls: 1 }, param: "parallel_tool_calls" },
    { fields: { tools: {} }, param: "tools" },
  ])("refused: $param", ({ fields, param }) => {
    expect(refusedAs(fields)).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      code: null,
      param,
    });
  });

  test.each([
    { name: "session-id" },
    { name: "session_id" },
    { name: "thread-id" },
    { name: "x-session-id" },
  ])("the session is what the header $name says, else the cache key", ({ name }) => {
    const fields = { prompt_cache_key: "key" };
    expect(conversationOf(fields, new Headers({ [name]: "s-1" })).sessionId).toBe("s-1");
    expect(conversationOf(fields).sessionId).toBe("key");
    expect(conversationOf({})).not.toHaveProperty("sessionId");
  });

  test("Codex's request is read without loss", () => {
    const conversation = conversationOf(
      {
        stream: true,
        input: [
          { type: "message", role: "developer", content: [text("Rules.")] },
          { type: "message", role: "developer", content: [text("a"), text("b")] },
          { type: "message", role: "user", content: [text("environment")] },
          { type: "message", role: "user", content: [text("task")] },
          { type: "reasoning", summary: [], content: null, encrypted_content: "gAAAA" },
          {
            type: "message",
            role: "assistant",
            content: [{ type: "output_text", text: "On it." }],
          },
          { type: "function_call", name: "shell", arguments: '{"a":1}', call_id: "c1" },
          { type: "function_call_output", call_id: "c1", output: "ok" },
        ],
        tools: [fn("shell", { strict: false, parameters: schema }), { type: "web_search" }],
        tool_choice: "auto",
        parallel_tool_calls: true,
        reasoning: { summary: "auto" },
        store: false,
        include: ["reasoning.encrypted_content"],
        prompt_cache_key: "s-1",
        client_metadata: {},
      },
      new Headers({ "session-id": "s-1", "thread-id": "s-2" }),
    );
    expect(conversation).toMatchObject({
      system: "Rules.\n\na\n\nb",
      tools: [{ name: "shell" }],
      sessionId: "s-1",
    });
    expect(conversation.turns.map((turn) => turn.role)).toEqual([
      "user",
      "user",
      "assistant",
      "assistant",
      "user",
    ]);
    expect(noticeCodes(conversation)).toEqual([
      "dropped-tool",
      "foreign-reasoning-dropped",
      "ignored-client-metadata",
    ]);
  });
});

describe("for any JSON", () => {
  const anything = fc.jsonValue({ maxDepth: 3 });
  const word = fc.string({ maxLength: 8 });
  const types =
    "message function function_call function_call_output custom custom_tool_call custom_tool_call_output reasoning item_reference additional_tools namespace web_search web_search_call compaction input_text output_text input_image input_file summary_text of_tomorrow __proto__ constructor";
  const sealed = fc.oneof(
    fc.constantFrom(
      "gAAAA",
      "kiro-proxy.reasoning:",
      "kiro-proxy.reasoning:%%",
      "kiro-proxy.reasoning:bnVsbA==",
    ),
    anything.map(
      (value) => `kiro-proxy.reasoning:${Buffer.from(JSON.stringify(value)).toString("base64")}`,
    ),
    anything,
  );
  const { entry } = fc.letrec<{ entry: unknown; content: unknown }>((tie) => ({
    entry: fc.oneof(
      { depthSize: "small" },
      anything,
      fc.record(
        {
          type: fc.constantFrom(...types.split(" ")),
          role: fc.constantFrom("user", "assistant", "system", "developer", "tool", "robot"),
          text: fc.oneof(word, anything),
          image_url: fc.oneof(word, anything),
          file_id: fc.oneof(word, anything),
          id: fc.oneof(word, anything),
          call_id: fc.oneof(word, anything),
          name: fc.oneof(word, anything),
          namespace: fc.oneof(word, anything),
          description: fc.oneof(word, anything),
          parameters: anything,
          format: anything,
          arguments: fc.oneof(word, anything),
          input: fc.oneof(word, anything),
          encrypted_content: sealed,
          mode: word,
          output: tie("content"),
          summary: tie("content"),
          tools: tie("content"),
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
      input: fc.oneof({ weight: 9, arbitrary: entries }, anything, word),
      instructions: fc.oneof(word, anything),
      tools: fc.oneof(anything, entries),
      tool_choice: fc.oneof(anything, entry, word),
      reasoning: fc.oneof(anything, fc.record({ effort: anything, summary: anything })),
      text: fc.oneof(anything, fc.record({ format: anything })),
      stream: fc.oneof(fc.boolean(), anything),
      max_output_tokens: fc.oneof(fc.nat(), anything),
      metadata: anything,
    },
    { requiredKeys: [] },
  );

  test("parsing never throws and never changes its input", () => {
    fc.assert(
      fc.property(fc.oneof(anything, request), (body) => {
        deepFreeze(body);
        responses.parse(body, noHeaders);
      }),
      { numRuns: 3000 },
    );
  });

  test("what is refused in a history is bytes that can't be had, a role that is missing or a tool without a name", () => {
    const allowed =
      /^input\.\d+(\.role: Missing required parameter|: Invalid type: expected an object|\.(content|output)\.[\w.]+: (Could not process image|The document is not valid base64|URLs are not fetched here|There is no Files API here)|\.tools(\.\d+)*(\.tools\.\d+)?(\.\w+)*: (Missing required parameter|Invalid type: expected an (object|array of objects)))/;
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (input) => {
        const read = responses.parse(bodyWith({ input }), noHeaders);
        if (!read.ok) expect(read.failure.message).toMatch(allowed);
      }),
      { numRuns: 2000 },
    );
  });
});

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
}
