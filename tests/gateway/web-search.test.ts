import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Conversation, WebSearch } from "../../src/conversation/conversation.ts";
import type { Failure } from "../../src/conversation/failure.ts";
import type { ReplyEvent, WebSearchResult } from "../../src/conversation/reply.ts";
import type { CompletionRequest } from "../../src/gateway/attempt.ts";
import type { Gateway, Reply } from "../../src/gateway/complete.ts";
import { withWebSearch } from "../../src/gateway/web-search.ts";
import { fail, ok, type Result } from "../../src/result.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createTestRuntime } from "../support/runtime.ts";

const prompt = "Perform a web search for the query: bun sqlite";
const searchTool = { name: "web_search", description: "", schema: {} };
const mine = { name: "read", description: "", schema: {} };
const withoutSearch: Conversation = {
  model: "claude-sonnet-4-5",
  system: "",
  turns: [{ role: "user", parts: [{ type: "text", text: prompt }] }],
  tools: [searchTool],
  toolChoice: { type: "auto" },
  reasoning: { type: "unset" },
  output: { type: "text" },
  limits: { stopSequences: [], parallelToolCalls: true },
  notices: [],
};
const anywhere: WebSearch = { name: "web_search", allowedDomains: [], blockedDomains: [] };
const alone: Conversation = { ...withoutSearch, webSearch: anywhere };
const mixed: Conversation = { ...alone, tools: [mine, searchTool] };

const bun: WebSearchResult = { title: "Bun", url: "https://bun.sh/", snippet: "Fast." };
const down: Failure = { kind: "upstream", message: "Down." };

const text = (words: string): ReplyEvent => ({ type: "text", text: words });
const call = (name: string, input: object, id = "c1"): ReplyEvent => ({
  type: "tool-call",
  id,
  name,
  json: JSON.stringify(input),
});
const searching = (query: string, id = "c1"): ReplyEvent => call("web_search", { query }, id);
const usage = (inputTokens: number, outputTokens: number): ReplyEvent => ({
  type: "usage",
  usage: { inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0 },
  source: "upstream",
});
const toolUse: ReplyEvent = { type: "stop", reason: "tool-use" };
const endTurn: ReplyEvent = { type: "stop", reason: "end-turn" };
/** A round that is nothing but one search. */
const justSearching = [searching("q"), usage(10, 5), toolUse];
const answer = [text("Done."), usage(30, 7), endTurn];

function replyOf(events: ReplyEvent[], onClose = () => {}): Reply {
  const batches = (async function* () {
    try {
      yield [];
      for (const event of events) yield [event];
    } finally {
      onClose();
    }
  })();
  return {
    events: batches,
    model: "claude-sonnet-4.5",
    credentialId: "a",
    notices: [],
    attempts: 1,
  };
}

/** What one upstream call gives: each event is a batch of its own. */
type Round = ReplyEvent[] | Failure;

function world(
  rounds: Round[],
  found: (query: string) => WebSearchResult[] | Failure = () => [bun],
) {
  const { runtime } = createTestRuntime();
  const asked: CompletionRequest[] = [];
  const queries: string[] = [];
  const closed: number[] = [];
  const lines: string[] = [];
  const client = new AbortController();

  const chat: Gateway = {
    async complete(request) {
      asked.push(request);
      const number = asked.length;
      const round = rounds[number - 1];
      if (round === undefined) throw new Error("the script is over");
      if (!Array.isArray(round)) return fail(round);
      const reply = replyOf(round, () => closed.push(number));
      await reply.events.next();
      return ok(reply);
    },
  };
  const gateway = withWebSearch(chat, {
    runtime,
    countText: (words) => words.length,
    searching: ({ id, query }) => ({
      async complete() {
        queries.push(query);
        const outcome = found(query);
        return Array.isArray(outcome)
          ? ok(replyOf([{ type: "web-search-results", id, outcome }, endTurn]))
          : fail(outcome);
      },
    }),
  });
  const log = createLog({
    level: "debug",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => 0,
  });
  return {
    asked,
    queries,
    closed,
    lines,
    client,
    complete: async (conversation: Conversation): Promise<Result<Reply, Failure>> =>
      await gateway.complete({
        conversation,
        source: { type: "pool" },
        caller: "test",
        promptTokens: 100,
        signal: client.signal,
        log,
      }),
  };
}

async function eventsOf(reply: Result<Reply, Failure>): Promise<ReplyEvent[]> {
  if (!reply.ok) throw new Error(reply.failure.message);
  return (await Array.fromAsync(reply.value.events)).flat();
}

/** Ids are random; everything else of an event counts. */
function said(events: ReplyEvent[]): string[] {
  return events.map((event) => {
    switch (event.type) {
      case "text":
      case "reasoning":
        return event.text;
      case "web-search":
        return `search ${event.query}`;
      case "web-search-results":
        return Array.isArray(event.outcome) ? `${event.outcome.length} found` : event.outcome;
      case "tool-call":
        return `${event.name} ${event.json}`;
      case "usage":
        return `${event.usage.inputTokens}+${event.usage.outputTokens} ${event.source}`;
      case "credits":
        return `${event.credits} credits`;
      case "stop":
        return event.reason;
      case "failed":
        return `failed: ${event.failure.message}`;
      case "reasoning-end":
      case "redacted-reasoning":
        return event.type;
      default:
        return event satisfies never;
    }
  });
}

function textOf(events: ReplyEvent[]): string {
  return events.map((event) => (event.type === "text" ? event.text : "")).join("");
}

/** How free the model was in each call, if this was asked for. */
async function choices(toolChoice: Conversation["toolChoice"]): Promise<string[]> {
  const { complete, asked } = world([justSearching, answer]);
  await eventsOf(await complete({ ...mixed, toolChoice }));
  return asked.map(({ conversation }) => conversation.toolChoice.type);
}

describe("a search and nothing else", () => {
  test("is one search for the last prompt, without a model and its tokens", async () => {
    const { complete, queries, asked } = world([]);
    const events = await eventsOf(await complete(alone));
    expect(queries).toEqual(["bun sqlite"]);
    expect(asked).toEqual([]);
    expect(said(events)).toEqual([
      'I\'ll search the web for "bun sqlite".',
      "search bun sqlite",
      "1 found",
      'Results of the web search for "bun sqlite":\n\n1. Bun\nhttps://bun.sh/\nFast.',
      "0+0 upstream",
      "end-turn",
    ]);
    const ids = events.flatMap((event) => ("id" in event ? event.id : []));
    expect(ids[0]).toMatch(/^[A-Za-z0-9]+$/);
    expect(ids[1]).toBe(ids[0]);
  });

  test.each([
    { parts: ["bun sqlite"] },
    { parts: ["  bun sqlite\n"] },
    { parts: ["Perform a web search for the query:bun sqlite"] },
    { parts: ["bun sqlite", ""] },
  ])("takes its query from the prompt: %j", async ({ parts }) => {
    const { complete, queries } = world([]);
    const turns: Conversation["turns"] = [
      { role: "user", parts: [{ type: "text", text: "Earlier" }] },
      { role: "assistant", parts: [{ type: "text", text: "Yes" }] },
      { role: "user", parts: parts.map((part) => ({ type: "text", text: part })) },
    ];
    await complete({ ...alone, turns });
    expect(queries).toEqual(["bun sqlite"]);
  });

  test("that finds nothing says so", async () => {
    const { complete } = world([], () => []);
    expect(said(await eventsOf(await complete(alone)))).toContain("0 found");
  });

  test("that fails is the request's failure, because nothing has been sent", async () => {
    const { complete } = world([], () => down);
    expect(await complete(alone)).toEqual({ ok: false, failure: down });
  });

  test("keeps to the limits of the reply", async () => {
    const { complete } = world([]);
    const stopped = { ...alone, limits: { ...alone.limits, stopSequences: ["https"] } };
    expect((await eventsOf(await complete(stopped))).at(-1)).toEqual({
      type: "stop",
      reason: "stop-sequence",
      sequence: "https",
    });
    const short = { ...alone, limits: { ...alone.limits, maxTokens: 10 } };
    expect(said(await eventsOf(await complete(short)))).toEqual([
      "I'll searc",
      "0+0 upstream",
      "max-tokens",
    ]);
  });

  const needsModel: { name: string; conversation: Conversation }[] = [
    { name: "another tool is there", conversation: mixed },
    { name: "tools are ruled out", conversation: { ...alone, toolChoice: { type: "none" } } },
    { name: "JSON is asked for", conversation: { ...alone, output: { type: "json" } } },
    {
      name: "the prompt has no words",
      conversation: {
        ...alone,
        turns: [{ role: "user", parts: [{ type: "image", format: "png", base64: "AAAA" }] }],
      },
    },
    { name: "the search is the client's own", conversation: withoutSearch },
  ];
  test.each(needsModel)("does not replace the model where $name", async ({ conversation }) => {
    const { complete, asked, queries } = world([answer]);
    expect(said(await eventsOf(await complete(conversation)))).toContain("Done.");
    expect(asked).toHaveLength(1);
    expect(queries).toEqual([]);
  });

  test("max_tokens: 0 searches for nothing", async () => {
    const { complete, asked, queries } = world([[{ type: "stop", reason: "max-tokens" }]]);
    await complete({ ...alone, limits: { ...alone.limits, maxTokens: 0 } });
    expect(asked).toHaveLength(1);
    expect(queries).toEqual([]);
  });
});

describe("a model that may search", () => {
  test("sees what was found and goes on, in one reply", async () => {
    const { complete, asked, closed } = world([
      [
        { type: "reasoning", text: "Hm, " },
        { type: "reasoning", text: "look." },
        { type: "reasoning-end", signature: "SIG" },
        { type: "redacted-reasoning", data: "UkVE" },
        text("Let me "),
        text("look."),
        searching("bun"),
        { type: "credits", credits: 2 },
        usage(100, 20),
        toolUse,
      ],
      [text("Found it."), { type: "credits", credits: 3 }, usage(160, 8), endTurn],
    ]);
    const events = await eventsOf(await complete(mixed));
    expect(said(events)).toEqual([
      "Hm, ",
      "look.",
      "reasoning-end",
      "redacted-reasoning",
      "Let me ",
      "look.",
      "2 credits",
      "search bun",
      "1 found",
      "Found it.",
      "5 credits",
      "160+28 upstream",
      "end-turn",
    ]);
    expect(closed).toEqual([1, 2]);
    expect(asked[1]?.conversation.turns).toEqual([
      ...mixed.turns,
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "Hm, look.", signature: "SIG" },
          { type: "redacted-reasoning", data: "UkVE" },
          { type: "text", text: "Let me look." },
          { type: "tool-call", id: "c1", name: "web_search", input: { query: "bun" } },
        ],
      },
      {
        role: "user",
        parts: [
          {
            type: "tool-result",
            callId: "c1",
            content: [
              {
                type: "text",
                text: 'Results of the web search for "bun":\n\n1. Bun\nhttps://bun.sh/\nFast.',
              },
            ],
            isError: false,
          },
        ],
      },
    ]);
  });

  test("leaves the conversation as it was given, so that its start stays the same", async () => {
    const before = structuredClone(mixed);
    const { complete, asked } = world([justSearching, justSearching, answer]);
    await eventsOf(await complete(mixed));
    expect(mixed).toEqual(before);
    const [first, second, third] = asked.map(({ conversation }) => conversation);
    expect(second?.turns.slice(0, 1)).toEqual(first?.turns ?? []);
    expect(third?.turns.slice(0, 3)).toEqual(second?.turns ?? []);
    expect(third).toMatchObject({ system: mixed.system, tools: mixed.tools });
  });

  test("that searches for nothing passes as it is", async () => {
    const { complete, queries } = world([answer]);
    expect(said(await eventsOf(await complete(mixed)))).toEqual([
      "Done.",
      "30+7 upstream",
      "end-turn",
    ]);
    expect(queries).toEqual([]);
  });

  test("shows a search before it is over", async () => {
    const { complete } = world([justSearching, answer]);
    const reply = await complete(mixed);
    if (!reply.ok) throw new Error("failed");
    const { value: batch } = await reply.value.events.next();
    expect(said(batch ?? [])).toEqual(["search q"]);
    expect(said((await reply.value.events.next()).value ?? [])).toEqual(["1 found"]);
  });

  test("may search for several things at once", async () => {
    const { complete, queries, asked } = world([
      [searching("a", "c1"), searching("b", "c2"), usage(1, 1), toolUse],
      answer,
    ]);
    const events = await eventsOf(await complete(mixed));
    expect(said(events).slice(0, 4)).toEqual(["search a", "1 found", "search b", "1 found"]);
    expect(queries).toEqual(["a", "b"]);
    expect(asked[1]?.conversation.turns.at(-1)?.parts).toMatchObject([
      { callId: "c1" },
      { callId: "c2" },
    ]);
  });

  test("with the client's tools in the same reply: the searches are shown, then it is the client's turn", async () => {
    const { complete, asked } = world([
      [searching("a"), call("read", { path: "x" }, "c2"), usage(50, 9), toolUse],
    ]);
    const events = await eventsOf(await complete(mixed));
    expect(said(events)).toEqual([
      'read {"path":"x"}',
      "search a",
      "1 found",
      "50+9 upstream",
      "tool-use",
    ]);
    expect(asked).toHaveLength(1);
  });

  test("that is cut off in mid turn still has its search shown, and is not asked again", async () => {
    const cut: ReplyEvent = { type: "stop", reason: "max-tokens" };
    const { complete, asked } = world([[searching("a"), usage(50, 9), cut]]);
    expect(said(await eventsOf(await complete(mixed)))).toEqual([
      "search a",
      "1 found",
      "50+9 upstream",
      "max-tokens",
    ]);
    expect(asked).toHaveLength(1);
  });

  test("hears that a search failed, and the client sees no results made of nothing", async () => {
    const { complete, asked } = world([justSearching, answer], () => down);
    const events = await eventsOf(await complete(mixed));
    expect(said(events)).toContain("unavailable");
    expect(asked[1]?.conversation.turns.at(-1)?.parts).toMatchObject([
      { isError: true, content: [{ text: "The web search failed. Down." }] },
    ]);
  });

  test("hears that nothing was found, which is no error", async () => {
    const { complete, asked } = world([justSearching, answer], () => []);
    expect(said(await eventsOf(await complete(mixed)))).toContain("0 found");
    expect(asked[1]?.conversation.turns.at(-1)?.parts).toMatchObject([{ isError: false }]);
  });

  test("hears that a call without a query was not run", async () => {
    const nonsense = [call("web_search", { page: 2 }), usage(10, 5), toolUse];
    const { complete, queries, asked } = world([nonsense, answer]);
    expect(said(await eventsOf(await complete(mixed)))).toContain("invalid-input");
    expect(queries).toEqual([]);
    expect(asked[1]?.conversation.turns.at(-1)?.parts).toMatchObject([{ isError: true }]);
  });

  test("gets only results from where the client wants them", async () => {
    const elsewhere = { ...bun, url: "https://elsewhere.example/" };
    const webSearch = { ...anywhere, allowedDomains: ["bun.sh"] };
    const { complete, asked } = world([justSearching, answer], () => [elsewhere, bun]);
    const events = await eventsOf(await complete({ ...mixed, webSearch }));
    expect(events).toContainEqual({
      type: "web-search-results",
      id: expect.any(String),
      outcome: [bun],
    });
    expect(JSON.stringify(asked[1]?.conversation.turns)).toContain("(1 from domains");
  });

  test.each([
    { maxUses: undefined, runs: 5 },
    { maxUses: 2, runs: 2 },
    { maxUses: 0, runs: 0 },
  ])(
    "may search $maxUses times, then hears that it may not, and is not asked for ever",
    async ({ maxUses, runs }) => {
      const rounds = Array.from({ length: 20 }, () => justSearching);
      const { complete, queries, asked } = world(rounds);
      const webSearch = { ...anywhere, ...(maxUses === undefined ? {} : { maxUses }) };
      const events = await eventsOf(await complete({ ...mixed, webSearch }));
      expect(queries).toHaveLength(runs);
      expect(asked).toHaveLength(runs + 3);
      expect(said(events).filter((one) => one === "max-uses-exceeded")).toHaveLength(3);
      expect(events.at(-1)).toEqual({ type: "stop", reason: "max-tokens" });
    },
  );

  test("may go on without searching once it has heard that it may not", async () => {
    const three = [searching("a"), searching("b"), searching("c"), usage(1, 1), toolUse];
    const webSearch = { ...anywhere, maxUses: 1 };
    const { complete } = world([three, answer]);
    const events = await eventsOf(await complete({ ...mixed, webSearch }));
    expect(said(events)).toEqual([
      "search a",
      "1 found",
      "search b",
      "max-uses-exceeded",
      "search c",
      "max-uses-exceeded",
      "Done.",
      "30+8 upstream",
      "end-turn",
    ]);
  });

  test("has one limit of tokens for all of the reply", async () => {
    const limits = { ...mixed.limits, maxTokens: 12 };
    const { complete, asked } = world([justSearching, justSearching, justSearching]);
    const events = await eventsOf(await complete({ ...mixed, limits }));
    expect(asked.map(({ conversation }) => conversation.limits.maxTokens)).toEqual([12, 7, 2]);
    expect(said(events).slice(-2)).toEqual(["10+15 upstream", "max-tokens"]);
  });

  test("is made to search only once", async () => {
    expect(await choices({ type: "any" })).toEqual(["any", "auto"]);
    expect(await choices({ type: "tool", name: "web_search" })).toEqual(["tool", "auto"]);
    expect(await choices({ type: "none" })).toEqual(["none", "none"]);
  });

  test("has a prompt that is known to have grown", async () => {
    const { complete, asked } = world([justSearching, answer]);
    await eventsOf(await complete(mixed));
    const found = 'Results of the web search for "q":\n\n1. Bun\nhttps://bun.sh/\nFast.';
    expect(asked.map(({ promptTokens }) => promptTokens)).toEqual([100, 105 + found.length]);
  });

  test("one estimate makes the sum an estimate", async () => {
    const estimate: ReplyEvent = {
      type: "usage",
      usage: { inputTokens: 9, outputTokens: 4 },
      source: "estimate",
    };
    const { complete } = world([[searching("q"), estimate, toolUse], answer]);
    expect(said(await eventsOf(await complete(mixed)))).toContain("30+11 estimate");
  });

  test("fails before its first word as any other", async () => {
    const { complete } = world([down]);
    expect(await complete(mixed)).toEqual({ ok: false, failure: down });
  });

  test("fails in a later call as a reply that has begun", async () => {
    const { complete, closed } = world([justSearching, down]);
    expect(said(await eventsOf(await complete(mixed)))).toEqual([
      "search q",
      "1 found",
      "failed: Down.",
    ]);
    expect(closed).toEqual([1]);
  });

  test("that breaks off in a later call runs no more searches", async () => {
    const broken: ReplyEvent[] = [searching("b"), { type: "failed", failure: down }];
    const { complete, queries } = world([justSearching, broken]);
    const events = await eventsOf(await complete(mixed));
    expect(said(events)).toEqual(["search q", "1 found", "failed: Down."]);
    expect(queries).toEqual(["q"]);
  });

  test("is left alone when the client leaves during a search", async () => {
    const { complete, client, asked } = world([justSearching, answer], () => {
      client.abort();
      return down;
    });
    const events = await eventsOf(await complete(mixed));
    expect(events.at(-1)).toMatchObject({ type: "failed" });
    expect(asked).toHaveLength(1);
  });

  test("returned unread closes the upstream, at whatever point", async () => {
    for (let point = 0; point < 4; point++) {
      const { complete, closed, asked } = world([justSearching, answer]);
      const reply = await complete(mixed);
      if (!reply.ok) throw new Error("failed");
      for (let read = 0; read < point; read++) await reply.value.events.next();
      await reply.value.events.return();
      expect(closed).toEqual(asked.map((_, index) => index + 1));
    }
  });

  test("writes of its searches to the log, but not for what", async () => {
    const { complete, lines } = world([[searching("secret"), usage(1, 1), toolUse], answer]);
    await eventsOf(await complete(mixed));
    expect(JSON.parse(lines[0] ?? "{}")).toMatchObject({ event: "web-search", results: 1 });
    expect(lines.join("")).not.toContain("secret");
    const failing = world([justSearching, answer], () => down);
    await eventsOf(await failing.complete(mixed));
    expect(JSON.parse(failing.lines[0] ?? "{}")).toMatchObject({
      event: "web-search-failed",
      failure: "upstream",
    });
  });

  test("keeps the laws of a reply whatever it does", async () => {
    const piece = fc.oneof(
      fc.constantFrom<ReplyEvent[]>(
        [text("a")],
        [searching("q")],
        [searching("r", "c2")],
        [call("web_search", {})],
        [call("read", {}, "c3")],
        [{ type: "credits", credits: 1 }],
      ),
      fc.constant<ReplyEvent[]>([{ type: "reasoning", text: "t" }, { type: "reasoning-end" }]),
    );
    const ending = fc.constantFrom<ReplyEvent>(
      toolUse,
      toolUse,
      toolUse,
      endTurn,
      { type: "stop", reason: "max-tokens" },
      { type: "failed", failure: down },
    );
    const round = fc
      .tuple(fc.array(piece, { maxLength: 5 }), ending)
      .map(([pieces, end]) => [...pieces.flat(), usage(3, 2), end]);
    const outcome = fc.constantFrom<WebSearchResult[] | Failure>([bun], [], down);
    await fc.assert(
      fc.asyncProperty(
        fc.array(round, { minLength: 12, maxLength: 12 }),
        outcome,
        async (rounds, found) => {
          const { complete, closed, asked } = world(rounds, () => found);
          const events = await eventsOf(await complete(mixed));
          const ends = events.filter(({ type }) => type === "stop" || type === "failed");
          expect(ends).toEqual(events.slice(-1));
          for (const [index, event] of events.entries()) {
            if (event.type === "web-search") {
              expect(events[index + 1]).toMatchObject({ type: "web-search-results", id: event.id });
            }
            if (event.type === "tool-call") expect(event.name).toBe("read");
          }
          expect(events.filter(({ type }) => type === "usage").length).toBeLessThanOrEqual(1);
          expect(closed).toEqual(asked.map((_, index) => index + 1));
          // All of the text that was written has come out.
          const written = asked.flatMap((_, index) => rounds[index] ?? []);
          expect(textOf(events)).toBe(textOf(written));
        },
      ),
      { numRuns: 200 },
    );
  });
});
