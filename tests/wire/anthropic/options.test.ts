import { describe, expect, test } from "bun:test";
import { conversationOf, noticeCodes, parsed } from "./requests.ts";

const codes = (thinking: unknown) => noticeCodes(conversationOf({ thinking }));
const user = (id: unknown) => ({ metadata: { user_id: id } });

describe("thinking", () => {
  test.each([
    { thinking: undefined, reasoning: { type: "unset" } },
    { thinking: null, reasoning: { type: "unset" } },
    { thinking: { type: "disabled" }, reasoning: { type: "off" } },
    { thinking: { type: "between_tools" }, reasoning: { type: "off" } },
    { thinking: { type: "adaptive", display: "updates" }, reasoning: { type: "adaptive" } },
    {
      thinking: { type: "enabled", budget_tokens: 999, display: "summarized" },
      reasoning: { type: "budget", tokens: 999 },
    },
    // Out of range: Claude Code sends budgets that only just fit, others don't look.
    {
      thinking: { type: "enabled", budget_tokens: 31_999 },
      reasoning: { type: "budget", tokens: 999 },
    },
    { thinking: { type: "enabled", budget_tokens: -4 }, reasoning: { type: "budget", tokens: 1 } },
    { thinking: { type: "enabled" }, reasoning: { type: "adaptive" } },
    { thinking: { type: "of_tomorrow" }, reasoning: { type: "unset" } },
    { thinking: "on", reasoning: { type: "unset" } },
  ])("A-61: read %j", ({ thinking, reasoning }) => {
    expect(conversationOf({ thinking })).toMatchObject({ reasoning });
    expect(conversationOf({ thinking }).reasoning).toEqual(conversationOf({ thinking }).reasoning);
  });

  test("A-61: what was not taken as it came is noticed", () => {
    expect(codes({ type: "between_tools" })).toEqual(["ignored-thinking"]);
    expect(codes({ type: "enabled", budget_tokens: 5000 })).toEqual(["thinking-budget-clamped"]);
    expect(codes({ type: "enabled", budget_tokens: 500 })).toEqual([]);
  });

  test.each(["low", "medium", "high", "xhigh", "max"] as const)("effort %s is kept", (effort) => {
    const fields = { output_config: { effort } };
    expect(conversationOf(fields).reasoning).toEqual({ type: "unset", effort });
    expect(conversationOf({ ...fields, thinking: { type: "adaptive" } }).reasoning).toEqual({
      type: "adaptive",
      effort,
    });
  });

  test("an unknown effort is ignored and named", () => {
    const conversation = conversationOf({ output_config: { effort: "heroic" } });
    expect(conversation.reasoning).toEqual({ type: "unset" });
    expect(conversation.notices).toEqual([{ code: "ignored-effort", detail: "heroic" }]);
  });

  test.each([
    { thinking: { type: "disabled", display: "omitted" }, display: "hidden" },
    { thinking: { type: "adaptive", display: "omitted" }, display: "omitted" },
    { thinking: { type: "enabled", budget_tokens: 100, display: "updates" }, display: "shown" },
    { thinking: undefined, display: "shown" },
  ])("what is shown of thinking: %j", ({ thinking, display }) => {
    const encoder = parsed({ thinking }).encoder({ id: "a", createdAt: 0, inputTokens: 1 });
    const out = [
      { type: "reasoning", text: "Hm" } as const,
      { type: "reasoning-end", signature: "s" } as const,
    ].flatMap((event) => encoder.push(event));
    const shown = JSON.stringify(out);
    expect(shown.includes('"signature":"s"')).toBe(display !== "hidden");
    expect(shown.includes("Hm")).toBe(display === "shown");
  });
});

describe("output", () => {
  const schema = { type: "object", properties: { a: { type: "string" } } };

  test("A-63: a JSON schema is taken from its new and from its old place", () => {
    const format = { type: "json_schema", schema };
    expect(conversationOf({ output_config: { format } }).output).toEqual({ type: "json", schema });
    expect(conversationOf({ output_format: format }).output).toEqual({ type: "json", schema });
  });

  test.each([
    { format: { type: "json_schema" }, output: { type: "json" } },
    { format: { type: "json_object" }, output: { type: "json" } },
    { format: { type: "text" }, output: { type: "text" } },
    { format: { type: "xml" }, output: { type: "text" } },
    { format: 3, output: { type: "text" } },
    { format: null, output: { type: "text" } },
  ])("the output format: %j", ({ format, output }) => {
    expect(JSON.stringify(conversationOf({ output_format: format }).output)).toBe(
      JSON.stringify(output),
    );
  });
});

describe("limits", () => {
  test("A-60: parallel calls can be switched off with any tool choice", () => {
    const choices = [{ type: "auto" }, { type: "any" }, { type: "tool", name: "a" }];
    for (const choice of choices) {
      const fields = { tools: [{ name: "a" }], tool_choice: choice };
      expect(conversationOf(fields).limits.parallelToolCalls).toBe(true);
      const alone = { ...fields, tool_choice: { ...choice, disable_parallel_tool_use: true } };
      expect(conversationOf(alone).limits.parallelToolCalls).toBe(false);
    }
  });

  test("an empty stop sequence is left out", () => {
    const conversation = conversationOf({ stop_sequences: ["", "END", "\n"] });
    expect(conversation.limits.stopSequences).toEqual(["END", "\n"]);
    expect(noticeCodes(conversation)).toEqual(["empty-stop-sequence"]);
  });
});

describe("the session", () => {
  const uuid = "5d2b0c1e-0000-4000-8000-000000000000";

  test.each([
    { name: "Claude Code's header", headers: { "x-claude-code-session-id": "s1" }, id: "s1" },
    { name: "opencode's header", headers: { "x-session-id": "s2" }, id: "s2" },
    { name: "its other header", headers: { "x-session-affinity": "s3" }, id: "s3" },
    {
      name: "the session in Claude Code's JSON",
      fields: user(JSON.stringify({ device_id: "d", account_uuid: "", session_id: uuid })),
      id: uuid,
    },
    {
      name: "the session in its older form",
      fields: user(`user_abc_account__session_${uuid}`),
      id: uuid,
    },
    { name: "the user", fields: user("u-17"), id: "u-17" },
    {
      name: "the header before the user",
      headers: { "x-session-id": "s2" },
      fields: user("u-17"),
      id: "s2",
    },
    { name: "nothing", id: undefined },
    { name: "nothing where the user is no text", fields: user({ a: 1 }), id: undefined },
    {
      name: "nothing where all is empty",
      headers: { "x-session-id": " " },
      fields: user(""),
      id: undefined,
    },
  ])("is known by $name", ({ headers, fields, id }) => {
    const conversation = conversationOf(fields ?? {}, new Headers(headers));
    expect(conversation.sessionId).toBe(id);
    expect("sessionId" in conversation).toBe(id !== undefined);
  });
});
