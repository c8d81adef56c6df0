import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import OpenAI, { type APIError, BadRequestError, RateLimitError } from "openai";
import type { Failure } from "../../../src/conversation/failure.ts";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import { responses } from "../../../src/wire/responses/responses.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { bodyWith, conversationOf, noHeaders, parsed } from "./requests.ts";

const params = { model: "claude-sonnet-4-5", input: "Hi" };
const head = { id: "abc", createdAt: 0, inputTokens: 12 };

/** The vendor's own client, talking to one canned answer. */
function clientOf(answer: () => Response): OpenAI {
  return new OpenAI({ apiKey: "key", maxRetries: 0, fetch: async () => answer() });
}

/** The stream with heartbeats wherever `beats` has one, and the body. */
function answered(reply: ReplyEvent[], fields: Record<string, unknown> = {}, beats: number[] = []) {
  const encoder = parsed(fields).encoder(head);
  let text = "";
  const events = reply.flatMap((event, index) => {
    if (beats.includes(index)) text += encoder.heartbeat();
    const pushed = encoder.push(event);
    for (const said of pushed) text += responses.frame(said);
    return pushed;
  });
  return { text: text + responses.trailer, events };
}

/** What the client makes of a stream. */
async function accumulated(text: string): Promise<unknown> {
  const client = clientOf(
    () => new Response(text, { headers: { "content-type": "text/event-stream" } }),
  );
  return await client.responses.stream(params).finalResponse();
}

/** Without what the client adds itself. */
function comparable(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (key, value: unknown) =>
    ["output_text", "output_parsed", "parsed", "parsed_arguments"].includes(key)
      ? undefined
      : value,
  );
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** What the client throws when this failure is the answer. */
function thrownAfter(failure: Failure): Promise<unknown> {
  const { status, headers, body } = responses.failure(failure, "req_7");
  const client = clientOf(() => Response.json(body, { status, headers }));
  return thrownBy(client.responses.create(params));
}

const patchTools = [
  {
    type: "namespace",
    name: "ns",
    tools: [
      { type: "custom", name: "patch" },
      { type: "function", name: "run" },
    ],
  },
];

describe("the vendor's SDK", () => {
  const forms = fc.constantFrom<Record<string, unknown>>(
    {},
    { reasoning: { summary: "auto" } },
    { reasoning: { effort: "none" } },
    { tool_choice: "none", parallel_tool_calls: false },
  );
  const beats = fc.array(fc.nat({ max: 20 }), { maxLength: 4 });

  test("C-24: accumulates our stream to our body", async () => {
    await fc.assert(
      fc.asyncProperty(completeReplies, forms, beats, async (reply, form, at) => {
        const { text, events } = answered(reply, form, at);
        const body = responses.fold(events);
        expect(comparable(await accumulated(text))).toEqual(comparable(body));
      }),
      { numRuns: 300 },
    );
  });

  test("C-24: accumulates the calls of custom tools and of groups to ours", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (input) => {
        const reply: ReplyEvent[] = [
          { type: "tool-call", id: "t1", name: "ns__patch", json: JSON.stringify({ input }) },
          { type: "tool-call", id: "t2", name: "ns__run", json: "{}" },
          { type: "stop", reason: "tool-use" },
        ];
        const { text, events } = answered(reply, { tools: patchTools });
        const body = comparable(await accumulated(text));
        expect(body).toEqual(comparable(responses.fold(events)));
        expect(body).toMatchObject({
          output: [
            { type: "custom_tool_call", name: "patch", namespace: "ns", input },
            { type: "function_call", name: "run", namespace: "ns", arguments: "{}" },
          ],
        });
      }),
      { numRuns: 50 },
    );
  });

  test("C-21: takes our body as the answer to create()", async () => {
    const reply: ReplyEvent[] = [
      { type: "text", text: "Hello" },
      { type: "tool-call", id: "t1", name: "run", json: "{}" },
      { type: "stop", reason: "tool-use" },
    ];
    const body = responses.fold(answered(reply).events);
    const response = await clientOf(() => Response.json(body)).responses.create(params);
    expect(response.output_text).toBe("Hello");
    expect(response.output).toMatchObject([{}, { call_id: "t1", arguments: "{}" }]);
  });

  test("C-19: sees our failed response, wherever it comes", async () => {
    await fc.assert(
      fc.asyncProperty(failedReplies, forms, beats, async (reply, form, at) => {
        const { text, events } = answered(reply, form, at);
        const last = events.at(-1);
        const response = last?.type === "response.failed" ? last.response : undefined;
        expect(response?.error?.message).not.toBe("");
        expect(comparable(await accumulated(text))).toEqual(comparable(response));
      }),
      { numRuns: 50 },
    );
  });

  test("C-16, C-18: reads our status, type, code, param and request id off an error", async () => {
    const limited = await thrownAfter({ kind: "rate-limited", message: "Slow down." });
    expect(limited).toBeInstanceOf(RateLimitError);
    expect(limited).toMatchObject({ status: 429, code: "rate_limit_exceeded", requestID: "req_7" });
    const overflow: Failure = { kind: "context-overflow", message: "", tokens: 9, limit: 8 };
    const tooLong = await thrownAfter(overflow);
    expect(tooLong).toBeInstanceOf(BadRequestError);
    expect(tooLong).toMatchObject({
      type: "invalid_request_error",
      code: "context_length_exceeded",
      param: "input",
    });
    expect((tooLong as APIError).message).toContain("maximum context length is 8 tokens");
    expect(await thrownAfter({ kind: "quota", message: "Gone." })).toMatchObject({
      status: 429,
      type: "insufficient_quota",
      code: "insufficient_quota",
    });
  });

  test("brings back as history what a reply has said, signatures and groups included", () => {
    const reply: ReplyEvent[] = [
      { type: "reasoning", text: "Hm" },
      { type: "reasoning-end", signature: "s" },
      { type: "redacted-reasoning", data: "Zm9v" },
      { type: "text", text: "Hello" },
      { type: "tool-call", id: "t1", name: "ns__patch", json: '{"input":"x"}' },
      { type: "tool-call", id: "t2", name: "ns__run", json: '{"a":1}' },
      { type: "stop", reason: "tool-use" },
    ];
    for (const reasoning of [undefined, { summary: "auto" }]) {
      const tools = patchTools;
      const { events } = answered(reply, { tools, reasoning });
      const { output } = responses.fold(events) as { output: object[] };
      const conversation = conversationOf({
        tools,
        input: [{ role: "user", content: "" }, ...output],
      });
      expect(conversation.turns.slice(1).flatMap((turn): unknown[] => turn.parts)).toEqual([
        { type: "reasoning", text: "Hm", signature: "s" },
        { type: "redacted-reasoning", data: "Zm9v" },
        { type: "text", text: "Hello" },
        { type: "tool-call", id: "t1", name: "ns__patch", input: { input: "x" } },
        { type: "tool-call", id: "t2", name: "ns__run", input: { a: 1 } },
      ]);
    }
  });
});

describe("the wire", () => {
  test("what it refuses is a failure, not an encoder", () => {
    expect(responses.parse(bodyWith({ model: 5 }), noHeaders)).toMatchObject({
      ok: false,
      failure: { kind: "invalid-request" },
    });
  });

  test("nothing follows the last event", () => {
    expect(responses.trailer).toBe("");
  });
});
