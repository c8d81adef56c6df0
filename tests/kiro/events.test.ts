import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import type { Frame } from "../../src/eventstream/frame.ts";
import { createEventReader, type KiroEvent } from "../../src/kiro/events.ts";
import {
  encodeFrame,
  errorFrame,
  eventFrame,
  exceptionFrame,
  type Payload,
} from "../emulator/frames.ts";

/** All of them by one reader, as those of one stream are. */
const toKiroEvent = createEventReader();

function decoded(bytes: Uint8Array): Frame {
  const [frame] = new FrameDecoder().push(bytes).frames;
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

function event(eventType: string, payload: Payload): KiroEvent {
  return toKiroEvent(decoded(eventFrame(eventType, payload)));
}

describe("content", () => {
  test.each<[name: string, eventType: string, payload: Payload, expected: KiroEvent]>([
    [
      "text",
      "assistantResponseEvent",
      { content: "Hi", modelId: "m" },
      { type: "text", text: "Hi" },
    ],
    [
      "generated code is text",
      "codeEvent",
      { content: "let a;" },
      { type: "text", text: "let a;" },
    ],
    [
      "text that is left out is empty",
      "assistantResponseEvent",
      { messageStatus: "x" },
      { type: "text", text: "" },
    ],
    [
      "escapes are decoded once",
      "assistantResponseEvent",
      String.raw`{"content":"\\n\u00e9\ud83d\ude00"}`,
      { type: "text", text: "\\né😀" },
    ],
    [
      "half a surrogate pair is kept",
      "assistantResponseEvent",
      String.raw`{"content":"\ud83d"}`,
      { type: "text", text: "\ud83d" },
    ],
    [
      "raw UTF-8",
      "assistantResponseEvent",
      { content: "日本 🏳️‍🌈" },
      { type: "text", text: "日本 🏳️‍🌈" },
    ],
    [
      "a call begins",
      "toolUseEvent",
      { toolUseId: "t1", name: "read" },
      { type: "tool-use", id: "t1", name: "read", stop: false },
    ],
    [
      "a fragment of a call",
      "toolUseEvent",
      { toolUseId: "t1", name: "read", input: '{"pa' },
      { type: "tool-use", id: "t1", name: "read", input: '{"pa', stop: false },
    ],
    [
      "a call ends",
      "toolUseEvent",
      { toolUseId: "t1", name: "read", stop: true },
      { type: "tool-use", id: "t1", name: "read", stop: true },
    ],
    [
      "an input of null is none",
      "toolUseEvent",
      { toolUseId: "t1", name: "read", input: null, stop: null },
      { type: "tool-use", id: "t1", name: "read", stop: false },
    ],
    [
      "an input as an object is whole",
      "toolUseEvent",
      { toolUseId: "t1", name: "read", input: { a: [1] }, stop: true },
      { type: "tool-use", id: "t1", name: "read", input: '{"a":[1]}', whole: true, stop: true },
    ],
    ["thinking", "reasoningContentEvent", { text: "Hm." }, { type: "reasoning", text: "Hm." }],
    [
      "a signature",
      "reasoningContentEvent",
      { signature: "c2ln" },
      { type: "reasoning", signature: "c2ln" },
    ],
    [
      "redacted thinking",
      "reasoningContentEvent",
      { redactedContent: "cmVk" },
      { type: "reasoning", redacted: "cmVk" },
    ],
    [
      "thinking without anything",
      "reasoningContentEvent",
      { text: "", signature: null },
      { type: "reasoning" },
    ],
  ])("%s", (_, eventType, payload, expected) => {
    expect(event(eventType, payload)).toEqual(expected);
  });
});

describe("bookkeeping", () => {
  const tokenUsage = {
    uncachedInputTokens: 10,
    outputTokens: 20,
    totalTokens: 60,
    cacheReadInputTokens: 25,
    cacheWriteInputTokens: 5,
    contextUsagePercentage: 1.5,
  };
  const counts: KiroEvent = {
    type: "metadata",
    inputTokens: 10,
    outputTokens: 20,
    cacheReadTokens: 25,
    cacheWriteTokens: 5,
    contextPercentage: 1.5,
  };

  test.each<[name: string, eventType: string, payload: Payload, expected: KiroEvent]>([
    ["metadata with all counts", "metadataEvent", { tokenUsage }, counts],
    [
      "counts in the message's metadata",
      "messageMetadataEvent",
      { conversationId: "c", tokenUsage },
      counts,
    ],
    [
      "metadata without counts",
      "messageMetadataEvent",
      { conversationId: "c" },
      { type: "metadata" },
    ],
    [
      "a stop reason",
      "metadataEvent",
      { tokenUsage: null, stopReason: "end_turn" },
      { type: "metadata", stopReason: "end_turn" },
    ],
    [
      "counts that are none are left out",
      "metadataEvent",
      { tokenUsage: { uncachedInputTokens: -1, outputTokens: "3", cacheReadInputTokens: 2.6 } },
      { type: "metadata", cacheReadTokens: 3 },
    ],
    [
      "use of the window",
      "contextUsageEvent",
      { contextUsagePercentage: 1.05 },
      { type: "context-usage", percentage: 1.05 },
    ],
    [
      "use of the window that is not said",
      "contextUsageEvent",
      {},
      { type: "ignored", eventType: "contextUsageEvent" },
    ],
    [
      "credits",
      "meteringEvent",
      { usage: 0.0731, unit: "credit", unitPlural: "credits" },
      { type: "metering", credits: 0.0731 },
    ],
    ["credits without a unit", "meteringEvent", { usage: 2 }, { type: "metering", credits: 2 }],
    [
      "another unit than credits",
      "meteringEvent",
      { usage: 2, unit: "request" },
      { type: "ignored", eventType: "meteringEvent" },
    ],
    [
      "a charge that is not said",
      "meteringEvent",
      { unit: "credit" },
      { type: "ignored", eventType: "meteringEvent" },
    ],
  ])("%s", (_, eventType, payload, expected) => {
    expect(event(eventType, payload)).toEqual(expected);
  });
});

test.each([
  "followupPromptEvent",
  "codeReferenceEvent",
  "supplementaryWebLinksEvent",
  "citationEvent",
  "toolResultEvent",
  "dryRunSucceedEvent",
  "initial-response",
  "eventOfNextYear",
])("%s is ignored, whatever is in it", (eventType) => {
  const expected: KiroEvent = { type: "ignored", eventType };
  expect(event(eventType, { content: "not an answer", followupPrompt: { content: "x" } })).toEqual(
    expected,
  );
  expect(event(eventType, "{")).toEqual(expected);
});

describe("a known kind with an unusable payload is malformed", () => {
  test.each([
    [
      "assistantResponseEvent",
      ["", "{", "null", "[]", '"text"', '{"content":5}', '{"content":{}}'],
    ],
    ["codeEvent", ["", '{"content":[]}']],
    [
      "toolUseEvent",
      [
        "{}",
        '{"toolUseId":"t"}',
        '{"toolUseId":"","name":"n"}',
        '{"toolUseId":5,"name":"n"}',
        '{"toolUseId":"t","name":null}',
        '{"toolUseId":"t","name":"n","input":[1]}',
        '{"toolUseId":"t","name":"n","input":3}',
      ],
    ],
    ["reasoningContentEvent", ["{", '{"text":5}', '{"signature":{}}', '{"redactedContent":[1]}']],
    ["metadataEvent", ["{", '{"tokenUsage":"many"}']],
    [
      "contextUsageEvent",
      [
        "[]",
        '{"contextUsagePercentage":"1"}',
        '{"contextUsagePercentage":-1}',
        '{"contextUsagePercentage":1e999}',
      ],
    ],
    ["meteringEvent", ["{", '{"usage":"1"}', '{"usage":-1}']],
    ["invalidStateEvent", ["{"]],
  ])("%s", (eventType, payloads) => {
    for (const payload of payloads) {
      expect([payload, event(eventType, payload)]).toEqual([
        payload,
        { type: "malformed", eventType },
      ]);
    }
  });
});

describe("failures", () => {
  test("an invalid state", () => {
    expect(
      event("invalidStateEvent", { reason: "INVALID_TASK_ASSIST_PLAN", message: "no" }),
    ).toEqual({
      type: "invalid-state",
      reason: "INVALID_TASK_ASSIST_PLAN",
      message: "no",
    });
    expect(event("invalidStateEvent", {})).toEqual({
      type: "invalid-state",
      reason: "",
      message: "",
    });
  });

  test.each<[name: string, payload: Payload, expected: object]>([
    [
      "with a reason",
      { message: "Rate exceeded", reason: "INSUFFICIENT_MODEL_CAPACITY" },
      { message: "Rate exceeded", reason: "INSUFFICIENT_MODEL_CAPACITY" },
    ],
    ["without one", { message: "m", reason: null }, { message: "m" }],
    ["with a capital letter", { Message: "m" }, { message: "m" }],
    ["that is not JSON", "<html>", { message: "<html>" }],
    ["with nothing in it", "", { message: "" }],
    ["without a message", {}, { message: "" }],
  ])("an exception %s", (_, payload, expected) => {
    expect(toKiroEvent(decoded(exceptionFrame("ThrottlingException", payload)))).toEqual({
      type: "exception",
      exceptionType: "ThrottlingException",
      ...expected,
    } as KiroEvent);
  });

  test("an exception without a type is one nevertheless", () => {
    expect(toKiroEvent(decoded(encodeFrame({ ":message-type": "exception" }, "{}")))).toEqual({
      type: "exception",
      exceptionType: "UnknownException",
      message: "",
    });
  });

  test("an error, with and without its headers", () => {
    expect(toKiroEvent(decoded(errorFrame("InternalFailure", "gone")))).toEqual({
      type: "error",
      code: "InternalFailure",
      message: "gone",
    });
    expect(toKiroEvent(decoded(encodeFrame({ ":message-type": "error" })))).toEqual({
      type: "error",
      code: "UnknownError",
      message: "",
    });
  });
});

describe("headers", () => {
  test("a frame without a message type is an event", () => {
    const frame = encodeFrame({ ":event-type": "assistantResponseEvent" }, { content: "Hi" });
    expect(toKiroEvent(decoded(frame))).toEqual({ type: "text", text: "Hi" });
  });

  test("a frame without any header is ignored", () => {
    expect(toKiroEvent(decoded(encodeFrame({})))).toEqual({ type: "ignored", eventType: "" });
  });

  test("a message type that is not known is ignored", () => {
    const frame = encodeFrame(
      { ":message-type": "novel", ":event-type": "assistantResponseEvent" },
      "{}",
    );
    expect(toKiroEvent(decoded(frame))).toEqual({ type: "ignored", eventType: "novel" });
  });
});

test("no payload makes it throw", () => {
  const kinds = fc.constantFrom(
    "assistantResponseEvent",
    "toolUseEvent",
    "reasoningContentEvent",
    "metadataEvent",
    "contextUsageEvent",
    "meteringEvent",
    "invalidStateEvent",
  );
  const member = fc.constantFrom(
    "content",
    "toolUseId",
    "name",
    "input",
    "stop",
    "text",
    "signature",
    "tokenUsage",
    "usage",
    "__proto__",
  );
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.json(),
    fc.dictionary(member, fc.jsonValue(), { maxKeys: 5 }),
  );
  fc.assert(
    fc.property(kinds, payloads, (eventType, payload) => {
      expect(event(eventType, payload).type).toBeString();
    }),
    { numRuns: 1_000 },
  );
});

test("any text comes out as it went in", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (content) => {
      expect(event("assistantResponseEvent", { content })).toEqual({ type: "text", text: content });
    }),
  );
});
