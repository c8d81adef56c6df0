import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import { chat, type ChatEvent } from "../../../src/wire/chat/chat-completions.ts";
import type { ChatChunk } from "../../../src/wire/chat/events.ts";
import { fold } from "../../../src/wire/chat/response.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { parsed } from "./requests.ts";

const head = { id: "abc", createdAt: 1_700_000_000_999, inputTokens: 12 };
const streamed = { stream: true, stream_options: { include_usage: true } };

function encode(events: ReplyEvent[], fields: Record<string, unknown> = streamed): ChatEvent[] {
  const encoder = parsed(fields).encoder(head);
  return events.flatMap((event) => encoder.push(event));
}

function chunks(events: ReplyEvent[], fields: Record<string, unknown> = streamed): ChatChunk[] {
  return encode(events, fields).map((event) => {
    if ("error" in event) throw new Error(event.error.message);
    return event;
  });
}

function deltas(events: ReplyEvent[], fields?: Record<string, unknown>): unknown[] {
  return chunks(events, fields).flatMap(({ choices }) => choices.map(({ delta }) => delta));
}

/** The message of a reply that ends well, without its ordinary end. */
function messageOf(events: ReplyEvent[], fields?: Record<string, unknown>) {
  return fold(encode([...events, stop], fields)).choices[0].message;
}

const stop: ReplyEvent = { type: "stop", reason: "end-turn" };
const hello: ReplyEvent = { type: "text", text: "Hello" };
const thought: ReplyEvent = { type: "reasoning", text: "Hm" };
const thoughtEnd: ReplyEvent = { type: "reasoning-end", signature: "s" };
const call: ReplyEvent = { type: "tool-call", id: "t1", name: "run", json: '{"a":1}' };
const toolUse: ReplyEvent = { type: "stop", reason: "tool-use" };
const failure: ReplyEvent = { type: "failed", failure: { kind: "upstream", message: "Cut." } };
const functions = { functions: [{ name: "run" }] };
const custom = { tools: [{ type: "custom", custom: { name: "run" } }] };

describe("the chunks of a reply", () => {
  test("a short answer, whole", () => {
    const common = {
      id: "chatcmpl-abc",
      object: "chat.completion.chunk",
      created: 1_700_000_000,
      model: "claude-sonnet-4-5",
    } as const;
    const chunk = (delta: object, finish_reason: "stop" | null = null) => ({
      ...common,
      choices: [{ index: 0 as const, delta, finish_reason }],
    });
    expect(chunks([hello, { type: "text", text: "!" }, stop])).toEqual([
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "Hello" }),
      chunk({ content: "!" }),
      chunk({}, "stop"),
      {
        ...common,
        choices: [],
        usage: {
          prompt_tokens: 12,
          completion_tokens: 0,
          total_tokens: 12,
          prompt_tokens_details: { cached_tokens: 0 },
        },
      },
    ]);
  });

  test("nothing is held back: each visible event is out with its push", () => {
    const encoder = parsed().encoder(head);
    expect(encoder.push(thought)).toHaveLength(2);
    expect(encoder.push(hello)).toHaveLength(1);
    expect(encoder.push(call)).toHaveLength(2);
  });

  test("B-05: the first chunk has the role, and every choice its index", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const choices = chunks(reply).flatMap((chunk) => chunk.choices);
        expect(choices[0]?.delta.role).toBe("assistant");
        expect(choices.filter(({ delta }) => "role" in delta)).toHaveLength(1);
        expect(choices.every(({ index }) => index === 0)).toBe(true);
      }),
    );
  });

  test("B-06: id, time and model stay the same, and the model is the one asked for", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const heads = chunks(reply, { ...streamed, model: "opus[1m]" }).map(
          ({ id, object, created, model }) => `${id} ${object} ${created} ${model}`,
        );
        expect([...new Set(heads)]).toEqual([
          "chatcmpl-abc chat.completion.chunk 1700000000 opus[1m]",
        ]);
      }),
    );
  });

  test("B-07: exactly one chunk has a finish reason, and only usage comes after it", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const reasons = chunks(reply).map(({ choices }) => choices[0]?.finish_reason ?? null);
        expect(reasons.filter((reason) => reason !== null)).toHaveLength(1);
        expect(reasons.at(-2)).not.toBeNull();
      }),
    );
  });

  test("B-08: a chunk for usage comes last, without choices, and only when asked for", () => {
    const last = chunks([hello, stop]).at(-1);
    expect(last).toMatchObject({ id: "chatcmpl-abc", choices: [], usage: { prompt_tokens: 12 } });
    for (const stream_options of [undefined, null, {}, { include_usage: false }]) {
      const plain = chunks([hello, stop], { stream: true, stream_options });
      expect(plain.some((chunk) => "usage" in chunk || chunk.choices.length === 0)).toBe(false);
    }
  });

  test("B-09, B-10: a call is named once, and calls count from 0", () => {
    const second: ReplyEvent = { type: "tool-call", id: "t2", name: "look", json: "{}" };
    expect(deltas([call, second, toolUse])).toEqual([
      { role: "assistant", content: "" },
      {
        tool_calls: [
          { index: 0, id: "t1", type: "function", function: { name: "run", arguments: "" } },
        ],
      },
      { tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] },
      {
        tool_calls: [
          { index: 1, id: "t2", type: "function", function: { name: "look", arguments: "" } },
        ],
      },
      { tool_calls: [{ index: 1, function: { arguments: "{}" } }] },
      {},
    ]);
  });

  test("B-11: arguments are valid JSON, also those of a call without any", () => {
    const bare: ReplyEvent = { type: "tool-call", id: "t2", name: "look", json: "{}" };
    expect(messageOf([call, bare]).tool_calls).toEqual([
      { id: "t1", type: "function", function: { name: "run", arguments: '{"a":1}' } },
      { id: "t2", type: "function", function: { name: "look", arguments: "{}" } },
    ]);
  });

  test("B-14: thinking is reasoning_content and never content", () => {
    const events = [
      thought,
      thoughtEnd,
      { type: "redacted-reasoning", data: "Zm9v" } as const,
      hello,
    ];
    expect(deltas([...events, stop])).toEqual([
      { role: "assistant", content: "" },
      { reasoning_content: "Hm" },
      { content: "Hello" },
      {},
    ]);
    expect(messageOf([...events, thought])).toMatchObject({
      content: "Hello",
      reasoning_content: "HmHm",
    });
  });

  test.each([
    { fields: { reasoning_effort: "none" } },
    { fields: { thinking: { type: "disabled" } } },
    { fields: { reasoning: { effort: "high", exclude: true } } },
    { fields: { include_reasoning: false } },
  ])("B-14: none is shown where the client wants none: %j", ({ fields }) => {
    expect(messageOf([thought, thoughtEnd, hello], fields)).toEqual({
      role: "assistant",
      content: "Hello",
      refusal: null,
    });
    expect(JSON.stringify(encode([thought, hello, stop], fields))).not.toContain("reasoning");
  });

  test.each([
    { reason: "end-turn", said: "stop" },
    { reason: "stop-sequence", said: "stop" },
    { reason: "tool-use", said: "tool_calls" },
    { reason: "max-tokens", said: "length" },
    { reason: "context-window", said: "length" },
    { reason: "refusal", said: "content_filter" },
  ] as const)("B-12, B-15: $reason is said as $said", ({ reason, said }) => {
    expect(fold(encode([hello, { type: "stop", reason }])).choices[0].finish_reason).toBe(said);
  });

  test("B-17: a failure is one chunk with an error, and nothing comes after it", () => {
    expect(encode([hello, failure, hello, stop]).slice(2)).toEqual([
      { error: { type: "server_error", message: "Cut.", param: null, code: null } },
    ]);
  });

  test("B-17: a reply that fails has no finish reason, wherever it fails", () => {
    fc.assert(
      fc.property(failedReplies, (reply) => {
        const events = encode(reply);
        const last = events.at(-1);
        expect(last !== undefined && "error" in last).toBe(true);
        expect(JSON.stringify(events)).not.toMatch(/"finish_reason":"/);
        expect(events.filter((event) => "error" in event)).toHaveLength(1);
      }),
    );
  });

  test("a reply that fails before it began is an error alone", () => {
    const usage: ReplyEvent = { type: "usage", usage: { inputTokens: 1 }, source: "upstream" };
    expect(encode([usage, failure])).toHaveLength(1);
  });

  test("B-38: the prompt's count has the cached tokens in it and tells them", () => {
    const events: ReplyEvent[] = [
      { type: "usage", usage: { inputTokens: 20, outputTokens: 3 }, source: "estimate" },
      hello,
      { type: "usage", usage: { inputTokens: 5, cacheReadTokens: 900 }, source: "upstream" },
      { type: "usage", usage: { inputTokens: 999, outputTokens: 7 }, source: "estimate" },
      { type: "usage", usage: { cacheWriteTokens: 40 }, source: "upstream" },
      stop,
    ];
    expect(fold(encode(events)).usage).toEqual({
      prompt_tokens: 945,
      completion_tokens: 7,
      total_tokens: 952,
      prompt_tokens_details: { cached_tokens: 900 },
    });
  });

  test("B-33: legacy functions are answered with function_call", () => {
    const second: ReplyEvent = { type: "tool-call", id: "t2", name: "look", json: "{}" };
    const body = fold(encode([hello, call, second, toolUse], functions));
    expect(body.choices[0]).toMatchObject({
      finish_reason: "function_call",
      message: { content: "Hello", function_call: { name: "run", arguments: '{"a":1}' } },
    });
    expect(body.choices[0].message).not.toHaveProperty("tool_calls");
    expect(fold(encode([hello, stop], functions)).choices[0].finish_reason).toBe("stop");
  });

  test.each([
    { json: '{"input":"*** Begin"}', input: "*** Begin" },
    { json: '{"input":""}', input: "" },
    { json: '{"patch":1}', input: '{"patch":1}' },
  ])("a custom tool is called with its text: $json", ({ json, input }) => {
    expect(messageOf([{ ...call, json }], custom).tool_calls).toEqual([
      { id: "t1", type: "custom", custom: { name: "run", input } },
    ]);
  });
});

describe("the body", () => {
  test("B-03: it has what clients insist on", () => {
    expect(fold(encode([thought, thoughtEnd, hello, call, toolUse], {}))).toEqual({
      id: "chatcmpl-abc",
      object: "chat.completion",
      created: 1_700_000_000,
      model: "claude-sonnet-4-5",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "Hello",
            refusal: null,
            reasoning_content: "Hm",
            tool_calls: [
              { id: "t1", type: "function", function: { name: "run", arguments: '{"a":1}' } },
            ],
          },
          logprobs: null,
          finish_reason: "tool_calls",
        },
      ],
      usage: {
        prompt_tokens: 12,
        completion_tokens: 0,
        total_tokens: 12,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
  });

  test("B-13: there is no tool_calls where nothing is called", () => {
    expect(messageOf([hello])).toEqual({ role: "assistant", content: "Hello", refusal: null });
    expect(messageOf([])).toEqual({ role: "assistant", content: "", refusal: null });
  });

  test("there is none for what did not end well", () => {
    expect(() => fold(encode([hello, failure]))).toThrow();
    expect(() => fold(encode([hello]))).toThrow();
    expect(() => fold([])).toThrow();
  });

  test("folding leaves the events as they are", () => {
    const forms = fc.constantFrom({}, functions, custom);
    fc.assert(
      fc.property(completeReplies, forms, (reply, form) => {
        const events = encode(reply, form);
        const before = structuredClone(events);
        fold(events);
        expect(events).toEqual(before);
      }),
    );
  });

  test("it holds all that the reply said, byte for byte", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const said = (type: "text" | "reasoning") =>
          reply.map((event) => (event.type === type ? event.text : "")).join("");
        const calls = reply.flatMap((event) =>
          event.type === "tool-call" ? [[event.id, event.name, event.json]] : [],
        );
        const { message } = fold(encode(reply)).choices[0];
        expect(message.content).toBe(said("text"));
        expect(message.reasoning_content ?? "").toBe(said("reasoning"));
        expect(
          (message.tool_calls ?? []).map((entry) =>
            entry.type === "function"
              ? [entry.id, entry.function.name, entry.function.arguments]
              : [],
          ),
        ).toEqual(calls);
      }),
    );
  });
});

describe("frames", () => {
  test("B-04: every event is one line of data and a blank one, without a name", () => {
    fc.assert(
      fc.property(fc.oneof(completeReplies, failedReplies), (reply) => {
        for (const event of encode(reply)) {
          const text = chat.frame(event);
          expect(text).toMatch(/^data: [^\r\n]+\n\n$/);
          expect(JSON.parse(text.slice("data: ".length))).toEqual(event);
        }
      }),
    );
  });

  test("B-04: the last data of a good stream is [DONE]", () => {
    expect(chat.trailer).toBe("data: [DONE]\n\n");
  });

  test("B-16: a quiet stream is kept open by a comment", () => {
    expect(parsed().encoder(head).heartbeat()).toBe(": keep-alive\n\n");
  });
});
