import { calls, says, scenarios } from "../../emulator/scenarios.ts";
import {
  reasoning,
  stream,
  text as piece,
  toolCall,
  trailer,
  words,
} from "../../emulator/answers.ts";
import { at, check, ensure, list, members, number, positive, text } from "../check.ts";
import { type Answer, type Client, hasStatus, ofType, typeOf } from "../client.ts";
import { rule, type Rule, scripted } from "../rule.ts";
import { assistant, IMAGE, PNG, result, TOOL, use, user } from "./samples.ts";

const STREAM = { stream: true };
const EVENTS = [
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
  "error",
  "ping",
];
const ERROR = { type: "error", error: { type: text, message: text } };

function isError(answer: Answer, status: number, type: string, message: RegExp = /./): void {
  hasStatus(answer, status);
  check(answer.json, { type: "error", error: { type, message } });
}

async function succeeds(client: Client, ...bodies: object[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const body of bodies) answers.push(hasStatus(await client.messages(body), 200));
  return answers;
}

function blocks(answer: Answer): unknown[] {
  return members(at(hasStatus(answer, 200).json, "content"));
}

function withTool(more: object = {}): object {
  return { tools: [TOOL], ...more };
}

function typed(type: string) {
  return (block: unknown): boolean => at(block, "type") === type;
}

const THINKING = { max_tokens: 4_000, thinking: { type: "enabled", budget_tokens: 2_000 } };

/** Everything that a stream's order says, whatever its content. */
function checkOrder(answer: Answer): void {
  hasStatus(answer, 200);
  const events = answer.events.filter((event) => typeOf(event) !== "ping");
  let open: number | undefined;
  let next = 0;
  for (const event of events) {
    const index = at(event.data, "index");
    switch (typeOf(event)) {
      case "content_block_start":
        ensure(open === undefined, `block ${next} starts while block ${open} is open`);
        check(index, next, "index");
        open = next++;
        break;
      case "content_block_delta":
        check(index, open ?? -1, "index of a delta");
        break;
      case "content_block_stop":
        check(index, open ?? -1, "index of a stop");
        open = undefined;
        break;
      case "message_delta":
        ensure(open === undefined, `block ${open} is not stopped before message_delta`);
        break;
    }
  }
}

/** The tool's input as a stream gave it. */
function streamedInput(answer: Answer): string {
  return ofType(answer, "content_block_delta")
    .filter((data) => at(data, "delta.type") === "input_json_delta")
    .map((data) => String(at(data, "delta.partial_json")))
    .join("");
}

export const messagesRules: Rule[] = [
  rule(
    "A-01",
    "a key in x-api-key and in Authorization: Bearer both authenticate",
    async (client) => {
      for (const path of ["/v1/messages", "/v1/messages/count_tokens"]) {
        for (const auth of ["x-api-key", "bearer"] as const) {
          hasStatus(await client.messages({}, { path, auth }), 200);
        }
      }
    },
  ),
  rule("A-02", "any anthropic-version, and none, gets an answer", async (client) => {
    for (const version of ["2023-06-01", "2026-10-21", "foo"]) {
      hasStatus(await client.messages({}, { headers: { "anthropic-version": version } }), 200);
    }
    hasStatus(await client.messages(), 200);
  }),
  rule("A-03", "an unknown anthropic-beta value changes nothing", async (client) => {
    hasStatus(
      await client.messages({}, { headers: { "anthropic-beta": "never-heard-of-1" } }),
      200,
    );
  }),
  rule("A-04", "?beta=true is tolerated on messages and count_tokens", async (client) => {
    for (const path of ["/v1/messages?beta=true", "/v1/messages/count_tokens?beta=true"]) {
      hasStatus(await client.messages({}, { path }), 200);
    }
  }),
  rule("A-05", "HEAD / and HEAD /api/hello need no key", async (client) => {
    for (const path of ["/", "/api/hello"]) {
      const { status } = await client.request("HEAD", path, { auth: "none" });
      ensure(status < 500 && status !== 401, `HEAD ${path} answers ${status}`);
    }
  }),
  rule("A-06", "a preflight needs no key and allows the headers it asks for", async (client) => {
    const asked = "x-api-key,anthropic-version,anthropic-dangerous-direct-browser-access";
    const answer = await client.request("OPTIONS", "/v1/messages", {
      auth: "none",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
      },
    });
    ensure(answer.status >= 200 && answer.status < 300, `it answers ${answer.status}`);
    const allowed = answer.headers.get("access-control-allow-headers")?.toLowerCase() ?? "";
    for (const name of asked.split(",")) {
      ensure(allowed === "*" || allowed.includes(name), `${name} is not allowed: ${allowed}`);
    }
  }),
  rule(
    "A-07",
    "without a key: 401, authentication_error, x-should-retry: false",
    async (client) => {
      const answer = await client.messages({}, { auth: "none" });
      isError(answer, 401, "authentication_error");
      check(answer.headers.get("x-should-retry"), "false", "x-should-retry");
    },
  ),
  rule("A-08", "every answer has a request-id; errors repeat it in the body", async (client) => {
    check((await client.messages()).headers.get("request-id"), text, "request-id");
    const refused = await client.messages({ messages: undefined });
    const id = refused.headers.get("request-id");
    check(id, text, "request-id");
    check(refused.json, { request_id: id });
  }),
  rule("A-09", "invalid JSON is a 400 with the envelope", async (client) => {
    isError(
      await client.post("/v1/messages", "{", { auth: "x-api-key" }),
      400,
      "invalid_request_error",
    );
  }),
  rule("A-10", "missing model, max_tokens and messages are named", async (client) => {
    for (const field of ["model", "max_tokens", "messages"]) {
      const answer = await client.messages({ [field]: undefined });
      isError(answer, 400, "invalid_request_error", new RegExp(`${field}: Field required`));
    }
  }),
  rule("A-11", "unknown top-level fields are ignored", async (client) => {
    await succeeds(client, { a_field_of_the_future: { deep: [1] } });
  }),
  rule("A-12", "stream decides the form, not the accept header", async (client) => {
    check(
      (await client.messages()).headers.get("content-type"),
      /^application\/json/,
      "content-type",
    );
    const answer = await client.messages(STREAM, { headers: { accept: "application/json" } });
    check(answer.headers.get("content-type"), /^text\/event-stream/, "content-type");
  }),
  rule("A-13", "a body has type, role, content, stop_reason and usage", async (client) => {
    check((await client.messages()).json, {
      id: text,
      type: "message",
      role: "assistant",
      content: list,
      stop_reason: text,
      usage: { input_tokens: number, output_tokens: number },
    });
  }),
  rule("A-14", "model is what the client asked for", async (client) => {
    check((await client.messages()).json, { model: client.model });
    const [start] = ofType(await client.messages(STREAM), "message_start");
    check(start, { message: { model: client.model } });
  }),
  scripted("A-15", "no block has citations or caller: null", async (client, upstream) => {
    upstream.answers(scenarios["tool call"], scenarios["tool call"]);
    for (const more of [{}, STREAM]) {
      const { text: body } = await client.messages(withTool(more));
      ensure(!/"citations"|"caller":null/.test(body), "one of them is there");
    }
  }),
  scripted(
    "A-16",
    "thinking blocks have a text as signature in both modes",
    async (client, upstream) => {
      upstream.answers(
        scenarios["reasoning with signature"],
        scenarios["reasoning with signature"],
      );
      check(blocks(await client.messages(THINKING)).find(typed("thinking")), {
        thinking: text,
        signature: text,
      });
      const answer = await client.messages({ ...THINKING, ...STREAM });
      const deltas = ofType(answer, "content_block_delta").map((data) => at(data, "delta"));
      check(deltas.find(typed("signature_delta")), { signature: text });
    },
  ),
  scripted("A-17", "a call without arguments has the input {}", async (client, upstream) => {
    upstream.answers(scenarios["tool call without input"]);
    check(blocks(await client.messages(withTool())).find(typed("tool_use")), {
      input: (input) => JSON.stringify(input) === "{}",
    });
  }),
  rule(
    "A-18",
    "a stream begins with message_start: no content, no stop_reason, numbers in usage",
    async (client) => {
      const answer = await client.messages(STREAM);
      const [first] = answer.events.filter((event) => typeOf(event) !== "ping");
      check(first?.data, {
        type: "message_start",
        message: {
          role: "assistant",
          content: [],
          stop_reason: null,
          usage: { input_tokens: number, output_tokens: number },
        },
      });
    },
  ),
  rule("A-19", "every event has an event line equal to its type", async (client) => {
    const { events } = hasStatus(await client.messages(STREAM), 200);
    ensure(events.length > 0, "no events came");
    for (const event of events) check(event.name, typeOf(event), "event");
  }),
  scripted(
    "A-20",
    "blocks are numbered from 0, and one is open at a time",
    async (client, upstream) => {
      upstream.answers(scenarios["two tool calls"], scenarios["reasoning with signature"]);
      checkOrder(await client.messages(withTool(STREAM)));
      checkOrder(await client.messages({ ...THINKING, ...STREAM }));
    },
  ),
  rule("A-21", "every block that starts is stopped before message_delta", async (client) => {
    checkOrder(await client.messages(STREAM));
  }),
  scripted(
    "A-22",
    "a text block starts with an empty text, a call with an empty input",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      const starts = ofType(await client.messages(withTool(STREAM)), "content_block_start");
      check(
        starts.map((data) => at(data, "content_block")),
        [
          { type: "text", text: "" },
          { type: "tool_use", id: text, name: TOOL.name, input: isEmptyObject },
        ],
      );
    },
  ),
  scripted(
    "A-23",
    "a call's input comes in input_json_delta only, and is the service's JSON",
    async (client, upstream) => {
      upstream.answers(scenarios["tool call"]);
      check(JSON.parse(streamedInput(await client.messages(withTool(STREAM)))), {
        path: "notes.txt",
      });
    },
  ),
  scripted(
    "A-24",
    "whatever is cut upstream, every line is valid JSON and no character is lost",
    async (client, upstream) => {
      const told = '你好, \u{1F44B}! "quoted" \\ and\nlines';
      upstream.answers(stream([...words(told), ...trailer()], { chunkBytes: 1 }));
      const answer = await client.messages(STREAM);
      for (const { data } of answer.events) check(data, { type: text });
      const deltas = ofType(answer, "content_block_delta").map((data) => at(data, "delta.text"));
      check(deltas.join(""), told, "the text");
    },
  ),
  rule(
    "A-25",
    "one message_delta with a stop_reason and output_tokens, message_stop, and the end",
    async (client) => {
      const answer = await client.messages(STREAM);
      check(ofType(answer, "message_delta"), [
        { delta: { stop_reason: text }, usage: { output_tokens: number } },
      ]);
      ensure(!answer.cut, "the connection was cut");
      check(answer.events.at(-1)?.data, { type: "message_stop" });
    },
  ),
  rule("A-26", "usage in message_delta is the whole of it", async (client) => {
    const answer = await client.messages(STREAM);
    check(ofType(answer, "message_start"), [{ message: { usage: { output_tokens: atMostOne } } }]);
    check(ofType(answer, "message_delta"), [{ usage: { output_tokens: positive } }]);
  }),
  scripted(
    "A-27",
    "a thinking block has one signature_delta, right before its stop",
    async (client, upstream) => {
      upstream.answers(scenarios["reasoning with signature"]);
      const { events } = await client.messages({ ...THINKING, ...STREAM });
      const signed = events.flatMap(({ data }, index) =>
        at(data, "delta.type") === "signature_delta" ? [index] : [],
      );
      check(signed.length, 1, "signatures");
      check(events[(signed[0] ?? 0) + 1]?.data, { type: "content_block_stop" });
    },
  ),
  scripted("A-28", "twelve silent seconds bring at least one ping", async (client, upstream) => {
    upstream.answers(scenarios["silence in mid stream"]);
    const answer = await client.messages(STREAM, {
      until: (soFar) => soFar.includes("event: ping"),
    });
    check(ofType(answer, "ping"), [{ type: "ping" }]);
  }),
  rule("A-29", "nothing but the events of the API is sent", async (client) => {
    for (const event of (await client.messages(STREAM)).events) {
      ensure(EVENTS.includes(typeOf(event)), `an event ${typeOf(event)} came`);
    }
  }),
  scripted(
    "A-30",
    "a failure in mid stream is an error event and no message_stop",
    async (client, upstream) => {
      upstream.answers(scenarios["exception late"]);
      const answer = hasStatus(await client.messages(STREAM), 200);
      check(answer.events.at(-1), { name: "error", data: ERROR });
      check(ofType(answer, "message_stop"), []);
    },
  ),
  scripted(
    "A-31",
    "a failure before the first event is a status with the envelope",
    async (client, upstream) => {
      upstream.answers(scenarios["context overflow"]);
      check(hasStatus(await client.messages(STREAM), 400).json, ERROR);
    },
  ),
  scripted("A-32", "a reply with a call stops with tool_use", async (client, upstream) => {
    upstream.answers(scenarios["tool call"]);
    check((await client.messages(withTool())).json, { stop_reason: "tool_use" });
  }),
  scripted("A-33", "two calls are two blocks with ids of their own", async (client, upstream) => {
    upstream.answers(scenarios["two tool calls"]);
    const found = blocks(await client.messages(withTool())).filter(typed("tool_use"));
    check(new Set(found.map((block) => at(block, "id"))).size, 2, "ids");
  }),
  scripted(
    "A-34",
    "a reply that reaches max_tokens stops with max_tokens",
    async (client, upstream) => {
      upstream.answers(says("many words ".repeat(200)));
      check((await client.messages({ max_tokens: 10 })).json, { stop_reason: "max_tokens" });
    },
  ),
  scripted(
    "A-35",
    "a stop sequence over two events is found, kept back and named; the call upstream ends",
    async (client, upstream) => {
      upstream.answers(
        stream([piece("one ST"), piece("OP two")], { ending: [{ type: "silence" }] }),
      );
      const answer = await client.messages({ stop_sequences: ["STOP"] });
      check(answer.json, {
        stop_reason: "stop_sequence",
        stop_sequence: "STOP",
        content: [{ text: /^one ?$/ }],
      });
    },
  ),
  scripted(
    "A-36",
    "stop sequences do not match in thinking or in a call's input",
    async (client, upstream) => {
      upstream.answers(
        stream([
          ...reasoning("I must not STOP.", "c2ln"),
          ...toolCall("tooluse_1", TOOL.name, { path: "STOP" }),
          ...trailer(),
        ]),
      );
      const answer = await client.messages(withTool({ ...THINKING, stop_sequences: ["STOP"] }));
      check(answer.json, { stop_reason: "tool_use" });
      check(blocks(answer).find(typed("tool_use")), { input: { path: "STOP" } });
    },
  ),
  ...[false, true].map((streamed) =>
    scripted(
      streamed ? "A-38" : "A-37",
      `too long a prompt is a 400 in the words that clients compact on${streamed ? ", also when streaming" : ""}`,
      async (client, upstream) => {
        upstream.answers(scenarios["context overflow"]);
        const answer = await client.messages({ stream: streamed });
        isError(
          answer,
          400,
          "invalid_request_error",
          /^prompt is too long: \d+ tokens > \d+ maximum/,
        );
        const [, tokens, maximum] = /(\d+) tokens > (\d+)/.exec(answer.text) ?? [];
        ensure(Number(tokens) > Number(maximum), `${tokens} is not more than ${maximum}`);
      },
    ),
  ),
  scripted(
    "A-39",
    "throttling is a 429 rate_limit_error with retry-after in seconds",
    async (client, upstream) => {
      upstream.answers(...Array.from({ length: 9 }, () => scenarios.throttled));
      const answer = await client.messages({}, { headers: upstream.ownCredential() });
      isError(answer, 429, "rate_limit_error");
      check(answer.headers.get("retry-after"), /^\d+$/, "retry-after");
    },
  ),
  scripted("A-40", "overload is a 529 overloaded_error", async (client, upstream) => {
    upstream.answers(...Array.from({ length: 9 }, () => scenarios["no capacity"]));
    isError(await client.messages(), 529, "overloaded_error");
  }),
  scripted(
    "A-41",
    "a used-up quota is a 402 billing_error that is not retried",
    async (client, upstream) => {
      upstream.answers(scenarios["monthly quota"]);
      const answer = await client.messages({}, { headers: upstream.ownCredential() });
      isError(answer, 402, "billing_error");
      check(answer.headers.get("x-should-retry"), "false", "x-should-retry");
    },
  ),
  scripted(
    "A-43",
    "system as text and as blocks is one prompt; the client's attribution line stays out of it",
    async (client, upstream) => {
      const billing = {
        type: "text",
        text: "x-anthropic-billing-header: cc_version=1; cc_entrypoint=cli;",
      };
      await succeeds(
        client,
        { system: "Be brief." },
        { system: [{ type: "text", text: "Be brief." }] },
        { system: [billing, { type: "text", text: "Be brief." }] },
      );
      const [first, ...others] = upstream
        .requests()
        .map(({ body }) => at(body, "conversationState.history"));
      for (const other of others)
        check(JSON.stringify(other), JSON.stringify(first), "the history");
      ensure(JSON.stringify(first).includes("Be brief."), "the system prompt is not there");
    },
  ),
  scripted(
    "A-44",
    "a system message at the end is heard, and the user's text stays the question",
    async (client, upstream) => {
      await succeeds(client, {
        messages: [
          user({ type: "text", text: client.prompt }),
          { role: "system", content: "Answer in verse." },
        ],
      });
      const [request] = upstream.requests();
      ensure(
        JSON.stringify(request?.body).includes("Answer in verse."),
        "its text does not arrive",
      );
      ensure(
        request?.prompt.includes(client.prompt) === true,
        "the user's text is not the current message",
      );
    },
  ),
  rule("A-45", "a system message without content succeeds", async (client) => {
    await succeeds(client, {
      messages: [
        { role: "user", content: client.prompt },
        { role: "system", output_config: { effort: "low" } },
      ],
    });
  }),
  scripted(
    "A-46",
    "consecutive user messages are merged, none is lost",
    async (client, upstream) => {
      await succeeds(client, {
        messages: ["first part", "second part", client.prompt].map((content) => ({
          role: "user",
          content,
        })),
      });
      const sent = JSON.stringify(upstream.requests()[0]?.body);
      for (const part of ["first part", "second part"])
        ensure(sent.includes(part), `"${part}" is lost`);
    },
  ),
  rule("A-47", "empty texts and lists in the history do no harm", async (client) => {
    await succeeds(client, {
      messages: [
        { role: "user", content: "" },
        assistant(),
        user({ type: "text", text: "" }),
        { role: "assistant", content: "" },
        { role: "user", content: client.prompt },
      ],
    });
  }),
  rule(
    "A-48",
    "a tool result may have a text, blocks, an image, nothing, or be an error",
    async (client) => {
      const contents = [
        { content: "text" },
        { content: [{ type: "text", text: "text" }] },
        { content: [IMAGE] },
        { content: [{ type: "tool_reference", tool_name: TOOL.name }] },
        {},
        { content: "broken", is_error: true },
      ];
      for (const content of contents) {
        await succeeds(
          client,
          withTool({
            messages: [
              user({ type: "text", text: client.prompt }),
              assistant(use("toolu_1")),
              user(result("toolu_1", content)),
            ],
          }),
        );
      }
    },
  ),
  rule(
    "A-49",
    "a result without a call, a call without a result and a second result do no harm",
    async (client) => {
      const ask = user({ type: "text", text: client.prompt });
      await succeeds(
        client,
        withTool({
          messages: [user(result("toolu_none")), assistant({ type: "text", text: "ok" }), ask],
        }),
        withTool({ messages: [ask, assistant(use("toolu_1")), ask] }),
        withTool({
          messages: [ask, assistant(use("toolu_1")), user(result("toolu_1"), result("toolu_1"))],
        }),
      );
    },
  ),
  rule("A-50", "unknown blocks do no harm", async (client) => {
    await succeeds(client, {
      messages: [
        user({ type: "hologram", data: 1 }, { type: "text", text: "hi" }),
        assistant({ type: "hologram" }, { type: "text", text: "ok" }),
        user({ type: "text", text: client.prompt }),
      ],
    });
  }),
  rule(
    "A-51",
    "thinking with any signature and redacted thinking in the history do no harm",
    async (client) => {
      const thoughts = [
        { type: "thinking", thinking: "hm", signature: "bm90IG91cnM=" },
        { type: "thinking", thinking: "hm", signature: "" },
        { type: "thinking", thinking: "hm" },
        { type: "redacted_thinking", data: "UkVEQUNURUQ=" },
      ];
      for (const thought of thoughts) {
        await succeeds(client, {
          messages: [
            { role: "user", content: "hi" },
            assistant(thought, { type: "text", text: "ok" }),
            { role: "user", content: client.prompt },
          ],
        });
      }
    },
  ),
  scripted(
    "A-52",
    "an image with a wrong type, a data: prefix or blanks in it arrives",
    async (client, upstream) => {
      for (const [media_type, data] of [
        ["image/jpeg", PNG],
        ["image/png", `data:image/png;base64,${PNG}`],
        ["image/png", PNG.replace(/(.{20})/g, "$1\n")],
      ]) {
        const image = { type: "image", source: { type: "base64", media_type, data } };
        await succeeds(client, { messages: [user(image, { type: "text", text: client.prompt })] });
      }
      for (const { body } of upstream.requests()) {
        check(at(body, "conversationState.currentMessage.userInputMessage.images"), [
          { format: "png", source: { bytes: PNG } },
        ]);
      }
    },
  ),
  scripted("A-53", "an image in a tool result arrives as an image", async (client, upstream) => {
    const ask = user({ type: "text", text: client.prompt });
    await succeeds(
      client,
      withTool({
        messages: [ask, assistant(use("toolu_1")), user(result("toolu_1", { content: [IMAGE] }))],
      }),
    );
    check(
      at(upstream.requests()[0]?.body, "conversationState.currentMessage.userInputMessage.images"),
      [{ format: "png" }],
    );
  }),
  rule("A-54", "fields that tools may have are accepted", async (client) => {
    await succeeds(client, {
      tools: [
        {
          ...TOOL,
          type: "custom",
          defer_loading: true,
          cache_control: { type: "ephemeral" },
          strict: true,
          eager_input_streaming: true,
          input_examples: [{ path: "a" }],
        },
        { ...TOOL, name: "other" },
      ],
    });
  }),
  scripted(
    "A-55",
    "a deferred tool is offered once the history refers to it; its placeholder never is",
    async (client, upstream) => {
      const placeholder = {
        name: "DeferredToolPlaceholder",
        description: "x",
        input_schema: { type: "object" },
      };
      const deferred = { ...TOOL, name: "deferred_tool", defer_loading: true };
      const found = result("toolu_1", {
        content: [{ type: "tool_reference", tool_name: "deferred_tool" }],
      });
      await succeeds(client, {
        tools: [TOOL, placeholder, deferred],
        messages: [
          user({ type: "text", text: client.prompt }),
          assistant(use("toolu_1")),
          user(found),
        ],
      });
      const tools = upstream.requests()[0]?.tools ?? [];
      ensure(!tools.includes("DeferredToolPlaceholder"), "the placeholder is offered");
      ensure(tools.includes("deferred_tool"), "the deferred tool is not offered");
    },
  ),
  rule("A-56", "server tools never cause a refusal", async (client) => {
    for (const type of ["code_execution_20250825", "web_search_20250305", "future_tool_20300101"]) {
      await succeeds(client, { tools: [TOOL, { type, name: type.replace(/_\d+$/, "") }] });
    }
  }),
  rule("A-57", "schemas of all kinds are accepted", async (client) => {
    const schemas = [
      { $schema: "http://json-schema.org/draft-07/schema#", type: "object", properties: {} },
      { anyOf: [{ type: "object", properties: { a: { type: "string" } } }] },
      { type: "object" },
      { type: "object", properties: { a: { type: ["string", "null"] } }, required: [] },
    ];
    for (const input_schema of schemas)
      await succeeds(client, { tools: [{ ...TOOL, input_schema }] });
  }),
  scripted(
    "A-58",
    "a tool's name of 100 characters comes back as it was",
    async (client, upstream) => {
      const name = `mcp__server__${"long_".repeat(20)}`.slice(0, 100);
      upstream.answers(scenarios["tool call"]);
      const answer = await client.messages({ tools: [{ ...TOOL, name }] });
      check(blocks(answer).find(typed("tool_use")), { name });
    },
  ),
  scripted(
    "A-59",
    "tool_choice: none offers no tools; one that is not there is a 400",
    async (client, upstream) => {
      await succeeds(client, withTool({ tool_choice: { type: "none" } }));
      check(upstream.requests()[0]?.tools, []);
      isError(
        await client.messages(withTool({ tool_choice: { type: "tool", name: "nope" } })),
        400,
        "invalid_request_error",
      );
    },
  ),
  scripted(
    "A-60",
    "disable_parallel_tool_use leaves one call at most",
    async (client, upstream) => {
      upstream.answers(scenarios["two tool calls"]);
      const answer = await client.messages(
        withTool({ tool_choice: { type: "auto", disable_parallel_tool_use: true } }),
      );
      check(blocks(answer).filter(typed("tool_use")).length, 1, "calls");
    },
  ),
  rule("A-61", "thinking in every form is accepted", async (client) => {
    await succeeds(
      client,
      ...[
        { type: "enabled", budget_tokens: 2_000 },
        { type: "enabled", budget_tokens: 10 },
        { type: "enabled", budget_tokens: 900_000 },
        { type: "adaptive" },
        { type: "adaptive", display: "omitted" },
        { type: "disabled" },
      ].map((thinking) => ({ max_tokens: 4_000, thinking })),
    );
  }),
  scripted("A-62", "without thinking no thinking comes", async (client, upstream) => {
    upstream.answers(scenarios["reasoning with signature"]);
    check(
      blocks(await client.messages({ thinking: { type: "disabled" } })).filter(typed("thinking")),
      [],
    );
  }),
  scripted(
    "A-63",
    "output_config.format gives JSON without a code fence",
    async (client, upstream) => {
      upstream.answers(says('```json\n{"a": 1}\n```'));
      const answer = await client.messages({
        output_config: { format: { type: "json_schema", schema: { type: "object" } } },
      });
      check(JSON.parse(String(at(blocks(answer)[0], "text"))), { a: 1 });
    },
  ),
  rule(
    "A-64",
    "context_management, metadata, service_tier and cache_control are accepted",
    async (client) => {
      await succeeds(client, {
        context_management: { edits: [] },
        metadata: { user_id: "somebody" },
        service_tier: "auto",
        mcp_servers: [],
        messages: [
          user({ type: "text", text: client.prompt, cache_control: { type: "ephemeral" } }),
        ],
      });
    },
  ),
  rule(
    "A-65",
    "safeguards are refused by name: ignoring them would skip a check",
    async (client) => {
      isError(
        await client.messages({ safeguards: [{ type: "x" }] }),
        400,
        "invalid_request_error",
        /safeguards/,
      );
    },
  ),
  rule("A-66", "models by date, with -thinking, and of the future resolve", async (client) => {
    for (const model of [
      "claude-sonnet-4-5-20250929",
      "claude-sonnet-4-5-thinking",
      "claude-opus-5-5",
    ]) {
      await succeeds(client, { model });
    }
  }),
  scripted(
    "A-67",
    "a model that the service does not know is a 404 not_found_error",
    async (client, upstream) => {
      upstream.answers(scenarios["unknown model"]);
      isError(await client.messages({ model: "no-such-model" }), 404, "not_found_error", /model/);
    },
  ),
  rule("A-68", "count_tokens needs no max_tokens", async (client) => {
    const answer = await client.messages(
      { max_tokens: undefined },
      { path: "/v1/messages/count_tokens" },
    );
    check(hasStatus(answer, 200).json, { input_tokens: positive });
  }),
  rule("A-69", "forty counts at a time are answered", async (client) => {
    const answers = await Promise.all(
      Array.from(
        { length: 40 },
        async () => await client.messages({}, { path: "/v1/messages/count_tokens" }),
      ),
    );
    for (const answer of answers) hasStatus(answer, 200);
  }),
  rule("A-70", "too large a body is a 413 request_too_large in the envelope", async (client) => {
    isError(
      await client.messages({ system: "x".repeat(40 * 1024 ** 2) }),
      413,
      "request_too_large",
    );
  }),
  rule(
    "A-71",
    "a body in gzip is understood, one in something unknown is a 400",
    async (client) => {
      const body = {
        model: client.model,
        max_tokens: 100,
        messages: [{ role: "user", content: client.prompt }],
      };
      const zipped = Bun.gzipSync(JSON.stringify(body));
      hasStatus(
        await client.post("/v1/messages", zipped, { headers: { "content-encoding": "gzip" } }),
        200,
      );
      isError(
        await client.post("/v1/messages", body, { headers: { "content-encoding": "rot13" } }),
        400,
        "invalid_request_error",
      );
    },
  ),
  rule("A-75", "a whole answer with 32,000 tokens and thinking is allowed", async (client) => {
    await succeeds(client, {
      stream: false,
      max_tokens: 32_000,
      thinking: { type: "enabled", budget_tokens: 31_999 },
    });
  }),
  scripted("A-76", "a call that is cut off is not reported as a call", async (client, upstream) => {
    upstream.answers(scenarios["tool call that never finishes"]);
    const answer = await client.messages(withTool());
    check(blocks(answer).filter(typed("tool_use")), []);
    check(answer.json, { stop_reason: "max_tokens" });
  }),
  rule("A-77", "an unknown path is a 404 in JSON", async (client) => {
    const answer = await client.request("GET", "/v1/no/such/path");
    check(hasStatus(answer, 404).json, { error: { message: text } });
  }),
  scripted(
    "A-78",
    "max_tokens: 0 warms up: an empty answer, and no call",
    async (client, upstream) => {
      check((await client.messages({ max_tokens: 0 })).json, {
        content: [],
        stop_reason: "max_tokens",
      });
      check(upstream.requests(), []);
    },
  ),
  scripted("A-79", "an answer with nothing in it is no success", async (client, upstream) => {
    upstream.answers(scenarios["empty reply"], scenarios["empty reply"]);
    ensure((await client.messages()).status >= 400, "it was reported as one");
  }),
  scripted(
    "A-80",
    "a system message, then a tool result: the result stays with its call",
    async (client, upstream) => {
      upstream.answers(calls(TOOL.name, { path: "a" }));
      await succeeds(
        client,
        withTool({
          messages: [
            user({ type: "text", text: client.prompt }),
            assistant(use("toolu_1")),
            user(result("toolu_1")),
            { role: "system", content: "Be quick." },
          ],
        }),
      );
      check(upstream.requests()[0]?.toolResults.length, 1, "results");
    },
  ),
];

function isEmptyObject(value: unknown): boolean {
  return JSON.stringify(value) === "{}";
}

function atMostOne(value: unknown): boolean {
  return typeof value === "number" && value <= 1;
}
