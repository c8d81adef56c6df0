import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Json } from "../../src/conversation/conversation.ts";
import type { Access, Attempt } from "../../src/kiro/client.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { createSearchClient, queryOf } from "../../src/kiro/web-search.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime, type FetchCall } from "../support/runtime.ts";

const access: Access = { token: new Secret("tok"), apiRegion: "eu-central-1", machineId: "0" };

function attempt(over: Partial<Attempt> = {}): Attempt {
  return {
    access,
    body: "never looked at",
    number: 2,
    maxAttempts: 9,
    response: {
      tagThinking: false,
      showThinking: false,
      originalToolName: (name) => name,
      context: { window: 200_000, estimatedTokens: 10, now: 0 },
    },
    signal: new AbortController().signal,
    ...over,
  };
}

function world(answer: () => Response | Promise<Response>) {
  const scripted = createTestRuntime({ fetch: answer });
  const deps = { runtime: scripted.runtime, profile: defaultProfile };
  return { ...scripted, client: createSearchClient(deps, { id: "s1", query: "bun" }) };
}

function bodyOf(call: FetchCall | undefined): string {
  return typeof call?.init.body === "string" ? call.init.body : "";
}

/** What comes of this as the body of a 200. */
async function outcomeOf(body: unknown) {
  const { client, pending } = world(
    () => new Response(typeof body === "string" ? body : JSON.stringify(body)),
  );
  const sent = await client.send(attempt());
  expect(pending()).toBe(0);
  if (!sent.ok) return sent.failure;
  const events = (await Array.fromAsync(sent.value)).flatMap((batch) => batch.events);
  expect(events).toEqual([
    { type: "web-search-results", id: "s1", outcome: expect.any(Array) },
    { type: "stop", reason: "end-turn" },
  ]);
  return events[0]?.type === "web-search-results" ? events[0].outcome : undefined;
}

function found(text: unknown, more: object = {}) {
  const content = [{ type: "text", text: typeof text === "string" ? text : JSON.stringify(text) }];
  return { id: "1", jsonrpc: "2.0", result: { content, isError: false, ...more } };
}

describe("the call", () => {
  test("is one JSON-RPC call of the service's tool, in the credential's region", async () => {
    const { client, calls } = world(() => Response.json(found({ results: [] })));
    await client.send(attempt());
    const [call] = calls;
    expect(call?.url).toBe("https://q.eu-central-1.amazonaws.com/mcp");
    expect(call?.init).toMatchObject({ method: "POST", redirect: "manual" });
    expect(call?.init.headers).toMatchObject({
      authorization: "Bearer tok",
      "content-type": "application/json",
      "amz-sdk-request": "attempt=2; max=9",
    });
    expect(Object.keys(call?.init.headers ?? {})).not.toContain("x-amzn-kiro-agent-mode");
    expect(JSON.parse(bodyOf(call))).toEqual({
      id: expect.stringMatching(/^web_search_tooluse_[a-z0-9]{22}_\d{13}_[a-z0-9]{8}$/),
      jsonrpc: "2.0",
      method: "tools/call",
      params: { name: "web_search", arguments: { query: "bun" } },
    });
  });

  test.each([
    { arn: "arn:aws:codewhisperer:us-east-1:111122223333:profile/OWN", sent: true },
    { arn: defaultProfile.profileArns.social, sent: true },
    { arn: defaultProfile.profileArns.builderId, sent: false },
    { arn: undefined, sent: false },
  ])("names the profile $arn: $sent", async ({ arn, sent }) => {
    const { client, calls } = world(() => Response.json(found({ results: [] })));
    await client.send(
      attempt({ access: arn === undefined ? access : { ...access, profileArn: arn } }),
    );
    const headers = new Headers(calls[0]?.init.headers);
    expect(headers.get("x-amzn-kiro-profile-arn")).toBe(sent && arn !== undefined ? arn : null);
  });

  test("an API key says what it is", async () => {
    const { client, calls } = world(() => Response.json(found({ results: [] })));
    await client.send(attempt({ access: { ...access, tokenType: "API_KEY" } }));
    expect(calls[0]?.init.headers).toMatchObject({ tokentype: "API_KEY" });
  });

  test("has 30 seconds for all of it", async () => {
    const { client, advance, pending } = world(
      async () => await Promise.withResolvers<Response>().promise,
    );
    const sent = client.send(attempt());
    await advance(29_999);
    expect(pending()).toBe(1);
    await advance(1);
    expect(await sent).toMatchObject({
      ok: false,
      failure: { kind: "unavailable", failure: { kind: "timeout" } },
    });
    expect(pending()).toBe(0);
  });

  test("ends with the client's departure", async () => {
    const { client, calls, settle, pending } = world(
      async () => await Promise.withResolvers<Response>().promise,
    );
    const leave = new AbortController();
    const sent = client.send(attempt({ signal: leave.signal }));
    await settle();
    leave.abort();
    expect((await sent).ok).toBe(false);
    expect(calls[0]?.init.signal?.aborted).toBe(true);
    expect(pending()).toBe(0);
  });

  test.each([
    { status: 401, body: {}, kind: "token-refused" },
    { status: 403, body: { message: "The bearer token … is invalid." }, kind: "token-refused" },
    { status: 403, body: { reason: "FEATURE_NOT_SUPPORTED" }, kind: "forbidden" },
    { status: 402, body: { reason: "MONTHLY_REQUEST_COUNT" }, kind: "quota" },
    { status: 429, body: {}, kind: "throttled" },
    { status: 500, body: {}, kind: "unavailable" },
  ])("a $status is the fault $kind, as in a chat", async ({ status, body, kind }) => {
    const { client } = world(() => Response.json(body, { status }));
    expect(await client.send(attempt())).toMatchObject({ ok: false, failure: { kind, status } });
  });

  test("no connection is nobody's fault", async () => {
    const { client } = world(() => {
      throw new Error("refused");
    });
    expect(await client.send(attempt())).toMatchObject({
      ok: false,
      failure: { kind: "unavailable" },
    });
  });
});

describe("the reply", () => {
  test("has the results as JSON text, of which any part may be missing", async () => {
    const results = [
      {
        title: "SQLite | Bun",
        url: "https://bun.sh/docs",
        snippet: "Fast.",
        publishedDate: 1_735_689_600_000,
        id: "1",
        domain: "bun.sh",
        maxVerbatimWordLimit: 30,
        publicDomain: false,
      },
      { title: null, url: "https://b.example/", snippet: null, publishedDate: null },
      { url: "https://c.example/", publishedDate: 1e300 },
      { title: "No address" },
      null,
      "text",
    ];
    expect(await outcomeOf(found({ results, totalResults: 3, query: "q", error: null }))).toEqual([
      {
        title: "SQLite | Bun",
        url: "https://bun.sh/docs",
        snippet: "Fast.",
        publishedAt: 1_735_689_600_000,
      },
      { title: "https://b.example/", url: "https://b.example/", snippet: "" },
      { title: "https://c.example/", url: "https://c.example/", snippet: "" },
    ]);
  });

  test("other items beside the text are no matter", async () => {
    const { result } = found({ results: [{ url: "https://a.example/" }] });
    const content = [{ type: "image" }, null, ...result.content];
    expect(await outcomeOf({ result: { content } })).toHaveLength(1);
  });

  test.each([
    { body: found({ results: [] }) },
    { body: { error: { code: -32602, message: "Tool returned no results" } } },
    { body: { error: { code: -32602, message: "MCP error: tool returned no results." } } },
  ])("that nothing was found is no failure: %j", async ({ body }) => {
    expect(await outcomeOf(body)).toEqual([]);
  });

  test.each([
    { body: { error: { code: -32602, message: "Invalid params" } }, reason: "json-rpc -32602" },
    {
      body: { error: { code: -32603, message: "Tool returned no results" } },
      reason: "json-rpc -32603",
    },
    { body: { error: {} }, reason: "json-rpc NaN" },
    { body: found({ results: [] }, { isError: true }), reason: "tool-error" },
    { body: found({ results: [], error: "blocked" }), reason: "tool-error" },
    { body: found({ results: null }), reason: "unreadable" },
    { body: found("not JSON"), reason: "unreadable" },
    { body: found("[]"), reason: "unreadable" },
    { body: { result: { content: [] } }, reason: "unreadable" },
    { body: { result: null }, reason: "unreadable" },
    { body: {}, reason: "unreadable" },
  ])("a failure is never an empty result: %j", async ({ body, reason }) => {
    expect(await outcomeOf(body)).toEqual({
      kind: "rejected",
      failure: { kind: "upstream", message: "Kiro's web search failed." },
      reason,
    });
  });

  test.each(["<html>", "", "null", "[1]"])(
    "what is no JSON object may be tried again: %j",
    async (body) => {
      expect(await outcomeOf(body)).toMatchObject({ kind: "unavailable", reason: "unreadable" });
    },
  );

  test("is read whatever it is", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ maxDepth: 4 }),
        fc.jsonValue({ maxDepth: 3 }),
        async (a, b) => {
          for (const body of [a, { result: a }, { error: a }, found(b), found({ results: [b] })]) {
            await outcomeOf(JSON.stringify(body));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("the query of a call", () => {
  test.each<{ input: Json; query: string | undefined }>([
    { input: { query: "bun" }, query: "bun" },
    { input: { query: "  bun \n" }, query: "bun" },
    { input: { search_query: "bun" }, query: "bun" },
    { input: { q: "bun" }, query: "bun" },
    { input: { query: " ", q: "bun" }, query: "bun" },
    { input: { queries: ["", "bun", "deno"] }, query: "bun" },
    { input: { queries: [{ text: "bun" }] }, query: "bun" },
    { input: { query: { value: "bun" } }, query: "bun" },
    { input: { query: ["bun"] }, query: "bun" },
    { input: { input: { query: "bun" } }, query: "bun" },
    { input: { query: "a\ud83d" }, query: "a\ufffd" },
    { input: {}, query: undefined },
    { input: { query: 5 }, query: undefined },
    { input: { query: null, other: "bun" }, query: undefined },
  ])("of %j is the first text in it", ({ input, query }) => {
    expect(queryOf(input)).toBe(query);
  });

  test("is not looked for without end", () => {
    let deep: Json = "bun";
    for (let level = 0; level < 50_000; level++) deep = [deep];
    expect(queryOf({ query: deep })).toBeUndefined();
  });
});
