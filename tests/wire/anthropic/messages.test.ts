import Anthropic, { APIError, RateLimitError } from "@anthropic-ai/sdk";
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import { messages } from "../../../src/wire/anthropic/messages.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { bodyWith, noHeaders, parsed } from "./requests.ts";

const params = {
  model: "claude-sonnet-4-5",
  max_tokens: 1000,
  messages: [{ role: "user" as const, content: "Hi" }],
};

/** The vendor's own client, talking to one canned answer. */
function clientOf(answer: () => Response): Anthropic {
  return new Anthropic({ apiKey: "key", maxRetries: 0, fetch: async () => answer() });
}

const head = { id: "abc", createdAt: 0, inputTokens: 12 };

function encode(reply: ReplyEvent[], fields: Record<string, unknown> = {}) {
  const encoder = parsed(fields).encoder(head);
  return reply.flatMap((event) => encoder.push(event));
}

async function accumulated(events: ReturnType<typeof encode>): Promise<unknown> {
  const beat = parsed().encoder(head).heartbeat();
  const text =
    beat + events.map((event) => messages.frame(event) + beat).join("") + messages.trailer;
  const client = clientOf(
    () => new Response(text, { headers: { "content-type": "text/event-stream" } }),
  );
  const { parsed_output: _, ...message } = await client.messages.stream(params).finalMessage();
  return JSON.parse(JSON.stringify(message));
}

describe("the vendor's SDK", () => {
  test("A-72: accumulates our stream to our body", async () => {
    const displays = fc.constantFrom(undefined, "omitted", "summarized");
    await fc.assert(
      fc.asyncProperty(completeReplies, displays, async (reply, display) => {
        const thinking = display && { type: "adaptive", display };
        const events = encode(reply, { thinking });
        const body = JSON.parse(JSON.stringify(messages.fold(events)));
        expect(await accumulated(events)).toEqual(body);
      }),
      { numRuns: 300 },
    );
  });

  test("A-13: takes our body as the answer to create()", async () => {
    const reply: ReplyEvent[] = [
      { type: "text", text: "Hello" },
      { type: "tool-call", id: "t1", name: "run", json: "{}" },
      { type: "stop", reason: "tool-use" },
    ];
    const body = messages.fold(encode(reply));
    const message = await clientOf(() => Response.json(body)).messages.create(params);
    expect(message.content).toMatchObject([
      { type: "text", text: "Hello" },
      { type: "tool_use", input: {} },
    ]);
  });

  test("A-30: throws on our error event, wherever it comes", async () => {
    await fc.assert(
      fc.asyncProperty(failedReplies, async (reply) => {
        const thrown = await accumulated(encode(reply)).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(thrown).toBeInstanceOf(APIError);
      }),
      { numRuns: 50 },
    );
  });

  test("A-08, A-31: reads our status, type and request id off an error", async () => {
    const { status, headers, body } = messages.failure(
      { kind: "rate-limited", message: "Slow down." },
      "req_7",
    );
    const call = clientOf(() => Response.json(body, { status, headers })).messages.create(params);
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, type: "rate_limit_error", requestID: "req_7" });
  });
});

describe("the wire", () => {
  test("what it refuses is a failure, not an encoder", () => {
    expect(messages.parse(bodyWith({ model: 5 }), noHeaders)).toMatchObject({
      ok: false,
      failure: { kind: "invalid-request" },
    });
  });

  test("A-28, A-29: a quiet stream is kept open by a ping", () => {
    expect(parsed().encoder(head).heartbeat()).toBe('event: ping\ndata: {"type":"ping"}\n\n');
    expect(messages.trailer).toBe("");
  });

  test("A-19: the hot path frames as the others do", () => {
    const texts = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(texts, fc.nat(), (text, index) => {
        for (const delta of [
          { type: "text_delta", text } as const,
          { type: "thinking_delta", thinking: text } as const,
          { type: "signature_delta", signature: text } as const,
        ]) {
          const event = { type: "content_block_delta", index, delta } as const;
          expect(messages.frame(event)).toBe(
            `event: content_block_delta\ndata: ${JSON.stringify(event)}\n\n`,
          );
        }
      }),
    );
  });
});
