import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { noticeInWords } from "../../src/cli/notices.ts";
import { startKiro } from "../emulator/kiro.ts";
import { createWorld, type World } from "./world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  world = await createWorld(kiro);
});
afterEach(async () => await world.end());

const longName = `mcp__${"server_".repeat(12)}tool`;
const request = {
  model: "claude-sonnet-4-5",
  max_tokens: 100,
  temperature: 1,
  system: [
    { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.330;" },
    { type: "text", text: "Be brief." },
  ],
  tools: [{ name: longName, input_schema: { type: "object" } }],
  messages: [{ role: "user", content: "Hello" }],
};

async function explained(body: unknown, flags = "") {
  const path = await world.write("request.json", body);
  return await world.run(`explain ${path} ${flags}`);
}

describe("explain", () => {
  test("shows in words what a request becomes, and that nothing is wrong with it", async () => {
    const { code, out } = await explained(request);
    expect(code).toBe(0);
    expect(out).toContain("The model claude-sonnet-4-5 is claude-sonnet-4.5 at Kiro.");
    expect(out).toMatch(/ {2}attribution-line-removed: the client's line/);
    expect(out).toMatch(/ {2}tool-renamed \(mcp__\w+\): the tool's name is none for Kiro/);
    expect(out).toContain("ignored-temperature: Kiro has no field for temperature; it was ignored");
    expect(out).toContain("Nothing in it is known to be improperly formed");
    expect(out).toContain('"content": "Be brief."');
    expect(kiro.requests).toHaveLength(0);
  });

  test("gives the same as JSON", async () => {
    const { code, out } = await explained(request, "-json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      protocol: "messages",
      model: { asked: "claude-sonnet-4-5", sent: "claude-sonnet-4.5" },
      window: 200_000,
      violations: [],
      body: {
        conversationState: { history: [{ userInputMessage: { content: "Be brief." } }, {}] },
      },
    });
  });

  test.each([
    ["chat", { model: "m", messages: [{ role: "developer", content: "Be brief." }] }],
    ["chat", { model: "m", messages: [{ role: "user", content: "Hi" }], max_completion_tokens: 5 }],
    ["responses", { model: "m", input: "Hi" }],
    ["messages", { model: "m", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] }],
  ])("knows a request of %s by itself", async (protocol, body) => {
    const { out } = await explained(body, "-json");
    expect(JSON.parse(out).protocol).toBe(protocol);
  });

  test("can be told the protocol", async () => {
    const { out } = await explained({ ...request, system: undefined }, "-protocol chat -json");
    expect(JSON.parse(out).protocol).toBe("chat");
  });

  test("says what the gateway would refuse", async () => {
    const source = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };
    const content = [{ type: "document", source }];
    const { code, out } = await explained({ ...request, messages: [{ role: "user", content }] });
    expect(code).toBe(1);
    expect(out).toContain("The gateway would refuse it: This gateway does not support PDF input");
  });

  test("names the suspects", async () => {
    const schema = { type: "object", properties: { a: { anyOf: [{ type: "string" }] } } };
    const { code, out } = await explained({
      ...request,
      tools: [{ name: "read", input_schema: schema }],
    });
    expect(code).toBe(0);
    expect(out).toContain("schema-anyOf: tools[0] (read).properties.a.anyOf");
  });

  test.each([
    ["no file", undefined, /does not exist/],
    ["no JSON", "{", /is not JSON: line 1/],
    ["no request", { model: "m" }, /would refuse this request: max_tokens: Field required/],
  ])("fails for %s, and says why", async (_, body, words) => {
    if (body !== undefined) await world.write("request.json", body);
    const { code, err } = await world.run(`explain ${world.home}/request.json -protocol messages`);
    expect(code).toBe(1);
    expect(err).toMatch(words);
  });
});

test("every notice that the gateway gives has words", async () => {
  const codes = new Set<string>();
  for (const path of new Bun.Glob("src/{wire,kiro,gateway}/**/*.ts").scanSync()) {
    const source = await Bun.file(path).text();
    for (const [, code = ""] of source.matchAll(/\b(?:note|notice)\(\s*"([a-z-]+)"/g))
      codes.add(code);
    for (const [, code = ""] of source.matchAll(/"(tool-call-[a-z-]+)"/g)) codes.add(code);
  }
  codes.delete("tool-call-in-text");
  expect(codes.size).toBeGreaterThan(40);
  const silent = [...codes].filter((code) => noticeInWords({ code }).endsWith("it was ignored"));
  expect(silent).toEqual([]);
});
