import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { APIUserAbortError, BadRequestError, NotFoundError, type OpenAI } from "openai";
import { LengthFinishReasonError } from "openai/core/error";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startKiro } from "../emulator/kiro.ts";
import { calls, says, type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask } from "./client.ts";
import { lastChat, openai, rejection } from "./openai.ts";

type Params = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, "stream">;

const MODEL = "claude-sonnet-4-5-20250929";
const TOOL: OpenAI.ChatCompletionFunctionTool = {
  type: "function",
  function: {
    name: "read_file",
    description: "Reads a file",
    parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  },
};
const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";
const FIRST = "tooluse_ZW11bGF0b3JfMDAwMQ";
const SECOND = "tooluse_ZW11bGF0b3JfMDAwMg";

const kiro = startKiro();
let gateway: Gateway;
let client: OpenAI;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
  client = openai(gateway);
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

function request(
  content: OpenAI.ChatCompletionUserMessageParam["content"],
  more: Partial<Params> = {},
): Params {
  return { model: MODEL, messages: [{ role: "user", content }], ...more };
}

function call(id: string, args: object): object {
  return {
    id,
    type: "function",
    function: { name: "read_file", arguments: JSON.stringify(args) },
  };
}

const replies: Partial<Record<ScenarioName, { message: object; finish_reason?: string }>> = {
  text: { message: { content: GREETING } },
  "thinking in tags": { message: { content: "Hello." } },
  "reasoning with signature": { message: { content: GREETING } },
  "redacted reasoning": { message: { content: GREETING } },
  "tool call": {
    message: { content: "Reading it now.", tool_calls: [call(FIRST, { path: "notes.txt" })] },
    finish_reason: "tool_calls",
  },
  "two tool calls": {
    message: { tool_calls: [call(FIRST, { path: "a.txt" }), call(SECOND, { path: "b.txt" })] },
    finish_reason: "tool_calls",
  },
  "tool call without input": {
    message: { tool_calls: [call(FIRST, {})] },
    finish_reason: "tool_calls",
  },
  "tool call that never finishes": {
    message: { content: "Writing it now." },
    finish_reason: "length",
  },
  "split frames": { message: { content: GREETING } },
};

describe("B-39: what the SDK makes of a reply", () => {
  const rows = Object.entries(replies).map(([name, { message, finish_reason = "stop" }]) => ({
    name: name as ScenarioName,
    expected: { message: { role: "assistant", refusal: null, ...message }, finish_reason },
  }));
  test.each(rows)("$name: the stream adds up to the JSON body", async ({ name, expected }) => {
    const params = request("Hi", { tools: [TOOL], reasoning_effort: "medium" });
    kiro.script(scenarios[name], scenarios[name]);
    const streamed = await client.chat.completions
      .stream({ ...params, stream_options: { include_usage: true } })
      .finalChatCompletion();
    const created = await client.chat.completions.create(params);
    expect(created.choices).toMatchObject([{ index: 0, ...expected }]);
    expect(streamed.choices).toMatchObject([{ index: 0, ...expected }]);
    expect(streamed.model).toBe(MODEL);
    expect(streamed.usage).toEqual(created.usage);
    const { prompt_tokens, completion_tokens, total_tokens } = created.usage!;
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
    expect(kiro.violations()).toEqual([]);
  });

  test("B-38: the service's own counts arrive, those of the cache in the prompt's", async () => {
    kiro.otherwise(scenarios["text with token counts"]);
    const expected = {
      prompt_tokens: 2_000,
      completion_tokens: 60,
      total_tokens: 2_060,
      prompt_tokens_details: { cached_tokens: 700 },
    };
    const { usage } = await client.chat.completions.create(request("Hi"));
    expect(usage).toMatchObject(expected);
    const stream = client.chat.completions.stream({
      ...request("Hi"),
      stream_options: { include_usage: true },
    });
    expect(await stream.totalUsage()).toMatchObject(expected);
  });

  test("text comes in pieces, thinking as reasoning_content and not unasked", async () => {
    kiro.otherwise(scenarios["reasoning with signature"]);
    const collect = async (more: Partial<Params>): Promise<[string[], string]> => {
      const pieces: string[] = [];
      let thought = "";
      const params = { ...request("Hi", more), stream: true as const };
      for await (const { choices } of await client.chat.completions.create(params)) {
        const delta = choices[0]?.delta;
        if (delta?.content) pieces.push(delta.content);
        if (delta && "reasoning_content" in delta) thought += String(delta.reasoning_content);
      }
      return [pieces, thought];
    };
    const [pieces, thought] = await collect({ reasoning_effort: "high" });
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join("")).toBe(GREETING);
    expect(thought).toBe("Need to greet.");
    expect((await collect({ reasoning_effort: "none" }))[1]).toBe("");
    const body = await client.chat.completions.create(request("Hi", { reasoning_effort: "low" }));
    expect(body.choices[0]?.message).toMatchObject({ reasoning_content: "Need to greet." });
  });

  test("a stop sequence ends the reply and is not part of it", async () => {
    const { choices } = await client.chat.completions.create(request("Hi", { stop: " emulator" }));
    expect(choices).toMatchObject([
      { message: { content: "Hello from the" }, finish_reason: "stop" },
    ]);
  });
});

describe("conversations", () => {
  test.each([{ stream: false as const }, { stream: true as const }])(
    "runTools calls the function and goes on to the end: %j",
    async (mode) => {
      const asked: unknown[] = [];
      kiro.otherwise(({ toolResults }) =>
        toolResults.length > 0
          ? says(`It is ${toolResults[0]?.text}.`)
          : calls("get_weather", { city: "Linz" }),
      );
      const tool = zodFunction({
        name: "get_weather",
        parameters: z.object({ city: z.string(), unit: z.enum(["C", "F"]).nullish() }),
        function(input) {
          asked.push(input);
          return "sunny";
        },
      });
      const params = { ...request("How is the weather in Linz?"), tools: [tool] };
      const runner = mode.stream
        ? client.chat.completions.runTools({ ...params, ...mode })
        : client.chat.completions.runTools({ ...params, ...mode });
      expect(await runner.finalContent()).toBe("It is sunny.");
      expect(asked).toEqual([{ city: "Linz" }]);
      expect(lastChat(kiro).toolResults).toEqual([
        { toolUseId: FIRST, status: "success", text: "sunny" },
      ]);
      expect(kiro.violations()).toEqual([]);
    },
  );

  test("two calls, their results and what was said keep their order", async () => {
    kiro.script(scenarios["two tool calls"], scenarios["reasoning with signature"], scenarios.echo);
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "developer", content: "Be brief." },
      { role: "user", content: "Read a.txt and b.txt" },
    ];
    const ask1 = async (): Promise<OpenAI.ChatCompletionMessage> => {
      const params = { model: MODEL, messages, tools: [TOOL], reasoning_effort: "low" as const };
      const { choices } = await client.chat.completions.create(params);
      messages.push(choices[0]!.message);
      return choices[0]!.message;
    };
    for (const { id } of (await ask1()).tool_calls ?? []) {
      messages.push({ role: "tool", tool_call_id: id, content: `content for ${id}` });
    }
    await ask1();
    expect(lastChat(kiro).toolResults).toEqual([
      { toolUseId: FIRST, status: "success", text: `content for ${FIRST}` },
      { toolUseId: SECOND, status: "success", text: `content for ${SECOND}` },
    ]);
    messages.push({ role: "user", content: "Thanks" });
    expect((await ask1()).content).toBe("Thanks");
    const history = JSON.stringify(kiro.chats().at(-1)!.body);
    for (const said of ["Be brief.", "Read a.txt", `content for ${SECOND}`, GREETING]) {
      expect(history).toContain(said);
    }
    expect(kiro.violations()).toEqual([]);
  });

  test("B-33: legacy functions are called and their results go back", async () => {
    kiro.script(calls("get_weather", { city: "Linz" }), scenarios.text);
    const functions = [{ name: "get_weather", parameters: { type: "object", properties: {} } }];
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Weather?" }];
    const params = { model: MODEL, messages, functions };
    const { choices } = await client.chat.completions.create(params);
    expect(choices).toMatchObject([
      {
        message: { function_call: { name: "get_weather", arguments: '{"city":"Linz"}' } },
        finish_reason: "function_call",
      },
    ]);
    messages.push(choices[0]!.message, { role: "function", name: "get_weather", content: "sunny" });
    await client.chat.completions.create(params);
    expect(lastChat(kiro).toolResults).toMatchObject([{ status: "success", text: "sunny" }]);
    expect(kiro.violations()).toEqual([]);
  });

  const Event = z.object({ name: z.string(), day: z.number() });
  const eventFormat = zodResponseFormat(Event, "event");

  test("B-29: parse gives what the schema says, fenced or not, and streamed", async () => {
    const json = '{"name": "Fair", "day": 3}';
    const params = request("When is the fair?", { response_format: eventFormat });
    kiro.script(says(json), says(`\`\`\`json\n${json}\n\`\`\``), says(json));
    for (let index = 0; index < 2; index++) {
      const { choices } = await client.chat.completions.parse({
        ...params,
        response_format: eventFormat,
      });
      expect(choices[0]?.message.parsed).toEqual({ name: "Fair", day: 3 });
    }
    const stream = client.chat.completions.stream({ ...params, response_format: eventFormat });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.parsed).toEqual({ name: "Fair", day: 3 });
    expect(JSON.stringify(lastChat(kiro).body)).toContain('\\"day\\"');
  });

  test("B-29: an answer that the limit cuts off is no object, and parse says why", async () => {
    kiro.otherwise(says('{"name": "Fair in the old town", "day": 3}'));
    const params = { ...request("When?"), response_format: eventFormat, max_completion_tokens: 2 };
    const error = await rejection(client.chat.completions.parse(params));
    expect(error).toBeInstanceOf(LengthFinishReasonError);
  });

  const PNG =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

  test("B-23: an image as a data URL reaches the service with its true format", async () => {
    const url = `data:image/jpeg;base64,${PNG}`;
    await client.chat.completions.create(
      request([
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url, detail: "low" } },
      ]),
    );
    // The URL without an object around it is not in the types.
    const image = { type: "image_url", image_url: url };
    const bare = { model: MODEL, messages: [{ role: "user", content: [image] }] };
    expect((await ask(gateway, bare, { path: "/v1/chat/completions" })).status).toBe(200);
    for (const { body } of kiro.chats().slice(-2)) {
      expect(JSON.stringify(body)).toContain(`"format":"png","source":{"bytes":"${PNG}"}`);
    }
    expect(kiro.violations()).toEqual([]);
  });

  test("B-23: an image on a web server that is not there is a 400 with its place", async () => {
    const url = "http://127.0.0.1:9/cat.png";
    const error = await rejection(
      client.chat.completions.create(request([{ type: "image_url", image_url: { url } }])),
    );
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: expect.stringContaining("image_url") });
  });
});

describe("leaving", () => {
  test("F-01: abort in mid stream closes the upstream, and so does leaving the loop", async () => {
    kiro.otherwise(scenarios.endless);
    const { left, open } = kiro.connections;
    const params = { ...request("Hi"), stream: true as const };
    for await (const { choices } of await client.chat.completions.create(params)) {
      if (choices[0]?.delta.content) break;
    }
    await until(() => kiro.connections.left === left + 1);
    const stream = client.chat.completions.stream(request("Hi"));
    const end = rejection(stream.finalChatCompletion());
    await stream.emitted("content");
    stream.abort();
    await until(() => kiro.connections.left === left + 2);
    expect(await end).toBeInstanceOf(APIUserAbortError);
    expect(kiro.connections.open).toBe(open);
  });

  test("F-02: an abort before the answer's head closes the upstream, streaming or not", async () => {
    kiro.otherwise(scenarios["silence before the head"]);
    for (const stream of [true, false]) {
      const { left, open } = kiro.connections;
      const abort = new AbortController();
      const end = rejection(
        client.chat.completions.create({ ...request("Hi"), stream }, { signal: abort.signal }),
      );
      await until(() => kiro.connections.open > open);
      abort.abort();
      await until(() => kiro.connections.left > left);
      expect(await end).toBeInstanceOf(APIUserAbortError);
    }
  });
});

describe("keys and models", () => {
  test.each(["authorization", "x-api-key", "api-key"])("B-01: %s authenticates", async (name) => {
    const key = name === "authorization" ? `Bearer ${gateway.apiKey}` : gateway.apiKey;
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { [name]: key },
      body: JSON.stringify(request("Hi")),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
  });

  test("D-01: the models are listed and found by id, alias and URL-encoded name", async () => {
    const ids: string[] = [];
    for await (const { id, owned_by } of client.models.list()) {
      expect(owned_by).toBe("anthropic");
      ids.push(id);
    }
    expect(ids).toContain(MODEL);
    expect(await client.models.retrieve(MODEL)).toMatchObject({ id: MODEL, object: "model" });
    expect(await client.models.retrieve("anthropic/claude-sonnet-4.5")).toMatchObject({
      id: MODEL,
    });
    const error = await rejection(client.models.retrieve("gpt-17"));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "model_not_found" });
  });
});

describe("what is asked for and not there", () => {
  test("B-31: two choices are refused by name", async () => {
    const error = await rejection(client.chat.completions.create(request("Hi", { n: 2 })));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: "n", code: "unsupported_value" });
  });

  test("B-32: what is ignored is named in a header", async () => {
    const { response } = await client.chat.completions
      .create(request("Hi", { temperature: 0.3, seed: 7 }))
      .withResponse();
    const notice = response.headers.get("x-kiro-proxy-notice");
    expect(notice).toContain("ignored-temperature");
    expect(notice).toContain("ignored-seed");
  });
});
