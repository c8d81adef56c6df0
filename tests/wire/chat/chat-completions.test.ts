import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import OpenAI, { APIError, AuthenticationError, RateLimitError } from "openai";
import type { Failure } from "../../../src/conversation/failure.ts";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import { chat, type ChatEvent } from "../../../src/wire/chat/chat-completions.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { bodyWith, noHeaders, parsed } from "./requests.ts";

const params = {
  model: "claude-sonnet-4-5",
  messages: [{ role: "user" as const, content: "Hi" }],
};

/** The vendor's own client, talking to one canned answer. */
function clientOf(answer: () => Response): OpenAI {
  return new OpenAI({ apiKey: "key", maxRetries: 0, fetch: async () => answer() });
}

const head = { id: "abc", createdAt: 0, inputTokens: 12 };

function encode(reply: ReplyEvent[], fields: Record<string, unknown> = {}): ChatEvent[] {
  const encoder = parsed(fields).encoder(head);
  return reply.flatMap((event) => encoder.push(event));
}

/** What the client makes of a stream of these events. */
async function accumulated(events: ChatEvent[]): Promise<unknown> {
  const failed = events.some((event) => "error" in event);
  const beat = parsed().encoder(head).heartbeat();
  const text =
    beat + events.map((event) => chat.frame(event) + beat).join("") + (failed ? "" : chat.trailer);
  const client = clientOf(
    () => new Response(text, { headers: { "content-type": "text/event-stream" } }),
  );
  return await client.chat.completions.stream(params).finalChatCompletion();
}

/**
 * Without what the client adds itself, and without thinking: of a field that is not in its types it keeps the last piece
 * alone.
 */
function comparable(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (key, value: unknown) =>
    key === "reasoning_content" || key === "parsed" ? undefined : value,
  );
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** What the client throws when this failure is the answer. */
function thrownAfter(failure: Failure): Promise<unknown> {
  const { status, headers, body } = chat.failure(failure, "req_7");
  const client = clientOf(() => Response.json(body, { status, headers }));
  return thrownBy(client.chat.completions.create(params));
}

describe("the vendor's SDK", () => {
  test("B-39: accumulates our stream to our body", async () => {
    const forms = fc.constantFrom<Record<string, unknown>>(
      {},
      { stream: true },
      { stream: true, stream_options: { include_usage: true } },
      { reasoning_effort: "none" },
      { functions: [{ name: "run" }] },
    );
    await fc.assert(
      fc.asyncProperty(completeReplies, forms, async (reply, form) => {
        const events = encode(reply, form);
        const body = chat.fold(events);
        expect(comparable(await accumulated(events))).toEqual(comparable(body));
      }),
      { numRuns: 300 },
    );
  });

  test("B-39: accumulates the calls of custom tools to ours", async () => {
    const name = "patch";
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (input) => {
        const reply: ReplyEvent[] = [
          { type: "tool-call", id: "t1", name, json: JSON.stringify({ input }) },
          { type: "tool-call", id: "t2", name: "run", json: "{}" },
          { type: "stop", reason: "tool-use" },
        ];
        const events = encode(reply, { tools: [{ type: "custom", custom: { name } }] });
        const body = comparable(await accumulated(events));
        expect(body).toEqual(comparable(chat.fold(events)));
        expect(body).toMatchObject({
          choices: [{ message: { tool_calls: [{ custom: { name, input } }, { id: "t2" }] } }],
        });
      }),
      { numRuns: 50 },
    );
  });

  test("B-03: takes our body as the answer to create()", async () => {
    const reply: ReplyEvent[] = [
      { type: "text", text: "Hello" },
      { type: "tool-call", id: "t1", name: "run", json: "{}" },
      { type: "stop", reason: "tool-use" },
    ];
    const body = chat.fold(encode(reply));
    const completion = await clientOf(() => Response.json(body)).chat.completions.create(params);
    expect(completion.choices[0]).toMatchObject({
      message: { content: "Hello", tool_calls: [{ function: { name: "run", arguments: "{}" } }] },
      finish_reason: "tool_calls",
    });
  });

  test("B-17: throws on our error chunk, wherever it comes", async () => {
    await fc.assert(
      fc.asyncProperty(failedReplies, async (reply) => {
        const last = reply.at(-1);
        const error = await thrownBy(accumulated(encode(reply)));
        expect(error).toBeInstanceOf(APIError);
        const message = last?.type === "failed" ? last.failure.message : "";
        expect((error as APIError).message).toContain(message);
      }),
      { numRuns: 50 },
    );
  });

  test("B-02: reads our status, type, code, param and request id off an error", async () => {
    const limited = await thrownAfter({ kind: "rate-limited", message: "Slow down." });
    expect(limited).toBeInstanceOf(RateLimitError);
    expect(limited).toMatchObject({
      status: 429,
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
      param: null,
      requestID: "req_7",
    });
    expect(await thrownAfter({ kind: "authentication", message: "Who?" })).toBeInstanceOf(
      AuthenticationError,
    );
    expect(await thrownAfter({ kind: "invalid-request", message: "stop: Odd." })).toMatchObject({
      param: "stop",
    });
  });
});

describe("the wire", () => {
  test("what it refuses is a failure, not an encoder", () => {
    expect(chat.parse(bodyWith({ model: 5 }), noHeaders)).toMatchObject({
      ok: false,
      failure: { kind: "invalid-request" },
    });
  });
});
