import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import type { MessagesEvent } from "../../../src/wire/anthropic/messages.ts";
import { messages } from "../../../src/wire/anthropic/messages.ts";
import { fold } from "../../../src/wire/anthropic/response.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { conversationOf, parsed } from "./requests.ts";

const head = { id: "abc", createdAt: 0, inputTokens: 12 };

function encode(events: ReplyEvent[], fields: Record<string, unknown> = {}): MessagesEvent[] {
  const encoder = parsed(fields).encoder(head);
  return events.flatMap((event) => encoder.push(event));
}

/** The body of a reply that ends well, without its ordinary end. */
function contentOf(...events: ReplyEvent[]) {
  return fold(encode([...events, stop])).content;
}

const stop: ReplyEvent = { type: "stop", reason: "end-turn" };
const hello: ReplyEvent = { type: "text", text: "Hello" };
const call: ReplyEvent = { type: "tool-call", id: "t1", name: "run", json: '{"a":1}' };
const failure: ReplyEvent = { type: "failed", failure: { kind: "upstream", message: "Cut." } };

describe("the events of a reply", () => {
  test("a short answer, whole", () => {
    expect(encode([hello, { type: "text", text: "!" }, stop])).toEqual([
      {
        type: "message_start",
        message: {
          id: "msg_abc",
          type: "message",
          role: "assistant",
          model: "claude-sonnet-4-5",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: 12,
            output_tokens: 0,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
          },
        },
      },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "!" } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: {
          input_tokens: 12,
          output_tokens: 0,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
        },
      },
      { type: "message_stop" },
    ]);
  });

  test("nothing is held back: each visible event is out with its push", () => {
    const encoder = parsed().encoder(head);
    expect(encoder.push(hello)).toHaveLength(3);
    expect(encoder.push({ type: "text", text: "!" })).toHaveLength(1);
    expect(encoder.push(call).map((event) => event.type)).toEqual([
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
    ]);
  });

  test("A-14: the model is the one that was asked for", () => {
    expect(encode([stop], { model: "opus-thinking[1m]" })[0]).toMatchObject({
      message: { model: "opus-thinking[1m]" },
    });
  });

  test("A-18: an answer without content still has its start", () => {
    expect(encode([stop]).map((event) => event.type)).toEqual([
      "message_start",
      "message_delta",
      "message_stop",
    ]);
  });

  test("A-26: usage ahead of the answer is in its start, later words of the service win", () => {
    const events = encode([
      { type: "usage", usage: { inputTokens: 20, outputTokens: 3 }, source: "estimate" },
      hello,
      { type: "usage", usage: { inputTokens: 5, cacheReadTokens: 900 }, source: "upstream" },
      { type: "usage", usage: { inputTokens: 999, outputTokens: 7 }, source: "estimate" },
      { type: "usage", usage: { cacheWriteTokens: 40 }, source: "upstream" },
      stop,
    ]);
    expect(events[0]).toMatchObject({
      message: { usage: { input_tokens: 20, output_tokens: 0, cache_read_input_tokens: 0 } },
    });
    expect(events.at(-2)).toMatchObject({
      usage: {
        input_tokens: 5,
        output_tokens: 7,
        cache_read_input_tokens: 900,
        cache_creation_input_tokens: 40,
      },
    });
  });

  test("A-27: a thinking block ends with its one signature", () => {
    const thought: ReplyEvent = { type: "reasoning", text: "Hm" };
    const deltas = (end: ReplyEvent) =>
      encode([thought, thought, end, stop]).flatMap((event) =>
        event.type === "content_block_delta" ? [event.delta] : [],
      );
    expect(deltas({ type: "reasoning-end", signature: "s" })).toEqual([
      { type: "thinking_delta", thinking: "Hm" },
      { type: "thinking_delta", thinking: "Hm" },
      { type: "signature_delta", signature: "s" },
    ]);
    expect(deltas({ type: "reasoning-end" }).at(-1)).toEqual({
      type: "signature_delta",
      signature: "",
    });
  });

  test("A-27: adjacent thinking blocks keep their own signatures", () => {
    expect(
      contentOf(
        { type: "reasoning", text: "a" },
        { type: "reasoning-end", signature: "1" },
        { type: "reasoning", text: "b" },
        { type: "reasoning-end", signature: "2" },
        { type: "reasoning-end", signature: "3" },
        { type: "redacted-reasoning", data: "Zm9v" },
      ),
    ).toEqual([
      { type: "thinking", thinking: "a", signature: "1" },
      { type: "thinking", thinking: "b", signature: "2" },
      { type: "thinking", thinking: "", signature: "3" },
      { type: "redacted_thinking", data: "Zm9v" },
    ]);
  });

  test("A-30: a failure is one error event, and nothing comes after it", () => {
    const events = encode([hello, failure, hello, stop]);
    expect(events.slice(3)).toEqual([
      { type: "error", error: { type: "api_error", message: "Cut." } },
    ]);
  });

  test("A-30: a reply that fails before it began is an error alone", () => {
    const usage: ReplyEvent = { type: "usage", usage: { inputTokens: 1 }, source: "upstream" };
    expect(encode([usage, failure]).map((event) => event.type)).toEqual(["error"]);
  });

  test.each([
    { reason: "end-turn", said: "end_turn" },
    { reason: "tool-use", said: "tool_use" },
    { reason: "max-tokens", said: "max_tokens" },
    { reason: "stop-sequence", said: "stop_sequence" },
    { reason: "context-window", said: "model_context_window_exceeded" },
    { reason: "refusal", said: "refusal" },
  ] as const)("A-25: $reason is said as $said", ({ reason, said }) => {
    expect(encode([{ type: "stop", reason }]).at(-2)).toMatchObject({
      delta: { stop_reason: said, stop_sequence: null },
    });
  });

  test("A-35: the stop sequence that was found is named", () => {
    expect(
      fold(encode([hello, { type: "stop", reason: "stop-sequence", sequence: "END" }])),
    ).toMatchObject({
      stop_reason: "stop_sequence",
      stop_sequence: "END",
    });
  });

  test("A-32, A-33: parallel calls are blocks of their own", () => {
    const events = encode([call, { ...call, id: "t2" }, { type: "stop", reason: "tool-use" }]);
    expect(fold(events)).toMatchObject({
      stop_reason: "tool_use",
      content: [
        { type: "tool_use", id: "t1", name: "run", input: { a: 1 } },
        { type: "tool_use", id: "t2", name: "run", input: { a: 1 } },
      ],
    });
  });

  test("A-34: the limit is told as such", () => {
    expect(fold(encode([hello, { type: "stop", reason: "max-tokens" }])).stop_reason).toBe(
      "max_tokens",
    );
  });

  test("A-62: with thinking off none is shown", () => {
    const events: ReplyEvent[] = [
      { type: "reasoning", text: "Hm" },
      { type: "reasoning-end", signature: "s" },
      { type: "redacted-reasoning", data: "Zm9v" },
      hello,
      stop,
    ];
    expect(fold(encode(events, { thinking: { type: "disabled" } })).content).toEqual([
      { type: "text", text: "Hello" },
    ]);
  });

  test("omitted thinking keeps its blocks and signatures without the text", () => {
    const events: ReplyEvent[] = [
      { type: "reasoning", text: "Hm" },
      { type: "reasoning", text: "Hm" },
      { type: "reasoning-end", signature: "s" },
      hello,
      stop,
    ];
    const encoded = encode(events, { thinking: { type: "adaptive", display: "omitted" } });
    expect(fold(encoded).content).toEqual([
      { type: "thinking", thinking: "", signature: "s" },
      { type: "text", text: "Hello" },
    ]);
    expect(JSON.stringify(encoded)).not.toContain("thinking_delta");
  });
});

function usageOf(...events: ReplyEvent[]) {
  return fold(encode([...events, stop])).usage;
}

describe("a search", () => {
  const searched: ReplyEvent = { type: "web-search", id: "s1", query: "bun" };
  const found: ReplyEvent = {
    type: "web-search-results",
    id: "s1",
    outcome: [
      { title: "Bun", url: "https://bun.sh", snippet: "Fast.", publishedAt: 1_735_689_600_000 },
      { title: "Docs", url: "https://bun.sh/docs", snippet: "" },
    ],
  };

  test("is a call of the server's tool and its results, with what the clients insist on", () => {
    expect(contentOf(hello, searched, found, hello)).toEqual([
      { type: "text", text: "Hello" },
      {
        type: "server_tool_use",
        id: "srvtoolu_s1",
        name: "web_search",
        input: { query: "bun" },
      },
      {
        type: "web_search_tool_result",
        tool_use_id: "srvtoolu_s1",
        content: [
          {
            type: "web_search_result",
            title: "Bun",
            url: "https://bun.sh",
            encrypted_content: "kiro-proxy:Fast.",
            page_age: "January 1, 2025",
          },
          {
            type: "web_search_result",
            title: "Docs",
            url: "https://bun.sh/docs",
            encrypted_content: "kiro-proxy:",
            page_age: null,
          },
        ],
      },
      { type: "text", text: "Hello" },
    ]);
  });

  test("is shown with its query as soon as it begins", () => {
    const encoder = parsed().encoder(head);
    encoder.push(hello);
    expect(encoder.push(searched)).toEqual([
      { type: "content_block_stop", index: 0 },
      {
        type: "content_block_start",
        index: 1,
        content_block: {
          type: "server_tool_use",
          id: "srvtoolu_s1",
          name: "web_search",
          input: {},
        },
      },
      {
        type: "content_block_delta",
        index: 1,
        delta: { type: "input_json_delta", partial_json: '{"query":"bun"}' },
      },
      { type: "content_block_stop", index: 1 },
    ]);
  });

  test("that found nothing has no results, which is not an error", () => {
    const [, block] = contentOf(searched, { ...found, outcome: [] });
    expect(block).toMatchObject({ content: [] });
  });

  test.each([
    { outcome: "unavailable", said: "unavailable" },
    { outcome: "max-uses-exceeded", said: "max_uses_exceeded" },
    { outcome: "invalid-input", said: "invalid_tool_input" },
  ] as const)("that failed says $said", ({ outcome, said }) => {
    const [, block] = contentOf(searched, { ...found, outcome });
    expect(block).toMatchObject({
      content: { type: "web_search_tool_result_error", error_code: said },
    });
  });

  test("is counted in the usage if it was answered", () => {
    const failed: ReplyEvent = { ...found, outcome: "unavailable" };
    expect(usageOf(searched, found, searched, failed).server_tool_use).toEqual({
      web_search_requests: 1,
      web_fetch_requests: 0,
    });
    expect(usageOf(searched, failed).server_tool_use?.web_search_requests).toBe(0);
    expect(usageOf(hello)).not.toHaveProperty("server_tool_use");
  });

  test("comes back with the history in a form that the model can read", () => {
    const content = contentOf(searched, found);
    const { turns } = conversationOf({
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content },
      ],
    });
    expect(turns[1]?.parts).toEqual([
      { type: "text", text: "[server_tool_use]\nweb_search\nbun" },
      {
        type: "text",
        text: "[web_search_tool_result]\nBun\nhttps://bun.sh\nJanuary 1, 2025\nFast.\nDocs\nhttps://bun.sh/docs",
      },
    ]);
  });
});

describe("the body", () => {
  test("A-13, A-15, A-16, A-17: it has what clients insist on, and no nulls that break them", () => {
    const body = fold(
      encode([
        { type: "reasoning", text: "Hm" },
        { type: "reasoning-end" },
        hello,
        { type: "tool-call", id: "t1", name: "run", json: "{}" },
        { type: "stop", reason: "tool-use" },
      ]),
    );
    expect(body).toEqual({
      id: "msg_abc",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content: [
        { type: "thinking", thinking: "Hm", signature: "" },
        { type: "text", text: "Hello" },
        { type: "tool_use", id: "t1", name: "run", input: {} },
      ],
      stop_reason: "tool_use",
      stop_sequence: null,
      usage: {
        input_tokens: 12,
        output_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
      },
    });
  });

  test("A-76: there is none for what did not end well", () => {
    expect(() => fold(encode([hello, failure]))).toThrow();
    expect(() => fold([])).toThrow();
    const cut: ReplyEvent = { ...call, json: '{"a":' };
    expect(() => fold(encode([cut, stop]))).toThrow();
  });

  test("folding leaves the events as they are", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const events = encode(reply);
        const before = structuredClone(events);
        fold(events);
        expect(events).toEqual(before);
      }),
    );
  });

  test("it holds all that the reply said, in order", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const said = fold(encode(reply)).content.map((block) => {
          switch (block.type) {
            case "text":
              return block.text;
            case "thinking":
              return `${block.thinking}<${block.signature}>`;
            case "redacted_thinking":
              return `[${block.data}]`;
            case "tool_use":
              return `${block.id} ${block.name} ${JSON.stringify(block.input)}`;
            case "server_tool_use":
              return `${block.id} ${JSON.stringify(block.input)}`;
            case "web_search_tool_result":
              return `${block.tool_use_id} ${Array.isArray(block.content) ? block.content.map(({ url }) => url).join(" ") : "failed"}`;
            default:
              return block satisfies never;
          }
        });
        const meant = reply.map((event) => {
          switch (event.type) {
            case "text":
            case "reasoning":
              return event.text;
            case "reasoning-end":
              return `<${event.signature ?? ""}>`;
            case "redacted-reasoning":
              return `[${event.data}]`;
            case "tool-call":
              return `${event.id} ${event.name} ${JSON.stringify(JSON.parse(event.json))}`;
            case "web-search":
              return `srvtoolu_${event.id} ${JSON.stringify({ query: event.query })}`;
            case "web-search-results":
              return `srvtoolu_${event.id} ${Array.isArray(event.outcome) ? event.outcome.map(({ url }) => url).join(" ") : "failed"}`;
            case "usage":
            case "credits":
            case "stop":
            case "failed":
              return "";
            default:
              return event satisfies never;
          }
        });
        expect(said.join("")).toBe(meant.join(""));
      }),
    );
  });
});

const isCall = ({ type }: { type: string }) => type === "tool_use" || type === "server_tool_use";

/** What the stream as text says, event by event, checked against client-visible rules as they come. */
function read(reply: ReplyEvent[]): string[] {
  const text = encode(reply)
    .map((event) => messages.frame(event))
    .join("");
  const names: string[] = [];
  let blocks = 0;
  let open: { index: number; type: string; json: string; last: string } | undefined;
  for (const chunk of text.split("\n\n").slice(0, -1)) {
    const [event, data, ...rest] = chunk.split("\n");
    expect(rest).toEqual([]);
    const payload = JSON.parse(data?.replace(/^data: /, "") ?? "");
    expect(event).toBe(`event: ${payload.type}`);
    names.push(payload.type);
    switch (payload.type) {
      case "content_block_start":
        expect(open).toBeUndefined();
        expect(payload.index).toBe(blocks);
        blocks += 1;
        open = { index: payload.index, type: payload.content_block.type, json: "", last: "" };
        if (open.type === "text") expect(payload.content_block.text).toBe("");
        if (isCall(open)) expect(payload.content_block.input).toEqual({});
        break;
      case "content_block_delta":
        expect(payload.index).toBe(open?.index);
        // Nothing follows a signature.
        expect(open?.last).not.toBe("signature_delta");
        if (open) open.last = payload.delta.type;
        if (open && payload.delta.type === "input_json_delta")
          open.json += payload.delta.partial_json;
        break;
      case "content_block_stop":
        expect(payload.index).toBe(open?.index);
        if (open?.type === "thinking") expect(open.last).toBe("signature_delta");
        if (open && isCall(open)) expect(JSON.parse(open.json)).toBeObject();
        open = undefined;
        break;
      case "message_delta":
        expect(open).toBeUndefined();
        expect(payload.delta.stop_reason).toBeString();
        expect(payload.usage.output_tokens).toBeNumber();
        break;
      case "message_start":
        expect(payload.message).toMatchObject({ content: [], stop_reason: null });
        expect(payload.message.usage.output_tokens).toBe(0);
        expect(payload.message.usage.input_tokens).toBeNumber();
        break;
    }
  }
  return names;
}

const once = (names: string[], name: string) => names.filter((other) => other === name).length;

describe("the grammar of a stream", () => {
  test("A-18 to A-25, A-27, A-29: a whole reply keeps it", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const names = read(reply);
        expect(names[0]).toBe("message_start");
        expect(names.slice(-2)).toEqual(["message_delta", "message_stop"]);
        for (const name of ["message_start", "message_delta", "message_stop"]) {
          expect(once(names, name)).toBe(1);
        }
        expect(once(names, "error")).toBe(0);
      }),
    );
  });

  test("A-29, A-30: a failed reply keeps it up to its error", () => {
    fc.assert(
      fc.property(failedReplies, (reply) => {
        const names = read(reply);
        expect(names.at(-1)).toBe("error");
        expect(once(names, "error")).toBe(1);
        expect(once(names, "message_delta") + once(names, "message_stop")).toBe(0);
        if (names.length > 1) expect(names[0]).toBe("message_start");
      }),
    );
  });

  test("A-24: characters cut in two by the service come together again", () => {
    const halves: ReplyEvent[] = [
      { type: "text", text: "\ud83d" },
      { type: "text", text: '\ude00\n"\\' },
    ];
    const frames = encode([...halves, stop]).map((event) => messages.frame(event));
    const texts = frames.flatMap((frame) => {
      // As bytes and back: half a character must not be lost on the socket.
      const bytes = new TextDecoder().decode(new TextEncoder().encode(frame));
      const payload = JSON.parse(bytes.split("data: ")[1] ?? "");
      return payload.delta?.type === "text_delta" ? [payload.delta.text] : [];
    });
    expect(texts.join("")).toBe('😀\n"\\');
  });
});
