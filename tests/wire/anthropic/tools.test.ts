import { describe, expect, test } from "bun:test";
import { conversationOf, noticeCodes, refusalOf } from "./requests.ts";

const names = (fields: Record<string, unknown>) =>
  conversationOf(fields).tools.map((tool) => tool.name);

const reference = (name: unknown) => ({ type: "tool_reference", name });
const definition = (fields: object) => ({ type: "tool_definition", definition: fields });
const add = (tool: unknown) => ({ type: "tool_addition", tool });
const remove = (tool: unknown) => ({ type: "tool_removal", tool });
const choice = (value: unknown, tools: unknown = [{ name: "a" }]) =>
  conversationOf({ tools, tool_choice: value }).toolChoice;
const refused = (value: unknown) => refusalOf({ tools: [{ name: "a" }], tool_choice: value });

const after = (...content: unknown[]) =>
  names({
    tools: [{ name: "a" }, { name: "b" }],
    messages: [
      { role: "user", content: "Hi" },
      { role: "system", content },
    ],
  });

describe("tools", () => {
  test("A-54: what only the vendor's API understands is accepted and left out", () => {
    const schema = { type: "object", properties: { a: {} } };
    const tool = {
      type: "custom",
      name: "read",
      description: "Reads.",
      input_schema: schema,
      defer_loading: true,
      cache_control: { type: "ephemeral" },
      strict: true,
      eager_input_streaming: true,
      input_examples: [{ a: 1 }],
      allowed_callers: ["direct"],
    };
    expect(conversationOf({ tools: [tool] }).tools).toEqual([
      { name: "read", description: "Reads.", schema },
    ]);
  });

  test("A-54: the description may be missing, and so may the schema", () => {
    expect(conversationOf({ tools: [{ name: "a" }, { name: "b", type: null }] }).tools).toEqual([
      { name: "a", description: "", schema: { type: "object", properties: {}, required: [] } },
      { name: "b", description: "", schema: { type: "object", properties: {}, required: [] } },
    ]);
  });

  test("A-55: the placeholder is not offered, a deferred tool is", () => {
    const conversation = conversationOf({
      tools: [
        { name: "DeferredToolPlaceholder", defer_loading: true, input_schema: { type: "object" } },
        { name: "mcp__a__b", defer_loading: true, input_schema: { type: "object" } },
      ],
    });
    expect(conversation.tools.map((tool) => tool.name)).toEqual(["mcp__a__b"]);
    expect(conversation.notices).toEqual([
      { code: "dropped-tool", detail: "DeferredToolPlaceholder" },
    ]);
  });

  test.each([
    { type: "web_fetch_20250910", name: "web_fetch" },
    { type: "code_execution_20250825", name: "code_execution" },
    { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" },
    { type: "computer_toolset_20270101" },
    { type: "mcp_toolset", mcp_server_name: "a" },
    { type: "of_tomorrow" },
  ])("A-56: the server tool $type is dropped", (tool) => {
    const conversation = conversationOf({ tools: [tool, { name: "mine" }] });
    expect(conversation.tools.map(({ name }) => name)).toEqual(["mine"]);
    expect(conversation.notices).toEqual([{ code: "dropped-tool", detail: tool.type }]);
  });

  test("A-56: choosing a tool that was dropped is no fault", () => {
    const conversation = conversationOf({
      tools: [{ type: "web_fetch_20250910", name: "web_fetch" }],
      tool_choice: { type: "tool", name: "web_fetch" },
    });
    expect(conversation.toolChoice).toEqual({ type: "auto" });
    expect(noticeCodes(conversation)).toContain("ignored-tool-choice");
  });

  test("a tool of an unknown type with a schema of its own is the client's", () => {
    const tool = { type: "function", name: "f", input_schema: { type: "object" } };
    expect(names({ tools: [tool] })).toEqual(["f"]);
  });

  test.each([
    { type: "bash_20250124", name: "bash", member: "command" },
    { type: "text_editor_20250728", name: "str_replace_based_edit_tool", member: "old_str" },
    { type: "memory_20250818", name: "memory", member: "old_path" },
    { type: "computer_20251124", name: "computer", member: "coordinate" },
  ])("$type gets a schema", ({ type, name, member }) => {
    const [tool] = conversationOf({ tools: [{ type, name }] }).tools;
    expect(tool?.name).toBe(name);
    expect(tool?.description).not.toBe("");
    expect(tool?.schema["properties"]).toHaveProperty(member);
  });

  test.each([
    { schema: { $schema: "http://json-schema.org/draft-07/schema#", type: "object" } },
    { schema: { anyOf: [{ type: "object" }, { type: "null" }] } },
    { schema: { type: "object" } },
    { schema: { type: ["object", "null"], properties: { a: { type: ["string", "null"] } } } },
    { schema: {} },
  ])("A-57: kept as given: %j", ({ schema }) => {
    const { tools } = conversationOf({ tools: [{ name: "a", input_schema: schema }] });
    expect(tools).toMatchObject([{ schema }]);
    expect(JSON.stringify(tools[0]?.schema)).toBe(JSON.stringify(schema));
  });

  test("of two tools with one name the first is kept", () => {
    const conversation = conversationOf({
      tools: [{ name: "a", description: "1" }, { name: "b" }, { name: "a", description: "2" }],
    });
    expect(conversation.tools.map(({ name, description }) => name + description)).toEqual([
      "a1",
      "b",
    ]);
    expect(conversation.notices).toEqual([{ code: "duplicate-tool", detail: "a" }]);
  });

  test.each([
    { tool: { name: 4 }, message: "tools.1.custom.name: Input should be a valid string" },
    { tool: { name: "" }, message: "tools.1.custom.name: Input should be a valid string" },
    { tool: { description: "a" }, message: "tools.1.custom.name: Field required" },
    { tool: { type: "bash_20250124" }, message: "tools.1.bash_20250124.name: Field required" },
    { tool: "read", message: "tools.1: Input should be a valid dictionary" },
  ])("refused: %j", ({ tool, message }) => {
    expect(refusalOf({ tools: [{ name: "a" }, tool] }).message).toBe(message);
  });
});

describe("the search of the web", () => {
  const search = { type: "web_search_20250305", name: "web_search" };
  const anywhere = { name: "web_search", allowedDomains: [], blockedDomains: [] };

  test.each(["web_search_20250305", "web_search_20260209", "web_search_20260318"])(
    "A-56: %s is a tool with a query, which the gateway runs",
    (type) => {
      const { tools, webSearch, notices } = conversationOf({
        tools: [{ name: "mine" }, { type, name: "web_search" }],
      });
      expect(tools.map(({ name }) => name)).toEqual(["mine", "web_search"]);
      expect(tools[1]?.schema).toMatchObject({ required: ["query"] });
      expect(tools[1]?.description).not.toBe("");
      expect(webSearch).toEqual(anywhere);
      expect(notices).toEqual([]);
    },
  );

  test.each([
    { name: "web_search" },
    { name: "web_search", type: "custom" },
    { name: "web_search", input_schema: { type: "object" } },
    { name: "web_search", type: "web_search_of_mine", input_schema: { type: "object" } },
  ])("a client's own tool of that name is the client's: %j", (tool) => {
    const { tools, webSearch } = conversationOf({ tools: [tool] });
    expect(tools).toHaveLength(1);
    expect(webSearch).toBeUndefined();
  });

  test("of a client's tool and the server's with one name the first is kept", () => {
    const own = { name: "web_search" };
    expect(conversationOf({ tools: [own, search] }).webSearch).toBeUndefined();
    const { tools, webSearch } = conversationOf({ tools: [search, own] });
    expect(tools).toHaveLength(1);
    expect(webSearch).toEqual(anywhere);
  });

  test("its limits are read, and what can't be honoured is named", () => {
    const { webSearch, notices } = conversationOf({
      tools: [
        {
          ...search,
          max_uses: 3,
          allowed_domains: ["bun.sh", " example.com/docs ", "", 5],
          blocked_domains: ["x.com"],
          user_location: { type: "approximate", city: "Berlin" },
        },
      ],
    });
    expect(webSearch).toEqual({
      name: "web_search",
      maxUses: 3,
      allowedDomains: ["bun.sh", "example.com/docs"],
      blockedDomains: ["x.com"],
    });
    expect(notices).toEqual([
      { code: "ignored-user-location" },
      { code: "web-search-filtered-afterwards" },
    ]);
  });

  test.each([{ max_uses: "3" }, { max_uses: -1 }, { max_uses: 1.5 }, { max_uses: {} }])(
    "a limit that is none is ignored: %j",
    (fields) => {
      const { webSearch, notices } = conversationOf({ tools: [{ ...search, ...fields }] });
      expect(webSearch).toEqual(anywhere);
      expect(notices).toEqual([{ code: "ignored-max-uses" }]);
    },
  );

  test("nulls are nothing, and the name may be missing", () => {
    const { webSearch, notices } = conversationOf({
      tools: [
        {
          type: "web_search_20250305",
          name: null,
          max_uses: null,
          allowed_domains: null,
          blocked_domains: null,
          user_location: null,
        },
      ],
    });
    expect(webSearch).toEqual(anywhere);
    expect(notices).toEqual([]);
  });

  test("it may be chosen, and is not searched when it is withdrawn or replaced", () => {
    expect(
      conversationOf({ tools: [search], tool_choice: { type: "tool", name: "web_search" } })
        .toolChoice,
    ).toEqual({ type: "tool", name: "web_search" });
    const changed = (...changes: object[]) =>
      conversationOf({
        tools: [search],
        messages: [
          { role: "user", content: "Hi" },
          { role: "system", content: changes },
        ],
      }).webSearch;
    expect(changed(remove(reference("web_search")))).toBeUndefined();
    expect(changed(remove(reference("web_search")), add(reference("web_search")))).toEqual(
      anywhere,
    );
    expect(changed(add(definition({ name: "web_search" })))).toBeUndefined();
    expect(changed(add(definition({ ...search, max_uses: 1 })))).toEqual({
      ...anywhere,
      maxUses: 1,
    });
  });
});

describe("tool changes in system messages", () => {
  test("a removal withdraws a tool, an addition brings it back", () => {
    expect(after(remove(reference("a")))).toEqual(["b"]);
    expect(after(remove(reference("a")), add(reference("a")))).toEqual(["a", "b"]);
  });

  test("a definition adds a tool", () => {
    expect(after(add(definition({ name: "c", input_schema: { type: "object" } })))).toEqual([
      "a",
      "b",
      "c",
    ]);
  });

  test("a tool of an MCP server is none of ours, whatever its name", () => {
    const theirs = { type: "mcp_tool_reference", server_name: "s", name: "a" };
    expect(after(remove(theirs))).toEqual(["a", "b"]);
  });

  test("a change that says nothing is no fault", () => {
    const odd = [
      add(null),
      add({}),
      remove({}),
      remove(reference(4)),
      add(definition({ name: 5 })),
    ];
    expect(after(...odd, add(reference("unheard-of")), remove(reference("nor-this")))).toEqual([
      "a",
      "b",
    ]);
  });
});

describe("the choice of a tool", () => {
  test("A-59: every form is read", () => {
    expect(choice(undefined)).toEqual({ type: "auto" });
    expect(choice(null)).toEqual({ type: "auto" });
    expect(choice({ type: "auto" })).toEqual({ type: "auto" });
    expect(choice({ type: "none" })).toEqual({ type: "none" });
    expect(choice({ type: "any" })).toEqual({ type: "any" });
    expect(choice("any")).toEqual({ type: "any" });
    expect(choice({ type: "tool", name: "a" })).toEqual({ type: "tool", name: "a" });
  });

  test("A-59: a name that is nowhere is refused", () => {
    expect(refused({ type: "tool", name: "b" })).toEqual({
      kind: "invalid-request",
      message: "tool_choice: Tool 'b' not found in provided tools",
    });
    expect(refused({ type: "tool" }).message).toBe("tool_choice.tool.name: Field required");
  });

  test("a choice that can't be kept is let go", () => {
    expect(choice({ type: "any" }, [])).toEqual({ type: "auto" });
    expect(choice({ type: "of_tomorrow" })).toEqual({ type: "auto" });
    expect(choice(5)).toEqual({ type: "auto" });
  });
});
