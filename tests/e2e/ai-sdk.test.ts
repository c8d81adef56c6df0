import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateObject,
  generateText,
  isStepCount,
  type LanguageModel,
  Output,
  streamText,
  tool,
} from "ai";
import { z } from "zod";
import { startKiro } from "../emulator/kiro.ts";
import { calls, says, type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { lastChat, rejection } from "./openai.ts";

const MODEL = "claude-sonnet-4-5-20250929";
const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";
const FIRST = "tooluse_ZW11bGF0b3JfMDAwMQ";

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const providers: Record<string, (at: { baseURL: string; apiKey: string }) => LanguageModel> = {
  "openai, responses": (at) => createOpenAI(at)(MODEL),
  "openai, chat": (at) => createOpenAI(at).chat(MODEL),
  "openai-compatible": (at) =>
    createOpenAICompatible({
      name: "gateway",
      includeUsage: true,
      supportsStructuredOutputs: true,
      ...at,
    })(MODEL),
  anthropic: (at) => createAnthropic(at)(MODEL),
};
const names = Object.keys(providers);

/** No retries unless a test is about them. */
function options(provider: string): { model: LanguageModel; maxRetries: number } {
  const at = { baseURL: `${gateway.url}/v1`, apiKey: gateway.apiKey };
  return { model: providers[provider]!(at), maxRetries: 0 };
}

const weather = tool({
  description: "Tells the weather",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => `sunny in ${city}`,
});
const list = tool({
  description: "Lists the files",
  inputSchema: z.object({}),
  execute: () => "notes.txt",
});

describe.each(names)("B-40, C-24: %s", (provider) => {
  test("generateText gives the text and the usage", async () => {
    kiro.script(scenarios["text with token counts"]);
    const { text, finishReason, usage } = await generateText({
      ...options(provider),
      instructions: "Be brief.",
      prompt: "Hi",
    });
    expect(text).toBe(GREETING);
    expect(finishReason).toBe("stop");
    expect(usage).toMatchObject({ inputTokens: 2_000, outputTokens: 60, totalTokens: 2_060 });
    expect(JSON.stringify(lastChat(kiro).body)).toContain("Be brief.");
    expect(kiro.violations()).toEqual([]);
  });

  test("streamText calls the tools, sends their results and goes on to the end", async () => {
    kiro.script(
      calls("weather", { city: "Linz" }),
      scenarios["tool call without input"],
      ({ toolResults }) => says(`It is ${toolResults.map(({ text }) => text).join()}.`),
    );
    const result = streamText({
      ...options(provider),
      prompt: "How is the weather?",
      // The second scenario calls the first tool in the list.
      tools: { list, weather },
      stopWhen: isStepCount(4),
    });
    const pieces = await Array.fromAsync(result.textStream);
    const steps = await result.steps;
    expect(steps.map(({ finishReason }) => finishReason)).toEqual([
      "tool-calls",
      "tool-calls",
      "stop",
    ]);
    expect(steps.flatMap(({ toolResults }) => toolResults)).toMatchObject([
      { toolName: "weather", input: { city: "Linz" }, output: "sunny in Linz" },
      { toolName: "list", input: {}, output: "notes.txt" },
    ]);
    expect(await result.text).toBe("It is notes.txt.");
    expect(pieces.length).toBeGreaterThan(2);
    expect(lastChat(kiro).toolResults).toEqual([
      { toolUseId: FIRST, status: "success", text: "notes.txt" },
    ]);
    expect(kiro.violations()).toEqual([]);
  });

  test("two calls at once are both answered in one turn", async () => {
    kiro.script(scenarios["two tool calls"], scenarios.text);
    const { text, steps } = await generateText({
      ...options(provider),
      prompt: "Read both",
      tools: {
        read: tool({
          inputSchema: z.object({ path: z.string() }),
          execute: ({ path }) => `content of ${path}`,
        }),
      },
      stopWhen: isStepCount(3),
    });
    expect(steps).toHaveLength(2);
    expect(text).toBe(GREETING);
    expect(lastChat(kiro).toolResults.map((result) => result.text)).toEqual([
      "content of a.txt",
      "content of b.txt",
    ]);
    expect(kiro.violations()).toEqual([]);
  });

  const schema = z.object({ name: z.string(), day: z.number() });
  const event = { name: "Fair", day: 3 };

  test("generateObject and Output.object give what the schema says", async () => {
    kiro.script(
      says(JSON.stringify(event)),
      says(`\`\`\`json\n${JSON.stringify(event)}\n\`\`\``),
      says(JSON.stringify(event)),
    );
    const asked = { ...options(provider), prompt: "When is the fair?" };
    expect((await generateObject({ ...asked, schema })).object).toEqual(event);
    const output = Output.object({ schema });
    expect((await generateText({ ...asked, output })).output).toEqual(event);
    expect(await streamText({ ...asked, output }).output).toEqual(event);
    expect(JSON.stringify(lastChat(kiro).body)).toContain('\\"day\\"');
    expect(kiro.violations()).toEqual([]);
  });

  test("an image reaches the service", async () => {
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const image = { type: "file" as const, data: png, mediaType: "image/png" };
    await generateText({
      ...options(provider),
      messages: [{ role: "user", content: [{ type: "text", text: "What is this?" }, image] }],
    });
    expect(JSON.stringify(lastChat(kiro).body)).toContain(
      `"format":"png","source":{"bytes":"${png}"}`,
    );
    expect(kiro.violations()).toEqual([]);
  });

  const errors: { name: ScenarioName; status: number; retry: boolean }[] = [
    { name: "context overflow", status: 400, retry: false },
    { name: "unknown model", status: 404, retry: false },
  ];
  test.each(errors)("$name is an APICallError with its status", async ({ name, status, retry }) => {
    kiro.otherwise(scenarios[name]);
    const error = await rejection(generateText({ ...options(provider), prompt: "Hi" }));
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: status, isRetryable: retry });
  });

  test("a failure in mid stream is an error, and not the end of a whole answer", async () => {
    kiro.script(scenarios["exception late"]);
    const seen: unknown[] = [];
    const result = streamText({
      ...options(provider),
      prompt: "Hi",
      onError: ({ error }) => void seen.push(error),
    });
    let said = "";
    await rejection(
      (async () => {
        for await (const piece of result.textStream) said += piece;
      })(),
    );
    expect(said).toBe(GREETING);
    expect(seen).not.toEqual([]);
    const reason = await rejection(result.finishReason);
    expect(reason).not.toMatchObject({ resolved: "stop" });
  });

  test("an abort closes the upstream", async () => {
    kiro.script(scenarios.endless);
    const { left } = kiro.connections;
    const abort = new AbortController();
    const result = streamText({
      ...options(provider),
      prompt: "Hi",
      abortSignal: abort.signal,
    });
    await rejection(
      (async () => {
        for await (const _ of result.textStream) abort.abort();
      })(),
    );
    await until(() => kiro.connections.left === left + 1);
  });
});

describe("thinking", () => {
  type ProviderOptions = NonNullable<Parameters<typeof generateText>[0]["providerOptions"]>;
  const reasoning = {
    reasoningEffort: "medium" as const,
    reasoningSummary: "auto",
    forceReasoning: true,
  };
  const rows: { name: string; providerOptions: ProviderOptions; signed: boolean }[] = [
    {
      name: "openai, responses",
      providerOptions: { openai: { ...reasoning, store: false } },
      signed: true,
    },
    {
      name: "openai-compatible",
      providerOptions: { gateway: { reasoningEffort: "medium" } },
      signed: false,
    },
    {
      name: "anthropic",
      providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 2_000 } } },
      signed: true,
    },
  ];
  test.each(rows)("$name shows it and sends it back", async ({ name, providerOptions, signed }) => {
    kiro.script(scenarios["reasoning with signature"], scenarios.echo);
    const asked = { ...options(name), providerOptions };
    const first = await generateText({ ...asked, prompt: "Hi" });
    expect(first.reasoningText).toBe("Need to greet.");
    const streamed = streamText({
      ...asked,
      messages: [
        { role: "user", content: "Hi" },
        ...first.response.messages,
        { role: "user", content: "Again" },
      ],
    });
    expect(await streamed.text).toBe("Again");
    const body = JSON.stringify(lastChat(kiro).body);
    expect(body).toContain(GREETING);
    expect(body.includes("RW11bGF0ZWRTaWduYXR1cmU=")).toBe(signed);
    expect(kiro.violations()).toEqual([]);
  });

  test("without store: false the SDK only names its earlier texts, and a notice says they are dropped", async () => {
    const asked = options("openai, responses");
    const first = await generateText({ ...asked, prompt: "Hi" });
    const second = await generateText({
      ...asked,
      messages: [...first.response.messages, { role: "user", content: "Again" }],
    });
    expect(second.text).toBe(GREETING);
    const notice = second.response.headers?.["x-kiro-proxy-notice"];
    expect(notice).toContain("dropped-item: item_reference");
  });
});
