import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../../src/conversation/conversation.ts";
import { conversationOf, noticeCodes, refusalOf } from "./requests.ts";

const billing = "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli;";

function withMessages(...messages: unknown[]): Conversation {
  return conversationOf({ messages });
}

const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });
const system = (content: unknown, more = {}) => ({ role: "system", content, ...more });

/** Who says what, for reading in a test. */
function script(conversation: Conversation): string[] {
  return conversation.turns.map(
    ({ role, parts }) =>
      `${role}: ${parts.map((part) => (part.type === "text" ? part.text : part.type)).join(" | ")}`,
  );
}

const note = (text: string) => `<system-reminder>\n${text}\n</system-reminder>`;

describe("the system prompt", () => {
  test("A-43: a string and blocks give the same prompt", () => {
    const blocks = [
      { type: "text", text: "One." },
      { type: "text", text: "Two." },
    ];
    expect(conversationOf({ system: "One.\n\nTwo." }).system).toBe("One.\n\nTwo.");
    expect(conversationOf({ system: blocks }).system).toBe("One.\n\nTwo.");
  });

  test("A-43: the billing header never becomes part of the prompt, and is not forgotten", () => {
    const blocks = [
      { type: "text", text: billing },
      { type: "text", text: "One.", cache_control: { type: "ephemeral", ttl: "1h" } },
    ];
    for (const prompt of [blocks, `${billing}\n\nOne.`, ["One.", billing]]) {
      const conversation = conversationOf({ system: prompt });
      expect(conversation.system).toBe("One.");
      expect(conversation.attribution).toBe(billing);
    }
    expect(conversationOf({ system: billing }).system).toBe("");
    const whole = [{ type: "text", text: `${billing}\nmore of it` }];
    expect(conversationOf({ system: whole }).system).toBe("");
  });

  test("a prompt that only speaks of the header is left alone", () => {
    const prompt = `The header is ${billing}`;
    expect(conversationOf({ system: prompt }).system).toBe(prompt);
  });

  test("empty and foreign blocks are left out", () => {
    const prompt = [{ type: "text", text: "" }, null, 4, { type: "image" }, "One."];
    expect(conversationOf({ system: prompt }).system).toBe("One.");
  });
});

describe("system messages among the others", () => {
  test("leading ones join the system prompt", () => {
    const conversation = conversationOf({
      system: "One.",
      messages: [system("Two."), system([{ type: "text", text: "Three." }]), user("Hi")],
    });
    expect(conversation.system).toBe("One.\n\nTwo.\n\nThree.");
    expect(script(conversation)).toEqual(["user: Hi"]);
  });

  test("A-44: a trailing one is a note in the user's turn, whose text stays", () => {
    const conversation = withMessages(user("Hi"), system("The date is odd."));
    expect(script(conversation)).toEqual([`user: Hi | ${note("The date is odd.")}`]);
    expect(noticeCodes(conversation)).toEqual(["system-message-moved"]);
  });

  test("one between the turns stays in its place", () => {
    expect(script(withMessages(user("a"), system("n"), assistant("b"), user("c")))).toEqual([
      `user: a | ${note("n")}`,
      "assistant: b",
      "user: c",
    ]);
    expect(script(withMessages(user("a"), assistant("b"), system("n"), user("c")))).toEqual([
      "user: a",
      "assistant: b",
      `user: ${note("n")} | c`,
    ]);
  });

  test("one after a prefill does not come between it and the reply", () => {
    expect(script(withMessages(user("a"), assistant("b"), system("n")))).toEqual([
      `user: a | ${note("n")}`,
      "assistant: b",
    ]);
    const conversation = withMessages(assistant("b"), system("n"));
    expect(conversation.system).toBe("n");
    expect(script(conversation)).toEqual(["assistant: b"]);
  });

  test("A-45: one with only an effort changes the effort", () => {
    const message = { role: "system", output_config: { effort: "low" } };
    const conversation = conversationOf({
      output_config: { effort: "max" },
      messages: [user("Hi"), message, system("n")],
    });
    expect(conversation.reasoning).toEqual({ type: "unset", effort: "low" });
    expect(script(conversation)).toEqual([`user: Hi | ${note("n")}`]);
    expect(withMessages(user("Hi"), message).notices).toEqual([]);
  });

  test("one that was to last until the next user message is gone after it", () => {
    const message = system("n", { clear_at: "next_user_message" });
    expect(script(withMessages(user("a"), message, assistant("b"), user("c")))).toEqual([
      "user: a",
      "assistant: b",
      "user: c",
    ]);
    expect(script(withMessages(user("a"), message))).toEqual([`user: a | ${note("n")}`]);
  });

  test("system messages alone are a prompt without a question", () => {
    const conversation = withMessages(system("One."));
    expect(conversation.system).toBe("One.");
    expect(conversation.turns).toEqual([{ role: "user", parts: [] }]);
  });

  test("a very long one is no trouble", () => {
    const many = Array.from({ length: 1_000_000 }, () => "n");
    expect(withMessages(system(many), user("a"), system(many)).turns[0]?.parts.length).toBe(
      1_000_001,
    );
  });

  test("a developer is a system by another name", () => {
    const developer = { role: "developer", content: "One." };
    expect(withMessages(developer, user("Hi")).system).toBe("One.");
    expect(script(withMessages(user("Hi"), developer))).toEqual([`user: Hi | ${note("One.")}`]);
  });
});

describe("the turns", () => {
  test("A-46: consecutive messages of one role all stay", () => {
    expect(script(withMessages(user("a"), user("b"), assistant("c"), assistant("d")))).toEqual([
      "user: a",
      "user: b",
      "assistant: c",
      "assistant: d",
    ]);
  });

  test.each([
    { name: "an empty string", content: "" },
    { name: "an empty list", content: [] },
    { name: "an empty text block", content: [{ type: "text", text: "" }] },
    { name: "null", content: null },
    { name: "nothing", content: undefined },
  ])("A-47: $name as content is a turn without parts", ({ content }) => {
    const conversation = withMessages(user("a"), assistant(content), user(content), user("b"));
    expect(conversation.turns.map((turn) => turn.parts.length)).toEqual([1, 0, 0, 1]);
    expect(conversation.notices).not.toEqual([]);
  });

  test("content may be one bare block, or hold bare strings", () => {
    expect(script(withMessages(user({ type: "text", text: "a" }), user(["b", "c"])))).toEqual([
      "user: a",
      "user: b | c",
    ]);
  });

  test("a tool message is the result of its call", () => {
    const conversation = withMessages(
      user("a"),
      { role: "tool", tool_call_id: "t1", content: "42" },
      { role: "tool", content: "no call" },
    );
    expect(conversation.turns[1]).toEqual({
      role: "user",
      parts: [
        {
          type: "tool-result",
          callId: "t1",
          content: [{ type: "text", text: "42" }],
          isError: false,
        },
      ],
    });
    expect(script(conversation)[2]).toBe("user: no call");
    expect(conversation.notices).toEqual([{ code: "role-changed", detail: "tool" }]);
  });

  test.each([
    { message: { content: "a" }, problem: "Field required" },
    { message: { role: "robot", content: "a" }, problem: "Input should be 'user' or 'assistant'" },
    { message: { role: null, content: "a" }, problem: "Input should be 'user' or 'assistant'" },
  ])("a role that is refused: %j", ({ message, problem }) => {
    expect(refusalOf({ messages: [user("a"), message] }).message).toBe(
      `messages.1.role: ${problem}`,
    );
  });
});
