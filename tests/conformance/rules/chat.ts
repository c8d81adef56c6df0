import { text as piece, stream, trailer, words } from "../../emulator/answers.ts";
import { says, scenarios } from "../../emulator/scenarios.ts";
import {
  absent,
  at,
  check,
  ensure,
  joined,
  list,
  members,
  number,
  positive,
  text,
} from "../check.ts";
import { type Answer, type Client, hasStatus } from "../client.ts";
import { rule, type Rule, scripted } from "../rule.ts";
import { CHAT_TOOL, IMAGE, PNG, result, TOOL, use } from "./samples.ts";

const STREAM = { stream: true };
const TOOLS = { tools: [CHAT_TOOL] };
const ERROR = { error: { message: text, type: text, param: any, code: any } };
const DATA_URL = `data:image/png;base64,${PNG}`;

async function succeeds(client: Client, ...bodies: object[]): Promise<void> {
  for (const body of bodies) hasStatus(await client.chat(body), 200);
}

/** All data of a stream but `[DONE]`. */
function chunks(answer: Answer): unknown[] {
  return hasStatus(answer, 200)
    .events.map(({ data }) => data)
    .filter((data) => data !== "[DONE]");
}

function deltas(answer: Answer): unknown[] {
  return chunks(answer).flatMap((chunk) =>
    members(at(chunk, "choices")).map((one) => at(one, "delta")),
  );
}

function callDeltas(answer: Answer): unknown[] {
  return deltas(answer).flatMap((delta) => members(at(delta, "tool_calls")));
}

function argumentsOf(answer: Answer): string {
  return joined(callDeltas(answer), "function.arguments");
}

function finishes(answer: Answer): unknown[] {
  return chunks(answer)
    .map((chunk) => at(chunk, "choices.0.finish_reason"))
    .filter((reason) => reason !== null && reason !== undefined);
}

function message(answer: Answer): unknown {
  return at(hasStatus(answer, 200).json, "choices.0.message");
}

function said(more: object): object {
  return { role: "assistant", ...more };
}

const CALL = { id: "call_1", type: "function", function: { name: TOOL.name, arguments: "{}" } };

export const chatRules: Rule[] = [
  rule("B-01", "a key as bearer, in x-api-key and in api-key authenticates", async (client) => {
    for (const auth of ["bearer", "x-api-key", "api-key"] as const) {
      hasStatus(await client.chat({}, { auth }), 200);
    }
  }),
  rule(
    "B-02",
    "errors have message, type, param and code; answers have x-request-id",
    async (client) => {
      const answer = await client.chat({ messages: undefined });
      check(hasStatus(answer, 400).json, ERROR);
      check(answer.headers.get("x-request-id"), text, "x-request-id");
    },
  ),
  rule("B-03", "a body has its choice, and usage that adds up", async (client) => {
    const { json } = await client.chat();
    check(json, {
      id: text,
      object: "chat.completion",
      created: positive,
      choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: text }],
      usage: { prompt_tokens: number, completion_tokens: number, total_tokens: number },
    });
    const usage = at(json, "usage");
    check(
      at(usage, "total_tokens"),
      Number(at(usage, "prompt_tokens")) + Number(at(usage, "completion_tokens")),
      "total_tokens",
    );
  }),
  rule("B-04", "a stream has data lines only, [DONE] is the last", async (client) => {
    const { events } = hasStatus(await client.chat(STREAM), 200);
    for (const event of events) check(event.name, absent, "event");
    check(events.at(-1)?.data, "[DONE]", "the last data");
  }),
  rule("B-05", "the first chunk has the role; every choice has its index", async (client) => {
    const all = chunks(await client.chat(STREAM));
    check(all[0], { choices: [{ index: 0, delta: { role: "assistant" } }] });
    for (const chunk of all)
      for (const choice of members(at(chunk, "choices"))) check(choice, { index: 0 });
  }),
  rule(
    "B-06",
    "id, created and model stay the same; model is what was asked for",
    async (client) => {
      const all = chunks(await client.chat(STREAM));
      const heads = new Set(
        all.map((one) => `${String(at(one, "id"))} ${String(at(one, "created"))}`),
      );
      check(heads.size, 1, "different heads");
      for (const chunk of all)
        check(chunk, { object: "chat.completion.chunk", model: client.model });
    },
  ),
  rule("B-07", "one chunk has the finish_reason", async (client) => {
    check(finishes(await client.chat(STREAM)), [text]);
  }),
  rule("B-08", "usage comes only when asked for: no choices, before [DONE]", async (client) => {
    ensure(
      !chunks(await client.chat(STREAM)).some((one) => at(one, "choices.length") === 0),
      "it came unasked",
    );
    const all = chunks(await client.chat({ ...STREAM, stream_options: { include_usage: true } }));
    check(all.at(-1), {
      id: String(at(all[0], "id")),
      choices: [],
      usage: { total_tokens: positive },
    });
  }),
  scripted(
    "B-09",
    "the first delta of a call has id, type and name; later ones have arguments",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const [first, ...later] = callDeltas(await client.chat({ ...TOOLS, ...STREAM }));
      check(first, { index: 0, id: text, type: "function", function: { name: TOOL.name } });
      for (const one of later) check(one, { index: 0, id: absent, function: { name: absent } });
    },
  ),
  scripted("B-10", "calls are numbered from 0", async (client, upstream) => {
    upstream.answers(scenarios["two tool calls"]);
    const calls = callDeltas(await client.chat({ ...TOOLS, ...STREAM }));
    check([...new Set(calls.map((one) => Number(at(one, "index"))))], [0, 1]);
  }),
  scripted("B-11", "arguments are JSON; without any they are {}", async (client, upstream) => {
    const none = scenarios["tool call without input"];
    upstream.answers(scenarios["tool call"], none, none);
    check(JSON.parse(argumentsOf(await client.chat({ ...TOOLS, ...STREAM }))), {
      path: "notes.txt",
    });
    check(argumentsOf(await client.chat({ ...TOOLS, ...STREAM })), "{}", "arguments");
    check(message(await client.chat(TOOLS)), { tool_calls: [{ function: { arguments: "{}" } }] });
  }),
  scripted("B-12", "a reply with calls finishes with tool_calls", async (client, upstream) => {
    upstream.answers(scenarios["tool call"], scenarios["tool call"]);
    check((await client.chat(TOOLS)).json, { choices: [{ finish_reason: "tool_calls" }] });
    check(finishes(await client.chat({ ...TOOLS, ...STREAM })), ["tool_calls"]);
  }),
  rule("B-13", "without calls there is no tool_calls", async (client) => {
    check(message(await client.chat()), { tool_calls: absent });
  }),
  scripted(
    "B-14",
    "thinking is reasoning_content, never content; without thinking there is none",
    async (client, upstream) => {
      const thinks = scenarios["reasoning with signature"];
      upstream.answers(thinks, thinks);
      check(message(await client.chat({ reasoning_effort: "high" })), {
        reasoning_content: /greet/,
        content: /^Hello/,
      });
      check(message(await client.chat({ reasoning_effort: "none" })), {
        reasoning_content: absent,
        content: /^Hello/,
      });
    },
  ),
  scripted("B-15", "a length stop is length, a stop sequence is stop", async (client, upstream) => {
    upstream.answers(
      says("many words ".repeat(200)),
      stream([piece("one STOP two"), ...trailer()]),
    );
    check((await client.chat({ max_tokens: 10 })).json, { choices: [{ finish_reason: "length" }] });
    check((await client.chat({ stop: "STOP" })).json, {
      choices: [{ finish_reason: "stop", message: { content: /^one ?$/ } }],
    });
  }),
  scripted(
    "B-16",
    "twelve silent seconds bring a comment or an empty chunk, never a ping",
    async (client, upstream) => {
      upstream.answers(scenarios["silence in mid stream"]);
      const answer = await client.chat(STREAM, { until: beats });
      ensure(beats(answer.text), "the stream ended without one");
      ensure(!answer.text.includes("ping"), "a ping came");
    },
  ),
  scripted(
    "B-17",
    "a failure after the first chunk is a chunk with the error, no finish, no [DONE]",
    async (client, upstream) => {
      upstream.answers(scenarios["exception late"]);
      const answer = await client.chat(STREAM);
      check(answer.events.at(-1)?.data, { error: { message: text } });
      check(finishes(answer), []);
    },
  ),
  rule(
    "B-18",
    "max_tokens, max_completion_tokens, both and neither are accepted",
    async (client) => {
      await succeeds(
        client,
        { max_tokens: 100 },
        { max_completion_tokens: 100 },
        { max_tokens: 100, max_completion_tokens: 100 },
        {},
      );
    },
  ),
  rule("B-19", "system and developer messages are accepted anywhere", async (client) => {
    await succeeds(client, {
      messages: [
        { role: "system", content: "a" },
        { role: "user", content: client.prompt },
        { role: "developer", content: "b" },
      ],
    });
  }),
  scripted("B-20", "consecutive tool messages become one turn", async (client, upstream) => {
    const second = { ...CALL, id: "call_2" };
    await succeeds(client, {
      ...TOOLS,
      messages: [
        { role: "user", content: client.prompt },
        said({ content: null, tool_calls: [CALL, second] }),
        { role: "tool", tool_call_id: "call_1", content: "one" },
        { role: "tool", tool_call_id: "call_2", content: "two" },
      ],
    });
    check(
      upstream.requests()[0]?.toolResults.map(({ text: told }) => told),
      ["one", "two"],
    );
  }),
  rule("B-21", "an assistant's content may be null, empty, absent or parts", async (client) => {
    for (const content of [null, "", undefined, [{ type: "text", text: "ok" }]]) {
      await succeeds(client, {
        messages: [
          { role: "user", content: "hi" },
          said({ content }),
          { role: "user", content: client.prompt },
        ],
      });
    }
  }),
  scripted("B-22", "a tool's content may be parts with an image", async (client, upstream) => {
    await succeeds(client, {
      ...TOOLS,
      messages: [
        { role: "user", content: client.prompt },
        said({ content: null, tool_calls: [CALL] }),
        {
          role: "tool",
          tool_call_id: "call_1",
          content: [{ type: "image_url", image_url: { url: DATA_URL } }],
        },
      ],
    });
    check(
      at(upstream.requests()[0]?.body, "conversationState.currentMessage.userInputMessage.images"),
      [{ format: "png" }],
    );
  }),
  rule(
    "B-23",
    "image_url may be an object or a text; one that can't be had is a 400",
    async (client) => {
      const withImage = (image_url: unknown): object => ({
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: client.prompt },
              { type: "image_url", image_url },
            ],
          },
        ],
      });
      await succeeds(client, withImage({ url: DATA_URL }), withImage(DATA_URL));
      hasStatus(await client.chat(withImage({ url: "http://127.0.0.1:1/none.png" })), 400);
    },
  ),
  scripted(
    "B-24",
    "Anthropic's tool_use and tool_result blocks are understood",
    async (client, upstream) => {
      await succeeds(client, {
        ...TOOLS,
        messages: [
          { role: "user", content: client.prompt },
          said({ content: [use("toolu_1")] }),
          { role: "user", content: [result("toolu_1")] },
        ],
      });
      check(upstream.requests()[0]?.toolResults, [{ toolUseId: "toolu_1", text: "milk" }]);
    },
  ),
  scripted("B-25", "flat tools and Anthropic's are understood", async (client, upstream) => {
    const { input_schema, ...flat } = TOOL;
    await succeeds(
      client,
      { tools: [{ ...flat, parameters: input_schema }] },
      { tools: [{ type: "function", ...TOOL }] },
      { tools: [TOOL] },
    );
    for (const { tools } of upstream.requests()) check(tools, [TOOL.name]);
  }),
  rule(
    "B-26",
    "a body with input and no messages is answered as a chat completion",
    async (client) => {
      check((await client.chat({ messages: undefined, input: client.prompt })).json, {
        object: "chat.completion",
      });
    },
  ),
  rule("B-27", "cache_control is ignored everywhere", async (client) => {
    const cache_control = { type: "ephemeral" };
    await succeeds(client, {
      messages: [
        {
          role: "user",
          cache_control,
          content: [{ type: "text", text: client.prompt, cache_control }],
        },
      ],
    });
  }),
  scripted(
    "B-28",
    "tool_choice in all its forms is accepted; none hides the tools",
    async (client, upstream) => {
      const named = { type: "function", function: { name: TOOL.name } };
      for (const tool_choice of ["auto", "required", named, "none"])
        await succeeds(client, { ...TOOLS, tool_choice });
      check(upstream.requests().at(-1)?.tools, []);
    },
  ),
  scripted("B-29", "response_format gives bare JSON", async (client, upstream) => {
    const fenced = says('```json\n{"a": 1}\n```');
    upstream.answers(fenced, fenced);
    for (const response_format of [
      { type: "json_object" },
      { type: "json_schema", json_schema: { name: "a", schema: { type: "object" } } },
    ]) {
      check(JSON.parse(String(at(message(await client.chat({ response_format })), "content"))), {
        a: 1,
      });
    }
  }),
  rule("B-30", "every reasoning_effort is accepted", async (client) => {
    for (const reasoning_effort of ["none", "minimal", "low", "medium", "high", "xhigh"])
      await succeeds(client, { reasoning_effort });
  }),
  rule("B-31", "n: 2 is a 400 that names n", async (client) => {
    check(hasStatus(await client.chat({ n: 2 }), 400).json, { error: { param: "n" } });
  }),
  rule("B-32", "parameters without a counterpart are ignored", async (client) => {
    await succeeds(client, {
      logprobs: false,
      seed: 1,
      logit_bias: {},
      store: false,
      metadata: {},
      user: "somebody",
      service_tier: "auto",
      prompt_cache_key: "k",
      verbosity: "low",
    });
  }),
  scripted(
    "B-33",
    "the old functions and function_call are understood and answered",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const answer = await client.chat({ functions: [CHAT_TOOL.function] });
      check(message(answer), { function_call: { name: TOOL.name, arguments: text } });
    },
  ),
  scripted(
    "B-34",
    "Cursor's names of models resolve, and -thinking turns thinking on",
    async (client, upstream) => {
      upstream.answers(scenarios["reasoning with signature"]);
      const answer = await client.chat({ model: "claude-4.5-opus-high-thinking" });
      check(message(answer), { reasoning_content: text });
    },
  ),
  scripted(
    "B-35",
    "a model that the service does not know is a 404 model_not_found",
    async (client, upstream) => {
      upstream.answers(scenarios["unknown model"]);
      const answer = await client.chat({ model: "no-such-model" });
      check(hasStatus(answer, 404).json, { error: { code: "model_not_found" } });
    },
  ),
  scripted(
    "B-36",
    "too long a prompt is a 400 context_length_exceeded in both vendors' words",
    async (client, upstream) => {
      upstream.answers(scenarios["context overflow"]);
      const { json } = hasStatus(await client.chat(), 400);
      check(json, {
        error: { code: "context_length_exceeded", message: /maximum context length/ },
      });
      check(json, { error: { message: /prompt is too long/ } });
    },
  ),
  rule("B-37", "a bad key is a 401 invalid_api_key that is not retried", async (client) => {
    const answer = await client.chat(
      {},
      { auth: "none", headers: { authorization: "Bearer wrong" } },
    );
    check(hasStatus(answer, 401).json, { error: { code: "invalid_api_key" } });
    check(answer.headers.get("x-should-retry"), "false", "x-should-retry");
  }),
  scripted(
    "B-38",
    "prompt_tokens includes cached tokens, and cached_tokens tells them",
    async (client, upstream) => {
      upstream.answers(scenarios["text with token counts"]);
      check((await client.chat()).json, {
        usage: {
          prompt_tokens: 2_000,
          completion_tokens: 60,
          prompt_tokens_details: { cached_tokens: 700 },
        },
      });
    },
  ),
  scripted("B-41", "a used-up quota is a 429 insufficient_quota", async (client, upstream) => {
    upstream.answers(scenarios["monthly quota"]);
    const answer = await client.chat({}, { headers: upstream.ownCredential() });
    check(hasStatus(answer, 429).json, { error: { code: "insufficient_quota" } });
  }),
  scripted("B-42", "whatever is cut upstream, no character is lost", async (client, upstream) => {
    const told = "你好, \u{1F44B}! and more";
    upstream.answers(stream([...words(told), ...trailer()], { chunkBytes: 1 }));
    check(joined(deltas(await client.chat(STREAM)), "content"), told, "the text");
  }),
  rule("B-43", "an image in Anthropic's form is understood", async (client) => {
    await succeeds(client, {
      messages: [{ role: "user", content: [{ type: "text", text: client.prompt }, IMAGE] }],
    });
    check((await client.chat()).json, { choices: list });
  }),
];

function beats(soFar: string): boolean {
  return /^:/m.test(soFar) || soFar.includes('"delta":{}');
}

/** It is there, be it null. */
function any(value: unknown): boolean {
  return value !== undefined;
}
