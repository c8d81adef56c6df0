import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { DemoEvent } from "../../src/demo/answer.ts";
import { quotaOf } from "../../src/kiro/quota.ts";
import { demoAnswer } from "../../src/demo/answer.ts";
import type { DemoUpstream } from "../../src/demo/upstream.ts";
import { startDemoUpstream } from "../../src/demo/upstream.ts";
import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import { stringHeader } from "../../src/eventstream/headers.ts";

let demo: DemoUpstream;
beforeEach(() => {
  demo = startDemoUpstream({ sleep: async () => await Promise.resolve() });
});
afterEach(() => demo.stop());

const weather = {
  toolSpecification: {
    name: "get_weather",
    description: "Tells the weather.",
    inputSchema: {
      json: {
        type: "object",
        properties: {
          city: { type: "string" },
          days: { type: "integer", minimum: 2 },
          unit: { enum: ["C", "F"] },
          exact: { type: "boolean" },
          hours: { type: "array" },
          place: { type: "object", properties: { zip: {} }, required: ["zip"] },
          note: { type: "string" },
        },
        required: ["city", "days", "unit", "exact", "hours", "place"],
      },
    },
  },
};

function request(content: string, context?: object, more: object = {}): object {
  const userInputMessage = {
    content,
    modelId: "claude-sonnet-4.5",
    userInputMessageContext: context,
  };
  return { conversationState: { currentMessage: { userInputMessage } }, ...more };
}

function textOf(events: DemoEvent[], type = "assistantResponseEvent"): string {
  return events
    .filter((event) => event.type === type)
    .map(({ payload }) => payload["content"] ?? payload["text"])
    .join("");
}

function callOf(events: DemoEvent[]): { name: unknown; input: unknown } | undefined {
  const parts = events.filter(({ type }) => type === "toolUseEvent").map(({ payload }) => payload);
  if (parts.at(-1)?.["stop"] !== true) return undefined;
  const json = parts.map((part) => part["input"] as string | undefined).join("");
  return { name: parts[0]?.["name"], input: JSON.parse(json) };
}

test("streams frames that the decoder accepts, a word each, and says that it is a demo", async () => {
  const response = await fetch(`${demo.url}/generateAssistantResponse`, {
    method: "POST",
    body: JSON.stringify(request("Tell me: 你好, \u{1F44B}?")),
  });
  expect(response.headers.get("content-type")).toBe("application/vnd.amazon.eventstream");
  const decoder = new FrameDecoder();
  const { frames, fault } = decoder.push(await response.bytes());
  expect(fault ?? decoder.end()).toBeUndefined();
  const events = frames.map(({ headers, payload }): DemoEvent => ({
    type: stringHeader(headers, ":event-type") ?? "",
    payload: JSON.parse(Buffer.from(payload).toString()),
  }));
  expect(events).toEqual(demoAnswer(request("Tell me: 你好, \u{1F44B}?")));
  expect(textOf(events)).toStartWith("[demo] ");
  expect(textOf(events)).toContain("你好, \u{1F44B}?");
  expect(events.length).toBeGreaterThan(20);
});

test("calls the tool that the prompt names, with the JSON behind the name", () => {
  const events = demoAnswer(
    request('Please call get_weather {"city": "Oslo", "at": {"hour": 3}}', { tools: [weather] }),
  );
  expect(callOf(events)).toEqual({
    name: "get_weather",
    input: { city: "Oslo", at: { hour: 3 } },
  });
  expect(textOf(events)).toStartWith("[demo] ");
});

test.each([
  "call get_weather",
  "call the tool `get_weather`",
  "Call Get_Weather {not json}",
  "Some talk first.\n\ncall get_weather, please",
  "call get_weather\n<system-reminder>call nothing</system-reminder>\n",
])("fills in the required properties when asked %p", (prompt) => {
  expect(callOf(demoAnswer(request(prompt, { tools: [weather] })))).toEqual({
    name: "get_weather",
    input: { city: "demo", days: 2, unit: "C", exact: false, hours: [], place: { zip: "demo" } },
  });
});

test("calls nothing that was not offered, and says how to see a call", () => {
  const without = demoAnswer(request("call get_weather"));
  expect(callOf(without)).toBeUndefined();
  const other = demoAnswer(request("call the police", { tools: [weather] }));
  expect(callOf(other)).toBeUndefined();
  expect(textOf(other)).toContain("`call get_weather`");
});

test("reads a tool's result back", () => {
  const toolResults = [
    {
      toolUseId: "t",
      status: "success",
      content: [{ text: "12 degrees\n<system-reminder>x</system-reminder>" }],
    },
  ];
  const events = demoAnswer(request("", { toolResults, tools: [weather] }));
  expect(textOf(events)).toMatch(/^\[demo\] .*"12 degrees"/);
});

test("shows thinking when the system prompt or the body asks for it, and only then", () => {
  const tagged = {
    conversationState: {
      history: [{ userInputMessage: { content: "<thinking_mode>enabled</thinking_mode>" } }],
    },
  };
  const native = request("Hi", undefined, {
    additionalModelRequestFields: { thinking: { type: "adaptive" } },
  });
  for (const body of [tagged, native]) {
    expect(textOf(demoAnswer(body), "reasoningContentEvent")).toStartWith("[demo] ");
  }
  expect(textOf(demoAnswer(request("Hi")), "reasoningContentEvent")).toBe("");
});

test("quotes no more than 200 characters", () => {
  expect(textOf(demoAnswer(request("\u{1F44B}".repeat(500))))).toContain(
    `${"\u{1F44B}".repeat(200)}…`,
  );
});

test("any JSON gets a labelled answer", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      expect(textOf(demoAnswer(body))).toStartWith("[demo] ");
    }),
  );
});

test("says something of its account, so that the log stays quiet", async () => {
  const [usage, models] = ["getUsageLimits", "ListAvailableModels"].map(
    async (path) => await (await fetch(`${demo.url}/${path}`)).json(),
  );
  expect(quotaOf({ ...Object(await usage) }, 0)).toMatchObject({ remaining: 1_000, plan: "DEMO" });
  expect(await models).toEqual({ models: [] });
});

test("answers other paths with 404 and broken JSON with 400", async () => {
  expect((await fetch(`${demo.url}/mcp`)).status).toBe(404);
  const broken = await fetch(`${demo.url}/generateAssistantResponse`, {
    method: "POST",
    body: "{",
  });
  expect(broken.status).toBe(400);
});

test("stops talking when the client has left", async () => {
  let pauses = 0;
  const reached = Promise.withResolvers<void>();
  const resumed = Promise.withResolvers<void>();
  const slow = startDemoUpstream({
    sleep: async () => {
      pauses += 1;
      reached.resolve();
      await resumed.promise;
    },
  });
  const leaving = new AbortController();
  const response = await fetch(`${slow.url}/generateAssistantResponse`, {
    method: "POST",
    body: JSON.stringify(request("Hi")),
    signal: leaving.signal,
  });
  await reached.promise;
  leaving.abort();
  await response.text().catch(() => undefined);
  // Another request proves that the server has seen the end of the first connection.
  await fetch(slow.url);
  resumed.resolve();
  await fetch(slow.url);
  expect(pauses).toBe(1);
  slow.stop();
});
