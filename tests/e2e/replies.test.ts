import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { reasoning, stream, text, toolCall, trailer, words } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { chatRequestOf } from "../emulator/request.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, follow, post, prompt } from "./client.ts";

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

/** What Kiro was asked last. */
function lastChat(): ReturnType<typeof chatRequestOf> {
  return chatRequestOf(kiro.chats().at(-1)?.body);
}

test("A-31: a failure before the first event is a status with the JSON envelope", async () => {
  kiro.otherwise(scenarios["error first"]);
  const answer = await ask(gateway, prompt("Hi", { stream: true }));
  expect(answer.status).toBe(502);
  expect(answer.headers.get("content-type")).toStartWith("application/json");
  expect(answer.json).toMatchObject({ type: "error", error: { type: "api_error" } });
});

test("A-35: a stop sequence over two events is found, kept back, and ends the upstream call", async () => {
  for (const streamed of [true, false]) {
    const ending = [{ type: "silence" as const }];
    kiro.script(stream([text("one ST"), text("OP two"), text(" three")], { ending }));
    const answer = await ask(gateway, prompt("Hi", { stop_sequences: ["STOP"], stream: streamed }));
    expect(answer.text).toContain('"stop_reason":"stop_sequence","stop_sequence":"STOP"');
    expect(answer.text).toContain("one ");
    expect(answer.text).not.toContain("two");
  }
  await until(() => kiro.connections.open === 0);
});

test("A-36: thinking and tool input do not stop at a stop sequence", async () => {
  kiro.script(
    stream([
      ...reasoning("I must not STOP here.", "c2ln"),
      ...toolCall("tooluse_1", "read_file", { path: "STOP.txt" }),
      ...trailer(),
    ]),
  );
  const { json } = await ask(
    gateway,
    prompt("Hi", {
      max_tokens: 4_000,
      stop_sequences: ["STOP"],
      thinking: { type: "enabled", budget_tokens: 2_000 },
      tools: [{ name: "read_file", input_schema: { type: "object" } }],
    }),
  );
  expect(json).toMatchObject({
    content: [
      { type: "thinking", thinking: "I must not STOP here." },
      { type: "tool_use", input: { path: "STOP.txt" } },
    ],
    stop_reason: "tool_use",
  });
});

test.each([
  { name: "A-37: an overflow", streamed: false },
  { name: "A-38: an overflow of a stream", streamed: true },
])("$name is a 400 that clients compact on", async ({ streamed }) => {
  kiro.script(scenarios["context overflow"]);
  const { status, json } = await ask(gateway, prompt("Hi", { stream: streamed }));
  expect(status).toBe(400);
  const { error } = json as { error: { type: string; message: string } };
  expect(error.type).toBe("invalid_request_error");
  const [, tokens, limit] =
    /^prompt is too long: (\d+) tokens > (\d+) maximum/.exec(error.message) ?? [];
  expect(Number(limit)).toBe(200_000);
  expect(Number(tokens)).toBeGreaterThan(200_000);
});

test("A-39: throttling is a 429 with whole seconds in retry-after", async () => {
  kiro.otherwise(scenarios.throttled);
  const account = JSON.stringify(kiro.accounts.credential("api-key"));
  const answer = await ask(gateway, prompt("Hi"), { headers: { "x-kiro-credentials": account } });
  expect(answer.status).toBe(429);
  expect(answer.json).toMatchObject({ error: { type: "rate_limit_error" } });
  expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
});

test("A-40: a lack of capacity is a 529 overloaded_error", async () => {
  kiro.otherwise(scenarios["no capacity"]);
  const answer = await ask(gateway, prompt("Hi"));
  expect(answer.status).toBe(529);
  expect(answer.json).toMatchObject({ error: { type: "overloaded_error" } });
});

test("A-58: a tool's name of 100 characters comes back as it was, and is known in history", async () => {
  const name = `mcp__${"server".repeat(10)}__${"tool".repeat(8)}!`.slice(0, 100).padEnd(100, "x");
  const tools = [{ name, input_schema: { type: "object" } }];
  kiro.script(scenarios["tool call"], scenarios.text);
  const first = await ask(gateway, prompt("Hi", { tools }));
  const { content } = first.json as { content: { type: string; id?: string }[] };
  expect(content.at(-1)).toMatchObject({ type: "tool_use", name });
  const [sent] = lastChat().tools;
  expect(sent?.length).toBeLessThan(65);
  const messages = [
    { role: "user", content: "Hi" },
    { role: "assistant", content },
    {
      role: "user",
      content: [{ type: "tool_result", tool_use_id: content.at(-1)?.id, content: "done" }],
    },
  ];
  expect((await ask(gateway, prompt("", { tools, messages }))).status).toBe(200);
  expect(lastChat().tools).toEqual([String(sent)]);
  expect(JSON.stringify(lastChat().body)).not.toContain(name);
  expect(kiro.violations()).toEqual([]);
});

test.each([
  ["claude-sonnet-4-5-20250929", "claude-sonnet-4.5"],
  ["claude-sonnet-4-5-20250929-thinking", "claude-sonnet-4.5"],
  ["claude-sonnet-4-5-thinking", "claude-sonnet-4.5"],
  ["claude-3-5-sonnet-20241022", "claude-sonnet-4.5"],
  ["claude-3-5-sonnet", "claude-sonnet-4.5"],
  ["claude-opus-5-20260601", "claude-opus-5"],
  ["claude-opus-4-6", "claude-opus-4.6"],
])("A-66: %s is served by %s and named as it was asked for", async (model, upstream) => {
  const { json } = await ask(gateway, prompt("Hi", { model, max_tokens: 20_000 }));
  expect(json).toMatchObject({ type: "message", model });
  expect(lastChat().modelId).toBe(upstream);
});

test("A-67: a model that Kiro does not know is a 404", async () => {
  kiro.script(scenarios["unknown model"]);
  const answer = await ask(gateway, prompt("Hi", { model: "llama-3" }));
  expect(lastChat().modelId).toBe("llama-3");
  expect(answer.status).toBe(404);
  expect(answer.json).toMatchObject({ error: { type: "not_found_error" } });
});

test("F-06: a stream is not compressed, and reaches the client event by event", async () => {
  kiro.script(scenarios["silence in mid stream"]);
  const abort = new AbortController();
  const response = await post(gateway, prompt("Hi", { stream: true }), {
    headers: { "accept-encoding": "gzip, deflate, br, zstd" },
    signal: abort.signal,
  });
  expect(response.headers.get("content-encoding")).toBeNull();
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const reading = follow(response);
  await until(() => reading.text.includes("emulator."));
  abort.abort();
  await until(() => kiro.connections.open === 0);
});

test("A-28, F-04, F-05: 12 s of silence cut nothing, and a stream has pings", async () => {
  const before = { ...scenarios.text, before: [{ type: "wait" as const, ms: 12_000 }] };
  const [start, ...rest] = words("Hello. Still here.");
  const within = stream([start!]);
  within.steps.push({ type: "wait", ms: 12_000 }, ...stream([...rest, ...trailer()]).steps);
  kiro.otherwise(({ prompt: name }) => (name === "within" ? within : before));
  const [json, late, silent] = await Promise.all([
    ask(gateway, prompt("before")),
    ask(gateway, prompt("before", { stream: true })),
    ask(gateway, prompt("within", { stream: true })),
  ]);
  expect(json.json).toMatchObject({ type: "message", stop_reason: "end_turn" });
  for (const { events, cut } of [late, silent]) {
    expect(events.map(({ event }) => event)).toContain("ping");
    expect(events.at(-1)?.event).toBe("message_stop");
    expect(cut).toBe(false);
  }
  expect(late.events[0]).toEqual({ event: "ping", data: { type: "ping" } });
}, 30_000);
