import * as fc from "fast-check";
import type { KiroEvent } from "../../src/kiro/events.ts";
import type { ResponseOptions } from "../../src/kiro/response.ts";

/** Text that is likely to hold tags, quote marks, code, white space and characters beyond the BMP. */
export const taggedText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom("<thinking>", "</thinking>", "\n", "\n\n", "\r\n") },
      {
        weight: 3,
        arbitrary: fc.constantFrom("`", "```\n", '"', "'", "\\", "<", ">", " ", "<think", "</"),
      },
      { weight: 3, arbitrary: fc.constantFrom("word", "Answer.", "é", "😀", "日本", "🏳️‍🌈") },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(""));

/** Cuts a text into pieces at the given shares of its length; cuts may fall into a surrogate pair. */
export function cutText(text: string, shares: readonly number[]): string[] {
  const cuts = shares
    .map((share) => Math.floor(share * (text.length + 1)))
    .toSorted((a, b) => a - b);
  return [0, ...cuts].map((cut, index) => text.slice(cut, cuts[index] ?? text.length));
}

/** For `cutText`. */
export const shares: fc.Arbitrary<number[]> = fc.array(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  { maxLength: 12 },
);

const toolId = fc.constantFrom("tooluse_A", "tooluse_B", "tooluse_C");
const toolName = fc.constantFrom("read_file", "write_file");
const fragment = fc.oneof(
  fc.constantFrom("", " ", "{", "}", '{"a":', "1}", '{"a":1}', "[1]", "null", '"', "{}"),
  fc.string({ maxLength: 4 }),
);

const toolUse: fc.Arbitrary<KiroEvent> = fc.oneof(
  fc.record({
    type: fc.constant("tool-use" as const),
    id: toolId,
    name: toolName,
    stop: fc.boolean(),
  }),
  fc.record({
    type: fc.constant("tool-use" as const),
    id: toolId,
    name: toolName,
    input: fragment,
    stop: fc.boolean(),
  }),
  fc.record({
    type: fc.constant("tool-use" as const),
    id: toolId,
    name: toolName,
    input: fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
    whole: fc.constant(true),
    stop: fc.boolean(),
  }),
);

const reasoning: fc.Arbitrary<KiroEvent> = fc.record(
  {
    type: fc.constant("reasoning" as const),
    text: fc.constantFrom("Hm.", "Let me see.", " "),
    signature: fc.constantFrom("c2ln", "bmV4dA=="),
    redacted: fc.constantFrom("cmVkYWN0ZWQ="),
  },
  { requiredKeys: ["type"] },
);

const percentage = fc.oneof(fc.double({ noNaN: true, min: -5, max: 150 }), fc.constantFrom(0, 100));
const count = fc.nat(1_000_000);

const metadata: fc.Arbitrary<KiroEvent> = fc.record(
  {
    type: fc.constant("metadata" as const),
    inputTokens: count,
    outputTokens: count,
    cacheReadTokens: count,
    cacheWriteTokens: count,
    contextPercentage: percentage,
    stopReason: fc.constantFrom("end_turn", "TOOL_USE", "max_tokens", "refusal", "novel"),
  },
  { requiredKeys: ["type"] },
);

const bookkeeping: fc.Arbitrary<KiroEvent> = fc.oneof(
  metadata,
  fc.record({ type: fc.constant("context-usage" as const), percentage }),
  fc.record({
    type: fc.constant("metering" as const),
    credits: fc.double({ noNaN: true, min: 0 }),
  }),
  fc.record({ type: fc.constant("ignored" as const), eventType: fc.constant("citationEvent") }),
  fc.record({ type: fc.constant("malformed" as const), eventType: fc.constant("meteringEvent") }),
);

/** Events that end a stream with a failure, or in one case may. */
const fatalEvent: fc.Arbitrary<KiroEvent> = fc.constantFrom<KiroEvent>(
  { type: "exception", exceptionType: "ThrottlingException", message: "Rate exceeded" },
  { type: "exception", exceptionType: "ContentLengthExceededException", message: "" },
  { type: "error", code: "InternalFailure", message: "" },
  { type: "invalid-state", reason: "INVALID_TASK_ASSIST_PLAN", message: "" },
  { type: "malformed", eventType: "assistantResponseEvent" },
  { type: "malformed", eventType: "toolUseEvent" },
);

const text: fc.Arbitrary<KiroEvent> = taggedText.map((said) => ({ type: "text", text: said }));

/** Any events in any order, most of them harmless. */
export const kiroEvents: fc.Arbitrary<KiroEvent[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: text },
    { weight: 8, arbitrary: toolUse },
    { weight: 5, arbitrary: reasoning },
    { weight: 3, arbitrary: bookkeeping },
    { weight: 1, arbitrary: fatalEvent },
  ),
  { maxLength: 16 },
);

export const responseOptions: fc.Arbitrary<ResponseOptions> = fc.record({
  tagThinking: fc.boolean(),
  showThinking: fc.boolean(),
  context: fc.record({
    window: fc.constantFrom(200_000, 1_000_000),
    estimatedTokens: fc.nat(2_000_000),
    now: fc.constant(0),
  }),
  originalToolName: fc.constant((name: string) => `original_${name}`),
});
