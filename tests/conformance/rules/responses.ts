import { stream, trailer, words } from "../../emulator/answers.ts";
import { says, scenarios } from "../../emulator/scenarios.ts";
import { at, check, ensure, list, members, number, positive, text } from "../check.ts";
import { type Answer, type Client, hasStatus, ofType, typeOf } from "../client.ts";
import { rule, type Rule, scripted } from "../rule.ts";
import { RESPONSES_TOOL, TOOL } from "./samples.ts";

const STREAM = { stream: true };
const TOOLS = { tools: [RESPONSES_TOOL] };
const ENDS = ["response.completed", "response.incomplete", "response.failed"];

async function succeeds(client: Client, ...bodies: object[]): Promise<void> {
  for (const body of bodies) hasStatus(await client.responses(body), 200);
}

function output(answer: Answer): unknown[] {
  return members(at(hasStatus(answer, 200).json, "output"));
}

function typed(type: string) {
  return (item: unknown): boolean => at(item, "type") === type;
}

function said(role: string, content: unknown): object {
  return { type: "message", role, content };
}

function call(id: string): object {
  return { type: "function_call", call_id: id, name: TOOL.name, arguments: "{}" };
}

function told(id: string, outcome: string): object {
  return { type: "function_call_output", call_id: id, output: outcome };
}

export const responsesRules: Rule[] = [
  rule("C-01", "input may be a text, items, or messages without a type", async (client) => {
    const content = [{ type: "input_text", text: client.prompt }];
    await succeeds(
      client,
      { input: client.prompt },
      { input: [said("user", content)] },
      { input: [{ role: "user", content }] },
    );
  }),
  scripted("C-02", "developer and system items are system text", async (client, upstream) => {
    await succeeds(client, {
      input: [
        said("developer", "Speak plainly."),
        said("system", "Be brief."),
        said("user", client.prompt),
      ],
    });
    const [request] = upstream.requests();
    const history = JSON.stringify(at(request?.body, "conversationState.history"));
    for (const part of ["Speak plainly.", "Be brief."])
      ensure(history.includes(part), `"${part}" is lost`);
    check(request?.prompt, client.prompt, "the question");
  }),
  rule("C-03", "a stream begins with response.created and has one end", async (client) => {
    const { events } = await client.responses(STREAM);
    const types = events.map(typeOf);
    check(types[0], "response.created", "the first event");
    check(
      types.filter((type) => ENDS.includes(type)),
      ["response.completed"],
    );
    check(types.at(-1), "response.completed", "the last event");
  }),
  scripted(
    "C-04",
    "sequence_number rises by one, output_index by item",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const answer = await client.responses({ ...TOOLS, ...STREAM });
      answer.events.forEach(({ data }, index) => check(data, { sequence_number: index }));
      ofType(answer, "response.output_item.added").forEach((data, index) =>
        check(data, { output_index: index }),
      );
    },
  ),
  scripted(
    "C-05",
    "items are added and done, and so are a message's parts",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const answer = await client.responses({ ...TOOLS, ...STREAM });
      const added = ofType(answer, "response.output_item.added").length;
      check(added, 2, "items");
      check(ofType(answer, "response.output_item.done").length, added, "items done");
      for (const type of ["response.content_part.added", "response.content_part.done"])
        check(ofType(answer, type).length, 1, type);
    },
  ),
  scripted("C-06", "the end repeats the items of output_item.done", async (client, upstream) => {
    upstream.answers(scenarios["tool call"]);
    const answer = await client.responses({ ...TOOLS, ...STREAM });
    const done = ofType(answer, "response.output_item.done").map((data) => at(data, "item"));
    const [end] = ofType(answer, "response.completed");
    check(JSON.stringify(at(end, "response.output")), JSON.stringify(done), "output");
  }),
  rule("C-07", "output_text parts have annotations: []", async (client) => {
    const [item] = output(await client.responses()).filter(typed("message"));
    check(item, { content: [{ type: "output_text", text, annotations: [] }] });
  }),
  scripted(
    "C-08",
    "calls have id, call_id, name and arguments as a text; without any they are {}",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"], scenarios["tool call without input"]);
      const [first] = output(await client.responses(TOOLS)).filter(typed("function_call"));
      check(first, { id: text, call_id: text, name: TOOL.name, arguments: /notes\.txt/ });
      const [second] = output(await client.responses(TOOLS)).filter(typed("function_call"));
      check(second, { arguments: "{}" });
    },
  ),
  scripted(
    "C-09",
    "calls and their outputs are paired by call_id, also several before several",
    async (client, upstream) => {
      await succeeds(client, {
        ...TOOLS,
        input: [
          said("user", client.prompt),
          call("call_1"),
          call("call_2"),
          told("call_2", "two"),
          told("call_1", "one"),
        ],
      });
      const results = upstream.requests()[0]?.toolResults ?? [];
      const byId = new Map(results.map((one) => [one.toolUseId, one.text]));
      check([byId.get("call_1") ?? null, byId.get("call_2") ?? null], ["one", "two"]);
    },
  ),
  scripted(
    "C-10",
    "tools of a namespace come back with their name and its",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const { type, ...inner } = RESPONSES_TOOL;
      const [item] = output(
        await client.responses({
          tools: [{ type: "namespace", name: "files", tools: [{ type, ...inner }] }],
        }),
      ).filter(typed("function_call"));
      check(item, { name: TOOL.name, namespace: "files" });
    },
  ),
  scripted(
    "C-11",
    "custom tools come back as custom_tool_call with their raw input",
    async (client, upstream) => {
      upstream.answers((request) => scenarios["tool call"](request));
      const [item] = output(
        await client.responses({ tools: [{ type: "custom", name: "shell", description: "Run." }] }),
      ).filter(typed("custom_tool_call"));
      check(item, { name: "shell", input: text });
    },
  ),
  rule("C-12", "tools without a name are no reason to refuse", async (client) => {
    await succeeds(client, {
      tools: [RESPONSES_TOOL, { type: "web_search" }, { type: "image_generation" }],
    });
  }),
  rule("C-13", "reasoning items in the input are accepted", async (client) => {
    const thought = {
      type: "reasoning",
      id: "rs_1",
      summary: [],
      content: null,
      encrypted_content: "bm90IG91cnM=",
    };
    await succeeds(client, {
      input: [said("user", "hi"), thought, said("assistant", "ok"), said("user", client.prompt)],
    });
  }),
  rule("C-14", "usage has all its fields and adds up", async (client) => {
    const { json } = await client.responses();
    check(json, {
      usage: {
        input_tokens: positive,
        input_tokens_details: { cached_tokens: number },
        output_tokens: positive,
        output_tokens_details: { reasoning_tokens: number },
        total_tokens:
          Number(at(json, "usage.input_tokens")) + Number(at(json, "usage.output_tokens")),
      },
    });
  }),
  rule(
    "C-15",
    "store, include, client_metadata, prompt_cache_key and truncation are ignored",
    async (client) => {
      await succeeds(client, {
        store: false,
        include: ["reasoning.encrypted_content"],
        client_metadata: {},
        prompt_cache_key: "k",
        truncation: "auto",
      });
    },
  ),
  rule(
    "C-16",
    "an unknown previous_response_id is a 400 previous_response_not_found",
    async (client) => {
      const answer = await client.responses({ previous_response_id: "resp_none" });
      check(hasStatus(answer, 400).json, { error: { code: "previous_response_not_found" } });
    },
  ),
  scripted(
    "C-17",
    "twelve silent seconds bring an event, not only a comment",
    async (client, upstream) => {
      upstream.answers(scenarios["silence before the first event"]);
      const answer = await client.responses(STREAM, {
        until: (soFar) => soFar.includes("data: "),
      });
      check(typeOf(answer.events[0] ?? { data: {} }), text, "the first event");
    },
  ),
  scripted(
    "C-18",
    "too long a prompt is a 400 context_length_exceeded",
    async (client, upstream) => {
      upstream.answers(scenarios["context overflow"]);
      check(hasStatus(await client.responses(STREAM), 400).json, {
        error: { code: "context_length_exceeded" },
      });
    },
  ),
  scripted(
    "C-19",
    "a failure in mid stream is response.failed with its code",
    async (client, upstream) => {
      upstream.answers(scenarios["exception late"]);
      const answer = await client.responses(STREAM);
      check(answer.events.at(-1)?.data, {
        type: "response.failed",
        response: { status: "failed", error: { code: text, message: text } },
      });
    },
  ),
  scripted(
    "C-20",
    "a reply that reaches max_output_tokens is incomplete",
    async (client, upstream) => {
      const long = says("many words ".repeat(200));
      upstream.answers(long, long);
      const incomplete = {
        status: "incomplete",
        incomplete_details: { reason: "max_output_tokens" },
      };
      check((await client.responses({ max_output_tokens: 20 })).json, incomplete);
      const answer = await client.responses({ ...STREAM, max_output_tokens: 20 });
      check(answer.events.at(-1)?.data, { type: "response.incomplete", response: incomplete });
    },
  ),
  rule("C-21", "a body has created_at, ids of items and usage", async (client) => {
    check((await client.responses()).json, {
      id: /^resp_/,
      object: "response",
      created_at: positive,
      status: "completed",
      output: list,
      usage: { total_tokens: positive },
    });
    for (const item of output(await client.responses())) check(item, { id: text, type: text });
  }),
  scripted(
    "C-23",
    "a summary without tools, as Codex asks for to compact, works over a history with tools",
    async (client, upstream) => {
      await succeeds(client, {
        tools: [],
        input: [
          said("user", "hi"),
          call("call_1"),
          told("call_1", "one"),
          said("user", client.prompt),
        ],
      });
      check(upstream.violations(), []);
    },
  ),
  rule("C-25", "every event's line is its type", async (client) => {
    for (const event of (await client.responses(STREAM)).events)
      check(event.name, typeOf(event), "event");
  }),
  scripted("C-26", "whatever is cut upstream, no character is lost", async (client, upstream) => {
    const whole = "你好, \u{1F44B}! and more";
    upstream.answers(stream([...words(whole), ...trailer()], { chunkBytes: 1 }));
    const answer = await client.responses(STREAM);
    const deltas = ofType(answer, "response.output_text.delta").map((data) => at(data, "delta"));
    check(deltas.join(""), whole, "the text");
  }),
];
