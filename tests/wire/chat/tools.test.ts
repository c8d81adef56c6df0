import { describe, expect, test } from "bun:test";
import { conversationOf, noticeCodes, refusedAs } from "./requests.ts";

const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
const fn = (name: string, more: object = {}) => ({ type: "function", function: { name, ...more } });
const toolsOf = (...tools: unknown[]) => conversationOf({ tools }).tools;

const choice = (tool_choice: unknown, tools: unknown[] = [fn("a"), fn("b")]) =>
  conversationOf({ tools, tool_choice }).toolChoice;
const allowed = (mode: string, ...names: string[]) => ({
  mode,
  tools: names.map((name) => ({ type: "function", function: { name } })),
});
const required = (...names: string[]) =>
  choice({ type: "allowed_tools", allowed_tools: allowed("required", ...names) });
const parallel = (fields: Record<string, unknown>) =>
  conversationOf(fields).limits.parallelToolCalls;

describe("tools", () => {
  test.each([
    { name: "wrapped", tool: fn("run", { description: "d", parameters: schema, strict: true }) },
    {
      name: "flat",
      tool: { type: "function", name: "run", description: "d", parameters: schema, strict: true },
    },
    {
      name: "flat with input_schema",
      tool: { type: "function", name: "run", description: "d", input_schema: schema },
    },
    { name: "bare", tool: { name: "run", description: "d", input_schema: schema } },
    { name: "bare with parameters", tool: { name: "run", description: "d", parameters: schema } },
    {
      name: "Anthropic's custom",
      tool: { type: "custom", name: "run", description: "d", input_schema: schema },
    },
    {
      name: "without a type",
      tool: { function: { name: "run", description: "d", parameters: schema } },
    },
  ])("B-25: a tool may be $name", ({ tool }) => {
    expect(toolsOf(tool)).toEqual([{ name: "run", description: "d", schema }]);
  });

  test.each([{ parameters: undefined }, { parameters: null }, { parameters: [] }])(
    "parameters %j are an empty object",
    ({ parameters }) => {
      expect(toolsOf(fn("run", { parameters }))).toEqual([
        { name: "run", description: "", schema: { type: "object", properties: {} } },
      ]);
    },
  );

  test("a schema is kept as given", () => {
    const given = {
      $schema: "x",
      type: ["object", "null"],
      $defs: {},
      additionalProperties: false,
    };
    expect(toolsOf(fn("run", { parameters: given }))).toMatchObject([{ schema: given }]);
  });

  test.each([
    { format: undefined, description: "d" },
    { format: { type: "text" }, description: "d" },
    {
      format: { type: "grammar", grammar: { syntax: "lark", definition: "start: A" } },
      description: "d\n\nThe input must follow this lark grammar:\nstart: A",
    },
    {
      format: { type: "grammar", syntax: "regex", definition: "a+" },
      description: "d\n\nThe input must follow this regex grammar:\na+",
    },
  ])("a custom tool has one text as input: %j", ({ format, description }) => {
    const custom = { name: "patch", description: "d", format };
    const tool = {
      name: "patch",
      description,
      schema: { type: "object", properties: { input: { type: "string" } }, required: ["input"] },
    };
    expect(toolsOf({ type: "custom", custom })).toEqual([tool]);
    expect(toolsOf({ type: "custom", ...custom })).toEqual([tool]);
  });

  test.each([
    { type: "web_search" },
    { type: "web_search_20250305", name: "web_search" },
    { type: "mcp", server_url: "https://a.example" },
    { type: "namespace", name: "ns", tools: [] },
    { type: "__proto__" },
    { type: "constructor" },
  ])("the tool $type that nobody here can run is dropped", (tool) => {
    const conversation = conversationOf({ tools: [tool, fn("run")] });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["run"]);
    expect(conversation.notices).toEqual([{ code: "dropped-tool", detail: tool.type }]);
  });

  test("of two tools with one name the first is kept", () => {
    const conversation = conversationOf({
      tools: [fn("a", { description: "1" }), fn("b"), fn("a", { description: "2" })],
    });
    expect(conversation.tools.map(({ name, description }) => name + description)).toEqual([
      "a1",
      "b",
    ]);
    expect(conversation.notices).toEqual([{ code: "duplicate-tool", detail: "a" }]);
  });

  test.each([
    { tool: "run", param: "tools.1" },
    { tool: {}, param: "tools.1.name" },
    { tool: fn(""), param: "tools.1.function.name" },
    { tool: { type: "custom", custom: {} }, param: "tools.1.custom.name" },
  ])("refused: %j", ({ tool, param }) => {
    expect(refusedAs({ tools: [fn("a"), tool] })).toMatchObject({ status: 400, param });
  });
});

describe("the choice of a tool", () => {
  test.each([
    { asked: undefined, read: { type: "auto" } },
    { asked: null, read: { type: "auto" } },
    { asked: "auto", read: { type: "auto" } },
    { asked: "none", read: { type: "none" } },
    { asked: "required", read: { type: "any" } },
    { asked: "any", read: { type: "any" } },
    { asked: { type: "function", function: { name: "a" } }, read: { type: "tool", name: "a" } },
    { asked: { type: "function", name: "a" }, read: { type: "tool", name: "a" } },
    { asked: { type: "custom", custom: { name: "a" } }, read: { type: "tool", name: "a" } },
    { asked: { type: "custom", name: "a" }, read: { type: "tool", name: "a" } },
    { asked: { type: "tool", name: "a" }, read: { type: "tool", name: "a" } },
    { asked: { type: "auto" }, read: { type: "auto" } },
    { asked: { type: "any" }, read: { type: "any" } },
    { asked: { type: "none" }, read: { type: "none" } },
    { asked: "of_tomorrow", read: { type: "auto" } },
    { asked: { type: "web_search" }, read: { type: "auto" } },
  ] as const)("B-28: %j", ({ asked, read }) => {
    expect(choice(asked)).toEqual(read);
  });

  test.each([
    { form: "wrapped", choice: { type: "allowed_tools", allowed_tools: allowed("auto", "b") } },
    { form: "flat", choice: { type: "allowed_tools", ...allowed("auto", "b") } },
    {
      form: "flat with flat tools",
      choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "b" }] },
    },
  ])("B-28: allowed tools, $form, are all that is offered", ({ choice: asked }) => {
    const conversation = conversationOf({ tools: [fn("a"), fn("b")], tool_choice: asked });
    expect(conversation).toMatchObject({ toolChoice: { type: "auto" }, notices: [] });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["b"]);
  });

  test("B-28: one of the allowed tools may be required", () => {
    expect(required("a")).toEqual({ type: "any" });
    expect(required("unheard-of")).toEqual({ type: "auto" });
  });

  test("B-28: a list that allows nothing is let go", () => {
    const conversation = conversationOf({
      tools: [fn("a")],
      tool_choice: { type: "allowed_tools", allowed_tools: {} },
    });
    expect(conversation.tools).toHaveLength(1);
    expect(noticeCodes(conversation)).toEqual(["ignored-tool-choice"]);
  });

  test("B-28: a choice among none, or of a tool that was dropped, is let go", () => {
    expect(choice("required", [])).toEqual({ type: "auto" });
    const search = { type: "web_search_20250305", name: "web_search" };
    const asked = { type: "function", function: { name: "web_search" } };
    expect(choice(asked, [search])).toEqual({ type: "auto" });
  });

  test("B-28: a name that is nowhere is refused", () => {
    const tools = [fn("a")];
    const missing = { type: "function", function: { name: "b" } };
    expect(refusedAs({ tools, tool_choice: missing })).toMatchObject({
      status: 400,
      param: "tool_choice",
    });
    expect(refusedAs({ tools, tool_choice: { type: "function" } })).toMatchObject({
      param: "tool_choice.name",
    });
  });
});

describe("parallel calls", () => {
  test("are allowed unless the client says otherwise", () => {
    expect(parallel({})).toBe(true);
    expect(parallel({ parallel_tool_calls: true })).toBe(true);
    expect(parallel({ parallel_tool_calls: null })).toBe(true);
    expect(parallel({ parallel_tool_calls: false })).toBe(false);
    const anthropic = { type: "auto", disable_parallel_tool_use: true };
    expect(parallel({ tools: [fn("a")], tool_choice: anthropic })).toBe(false);
  });
});

describe("legacy functions", () => {
  const functions = [{ name: "run", description: "d", parameters: schema }];

  test("B-33: are tools, of which one is called at a time", () => {
    const conversation = conversationOf({ functions });
    expect(conversation.tools).toEqual([{ name: "run", description: "d", schema }]);
    expect(conversation.limits.parallelToolCalls).toBe(false);
    expect(conversation.notices).toEqual([]);
  });

  test.each([
    { asked: "none", read: { type: "none" } },
    { asked: "auto", read: { type: "auto" } },
    { asked: { name: "run" }, read: { type: "tool", name: "run" } },
  ] as const)("B-33: are chosen by function_call %j", ({ asked, read }) => {
    expect(conversationOf({ functions, function_call: asked }).toolChoice).toEqual(read);
  });

  test("B-33: give way to tools, and are named then", () => {
    const conversation = conversationOf({ functions, function_call: "auto", tools: [fn("a")] });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["a"]);
    expect(noticeCodes(conversation)).toEqual(["ignored-functions", "ignored-function-call"]);
    expect(conversationOf({ functions, tools: [] }).tools).toHaveLength(1);
  });

  test("B-33: are refused by their own name", () => {
    expect(refusedAs({ functions: [{}] })).toMatchObject({ param: "functions.0.name" });
    expect(refusedAs({ functions, function_call: { name: "b" } })).toMatchObject({
      param: "function_call",
    });
  });
});
