import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ReplyEvent } from "../../../src/conversation/reply.ts";
import { openedReasoning } from "../../../src/wire/openai-reasoning.ts";
import type { OutputItem } from "../../../src/wire/responses/events.ts";
import { fold } from "../../../src/wire/responses/response.ts";
import { responses, type ResponsesEvent } from "../../../src/wire/responses/responses.ts";
import { completeReplies, failedReplies } from "../../support/replies.ts";
import { parsed } from "./requests.ts";

const head = { id: "abc", createdAt: 1_700_000_000_999, inputTokens: 12 };
const shown = { reasoning: { summary: "auto" } };

function encode(events: ReplyEvent[], fields: Record<string, unknown> = {}): ResponsesEvent[] {
  const encoder = parsed(fields).encoder(head);
  return events.flatMap((event) => encoder.push(event));
}

/** The items of a reply that ends well, without its ordinary end. */
function outputOf(events: ReplyEvent[], fields?: Record<string, unknown>): OutputItem[] {
  return fold(encode([...events, stop], fields)).output;
}

function types(events: ResponsesEvent[]): string[] {
  return events.map((event) => event.type.replace("response.", ""));
}

const stop: ReplyEvent = { type: "stop", reason: "end-turn" };
const hello: ReplyEvent = { type: "text", text: "Hello" };
const thought: ReplyEvent = { type: "reasoning", text: "Hm" };
const signed: ReplyEvent = { type: "reasoning-end", signature: "s" };
const redacted: ReplyEvent = { type: "redacted-reasoning", data: "Zm9v" };
const call: ReplyEvent = { type: "tool-call", id: "t1", name: "run", json: '{"a":1}' };
const failure: ReplyEvent = { type: "failed", failure: { kind: "upstream", message: "Cut." } };

const begun = {
  id: "resp_abc",
  object: "response",
  created_at: 1_700_000_000,
  status: "in_progress",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "claude-sonnet-4-5",
  output: [],
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: "auto",
  tools: [],
  top_p: null,
  usage: null,
};
const usage = {
  input_tokens: 12,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 12,
};

describe("the events of a reply", () => {
  test("C-03, C-05, C-07: a short answer, whole", () => {
    const at = { item_id: "msg_abc_0", output_index: 0, content_index: 0 };
    const message = { id: "msg_abc_0", type: "message", role: "assistant" };
    const part = { type: "output_text", text: "Hello!", annotations: [], logprobs: [] };
    const item = { ...message, status: "completed", content: [part] };
    const expected = [
      { type: "response.created", response: begun },
      { type: "response.in_progress", response: begun },
      {
        type: "response.output_item.added",
        output_index: 0,
        item: { ...message, status: "in_progress", content: [] },
      },
      { type: "response.content_part.added", ...at, part: { ...part, text: "" } },
      { type: "response.output_text.delta", ...at, delta: "Hello", logprobs: [] },
      { type: "response.output_text.delta", ...at, delta: "!", logprobs: [] },
      { type: "response.output_text.done", ...at, text: "Hello!", logprobs: [] },
      { type: "response.content_part.done", ...at, part },
      { type: "response.output_item.done", output_index: 0, item },
      {
        type: "response.completed",
        response: { ...begun, status: "completed", output: [item], usage },
      },
    ];
    expect(encode([hello, { type: "text", text: "!" }, stop]) as unknown).toEqual(
      expected.map((event, number) => ({ ...event, sequence_number: number })),
    );
  });

  test("thinking that was asked for is a summary, whole", () => {
    const at = { item_id: "rs_abc_0", output_index: 0, summary_index: 0 };
    const part = { type: "summary_text", text: "HmHm" };
    const events = encode([thought, thought, { type: "reasoning-end" }, stop], shown);
    expect(events.slice(2, -1) as unknown[]).toEqual(
      [
        {
          type: "response.output_item.added",
          output_index: 0,
          item: { id: "rs_abc_0", type: "reasoning", summary: [] },
        },
        { type: "response.reasoning_summary_part.added", ...at, part: { ...part, text: "" } },
        { type: "response.reasoning_summary_text.delta", ...at, delta: "Hm" },
        { type: "response.reasoning_summary_text.delta", ...at, delta: "Hm" },
        { type: "response.reasoning_summary_text.done", ...at, text: "HmHm" },
        { type: "response.reasoning_summary_part.done", ...at, part },
        {
          type: "response.output_item.done",
          output_index: 0,
          item: { id: "rs_abc_0", type: "reasoning", summary: [part] },
        },
      ].map((event, index) => ({ ...event, sequence_number: index + 2 })),
    );
  });

  test("C-08: a call, whole", () => {
    const at = { item_id: "fc_abc_0", output_index: 0 };
    const item = { id: "fc_abc_0", type: "function_call", call_id: "t1", name: "run" };
    const done = { ...item, arguments: '{"a":1}', status: "completed" };
    const events = encode([call, { type: "stop", reason: "tool-use" }]);
    expect(events.slice(2, -1) as unknown[]).toEqual(
      [
        {
          type: "response.output_item.added",
          output_index: 0,
          item: { ...item, arguments: "", status: "in_progress" },
        },
        { type: "response.function_call_arguments.delta", ...at, delta: '{"a":1}' },
        {
          type: "response.function_call_arguments.done",
          ...at,
          name: "run",
          arguments: '{"a":1}',
        },
        { type: "response.output_item.done", output_index: 0, item: done },
      ].map((event, index) => ({ ...event, sequence_number: index + 2 })),
    );
    expect(fold(events)).toMatchObject({ status: "completed", output: [done] });
  });

  test("C-08: a call without arguments has an empty object", () => {
    expect(outputOf([{ ...call, json: "{}" }])).toMatchObject([{ arguments: "{}" }]);
  });

  test("C-11: a call to a custom tool, whole, has the raw text", () => {
    const tools = [{ type: "custom", name: "patch" }];
    const input = '*** "Begin"\n';
    const patch: ReplyEvent = { ...call, name: "patch", json: JSON.stringify({ input }) };
    const at = { item_id: "ctc_abc_0", output_index: 0 };
    const item = { id: "ctc_abc_0", type: "custom_tool_call", call_id: "t1", name: "patch" };
    expect(encode([patch, stop], { tools }).slice(2, -1) as unknown[]).toEqual(
      [
        {
          type: "response.output_item.added",
          output_index: 0,
          item: { ...item, input: "", status: "in_progress" },
        },
        { type: "response.custom_tool_call_input.delta", ...at, delta: input },
        { type: "response.custom_tool_call_input.done", ...at, input },
        {
          type: "response.output_item.done",
          output_index: 0,
          item: { ...item, input, status: "completed" },
        },
      ].map((event, index) => ({ ...event, sequence_number: index + 2 })),
    );
  });

  test.each([
    { json: '{"text":"a"}', input: '{"text":"a"}' },
    { json: '{"input":5}', input: '{"input":5}' },
  ])("C-11: a custom tool gets what the model made of it: $json", ({ json, input }) => {
    const tools = [{ type: "custom", name: "patch" }];
    expect(outputOf([{ ...call, name: "patch", json }], { tools })).toMatchObject([{ input }]);
  });

  test("C-10: a tool of a group is called by its own name and its group's", () => {
    const tools = [
      {
        type: "namespace",
        name: "agents",
        tools: [
          { type: "function", name: "run" },
          { type: "custom", name: "patch" },
        ],
      },
      { type: "function", name: "run" },
    ];
    const patch: ReplyEvent = { ...call, name: "agents__patch", json: '{"input":"x"}' };
    expect(outputOf([{ ...call, name: "agents__run" }, patch, call], { tools })).toMatchObject([
      { type: "function_call", name: "run", namespace: "agents" },
      { type: "custom_tool_call", name: "patch", namespace: "agents", input: "x" },
      { type: "function_call", name: "run" },
    ]);
    const plain = outputOf([call], { tools })[0];
    expect(plain).not.toHaveProperty("namespace");
  });

  test("nothing is held back: each visible event is out with its push", () => {
    const encoder = parsed(shown).encoder(head);
    expect(types(encoder.push(thought))).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
    ]);
    expect(encoder.push(thought)).toHaveLength(1);
    expect(types(encoder.push(signed)).at(-1)).toBe("output_item.done");
    expect(encoder.push(hello)).toHaveLength(3);
    expect(encoder.push(hello)).toHaveLength(1);
    expect(types(encoder.push(call))).toEqual([
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
    ]);
  });

  test.each([
    { reason: "end-turn", status: "completed", details: null },
    { reason: "tool-use", status: "completed", details: null },
    { reason: "stop-sequence", status: "completed", details: null },
    { reason: "max-tokens", status: "incomplete", details: { reason: "max_output_tokens" } },
    { reason: "context-window", status: "incomplete", details: { reason: "max_output_tokens" } },
    { reason: "refusal", status: "incomplete", details: { reason: "content_filter" } },
  ] as const)("C-20: $reason ends the response as $status", ({ reason, status, details }) => {
    const events = encode([hello, { type: "stop", reason }]);
    expect(events.at(-1)).toMatchObject({
      type: `response.${status}`,
      response: {
        status,
        incomplete_details: details,
        output: [{ status, content: [{ text: "Hello" }] }],
      },
    });
  });

  test("C-14: usage has all fields, later words of the service win", () => {
    const events = encode([
      { type: "usage", usage: { inputTokens: 20, outputTokens: 3 }, source: "estimate" },
      hello,
      { type: "usage", usage: { inputTokens: 5, cacheReadTokens: 900 }, source: "upstream" },
      { type: "usage", usage: { inputTokens: 999, outputTokens: 7 }, source: "estimate" },
      { type: "usage", usage: { cacheWriteTokens: 40 }, source: "upstream" },
      { type: "credits", credits: 1 },
      stop,
    ]);
    expect(fold(events).usage).toEqual({
      input_tokens: 945,
      input_tokens_details: { cached_tokens: 900, cache_write_tokens: 40 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 952,
    });
  });

  test("an answer without content is a response without items", () => {
    expect(types(encode([stop]))).toEqual(["created", "in_progress", "completed"]);
    expect(outputOf([])).toEqual([]);
  });

  test("what the client said of tools is said back", () => {
    const choice = { type: "function", name: "run" };
    const fields = {
      tools: [{ type: "function", name: "run" }],
      tool_choice: choice,
      parallel_tool_calls: false,
    };
    expect(fold(encode([stop], fields))).toMatchObject({
      tool_choice: choice,
      parallel_tool_calls: false,
    });
  });

  test("C-03: a model with any name is the one that was asked for", () => {
    expect(fold(encode([stop], { model: "opus-thinking[1m]" })).model).toBe("opus-thinking[1m]");
  });
});

const sealedOf = (item: OutputItem | undefined) =>
  item?.type === "reasoning" ? openedReasoning(item.encrypted_content ?? "") : undefined;

describe("thinking", () => {
  const replies: ReplyEvent[] = [
    thought,
    signed,
    { type: "reasoning", text: "More" },
    { type: "reasoning-end" },
    { type: "reasoning-end", signature: "alone" },
    redacted,
  ];

  test("is one item for each block, with its own signature sealed in", () => {
    const output = outputOf(replies, shown);
    expect(output).toMatchObject([
      { id: "rs_abc_0", summary: [{ type: "summary_text", text: "Hm" }] },
      { id: "rs_abc_1", summary: [{ type: "summary_text", text: "More" }] },
      { id: "rs_abc_2", summary: [] },
      { id: "rs_abc_3", summary: [] },
    ]);
    expect(output.map(sealedOf)).toEqual([
      { type: "reasoning", text: "Hm", signature: "s" },
      undefined,
      { type: "reasoning", text: "", signature: "alone" },
      { type: "redacted-reasoning", data: "Zm9v" },
    ]);
    expect(output[1]).not.toHaveProperty("encrypted_content");
  });

  test.each([
    { reasoning: undefined },
    { reasoning: { effort: "high" } },
    { reasoning: { summary: null } },
    { reasoning: { summary: "none" } },
  ])("has no text that the client did not ask to see: %j", ({ reasoning }) => {
    const events = encode([...replies, hello, stop], { reasoning });
    expect(types(events).filter((type) => type.startsWith("reasoning"))).toEqual([]);
    const { output } = fold(events);
    expect(output.map(sealedOf)).toEqual([
      { type: "reasoning", text: "Hm", signature: "s" },
      { type: "reasoning", text: "", signature: "alone" },
      { type: "redacted-reasoning", data: "Zm9v" },
      undefined,
    ]);
    expect(output).toMatchObject([{ summary: [] }, { summary: [] }, { summary: [] }, {}]);
  });

  test("shows its first sign at once, even if it will not be seen", () => {
    expect(types(parsed().encoder(head).push(thought))).toEqual(["created", "in_progress"]);
  });

  test.each([{ summary: "auto" }, { summary: "detailed" }, { generate_summary: "concise" }])(
    "is shown for %j",
    (reasoning) => {
      expect(outputOf([thought, signed], { reasoning })).toMatchObject([
        { summary: [{ text: "Hm" }] },
      ]);
    },
  );

  test("that was switched off is not told at all", () => {
    const reasoning = { effort: "none", summary: "auto" };
    expect(outputOf([...replies, hello], { reasoning })).toMatchObject([{ type: "message" }]);
    expect(parsed({ reasoning }).encoder(head).push(thought)).toEqual([]);
  });

  test("closes the text before it and the text closes it", () => {
    const output = outputOf([hello, thought, signed, hello, redacted, hello], shown);
    expect(output.map(({ id }) => id)).toEqual([
      "msg_abc_0",
      "rs_abc_1",
      "msg_abc_2",
      "rs_abc_3",
      "msg_abc_4",
    ]);
  });
});

describe("a reply that fails", () => {
  test("C-19: ends with the failure's code and message, and nothing comes after it", () => {
    const encoder = parsed().encoder(head);
    const events = [call, hello, failure, hello, stop].flatMap((event) => encoder.push(event));
    expect(types(events).slice(-2)).toEqual(["output_text.delta", "failed"]);
    expect(events.at(-1)).toMatchObject({
      response: {
        status: "failed",
        error: { code: "server_error", message: "Cut." },
        output: [{ type: "function_call", status: "completed" }],
        usage: null,
      },
    });
    expect(encoder.heartbeat()).toBe("");
  });

  test("C-19: an item that was open is not said to be done", () => {
    expect(types(encode([hello, failure]))).not.toContain("output_item.done");
    expect(types(encode([thought, failure], shown))).not.toContain("output_item.done");
  });

  test.each([
    { kind: "context-overflow", tokens: 9, limit: 8, code: "context_length_exceeded" },
    { kind: "quota", code: "insufficient_quota" },
    { kind: "rate-limited", code: "rate_limit_exceeded" },
    { kind: "overloaded", code: "server_error" },
    { kind: "timeout", code: "server_error" },
    { kind: "permission", code: "permission_error" },
    { kind: "invalid-request", code: "invalid_request_error" },
  ] as const)("C-18: $kind is said as $code", ({ code, ...of }) => {
    const events = encode([{ type: "failed", failure: { message: "No.", ...of } }]);
    expect(types(events)).toEqual(["created", "in_progress", "failed"]);
    expect(events.at(-1)).toMatchObject({ response: { error: { code } } });
  });
});

const read = (text: string): ResponsesEvent[] =>
  text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => JSON.parse(block.slice(block.indexOf("\ndata: ") + 7)));

describe("a quiet stream", () => {
  test("C-17: is kept open by events that count with the others", () => {
    const encoder = parsed().encoder(head);
    const all = [
      ...read(encoder.heartbeat()),
      ...read(encoder.heartbeat()),
      ...encoder.push(hello),
      ...read(encoder.heartbeat()),
      ...encoder.push(stop),
    ];
    expect(types(all)).toEqual([
      "created",
      "in_progress",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "in_progress",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ]);
    expect(all.map((event) => event.sequence_number)).toEqual([...all.keys()]);
    expect(all[6]).toMatchObject({ response: begun });
    expect(encoder.heartbeat()).toBe("");
  });
});

describe("the body", () => {
  test("C-21: it has what clients insist on", () => {
    const body = fold(encode([thought, signed, hello, call, stop], shown));
    expect(body).toMatchObject({
      created_at: 1_700_000_000,
      status: "completed",
      usage: { total_tokens: 12 },
      output: [
        { id: "rs_abc_0" },
        { id: "msg_abc_1", content: [{ annotations: [] }] },
        { id: "fc_abc_2" },
      ],
    });
  });

  test("there is none for what did not end well", () => {
    expect(() => fold(encode([hello, failure]))).toThrow();
    expect(() => fold(encode([hello]))).toThrow();
    expect(() => fold([])).toThrow();
  });
});

describe("for any reply", () => {
  const forms = fc.constantFrom<Record<string, unknown>>({}, shown, {
    reasoning: { effort: "none" },
  });
  const replies = fc.oneof(completeReplies, failedReplies);

  test("C-03: it starts with created and ends with exactly one end", () => {
    fc.assert(
      fc.property(replies, forms, (reply, form) => {
        const said = types(encode(reply, form));
        expect(said.slice(0, 2)).toEqual(["created", "in_progress"]);
        expect(said.indexOf("created", 1)).toBe(-1);
        const ends = said.filter((type) => ["completed", "incomplete", "failed"].includes(type));
        expect(ends).toEqual([said.at(-1) ?? ""]);
      }),
    );
  });

  test("C-04: sequence numbers rise by one, and so do the indices of items", () => {
    fc.assert(
      fc.property(replies, forms, (reply, form) => {
        const events = encode(reply, form);
        expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()]);
        const indices = events.flatMap((event) =>
          event.type === "response.output_item.added" ? [event.output_index] : [],
        );
        expect(indices).toEqual([...indices.keys()]);
      }),
    );
  });

  test("C-05: each item is added and done before the next, and its events name it", () => {
    fc.assert(
      fc.property(completeReplies, forms, (reply, form) => {
        let open: string | undefined;
        for (const event of encode(reply, form)) {
          if (event.type === "response.output_item.added") {
            expect(open).toBeUndefined();
            open = `${event.item.id} ${event.output_index}`;
          } else if (event.type === "response.output_item.done") {
            expect(open).toBe(`${event.item.id} ${event.output_index}`);
            open = undefined;
          } else if ("item_id" in event) {
            expect(open).toBe(`${event.item_id} ${event.output_index}`);
          }
        }
        expect(open).toBeUndefined();
      }),
    );
  });

  test("C-06: the response's items are those that were done", () => {
    fc.assert(
      fc.property(completeReplies, forms, (reply, form) => {
        const events = encode(reply, form);
        const done = events.flatMap((event) =>
          event.type === "response.output_item.done" ? [event.item] : [],
        );
        expect(fold(events).output).toEqual(done);
      }),
    );
  });

  test("the items hold all that the reply said, in order", () => {
    fc.assert(
      fc.property(completeReplies, (reply) => {
        const said = fold(encode(reply, shown)).output.map((item) => {
          switch (item.type) {
            case "message":
              return item.content.map((part) => part.text).join("");
            case "reasoning": {
              const sealed = openedReasoning(item.encrypted_content ?? "");
              if (sealed?.type === "redacted-reasoning") return `[${sealed.data}]`;
              const text = item.summary.map((part) => part.text).join("");
              if (sealed !== undefined) expect(sealed.text).toBe(text);
              return `${text}<${sealed?.signature ?? ""}>`;
            }
            case "function_call":
              return `${item.call_id} ${item.name} ${item.arguments}`;
            case "custom_tool_call":
              return "custom";
            default:
              return item satisfies never;
          }
        });
        const meant = reply.map((event) => {
          if (event.type === "text" || event.type === "reasoning") return event.text;
          if (event.type === "reasoning-end") return `<${event.signature ?? ""}>`;
          if (event.type === "redacted-reasoning") return `[${event.data}]`;
          return event.type === "tool-call" ? `${event.id} ${event.name} ${event.json}` : "";
        });
        expect(said.join("")).toBe(meant.join(""));
      }),
    );
  });

  test("each event is one message of the stream, with its name", () => {
    fc.assert(
      fc.property(replies, forms, (reply, form) => {
        for (const event of encode(reply, form)) {
          expect(responses.frame(event)).toBe(
            `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
          );
        }
      }),
    );
  });
});
