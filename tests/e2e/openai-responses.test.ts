import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { APIUserAbortError, BadRequestError, type OpenAI } from "openai";
import { ResponsesToolRunner, runnerFunction } from "openai/helpers/responses-tool-runner";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { reasoning, stream, toolCall, trailer } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { calls, says, type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { lastChat, openai, rejection } from "./openai.ts";

type Params = Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, "stream">;
type Item = OpenAI.Responses.ResponseInputItem;

const MODEL = "claude-sonnet-4-5-20250929";
const TOOL: OpenAI.Responses.FunctionTool = {
  type: "function",
  name: "read_file",
  description: "Reads a file",
  parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  strict: false,
};
const PATCH_TOOL: OpenAI.Responses.CustomTool = {
  type: "custom",
  name: "apply_patch",
  description: "Applies a patch",
  format: { type: "grammar", syntax: "lark", definition: "start: /.+/s" },
};
const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";
const FIRST = "tooluse_ZW11bGF0b3JfMDAwMQ";
const SECOND = "tooluse_ZW11bGF0b3JfMDAwMg";
const SIGNATURE = "RW11bGF0ZWRTaWduYXR1cmU=";

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

function request(input: string | Item[], more: Partial<Params> = {}): Params {
  return { model: MODEL, input, store: false, ...more };
}

function message(text: string): object {
  return {
    type: "message",
    role: "assistant",
    status: "completed",
    id: expect.stringMatching(/^msg_/),
    content: [{ type: "output_text", text, annotations: [] }],
  };
}

function call(id: string, args: object): object {
  return {
    type: "function_call",
    id: expect.stringMatching(/^fc_/),
    call_id: id,
    name: "read_file",
    arguments: JSON.stringify(args),
    status: "completed",
  };
}

function thought(text: string): object {
  return {
    type: "reasoning",
    id: expect.stringMatching(/^rs_/),
    summary: [{ type: "summary_text", text }],
  };
}

const cut = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };

const replies: Partial<Record<ScenarioName, { output: object[]; ending?: object }>> = {
  text: { output: [message(GREETING)] },
  "thinking in tags": { output: [thought("Need to greet."), message("Hello.")] },
  "reasoning with signature": { output: [thought("Need to greet."), message(GREETING)] },
  "redacted reasoning": { output: [{ type: "reasoning", summary: [] }, message(GREETING)] },
  "tool call": { output: [message("Reading it now."), call(FIRST, { path: "notes.txt" })] },
  "two tool calls": { output: [call(FIRST, { path: "a.txt" }), call(SECOND, { path: "b.txt" })] },
  "tool call without input": { output: [call(FIRST, {})] },
  "tool call that never finishes": {
    output: [{ ...message("Writing it now."), status: "incomplete" }],
    ending: cut,
  },
  "split frames": { output: [message(GREETING)] },
};

describe("C-24: what the SDK makes of a reply", () => {
  const rows = Object.entries(replies).map(([name, { output, ending }]) => ({
    name: name as ScenarioName,
    expected: { object: "response", status: "completed", error: null, model: MODEL, ...ending },
    output,
  }));
  test.each(rows)("$name: the stream adds up to the JSON body", async (row) => {
    const params = request("Hi", {
      tools: [TOOL],
      reasoning: { effort: "medium", summary: "auto" },
    });
    kiro.script(scenarios[row.name], scenarios[row.name]);
    const streamed = await client.responses.stream({ ...params, stream: true }).finalResponse();
    const created = await client.responses.create(params);
    for (const response of [streamed, created]) {
      expect(response).toMatchObject(row.expected);
      expect(response.output).toMatchObject(row.output);
      expect(response.created_at).toBeGreaterThan(1_700_000_000);
    }
    expect(streamed.output_text).toBe(created.output_text);
    expect(streamed.usage).toEqual(created.usage);
    expect(kiro.violations()).toEqual([]);
  });

  test("C-21: the JSON body has times, ids, annotations and usage", async () => {
    kiro.otherwise(scenarios["text with token counts"]);
    const response = await client.responses.create(request("Hi"));
    expect(response).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      created_at: expect.any(Number),
      output: [message(GREETING)],
      usage: {
        input_tokens: 2_000,
        input_tokens_details: { cached_tokens: 700 },
        output_tokens: 60,
        output_tokens_details: { reasoning_tokens: expect.any(Number) },
        total_tokens: 2_060,
      },
    });
  });

  test("text comes in pieces, and thinking is not shown unasked", async () => {
    kiro.otherwise(scenarios["reasoning with signature"]);
    const pieces: string[] = [];
    const types = new Set<string>();
    const events = await client.responses.create({ ...request("Hi"), stream: true });
    for await (const event of events) {
      types.add(event.type);
      if (event.type === "response.output_text.delta") pieces.push(event.delta);
    }
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join("")).toBe(GREETING);
    expect([...types].filter((type) => type.includes("reasoning"))).toEqual([]);
  });

  test("C-20: max_output_tokens ends the reply as incomplete, in both modes", async () => {
    kiro.otherwise(says("word ".repeat(200)));
    const params = request("Count", { max_output_tokens: 20 });
    const streamed = await client.responses.stream({ ...params, stream: true }).finalResponse();
    for (const response of [streamed, await client.responses.create(params)]) {
      expect(response).toMatchObject(cut);
      expect(response.output_text.length).toBeGreaterThan(0);
      expect(response.output_text.length).toBeLessThan(500);
    }
  });
});

describe("conversations", () => {
  test("a tool's result and the thinking before it go back where they came from", async () => {
    kiro.script(
      stream([
        ...reasoning("It is in two files.", SIGNATURE),
        ...toolCall(FIRST, "read_file", { path: "a.txt" }),
        ...toolCall(SECOND, "read_file", { path: "b.txt" }),
        ...trailer(),
      ]),
      scenarios.echo,
    );
    const input: Item[] = [
      { role: "developer", content: "Be brief." },
      { role: "user", content: "Read a.txt and b.txt" },
    ];
    const params = {
      ...request(input, { tools: [TOOL], reasoning: { effort: "low" } }),
      include: ["reasoning.encrypted_content" as const],
    };
    const { output } = await client.responses.create(params);
    expect(output.map(({ type }) => type)).toEqual(["reasoning", "function_call", "function_call"]);
    for (const item of output) {
      if (item.type === "reasoning" || item.type === "function_call") input.push(item);
    }
    for (const [id, text] of [
      [FIRST, "one"],
      [SECOND, "two"],
    ] as const) {
      const part = { type: "input_text" as const, text };
      input.push({ type: "function_call_output", call_id: id, output: [part] });
    }
    await client.responses.create(params);
    expect(lastChat(kiro).toolResults).toEqual([
      { toolUseId: FIRST, status: "success", text: "one" },
      { toolUseId: SECOND, status: "success", text: "two" },
    ]);
    const asked = JSON.stringify(lastChat(kiro).body);
    for (const said of ["Be brief.", "It is in two files.", SIGNATURE]) {
      expect(asked).toContain(said);
    }
    expect(kiro.violations()).toEqual([]);
  });

  test.each([false, true])(
    "the SDK's tool runner comes to its end, stream: %p",
    async (streams) => {
      kiro.otherwise(({ toolResults }) =>
        toolResults.length > 0
          ? says(`It is ${toolResults[0]?.text}.`)
          : calls("get_weather", { city: "Linz" }),
      );
      const asked: unknown[] = [];
      const weather = zodResponsesFunction({
        name: "get_weather",
        parameters: z.object({ city: z.string() }),
        function(input) {
          asked.push(input);
          return "sunny";
        },
      });
      const runner = new ResponsesToolRunner({ functions: [runnerFunction(weather)] });
      const params = request("How is the weather in Linz?");
      const final = await runner.run(client, params, { stream: streams });
      expect(final.output_text).toBe("It is sunny.");
      expect(asked).toEqual([{ city: "Linz" }]);
      expect(kiro.violations()).toEqual([]);
    },
  );

  test("C-11: a custom tool is called with raw text, and its output goes back", async () => {
    const patch = '*** Begin Patch\n+"a" \\ b\n*** End Patch';
    kiro.script(calls("apply_patch", { input: patch }), scenarios.text);
    const input: Item[] = [{ role: "user", content: "Patch it" }];
    const params = request(input, { tools: [PATCH_TOOL, { type: "web_search" }] });
    const { output } = await client.responses.stream({ ...params, stream: true }).finalResponse();
    const [, made] = output;
    expect(made).toMatchObject({
      type: "custom_tool_call",
      call_id: FIRST,
      name: "apply_patch",
      input: patch,
    });
    if (made?.type === "custom_tool_call") input.push(made);
    input.push({ type: "custom_tool_call_output", call_id: FIRST, output: "Done." });
    await client.responses.create(params);
    expect(lastChat(kiro).toolResults).toMatchObject([{ toolUseId: FIRST, text: "Done." }]);
    expect(kiro.violations()).toEqual([]);
  });

  test("C-10: a tool of a group comes back with the group's name beside its own", async () => {
    const inner = { type: "function" as const, name: "close", parameters: {}, strict: false };
    const group = { type: "namespace" as const, name: "agents", description: "", tools: [inner] };
    kiro.script(({ tools }) => calls(tools[0]!, {}));
    const { output } = await client.responses.create(request("Close it", { tools: [group] }));
    expect(output[1]).toMatchObject({ type: "function_call", name: "close", namespace: "agents" });
    expect(lastChat(kiro).tools).toHaveLength(1);
  });

  test("parse gives what the schema says, fenced or not, and the arguments of calls", async () => {
    const Event = z.object({ name: z.string(), day: z.number() });
    const text = { format: zodTextFormat(Event, "event") };
    const json = '{"name": "Fair", "day": 3}';
    kiro.script(says(json), says(`\`\`\`json\n${json}\n\`\`\``), calls("find", { path: "a" }));
    for (let index = 0; index < 2; index++) {
      const { output_parsed } = await client.responses.parse({ ...request("When?"), text });
      expect(output_parsed).toEqual({ name: "Fair", day: 3 });
    }
    const find = zodResponsesFunction({ name: "find", parameters: z.object({ path: z.string() }) });
    const { output } = await client.responses.parse({ ...request("Find it"), tools: [find] });
    expect(output[1]).toMatchObject({ type: "function_call", parsed_arguments: { path: "a" } });
  });

  test("C-23: Codex's compaction, a summary request with an empty list of tools, works", async () => {
    const input: Item[] = [
      { role: "user", content: "Write hello.txt" },
      { type: "function_call", call_id: FIRST, name: "exec_command", arguments: '{"cmd":"ls"}' },
      { type: "function_call_output", call_id: FIRST, output: "hello.txt" },
      { role: "user", content: "Write a hand-over summary of this conversation." },
    ];
    kiro.script(scenarios.echo);
    const params = request(input, { tools: [], tool_choice: "auto", parallel_tool_calls: false });
    const { output_text } = await client.responses
      .stream({ ...params, stream: true })
      .finalResponse();
    expect(output_text).toContain("Write a hand-over summary");
    expect(kiro.violations()).toEqual([]);
  });

  test("an image as a data URL reaches the service with its true format", async () => {
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const image = {
      type: "input_image" as const,
      image_url: `data:image/jpeg;base64,${png}`,
      detail: "auto" as const,
    };
    const text = { type: "input_text" as const, text: "What is this?" };
    await client.responses.create(request([{ role: "user", content: [text, image] }]));
    expect(JSON.stringify(lastChat(kiro).body)).toContain(
      `"format":"png","source":{"bytes":"${png}"}`,
    );
    expect(kiro.violations()).toEqual([]);
  });
});

describe("leaving", () => {
  test("F-01: abort and leaving the loop close the upstream", async () => {
    kiro.otherwise(scenarios.endless);
    const { left, open } = kiro.connections;
    const params = { ...request("Hi"), stream: true as const };
    for await (const event of await client.responses.create(params)) {
      if (event.type === "response.output_text.delta") break;
    }
    await until(() => kiro.connections.left === left + 1);
    const events = client.responses.stream(params);
    const end = rejection(events.finalResponse());
    await events.emitted("response.output_text.delta");
    events.abort();
    await until(() => kiro.connections.left === left + 2);
    expect(await end).toBeInstanceOf(APIUserAbortError);
    expect(kiro.connections.open).toBe(open);
  });
});

describe("errors", () => {
  test("C-16: going on from an earlier reply is refused by name", async () => {
    const params = request("And then?", { previous_response_id: "resp_1" });
    const error = await rejection(client.responses.create(params));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({
      code: "previous_response_not_found",
      param: "previous_response_id",
    });
  });

  test("C-19: a failure in mid stream is response.failed with its code and words", async () => {
    kiro.otherwise(scenarios["exception late"]);
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    const reading = (async () => {
      const all = await client.responses.create({ ...request("Hi"), stream: true });
      for await (const event of all) events.push(event);
    })();
    // The connection is cut after it, so that no client takes what came for the whole.
    expect(await rejection(reading)).toBeInstanceOf(Error);
    expect(events.at(-1)).toMatchObject({
      type: "response.failed",
      response: {
        status: "failed",
        error: { code: expect.any(String), message: expect.stringMatching(/./) },
      },
    });
    const text = events.flatMap((event) =>
      event.type === "response.output_text.delta" ? [event.delta] : [],
    );
    expect(text.join("")).toBe(GREETING);
  });
});
