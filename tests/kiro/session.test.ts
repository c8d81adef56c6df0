import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../src/conversation/conversation.ts";
import type { KiroBody } from "../../src/kiro/body.ts";
import { requestIds } from "../../src/kiro/identity.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { toKiroRequest } from "../../src/kiro/request.ts";
import { messages } from "../../src/wire/anthropic/messages.ts";
import { responses } from "../../src/wire/responses/responses.ts";
import type { Wire } from "../../src/wire/wire.ts";
import { validateKiroBody } from "../support/kiro-validator.ts";

const TURNS = 30;
const SESSION = "3f0c9a52-6f3e-4d0b-9c55-0d9a3e1b7c42";
const prose = "Read the file before you edit it, and run the tests afterwards. ";

function parsed<Event>(wire: Wire<Event>, body: unknown, headers = {}): Conversation {
  // As over HTTP, so that nothing is shared between two turns.
  const request = wire.parse(JSON.parse(JSON.stringify(body)), new Headers(headers));
  if (!request.ok) throw new Error(request.failure.message);
  return request.value.conversation;
}

function bodyOf(conversation: Conversation): KiroBody {
  const ids = requestIds(conversation, "somebody");
  const request = toKiroRequest(conversation, ids, defaultProfile);
  if (!request.ok) throw new Error(request.failure.message);
  expect(validateKiroBody(request.value.body)).toEqual([]);
  return request.value.body;
}

/** What the model reads ahead of the newest message: tools, system prompt and history, as they are serialised. */
function prefixOf({ conversationState: { history = [], currentMessage } }: KiroBody): string {
  const { tools } = currentMessage.userInputMessage.userInputMessageContext ?? {};
  return JSON.stringify(tools) + JSON.stringify(history).slice(0, -1);
}

/** The same with the newest message, as it stands in the history of the next turn. */
function wholeOf(body: KiroBody): string {
  const { userInputMessageContext: context, ...message } =
    body.conversationState.currentMessage.userInputMessage;
  const results = context?.toolResults;
  const sent = {
    ...message,
    ...(results !== undefined && { userInputMessageContext: { toolResults: results } }),
  };
  return `${prefixOf(body)},${JSON.stringify({ userInputMessage: sent })}`;
}

/** The share of `before` with which `after` begins. */
function shared(before: string, after: string): number {
  let at = 0;
  while (at < before.length && before[at] === after[at]) at += 1;
  return at / before.length;
}

/** The least share of a turn that the next turn begins with. */
function stability(bodies: KiroBody[], serialise: (body: KiroBody) => string): number {
  const texts = bodies.map(serialise);
  return Math.min(...texts.slice(1).map((text, turn) => shared(texts[turn] ?? "", text)));
}

function declared(count: number) {
  return Array.from({ length: count }, (_, at) => ({
    name: `mcp__a_server_with_quite_a_long_name_for_its_tools__tool_number_${at}`,
    description: `${prose.repeat(at === 3 ? 200 : 10)}${at}`,
    input_schema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        path: { type: "string", description: "Absolute." },
        // Number-like keys come first in every engine: the order must not depend on the turn.
        nested: { type: "object", properties: { b: { type: "string" }, 2: { type: "number" } } },
      },
      required: ["path"],
      additionalProperties: false,
    },
  }));
}

/** A session of Claude Code: a line that changes with each request, thinking, calls in pairs, reminders, an image. */
function claudeCodeTurn(turn: number): Conversation {
  const history = Array.from({ length: turn }, (_, at) => [
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: `I look at ${at}.`, signature: `c2lnbmF0dXJl${at}==` },
        { type: "text", text: `Step ${at}: ${prose}` },
        ...["a", "b"].map((which) => ({
          type: "tool_use",
          id: `toolu_${at}${which}`,
          name: declared(2)[0]?.name,
          input: { path: `/src/${at}${which}.ts`, nested: { b: "x", 2: at } },
        })),
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: `toolu_${at}a`, content: `${at} ${prose.repeat(20)}` },
        {
          type: "tool_result",
          tool_use_id: `toolu_${at}b`,
          is_error: at % 5 === 0,
          content: [
            { type: "text", text: "Seen." },
            ...(at % 9 === 4
              ? [{ type: "image", source: { type: "base64", data: "iVBORw0KGgo=" } }]
              : []),
          ],
          // Moves along with the newest message.
          ...(at === turn - 1 && { cache_control: { type: "ephemeral" } }),
        },
        { type: "text", text: `<system-reminder>${at} todos</system-reminder>` },
      ],
    },
  ]).flat();
  return parsed(messages, {
    model: "claude-sonnet-4-5-20250929",
    max_tokens: 32_000,
    stream: true,
    thinking: { type: "enabled", budget_tokens: 31_999 },
    metadata: { user_id: JSON.stringify({ device_id: "d", session_id: SESSION }) },
    system: [
      {
        type: "text",
        text: `x-anthropic-billing-header: cc_version=2.1.330; cch=${turn}a${turn};`,
      },
      { type: "text", text: "You are a coding agent.", cache_control: { type: "ephemeral" } },
      { type: "text", text: prose.repeat(300), cache_control: { type: "ephemeral" } },
    ],
    tools: declared(25),
    messages: [{ role: "user", content: "Mend the build." }, ...history],
  });
}

/** A session of Codex: the whole input with every request, sealed reasoning, calls and outputs as items. */
function codexTurn(turn: number): Conversation {
  const history = Array.from({ length: turn }, (_, at) => [
    {
      type: "message",
      role: "assistant",
      content: [{ type: "output_text", text: `Step ${at}: ${prose}` }],
    },
    {
      type: "function_call",
      call_id: `call_${at}`,
      name: declared(1)[0]?.name.slice(-20),
      arguments: JSON.stringify({ command: ["bash", "-lc", `cat ${at}.ts`] }),
    },
    { type: "function_call_output", call_id: `call_${at}`, output: `${at} ${prose.repeat(20)}` },
  ]).flat();
  return parsed(responses, {
    model: "gpt-5.6-sol",
    stream: true,
    store: false,
    instructions: prose.repeat(300),
    prompt_cache_key: SESSION,
    reasoning: { effort: "high" },
    tools: declared(8).map(({ name, description, input_schema: parameters }) => ({
      type: "function",
      name: name.slice(-20),
      description,
      parameters,
    })),
    input: [
      { type: "message", role: "user", content: [{ type: "input_text", text: "Mend the build." }] },
      ...history,
    ],
  });
}

describe.each([
  ["Claude Code", claudeCodeTurn],
  ["Codex", codexTurn],
])("a session of %s with thirty turns", (_, turnOf) => {
  const bodies = Array.from({ length: TURNS }, (__, turn) => bodyOf(turnOf(turn)));

  test("keeps all of what was sent ahead of the newest message, to the byte", () => {
    expect(stability(bodies, prefixOf)).toBe(1);
  });

  test("keeps the newest message too when it becomes history", () => {
    expect(stability(bodies, wholeOf)).toBe(1);
  });

  test("is one conversation, and one prompt of it one continuation", () => {
    const ids = bodies.map(({ conversationState: { conversationId, agentContinuationId } }) => [
      conversationId,
      agentContinuationId,
    ]);
    expect(new Set(ids.map(([id]) => id))).toEqual(new Set([SESSION]));
  });
});

test("the order of the tools and of the keys in their schemas is the client's", () => {
  const body = bodyOf(codexTurn(0));
  const { tools: sent = [] } =
    body.conversationState.currentMessage.userInputMessage.userInputMessageContext ?? {};
  expect(sent.map(({ toolSpecification: { name } }) => name)).toEqual(
    declared(8).map(({ name }) => name.slice(-20)),
  );
});
