import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  APIConnectionError,
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
  type OpenAI,
} from "openai";
import { startKiro } from "../emulator/kiro.ts";
import { type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { post } from "./client.ts";
import { openai, rejection } from "./openai.ts";

const MODEL = "claude-sonnet-4-5-20250929";

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

/** Pays with an account of its own, which may come to harm. */
function expendable(options: ConstructorParameters<typeof OpenAI>[0] = {}): OpenAI {
  const account = JSON.stringify(kiro.accounts.credential("api-key"));
  return openai(gateway, { ...options, defaultHeaders: { "x-kiro-credentials": account } });
}

const routes = [
  {
    route: "chat",
    promptParam: "messages",
    create: async (client: OpenAI, stream: boolean): Promise<unknown> =>
      await client.chat.completions.create({
        model: MODEL,
        messages: [{ role: "user", content: "Hi" }],
        stream,
      }),
  },
  {
    route: "responses",
    promptParam: "input",
    create: async (client: OpenAI, stream: boolean): Promise<unknown> =>
      await client.responses.create({ model: MODEL, input: "Hi", stream }),
  },
];

describe.each(routes)("$route", ({ promptParam, create }) => {
  type ErrorClass = abstract new (...args: never[]) => APIError;
  const errors: { id: string; name: ScenarioName; type: ErrorClass; shape: object }[] = [
    {
      id: "B-02",
      name: "suspicious",
      type: RateLimitError,
      shape: { type: "rate_limit_error", code: "rate_limit_exceeded" },
    },
    {
      id: "B-02",
      name: "high load",
      type: InternalServerError,
      shape: { status: 503, type: "server_error", code: "server_is_overloaded" },
    },
    {
      id: "B-02",
      name: "suspended",
      type: PermissionDeniedError,
      shape: { type: "permission_error", code: null },
    },
    {
      id: "B-37",
      name: "monthly quota",
      type: RateLimitError,
      shape: { type: "insufficient_quota", code: "insufficient_quota" },
    },
    {
      id: "B-35",
      name: "unknown model",
      type: NotFoundError,
      shape: { code: "model_not_found", param: "model" },
    },
    {
      id: "B-36, C-18",
      name: "context overflow",
      type: BadRequestError,
      shape: {
        code: "context_length_exceeded",
        param: promptParam,
        // The words that agents of either family look for.
        message: expect.stringMatching(
          /maximum context length is 200000 tokens.*prompt is too long: \d+ tokens > 200000 maximum/,
        ),
      },
    },
  ];
  test.each(errors)("$id: $name has its class and code, in both modes", async (row) => {
    kiro.otherwise(scenarios[row.name]);
    for (const stream of [true, false]) {
      const error = await rejection(create(expendable(), stream));
      expect(error).toBeInstanceOf(row.type);
      expect(error).toMatchObject({ requestID: expect.stringMatching(/^req_/), ...row.shape });
    }
  });

  test("B-37: a wrong key is not tried again by the SDK", async () => {
    let sent = 0;
    const client = openai(gateway, {
      apiKey: "wrong",
      maxRetries: 2,
      fetch: async (url, init) => {
        sent += 1;
        return await fetch(url, init);
      },
    });
    const error = await rejection(create(client, true));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ code: "invalid_api_key" });
    expect((error as AuthenticationError).headers.get("x-should-retry")).toBe("false");
    expect(sent).toBe(1);
  });

  test("B-37: a used-up quota is not tried again by the SDK", async () => {
    kiro.otherwise(scenarios["monthly quota"]);
    const before = kiro.chats().length;
    const error = await rejection(create(expendable({ maxRetries: 2 }), false));
    expect(error).toMatchObject({ status: 429 });
    expect(kiro.chats().length - before).toBe(1);
  });

  test("throttling says how long to wait, in whole seconds", async () => {
    kiro.otherwise(scenarios.suspicious);
    const error = await rejection(create(expendable(), true));
    expect((error as RateLimitError).headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  });

  test("a failure that may pass is tried again by the SDK, and the answer comes", async () => {
    const broken = scenarios["bad checksum first"];
    kiro.script(broken, broken, broken);
    const before = kiro.chats().length;
    await create(openai(gateway, { maxRetries: 1 }), false);
    expect(kiro.chats().length - before).toBe(4);
  });
});

test("B-17: a chat stream that fails late rejects with the error, and what came before is there", async () => {
  kiro.otherwise(scenarios["exception late"]);
  let said = "";
  const stream = openai(gateway)
    .chat.completions.stream({ model: MODEL, messages: [{ role: "user", content: "Hi" }] })
    .on("content", (piece) => (said += piece));
  const error = await rejection(stream.finalChatCompletion());
  expect(error).toBeInstanceOf(APIError);
  expect(error).not.toBeInstanceOf(APIConnectionError);
  expect(error).toMatchObject({ type: "server_error" });
  expect(said).toBe("Hello from the emulator. 你好, \u{1F44B}!");
});

/** What has come by the time that something keeps the stream open. */
async function silent(route: string, prompt: "before" | "within"): Promise<string> {
  const input =
    route === "responses" ? { input: prompt } : { messages: [{ role: "user", content: prompt }] };
  const path = route === "responses" ? "/v1/responses" : "/v1/chat/completions";
  const answer = await post(gateway, { model: MODEL, stream: true, ...input }, { path });
  let text = "";
  // Leaving the loop closes the connection.
  for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const begun = prompt === "before" || text.includes("delta");
    if (begun && /(: keep-alive|event: response.in_progress\ndata: .*)\n\n$/.test(text)) break;
  }
  return text;
}

test("B-16, C-17: ten seconds of silence bring a comment to chat and an event to Responses, early and late", async () => {
  const { left } = kiro.connections;
  kiro.otherwise(({ prompt }) =>
    prompt === "before" ? scenarios["silence before the head"] : scenarios["silence in mid stream"],
  );
  const [chatBefore, chatWithin, before, within] = await Promise.all([
    silent("chat", "before"),
    silent("chat", "within"),
    silent("responses", "before"),
    silent("responses", "within"),
  ]);
  expect(chatBefore).toBe(": keep-alive\n\n");
  expect(chatWithin).toMatch(/^(data: .*\n\n)+: keep-alive\n\n$/);
  expect(before).toMatch(/^event: response.created\n/);
  expect(within).toMatch(/output_text.delta[^]*event: response.in_progress\ndata: .*\n\n$/);
  for (const text of [before, within]) {
    const numbers = Array.from(text.matchAll(/"sequence_number":(\d+)/g), ([, n]) => Number(n));
    expect(numbers).toEqual([...numbers.keys()]);
  }
  await until(() => kiro.connections.left === left + 4);
}, 20_000);
