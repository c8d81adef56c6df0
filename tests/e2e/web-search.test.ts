import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { reasoning, stream, text, toolCall, trailer } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { hits, queryIn, searches } from "../emulator/mcp.ts";
import { chatRequestOf } from "../emulator/request.ts";
import { calls, says, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, follow, post, prompt } from "./client.ts";

const kiro = startKiro();
let gateway: Gateway;
let client: Anthropic;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
  client = new Anthropic({ baseURL: gateway.url, apiKey: gateway.apiKey, maxRetries: 0 });
});
beforeEach(() => {
  kiro.otherwise(scenarios.text);
  kiro.requests.length = 0;
});
afterEach(() => expect(kiro.violations()).toEqual([]));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const SEARCH = { type: "web_search_20250305", name: "web_search", max_uses: 8 } as const;
const SIGNATURE = "U0lH";
const READ: Anthropic.Tool = {
  name: "read_file",
  description: "Reads a file",
  input_schema: { type: "object", properties: { path: { type: "string" } } },
};

function request(
  content: string,
  more: Partial<Anthropic.MessageCreateParamsNonStreaming> = {},
): Anthropic.MessageCreateParamsNonStreaming {
  return {
    model: "claude-sonnet-4-5",
    max_tokens: 4_000,
    messages: [{ role: "user", content }],
    tools: [SEARCH],
    ...more,
  };
}

/** Pays with an account of its own, which may come to harm. */
function paying(account: object): { headers: Record<string, string> } {
  return { headers: { "x-kiro-credentials": JSON.stringify(account) } };
}

const use = (query: string) => ({
  type: "server_tool_use",
  id: expect.stringMatching(/^srvtoolu_[a-z0-9]+$/),
  name: "web_search",
  input: { query },
});
const found = {
  type: "web_search_tool_result",
  tool_use_id: expect.stringMatching(/^srvtoolu_/),
  content: [
    {
      type: "web_search_result",
      title: "SQLite | Bun",
      url: "https://bun.sh/docs/api/sqlite",
      encrypted_content: "kiro-proxy:Bun has a built-in SQLite driver.",
      page_age: "January 1, 2025",
    },
  ],
};

describe("a request for nothing but a search", () => {
  test("is one search and no chat, streamed and not", async () => {
    const params = request("Perform a web search for the query: bun sqlite");
    const message = await client.messages.create(params);
    const streamed = await client.messages.stream(params).finalMessage();
    for (const reply of [message, streamed]) {
      expect(reply).toMatchObject({
        content: [
          { type: "text" },
          use("bun sqlite"),
          found,
          { type: "text", text: expect.stringContaining("https://bun.sh/docs/api/sqlite") },
        ],
        stop_reason: "end_turn",
        usage: { server_tool_use: { web_search_requests: 1 } },
      });
    }
    expect(kiro.chats()).toEqual([]);
    expect(kiro.searches().map(queryIn)).toEqual(["bun sqlite", "bun sqlite"]);
  });

  test("that finds nothing is answered so, one that fails with a status", async () => {
    kiro.scriptSearch(searches["no hits"], searches.failed);
    const empty = await client.messages.create(request("bun"));
    expect(empty.content[2]).toMatchObject({ type: "web_search_tool_result", content: [] });
    const failed = await ask(gateway, prompt("bun", { tools: [SEARCH] }));
    expect(failed).toMatchObject({ status: 502, json: { error: { type: "api_error" } } });
    // The service has answered: nothing is gained by asking it again.
    expect(kiro.searches()).toHaveLength(2);
  });

  test.each([
    { refusal: "token refused", attempts: 2 },
    { refusal: "server error", attempts: 2 },
    { refusal: "throttled", attempts: 2 },
  ] as const)("survives '$refusal'", async ({ refusal, attempts }) => {
    kiro.scriptSearch(scenarios[refusal]);
    const account = kiro.accounts.credential("social");
    const reply = await client.messages.create(request("bun"), paying(account));
    expect(reply.content[2]).toMatchObject({ type: "web_search_tool_result" });
    expect(kiro.searches()).toHaveLength(attempts);
  });

  test("that is out of quota is a 402, as a chat would be", async () => {
    kiro.scriptSearch(scenarios["monthly quota"]);
    const account = kiro.accounts.credential("api-key");
    const answer = await ask(gateway, prompt("bun", { tools: [SEARCH] }), paying(account));
    expect(answer.status).toBe(402);
  });

  test("goes to the next account where the first one is used up", async () => {
    const accounts = ["a", "b"].map((id) => kiro.accounts.credential("social", { id }));
    const other = await startGateway({ kiro, credentials: accounts });
    kiro.scriptSearch(scenarios["monthly quota"]);
    const answer = await ask(other, prompt("bun", { tools: [SEARCH] }));
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("https://bun.sh/docs/api/sqlite");
    const tokens = kiro.searches().map(({ headers }) => headers["authorization"]);
    expect(new Set(tokens).size).toBe(2);
    await other.logged(({ event }) => event === "web-search");
    expect(other.output()).not.toContain('"bun"');
  });

  test.each(["social", "idc", "api-key"] as const)("is paid by a %s account", async (kind) => {
    const reply = await client.messages.create(
      request("bun"),
      paying(kiro.accounts.credential(kind)),
    );
    expect(reply.content).toHaveLength(4);
  });

  test("leaves no call behind when the client leaves", async () => {
    kiro.scriptSearch(searches.silence);
    const left = kiro.connections.left;
    const leave = new AbortController();
    const gone = post(gateway, prompt("bun", { tools: [SEARCH] }), { signal: leave.signal });
    await until(() => kiro.searches().length === 1);
    leave.abort();
    await gone.catch(() => undefined);
    await until(() => kiro.connections.left === left + 1);
  });
});

describe("a search among other tools", () => {
  const tools = [READ, SEARCH];

  test("is run while the model's reply goes on", async () => {
    const script = () =>
      kiro.script(calls("web_search", { query: "bun sqlite" }), says("Built in."));
    const params = request("Does bun have sqlite?", { tools });
    script();
    const message = await client.messages.create(params);
    script();
    const streamed = await client.messages.stream(params).finalMessage();
    for (const reply of [message, streamed]) {
      expect(reply).toMatchObject({
        content: [
          { type: "text", text: "One moment." },
          use("bun sqlite"),
          found,
          { type: "text", text: "Built in." },
        ],
        stop_reason: "end_turn",
        usage: { server_tool_use: { web_search_requests: 1 } },
      });
    }
    const [first, second] = kiro.chats().map(({ body }) => chatRequestOf(body));
    expect(first?.tools).toEqual(["read_file", "web_search"]);
    expect(second?.toolResults).toMatchObject([
      { status: "success", text: expect.stringContaining("Bun has a built-in SQLite driver.") },
    ]);
  });

  test("is known to the model in the next turn", async () => {
    kiro.script(calls("web_search", { query: "bun sqlite" }), says("Built in."));
    const asked = request("Does bun have sqlite?", { tools });
    const { content } = await client.messages.create(asked);
    kiro.script(says("As I said."));
    const { content: last } = await client.messages.create({
      ...asked,
      messages: [
        ...asked.messages,
        { role: "assistant", content },
        { role: "user", content: "Sure?" },
      ],
    });
    expect(last).toMatchObject([{ text: "As I said." }]);
    expect(JSON.stringify(kiro.chats().at(-1)?.body)).toContain(
      "Bun has a built-in SQLite driver.",
    );
  });

  test("shares a reply with the client's own calls", async () => {
    kiro.script(
      stream([
        ...toolCall("tooluse_A", "web_search", { query: "bun" }),
        ...toolCall("tooluse_B", "read_file", { path: "a.txt" }),
        ...trailer(),
      ]),
    );
    const asked = request("Compare.", { tools });
    const { content, stop_reason: reason } = await client.messages.create(asked);
    expect(content).toMatchObject([
      { type: "tool_use", id: "tooluse_B", name: "read_file", input: { path: "a.txt" } },
      use("bun"),
      found,
    ]);
    expect(reason).toBe("tool_use");
    kiro.script(says("The same."));
    const next = await client.messages.create({
      ...asked,
      messages: [
        ...asked.messages,
        { role: "assistant", content },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "tooluse_B", content: "text of a" }],
        },
      ],
    });
    expect(next.content).toMatchObject([{ text: "The same." }]);
  });

  test("that fails is told to both sides", async () => {
    kiro.scriptSearch(searches.failed);
    kiro.script(calls("web_search", { query: "bun" }), says("I could not look."));
    const { content } = await client.messages.create(request("Look.", { tools }));
    expect(content).toMatchObject([
      { type: "text" },
      use("bun"),
      { content: { type: "web_search_tool_result_error", error_code: "unavailable" } },
      { text: "I could not look." },
    ]);
    expect(chatRequestOf(kiro.chats().at(-1)?.body).toolResults).toMatchObject([
      { status: "error" },
    ]);
  });

  test("is shown while it runs, and a client that leaves then ends it", async () => {
    kiro.scriptSearch(searches.silence);
    kiro.script(calls("web_search", { query: "bun" }));
    const left = kiro.connections.left;
    const leave = new AbortController();
    const response = await post(gateway, prompt("Look.", { tools, stream: true }), {
      signal: leave.signal,
    });
    const reading = follow(response);
    await until(() => reading.text.includes('"{\\"query\\":\\"bun\\"}"'));
    await until(() => kiro.searches().length === 1);
    expect(reading.text).not.toContain("web_search_tool_result");
    leave.abort();
    await until(() => kiro.connections.left === left + 1);
    expect((await reading.ended).cut).toBe(true);
    await until(() => kiro.connections.open === 0);
  });

  test("that is followed by an upstream failure is a failed reply", async () => {
    kiro.script(
      calls("web_search", { query: "bun" }),
      scenarios["improperly formed"],
      scenarios["improperly formed"],
    );
    const answer = await ask(gateway, prompt("Look.", { tools, stream: true }));
    expect(answer.events.at(-1)).toMatchObject({ event: "error" });
    expect(answer.cut).toBe(true);
  });

  test("thinks before and after, with signatures that go back", async () => {
    kiro.script(
      stream([
        ...reasoning("First.", SIGNATURE),
        ...toolCall("t1", "web_search", { query: "bun" }),
      ]),
      stream([...reasoning("Then.", SIGNATURE), text("Done."), ...trailer()]),
    );
    const { content } = await client.messages.create(
      request("Think.", { tools, thinking: { type: "enabled", budget_tokens: 2_000 } }),
    );
    expect(content.map(({ type }) => type)).toEqual([
      "thinking",
      "server_tool_use",
      "web_search_tool_result",
      "thinking",
      "text",
    ]);
    expect(JSON.stringify(kiro.chats().at(-1)?.body)).toContain('"signature":"U0lH"');
  });

  test("keeps to the domains that the client wants", async () => {
    kiro.scriptSearch(
      hits({ title: "A", url: "https://a.example/" }, { title: "B", url: "https://b.example/" }),
    );
    const answer = await ask(
      gateway,
      prompt("Look.", { tools: [{ ...SEARCH, blocked_domains: ["a.example"] }] }),
    );
    expect(answer.headers.get("x-kiro-proxy-notice")).toContain("web-search-filtered-afterwards");
    expect(answer.text).toContain("https://b.example/");
    expect(answer.text).not.toContain("https://a.example/");
  });
});
