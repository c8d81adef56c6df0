import { describe, expect, test } from "bun:test";
import type { Conversation, Turn } from "../../src/conversation/conversation.ts";
import { requestIds } from "../../src/kiro/identity.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function conversation(turns: Turn[], sessionId?: string): Conversation {
  return {
    model: "m",
    system: "You are helpful.",
    turns,
    tools: [],
    toolChoice: { type: "auto" },
    reasoning: { type: "unset" },
    output: { type: "text" },
    limits: { stopSequences: [], parallelToolCalls: true },
    notices: [],
    ...(sessionId === undefined ? {} : { sessionId }),
  };
}

function user(text: string): Turn {
  return { role: "user", parts: [{ type: "text", text }] };
}
const calling: Turn = {
  role: "assistant",
  parts: [{ type: "tool-call", id: "t", name: "ls", input: {} }],
};
const result: Turn = {
  role: "user",
  parts: [{ type: "tool-result", callId: "t", content: [], isError: false }],
};

describe("request ids", () => {
  test("a session that is a UUID is the conversation's id", () => {
    const id = "7D4F3A90-2B8C-4C55-9F4E-3A1C5D6E7F80";
    expect(requestIds(conversation([user("a")], id), "x").conversationId).toBe(id.toLowerCase());
  });

  test("any other session gives a UUID that depends on it and on the caller alone", () => {
    const one = requestIds(conversation([user("a")], "session 1"), "x").conversationId;
    expect(one).toMatch(UUID);
    expect(requestIds(conversation([user("b")], "session 1"), "x").conversationId).toBe(one);
    expect(requestIds(conversation([user("a")], "session 2"), "x").conversationId).not.toBe(one);
    expect(requestIds(conversation([user("a")], "session 1"), "y").conversationId).not.toBe(one);
  });

  test("without a session, what opens the conversation ties its requests together", () => {
    const first = requestIds(conversation([user("a")]), "x");
    const later = requestIds(conversation([user("a"), calling, result, user("b")]), "x");
    expect(later.conversationId).toBe(first.conversationId);
    const other = requestIds(conversation([user("z")]), "x");
    expect(other.conversationId).not.toBe(first.conversationId);
  });

  test("the continuation lasts for a prompt and its tool rounds, and ends with the next prompt", () => {
    const prompt = requestIds(conversation([user("a")]), "x").continuationId;
    const round = requestIds(conversation([user("a"), calling, result]), "x").continuationId;
    const next = requestIds(conversation([user("a"), calling, result, user("b")]), "x");
    expect(prompt).toMatch(UUID);
    expect(round).toBe(prompt);
    expect(next.continuationId).not.toBe(prompt);
  });
});
