import * as fc from "fast-check";
import type { Failure } from "../../src/conversation/failure.ts";
import type {
  ReplyEvent,
  StopReason,
  Usage,
  WebSearchProblem,
  WebSearchResult,
} from "../../src/conversation/reply.ts";

/**
 * Replies that keep the laws of `conversation/reply.ts`, for the tests of every wire: text and thinking in pieces,
 * adjacent thinking blocks with and without signatures, redacted blocks, calls, searches with hits, without and failed,
 * usage and credits anywhere.
 */

/** Any text, lone surrogates included: the service may cut between the halves of a pair. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 12 }),
  fc.constantFrom("\n", "\r\n\r\n", "data: x\n\n", "\u2028", "\ud83d", "\ude00", '"\\', "[DONE]"),
);

const base64 = fc.base64String({ minLength: 4, maxLength: 24 });

const textRun = fc.array(
  text.map((piece): ReplyEvent => ({ type: "text", text: piece })),
  { minLength: 1, maxLength: 4 },
);

const thinkingBlock = fc
  .tuple(fc.array(text, { maxLength: 3 }), fc.option(base64, { nil: undefined }))
  .filter(([pieces, signature]) => pieces.length > 0 || signature !== undefined)
  .map(([pieces, signature]): ReplyEvent[] => [
    ...pieces.map((piece) => ({ type: "reasoning" as const, text: piece })),
    signature === undefined ? { type: "reasoning-end" } : { type: "reasoning-end", signature },
  ]);

const redactedBlock = base64.map((data): ReplyEvent[] => [{ type: "redacted-reasoning", data }]);

const toolCall = fc
  .tuple(
    fc.stringMatching(/^[a-zA-Z_][\w-]{0,20}$/),
    fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
    fc.constantFrom(0, 2),
  )
  .map(([name, input, indent]): ReplyEvent[] => [
    { type: "tool-call", id: "", name, json: JSON.stringify(input, null, indent) },
  ]);

const searchResult: fc.Arbitrary<WebSearchResult> = fc.record(
  {
    title: text,
    url: fc.webUrl(),
    snippet: fc.oneof(text, fc.constant("")),
    publishedAt: fc.integer({ min: -8.64e15, max: 8.64e15 }),
  },
  { requiredKeys: ["title", "url", "snippet"] },
);

const search = fc
  .tuple(
    text,
    fc.oneof(
      fc.array(searchResult, { maxLength: 3 }),
      fc.constantFrom<WebSearchProblem>("unavailable", "max-uses-exceeded", "invalid-input"),
    ),
  )
  .map(([query, outcome]): ReplyEvent[] => [
    { type: "web-search", id: "", query },
    { type: "web-search-results", id: "", outcome },
  ]);

const count = fc.nat({ max: 1_000_000 });
const counts: fc.Arbitrary<Partial<Usage>> = fc.record(
  { inputTokens: count, outputTokens: count, cacheReadTokens: count, cacheWriteTokens: count },
  { requiredKeys: [] },
);

const aside: fc.Arbitrary<ReplyEvent> = fc.oneof(
  fc.record({
    type: fc.constant("usage" as const),
    usage: counts,
    source: fc.constantFrom("upstream" as const, "estimate" as const),
  }),
  fc.record({ type: fc.constant("credits" as const), credits: fc.nat({ max: 9 }) }),
);

const stopReasons: StopReason[] = [
  "end-turn",
  "tool-use",
  "max-tokens",
  "stop-sequence",
  "context-window",
  "refusal",
];

const stop: fc.Arbitrary<ReplyEvent> = fc.oneof(
  fc.constantFrom(...stopReasons).map((reason): ReplyEvent => ({ type: "stop", reason })),
  text.map((sequence): ReplyEvent => ({ type: "stop", reason: "stop-sequence", sequence })),
);

const failed: fc.Arbitrary<ReplyEvent> = fc
  .constantFrom<Failure>(
    { kind: "upstream", message: "The service broke off." },
    { kind: "overloaded", message: "No capacity." },
    { kind: "rate-limited", message: "Slow down.", retryAfterMs: 1200 },
    { kind: "context-overflow", message: "", tokens: 200_001, limit: 200_000 },
  )
  .map((failure): ReplyEvent => ({ type: "failed", failure }));

/** All that comes before the terminal event. Ids of calls and of searches are distinct. */
const body: fc.Arbitrary<ReplyEvent[]> = fc
  .tuple(
    fc.array(fc.oneof(textRun, thinkingBlock, redactedBlock, toolCall, search), { maxLength: 6 }),
    fc.array(fc.tuple(fc.nat({ max: 30 }), aside), { maxLength: 5 }),
  )
  .map(([segments, asides]) => {
    const events = segments.flatMap((segment, at) =>
      segment.map((event): ReplyEvent => {
        if (event.type === "tool-call") return { ...event, id: `tooluse_${at}` };
        const isSearch = event.type === "web-search" || event.type === "web-search-results";
        return isSearch ? { ...event, id: `search${at}` } : event;
      }),
    );
    for (const [at, event] of asides) events.splice(at % (events.length + 1), 0, event);
    return events;
  });

/** Whole replies that end in `stop`. */
export const completeReplies: fc.Arbitrary<ReplyEvent[]> = fc
  .tuple(body, stop)
  .map(([events, last]) => [...events, last]);

/** Replies that end in `failed`, anywhere: also inside a thinking block. */
export const failedReplies: fc.Arbitrary<ReplyEvent[]> = fc
  .tuple(body, fc.nat({ max: 30 }), failed)
  .map(([events, cut, last]) => [...events.slice(0, cut), last]);
