import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { startKiro } from "../emulator/kiro.ts";
import { chatRequestOf } from "../emulator/request.ts";
import { says, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, runBinary, startGateway, stopGateways } from "./binary.ts";
import { ask, prompt } from "./client.ts";

const LEAK = '<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>';
const tools = [
  {
    name: "Bash",
    input_schema: { type: "object", properties: { command: { anyOf: [{ type: "string" }] } } },
  },
];

const kiro = startKiro();
kiro.otherwise((request) =>
  request.prompt.startsWith("bad") ? scenarios["improperly formed"] : says(`Well.\n${LEAK}\n`),
);
let marking: Gateway;
let converting: Gateway;
setDefaultTimeout(60_000);
beforeAll(async () => {
  [marking, converting] = await Promise.all([
    startGateway({ kiro }),
    startGateway({ kiro, config: { leakedToolCalls: "convert", attributionLine: "tail" } }),
  ]);
});
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

type Reply = {
  content?: { type: string; text?: string; input?: object }[];
  stop_reason?: string;
  error?: { type: string; message: string };
};

async function post(gateway: Gateway, body: object) {
  const { status, json, headers } = await ask(gateway, body);
  return { status, answer: json as Reply, notice: headers.get("x-kiro-proxy-notice") };
}

const explain = async (body: object, ...flags: string[]) =>
  await runBinary({
    files: { "request.json": JSON.stringify(body) },
    args: ["explain", "request.json", ...flags],
  });

test("a tool call in text stays text, which is told and counted", async () => {
  const { answer, notice } = await post(marking, { ...prompt("leak"), tools });
  expect(answer.content).toEqual([{ type: "text", text: `Well.\n${LEAK}\n` }]);
  expect(answer.stop_reason).toBe("end_turn");
  expect(notice).toContain("tool-call-left-in-text");
  const metrics = await (await fetch(`${marking.url}/metrics`)).text();
  expect(metrics).toContain('kiro_proxy_notices_total{notice="tool-call-left-in-text"} 1');
});

test("a tool call in text becomes one where that is wanted, streamed and not", async () => {
  const { answer, notice } = await post(converting, { ...prompt("leak"), tools });
  expect(answer.content).toMatchObject([
    { type: "text", text: "Well.\n" },
    { type: "tool_use", name: "Bash", input: { command: "ls" } },
  ]);
  expect(answer.stop_reason).toBe("tool_use");
  expect(notice).toContain("tool-call-converted-from-text");
  const streamed = await ask(converting, prompt("leak", { tools, stream: true }));
  expect(streamed.text).toContain('"stop_reason":"tool_use"');
  expect(streamed.text).not.toContain("invoke");
  expect((await post(converting, { ...prompt("leak") })).answer.stop_reason).toBe("end_turn");
});

test("a request that Kiro calls improperly formed is told with all that is known, and logged by its rules", async () => {
  const { status, answer } = await post(marking, { ...prompt("bad one"), tools });
  expect(status).toBe(400);
  expect(answer.error?.message).toMatch(
    /improperly formed.* no rule that is known\. \(1 messages, 1 tools/,
  );
  const lines = marking.logs.filter(({ event }) => event === "improperly-formed");
  // Written plainly, the second time, the suspect was not in it any more.
  expect(lines.map(({ rules }) => rules)).toEqual(["schema-anyOf", "none"]);
  expect(JSON.stringify(lines)).not.toContain("Bash");
});

test("the attribution line goes behind all that Kiro may cache", async () => {
  const line = "x-anthropic-billing-header: cc_version=2.1.330; cch=abc;";
  const system = [line, "Be brief."].map((text) => ({ type: "text", text }));
  const { notice } = await post(converting, { ...prompt("tail"), system });
  expect(notice).toContain("attribution-line-moved");
  expect(chatRequestOf(kiro.chats().at(-1)?.body).prompt).toBe(`tail\n\n${line}`);
});

test("what Kiro does not take is refused without a call", async () => {
  const calls = kiro.chats().length;
  const source = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };
  const pdf = { role: "user", content: [{ type: "document", source }] };
  const { status, answer } = await post(marking, { ...prompt("x"), messages: [pdf] });
  expect(status).toBe(400);
  expect(answer.error?.message).toContain("does not support PDF input");
  const long = await post(marking, prompt("word ".repeat(600_000)));
  expect(long.status).toBe(400);
  expect(long.answer.error?.message).toMatch(/^prompt is too long: \d+ tokens > 200000 maximum/);
  expect(kiro.chats().length).toBe(calls);
});

test("explain shows the body and what was changed, and fails for what would be refused", async () => {
  const request = { ...prompt("Hello"), temperature: 1, tools };
  const words = await explain(request);
  expect(words.stderr).toBe("");
  expect(words.code).toBe(0);
  expect(words.stdout).toContain("ignored-temperature: Kiro has no field for temperature");
  expect(words.stdout).toContain("schema-anyOf: tools[0] (Bash).properties.command.anyOf");
  const json = await explain(request, "-json");
  expect(JSON.parse(json.stdout).body.conversationState.currentMessage).toBeDefined();
  const bad = await explain({ model: "m" });
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain("max_tokens: Field required");
});
