import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ChatAnthropic } from "@langchain/anthropic";
import {
  type AIMessageChunk,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { startKiro } from "../emulator/kiro.ts";
import { calls, says, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";
import { lastChat } from "./openai.ts";

const MODEL = "claude-sonnet-4-5-20250929";
const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";
const FIRST = "tooluse_ZW11bGF0b3JfMDAwMQ";
const SECOND = "tooluse_ZW11bGF0b3JfMDAwMg";

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

/** No retries unless a test is about them. */
const models: Record<string, () => ChatOpenAI | ChatAnthropic> = {
  "ChatOpenAI, chat": () => chatOpenAI(false),
  "ChatOpenAI, responses": () => chatOpenAI(true),
  ChatAnthropic: () =>
    new ChatAnthropic({
      model: MODEL,
      apiKey: gateway.apiKey,
      anthropicApiUrl: gateway.url,
      maxRetries: 0,
    }),
};

function chatOpenAI(useResponsesApi: boolean): ChatOpenAI {
  return new ChatOpenAI({
    model: MODEL,
    apiKey: gateway.apiKey,
    configuration: { baseURL: `${gateway.url}/v1` },
    maxRetries: 0,
    useResponsesApi,
  });
}

const readFile = tool(({ path }) => `content of ${path}`, {
  name: "read_file",
  description: "Reads a file",
  schema: z.object({ path: z.string() }),
});

describe.each(Object.keys(models))("B-40: %s", (name) => {
  test("invoke gives the text and the usage", async () => {
    kiro.script(scenarios["text with token counts"]);
    const answer = await models[name]!().invoke([
      new SystemMessage("Be brief."),
      new HumanMessage("Hi"),
    ]);
    expect(answer.text).toBe(GREETING);
    expect(answer.usage_metadata).toMatchObject({ input_tokens: 2_000, output_tokens: 60 });
    expect(JSON.stringify(lastChat(kiro).body)).toContain("Be brief.");
    expect(kiro.violations()).toEqual([]);
  });

  test("stream gives the text in pieces, and they add up", async () => {
    const chunks = await Array.fromAsync(await models[name]!().stream("Hi"));
    const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
    expect(whole.text).toBe(GREETING);
    expect(chunks.filter((chunk) => chunk.text !== "").length).toBeGreaterThan(1);
    expect(whole.usage_metadata).toMatchObject({ total_tokens: expect.any(Number) });
  });

  test.each(["invoke", "stream"] as const)(
    "bound tools are called and answered: %s",
    async (how) => {
      kiro.script(
        scenarios["two tool calls"],
        scenarios["tool call without input"],
        scenarios.text,
      );
      const bound = models[name]!().bindTools([readFile]);
      const ask = async (): Promise<AIMessageChunk> => {
        if (how === "invoke") return await bound.invoke(messages);
        const chunks = await Array.fromAsync(await bound.stream(messages));
        return chunks.reduce((sum, chunk) => sum.concat(chunk));
      };
      const messages: (HumanMessage | AIMessageChunk | ToolMessage)[] = [
        new HumanMessage("Read a.txt and b.txt"),
      ];
      const first = await ask();
      messages.push(first);
      expect(first.tool_calls).toMatchObject([
        { id: FIRST, name: "read_file", args: { path: "a.txt" } },
        { id: SECOND, name: "read_file", args: { path: "b.txt" } },
      ]);
      for (const call of first.tool_calls ?? []) messages.push(await readFile.invoke(call));
      const second = await ask();
      expect(lastChat(kiro).toolResults).toEqual([
        { toolUseId: FIRST, status: "success", text: "content of a.txt" },
        { toolUseId: SECOND, status: "success", text: "content of b.txt" },
      ]);
      messages.push(second, new ToolMessage({ tool_call_id: FIRST, content: "nothing" }));
      expect(second.tool_calls).toMatchObject([{ id: FIRST, args: {} }]);
      expect((await ask()).text).toBe(GREETING);
      expect(kiro.violations()).toEqual([]);
    },
  );

  test("withStructuredOutput gives what the schema says", async () => {
    const event = { name: "Fair", day: 3 };
    kiro.otherwise(({ tools }) =>
      // ChatAnthropic forces a tool for it.
      tools.length > 0 ? calls(tools[0]!, event) : says(JSON.stringify(event)),
    );
    const structured = models[name]!().withStructuredOutput(
      z.object({ name: z.string(), day: z.number() }),
    );
    expect(await structured.invoke("When is the fair?")).toEqual(event);
    expect(kiro.violations()).toEqual([]);
  });
});
