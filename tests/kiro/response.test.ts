import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isTerminal, type ReplyEvent, type StopReason } from "../../src/conversation/reply.ts";
import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import type { Batch } from "../../src/kiro/client.ts";
import { createEventReader, type KiroEvent } from "../../src/kiro/events.ts";
import { faultOfFrame, type KiroFault } from "../../src/kiro/failure.ts";
import { createResponse, type ResponseOptions } from "../../src/kiro/response.ts";
import { eventFrame } from "../emulator/frames.ts";
import {
  cutText,
  kiroEvents,
  responseOptions,
  shares,
  taggedText,
} from "../support/kiro-events.ts";
import { chunkSizes, everyCut, rechunk } from "../support/rechunk.ts";

const OPTIONS: ResponseOptions = {
  tagThinking: false,
  showThinking: true,
  context: { window: 200_000, estimatedTokens: 200_500, now: 0 },
  originalToolName: (name) => name,
};
const TAGS: ResponseOptions = { ...OPTIONS, tagThinking: true };
const HIDDEN: ResponseOptions = { ...TAGS, showThinking: false };

type Outcome = { events: ReplyEvent[]; fault?: KiroFault };

/** All that comes of these events and, unless one of them is a fault, of a clean end after them. */
function reply(events: KiroEvent[], options: ResponseOptions = OPTIONS): Outcome {
  const machine = createResponse(options);
  const out: ReplyEvent[] = [];
  for (const event of events) {
    const batch = machine.push(event);
    out.push(...batch.events);
    if (batch.fault !== undefined) return { events: out, fault: batch.fault };
  }
  const { events: last, fault } = machine.end();
  return { events: [...out, ...last], ...(fault && { fault }) };
}

function text(content: string): KiroEvent {
  return { type: "text", text: content };
}

function use(id: string, rest: { input?: string; whole?: true; stop?: boolean } = {}): KiroEvent {
  return { type: "tool-use", id, name: "read", stop: false, ...rest };
}

function called(id: string, json: string): ReplyEvent {
  return { type: "tool-call", id, name: "read", json };
}

function stop(reason: StopReason): ReplyEvent {
  return { type: "stop", reason };
}

function callsOf(events: ReplyEvent[]): string[] {
  return events.flatMap((event) =>
    event.type === "tool-call" ? [`${event.id} ${event.json}`] : [],
  );
}

function said(events: ReplyEvent[], type: "text" | "reasoning"): string {
  return events.map((event) => (event.type === type ? event.text : "")).join("");
}

test("one whole exchange: tagged thinking, text, a call, usage and credits", () => {
  const id = "tooluse_QUJDREVGR0hJSktMTU5PUA";
  const name = "read_file";
  const frames = [
    eventFrame("assistantResponseEvent", { content: "<think" }),
    eventFrame("assistantResponseEvent", { content: "ing>\nNeed the file." }),
    eventFrame("assistantResponseEvent", { content: "</thinking>\n" }),
    eventFrame("assistantResponseEvent", { content: "\nReading it now." }),
    eventFrame("toolUseEvent", { toolUseId: id, name }),
    eventFrame("toolUseEvent", { toolUseId: id, name, input: '{"path":' }),
    eventFrame("toolUseEvent", { toolUseId: id, name, input: '"notes.txt"}' }),
    eventFrame("toolUseEvent", { toolUseId: id, name, stop: true }),
    eventFrame("contextUsageEvent", { contextUsagePercentage: 1.05 }),
    eventFrame("meteringEvent", { usage: 0.0731, unit: "credit", unitPlural: "credits" }),
  ];
  expect(replay([Buffer.concat(frames)], TAGS)).toEqual({
    events: [
      { type: "reasoning", text: "Need the file." },
      { type: "reasoning-end" },
      { type: "text", text: "Reading it now." },
      { type: "tool-call", id, name, json: '{"path":"notes.txt"}' },
      { type: "usage", usage: { inputTokens: 2_100 }, source: "estimate" },
      { type: "credits", credits: 0.0731 },
      stop("tool-use"),
    ],
  });
});

describe("text", () => {
  test("of one event comes out in that event's batch", () => {
    const machine = createResponse(OPTIONS);
    expect(machine.push(text("Hi"))).toEqual({ events: [{ type: "text", text: "Hi" }] });
    expect(machine.push(text("Hi"))).toEqual({ events: [{ type: "text", text: "Hi" }] });
    expect(machine.end()).toEqual({ events: [stop("end-turn")] });
  });

  test("that is empty does not come out, and does not end a thinking block", () => {
    const events: KiroEvent[] = [
      { type: "reasoning", text: "a" },
      text(""),
      { type: "reasoning", text: "b" },
    ];
    expect(reply([...events, text("c")]).events).toEqual([
      { type: "reasoning", text: "a" },
      { type: "reasoning", text: "b" },
      { type: "reasoning-end" },
      { type: "text", text: "c" },
      stop("end-turn"),
    ]);
  });

  test("comes out as it went in, however it is cut and whatever it repeats", () => {
    fc.assert(
      fc.property(taggedText, shares, fc.boolean(), (input, cuts, showThinking) => {
        const pieces = cutText(input, cuts).flatMap((piece) => [piece, piece]);
        const { events } = reply(pieces.map(text), { ...OPTIONS, showThinking });
        expect(said(events, "text")).toBe(pieces.join(""));
      }),
    );
  });

  test("after a call keeps its place", () => {
    expect(reply([text("a"), use("1", { stop: true }), text("b")]).events).toEqual([
      { type: "text", text: "a" },
      called("1", "{}"),
      { type: "text", text: "b" },
      stop("tool-use"),
    ]);
  });
});

describe("thinking in tags", () => {
  const tagged = [text("<thinking>\nHm.</thinking>\n\nYes.")];

  test("is left in the text if none was asked for in tags", () => {
    expect(said(reply(tagged).events, "text")).toBe("<thinking>\nHm.</thinking>\n\nYes.");
  });

  test("is taken out of it and shown", () => {
    expect(reply(tagged, TAGS).events).toEqual([
      { type: "reasoning", text: "Hm." },
      { type: "reasoning-end" },
      { type: "text", text: "Yes." },
      stop("end-turn"),
    ]);
  });

  test("is taken out of it and dropped where the client wants none", () => {
    expect(reply(tagged, HIDDEN).events).toEqual([
      { type: "text", text: "Yes." },
      stop("end-turn"),
    ]);
  });

  test("text that was held back comes out at the end", () => {
    expect(said(reply([text("a <thin")], TAGS).events, "text")).toBe("a <thin");
  });

  test("ends where a call begins", () => {
    expect(
      reply([text("<thinking>Hm.</thinking>\n"), use("1", { stop: true })], TAGS).events,
    ).toEqual([
      { type: "reasoning", text: "Hm." },
      { type: "reasoning-end" },
      called("1", "{}"),
      stop("tool-use"),
    ]);
  });

  test("text that was held back comes out ahead of a call, and of usage only if that is later", () => {
    const events: KiroEvent[] = [
      text("So <think"),
      { type: "metering", credits: 1 },
      use("1", { stop: true }),
    ];
    expect(reply(events, TAGS).events).toEqual([
      { type: "text", text: "So " },
      { type: "credits", credits: 1 },
      { type: "text", text: "<think" },
      called("1", "{}"),
      stop("tool-use"),
    ]);
  });

  test("is not looked for after the service's own thinking events", () => {
    expect(reply([{ type: "reasoning", text: "Hm." }, ...tagged], TAGS).events).toEqual([
      { type: "reasoning", text: "Hm." },
      { type: "reasoning-end" },
      { type: "text", text: "<thinking>\nHm.</thinking>\n\nYes." },
      stop("end-turn"),
    ]);
  });

  test("is not looked for after an event with a signature alone either", () => {
    const { events } = reply([{ type: "reasoning", signature: "c2ln" }, ...tagged], HIDDEN);
    expect(said(events, "text")).toBe("<thinking>\nHm.</thinking>\n\nYes.");
  });

  test("is looked for after an event with no thinking in it", () => {
    expect(said(reply([{ type: "reasoning" }, ...tagged], TAGS).events, "text")).toBe("Yes.");
  });

  test("gives the same reply wherever the text is cut", () => {
    fc.assert(
      fc.property(taggedText, shares, fc.constantFrom(TAGS, HIDDEN), (input, cuts, options) => {
        const whole = reply([text(input)], options);
        const cut = reply(cutText(input, cuts).map(text), options);
        expect(said(cut.events, "text")).toBe(said(whole.events, "text"));
        expect(said(cut.events, "reasoning")).toBe(said(whole.events, "reasoning"));
        expect(cut.events.at(-1)).toEqual(whole.events.at(-1) as ReplyEvent);
      }),
    );
  });
});

describe("thinking in the service's own events", () => {
  test("is closed with its signature, which may have an event for itself", () => {
    const events: KiroEvent[] = [
      { type: "reasoning", text: "Let me" },
      { type: "reasoning", text: " see." },
      { type: "reasoning", signature: "c2ln" },
      text("Yes."),
    ];
    expect(reply(events).events).toEqual([
      { type: "reasoning", text: "Let me" },
      { type: "reasoning", text: " see." },
      { type: "reasoning-end", signature: "c2ln" },
      { type: "text", text: "Yes." },
      stop("end-turn"),
    ]);
  });

  test("is two blocks if it goes on after a signature", () => {
    const events: KiroEvent[] = [
      { type: "reasoning", text: "a", signature: "MQ==" },
      { type: "reasoning", text: "b", signature: "Mg==" },
      text("c"),
    ];
    expect(reply(events).events.slice(0, 4)).toEqual([
      { type: "reasoning", text: "a" },
      { type: "reasoning-end", signature: "MQ==" },
      { type: "reasoning", text: "b" },
      { type: "reasoning-end", signature: "Mg==" },
    ]);
  });

  test("is a block without text if there is a signature alone", () => {
    expect(reply([{ type: "reasoning", signature: "c2ln" }, text("Yes.")]).events[0]).toEqual({
      type: "reasoning-end",
      signature: "c2ln",
    });
  });

  test("is closed without a signature by text, by a call and by a redacted block", () => {
    const thought: KiroEvent = { type: "reasoning", text: "a" };
    for (const next of [
      text("b"),
      use("1"),
      { type: "reasoning", redacted: "cmVk" },
    ] as KiroEvent[]) {
      expect(reply([thought, next]).events[1]).toEqual({ type: "reasoning-end" });
    }
  });

  test("may be redacted", () => {
    expect(reply([{ type: "reasoning", redacted: "cmVk" }, text("Yes.")]).events[0]).toEqual({
      type: "redacted-reasoning",
      data: "cmVk",
    });
  });

  test("is dropped, never shown as text, where the client wants none", () => {
    const events: KiroEvent[] = [
      { type: "reasoning", text: "a", signature: "c2ln" },
      { type: "reasoning", redacted: "cmVk" },
      text("Yes."),
    ];
    expect(reply(events, HIDDEN).events).toEqual([
      { type: "text", text: "Yes." },
      stop("end-turn"),
    ]);
  });
});

describe("a call is complete", () => {
  const whole = '{ "a" : 1.0,\n "é": "\\u00e9" }';

  test.each<[name: string, events: KiroEvent[], expected: string[]]>([
    [
      "at its stop",
      [use("1"), use("1", { input: '{"a"' }), use("1", { input: ":1}" }), use("1", { stop: true })],
      ['1 {"a":1}'],
    ],
    ["in one event", [use("1", { input: '{"a":1}', stop: true })], ['1 {"a":1}']],
    ["with the JSON as it was written", [use("1", { input: whole, stop: true })], [`1 ${whole}`]],
    ["with no input", [use("1"), use("1", { stop: true })], ["1 {}"]],
    [
      "with white space for input",
      [use("1", { input: " \n" }), use("1", { stop: true })],
      ["1 {}"],
    ],
    [
      "with its input as an object",
      [use("1", { input: '{"a":1}', whole: true }), use("1", { stop: true })],
      ['1 {"a":1}'],
    ],
    [
      "with an object that replaces what came before",
      [use("1", { input: '{"b' }), use("1", { input: '{"a":1}', whole: true, stop: true })],
      ['1 {"a":1}'],
    ],
    [
      "when another begins",
      [use("1", { input: '{"a":1}' }), use("2", { stop: true })],
      ['1 {"a":1}', "2 {}"],
    ],
    ["when text follows", [use("1", { input: '{"a":1}' }), text("b")], ['1 {"a":1}']],
    [
      "when thinking follows",
      [use("1", { input: '{"a":1}' }), { type: "reasoning", text: "b" }],
      ['1 {"a":1}'],
    ],
    [
      "when something follows, with no input at all",
      [use("1"), use("2", { stop: true })],
      ["2 {}", "1 {}"],
    ],
    [
      "once, whatever comes for its id later",
      [use("1", { stop: true }), use("1", { input: '{"a":1}', stop: true }), use("1")],
      ["1 {}"],
    ],
    [
      "each for itself when fragments are interleaved",
      [
        use("1"),
        use("2"),
        use("1", { input: '{"a"' }),
        use("2", { input: '{"b"' }),
        use("1", { input: ":1}" }),
        use("2", { input: ":2}" }),
        use("1", { stop: true }),
        use("2", { stop: true }),
      ],
      ['1 {"a":1}', '2 {"b":2}'],
    ],
    [
      "at the end if only interleaved fragments lacked a stop",
      [
        use("1", { input: '{"a"' }),
        use("2", { stop: true }),
        use("1", { input: ":1}" }),
        text("c"),
      ],
      ["2 {}", '1 {"a":1}'],
    ],
  ])("%s", (_, events, expected) => {
    const { events: out, fault } = reply(events);
    expect(callsOf(out)).toEqual(expected);
    expect(out.at(-1)).toEqual(stop("tool-use"));
    expect(fault).toBeUndefined();
  });

  test("by the name that the client gave the tool", () => {
    const options = { ...OPTIONS, originalToolName: (name: string) => `mcp__server__${name}` };
    expect(reply([use("1", { stop: true })], options).events[0]).toMatchObject({
      name: "mcp__server__read",
    });
  });

  test("before its successor's first fragment", () => {
    const machine = createResponse(OPTIONS);
    machine.push(use("1", { input: '{"a":1}' }));
    expect(machine.push(use("2")).events).toEqual([called("1", '{"a":1}')]);
  });
});

describe("a call is withheld and the reply stops with max-tokens", () => {
  test.each<[name: string, events: KiroEvent[]]>([
    ["with no stop and no input", [use("1")]],
    ["with half its input", [use("1", { input: '{"a":' })]],
    ["with all its input but nothing after it", [use("1", { input: '{"a":1}' })]],
    ["with half its input and a stop", [use("1", { input: '{"a":', stop: true })]],
    [
      "with half its input and a stop and text after it",
      [use("1", { input: '{"a":', stop: true }), text("b")],
    ],
    [
      "with half its input and another call after it",
      [use("1", { input: '{"a":' }), use("2", { stop: true })],
    ],
    ["with an array", [use("1", { input: "[1]", stop: true })]],
    ["with null", [use("1", { input: "null", stop: true })]],
    ["with two objects", [use("1", { input: "{}{}", stop: true })]],
    [
      "with nesting beyond the parser",
      [use("1", { input: `{"a":${"[".repeat(1_000_000)}`, stop: true })],
    ],
  ])("%s", (_, events) => {
    const { events: out, fault } = reply(events);
    expect(callsOf(out).filter((call) => call.startsWith("1"))).toEqual([]);
    expect(out.at(-1)).toEqual(stop("max-tokens"));
    expect(fault).toBeUndefined();
  });

  test("while complete calls and text stay", () => {
    const events = [text("a"), use("1", { stop: true }), use("2", { input: '{"b":' })];
    expect(reply(events).events).toEqual([
      { type: "text", text: "a" },
      called("1", "{}"),
      stop("max-tokens"),
    ]);
  });

  test("and is not tried again by later fragments", () => {
    const events = [use("1", { input: "{", stop: true }), use("1", { input: "{}", stop: true })];
    expect(reply(events).events).toEqual([stop("max-tokens")]);
  });
});

test("tool inputs beyond 16 MiB are a fault", () => {
  const machine = createResponse(OPTIONS);
  const mebibyte = " ".repeat(1024 * 1024);
  for (let i = 0; i < 16; i += 1) {
    expect(machine.push(use(`${i % 2}`, { input: mebibyte })).fault).toBeUndefined();
  }
  expect(machine.push(use("0", { input: " " })).fault?.reason).toBe("tool-input-too-long");
  expect(machine.end()).toEqual({ events: [] });
});

describe("usage", () => {
  test("of the metadata is passed on whole", () => {
    const counts = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4 };
    expect(reply([text("a"), { type: "metadata", ...counts }]).events[1]).toEqual({
      type: "usage",
      usage: counts,
      source: "upstream",
    });
  });

  test("of the metadata has only what is in it", () => {
    const events: KiroEvent[] = [
      text("a"),
      { type: "metadata", outputTokens: 2 },
      { type: "metadata" },
    ];
    expect(reply(events).events.filter(({ type }) => type === "usage")).toEqual([
      { type: "usage", usage: { outputTokens: 2 }, source: "upstream" },
    ]);
  });

  test.each([
    [50, 100_000],
    [100, 200_000],
    [250, 200_000],
    [0.0001, undefined],
    [0, undefined],
    [-3, undefined],
  ])("%p per cent of the window is %p tokens", (percentage, tokens) => {
    const { events } = reply([text("a"), { type: "context-usage", percentage }]);
    const usage = events.filter(({ type }) => type === "usage");
    const expected = { type: "usage", usage: { inputTokens: tokens }, source: "estimate" };
    expect(usage).toEqual(tokens === undefined ? [] : ([expected] as ReplyEvent[]));
  });

  test("by percentage is not given once the service has counted", () => {
    const events: KiroEvent[] = [
      text("a"),
      { type: "metadata", inputTokens: 5, contextPercentage: 2 },
      { type: "context-usage", percentage: 2 },
    ];
    expect(reply(events).events.filter(({ type }) => type === "usage")).toEqual([
      { type: "usage", usage: { inputTokens: 5 }, source: "upstream" },
    ]);
  });

  test("by percentage may be in the metadata", () => {
    expect(reply([text("a"), { type: "metadata", contextPercentage: 2 }]).events[1]).toEqual({
      type: "usage",
      usage: { inputTokens: 4_000 },
      source: "estimate",
    });
  });

  test("in credits is passed on each time", () => {
    const events: KiroEvent[] = [
      text("a"),
      { type: "metering", credits: 1 },
      { type: "metering", credits: 2.5 },
    ];
    expect(reply(events).events.slice(1, 3)).toEqual([
      { type: "credits", credits: 1 },
      { type: "credits", credits: 2.5 },
    ]);
  });
});

function because(stopReason: string): KiroEvent {
  return { type: "metadata", stopReason };
}

describe("the stop reason", () => {
  const call = use("1", { stop: true });
  const broken = use("2", { input: "{", stop: true });
  const full: KiroEvent = { type: "context-usage", percentage: 100 };
  const thought: KiroEvent = { type: "reasoning", text: "Hm." };

  test.each<[name: string, events: KiroEvent[], reason: StopReason]>([
    ["text", [text("a")], "end-turn"],
    ["text that the service ended", [text("a"), because("end_turn")], "end-turn"],
    ["a reason that is not known", [text("a"), because("novel")], "end-turn"],
    ["a call", [text("a"), call], "tool-use"],
    ["a call in a full window", [call, full], "tool-use"],
    ["a call and the service's end of turn", [call, because("end_turn")], "tool-use"],
    ["a call and the service's max tokens", [call, because("max_tokens")], "tool-use"],
    ["a call and a broken one", [call, broken], "max-tokens"],
    ["a broken call in a full window", [broken, full], "max-tokens"],
    ["a full window", [text("a"), full], "context-window"],
    ["a full window and the end of turn", [text("a"), full, because("end_turn")], "context-window"],
    [
      "a full window by the metadata",
      [text("a"), { type: "metadata", contextPercentage: 101 }],
      "context-window",
    ],
    ["a full window and nothing else", [full], "context-window"],
    [
      "a window that is full no more",
      [text("a"), full, { type: "context-usage", percentage: 50 }],
      "end-turn",
    ],
    ["almost a full window", [text("a"), { type: "context-usage", percentage: 99.99 }], "end-turn"],
    ["the service's max tokens", [text("a"), because("MAX_TOKENS")], "max-tokens"],
    ["the service's max tokens and nothing else", [because("max_tokens")], "max-tokens"],
    [
      "the service's full window",
      [text("a"), because("model_context_window_exceeded")],
      "context-window",
    ],
    ["a refusal", [text("a"), because("refusal")], "refusal"],
    ["a refusal after a call", [call, because("content_filtered")], "refusal"],
    ["a refusal and nothing else", [because("guardrail_intervened")], "refusal"],
    ["thinking alone", [thought], "max-tokens"],
    ["thinking alone that the service ended", [thought, because("end_turn")], "max-tokens"],
    ["a call that was announced and did not come", [text("a"), because("tool_use")], "max-tokens"],
    [
      "the last reason given that is known",
      [text("a"), because("end_turn"), because("max_tokens"), because("?")],
      "max-tokens",
    ],
  ])("%s", (_, events, reason) => {
    const { events: out, fault } = reply(events);
    expect(out.at(-1)).toEqual(stop(reason));
    expect(fault).toBeUndefined();
  });
});

describe("a reply with nothing to show", () => {
  test.each<[name: string, events: KiroEvent[], options: ResponseOptions]>([
    ["no event at all", [], OPTIONS],
    ["empty text", [text("")], OPTIONS],
    [
      "only bookkeeping",
      [
        { type: "context-usage", percentage: 1 },
        { type: "metering", credits: 1 },
      ],
      OPTIONS,
    ],
    ["only what is ignored", [{ type: "ignored", eventType: "followupPromptEvent" }], OPTIONS],
    ["only an end of turn", [{ type: "metadata", stopReason: "end_turn" }], OPTIONS],
    ["only the announcement of a call", [{ type: "metadata", stopReason: "tool_use" }], OPTIONS],
    [
      "only thinking that the client does not want",
      [{ type: "reasoning", text: "a", signature: "b" }],
      HIDDEN,
    ],
    [
      "only tagged thinking that the client does not want",
      [text("<thinking>a</thinking>")],
      HIDDEN,
    ],
    ["only an empty thinking block", [text("<thinking>\n</thinking>")], TAGS],
  ])("is a fault: %s", (_, events, options) => {
    const { events: out, fault } = reply(events, options);
    expect(fault).toMatchObject({ kind: "empty-reply", reason: "empty-reply" });
    expect(out.filter(({ type }) => type !== "usage" && type !== "credits")).toEqual([]);
  });
});

describe("a failure inside the stream", () => {
  test.each<[name: string, event: KiroEvent, fault: object]>([
    [
      "an exception",
      { type: "exception", exceptionType: "ThrottlingException", message: "m" },
      { kind: "throttled" },
    ],
    ["an error", { type: "error", code: "InternalFailure", message: "m" }, { kind: "unavailable" }],
    [
      "an invalid state",
      { type: "invalid-state", reason: "X_Y_Z", message: "m" },
      { kind: "unavailable", reason: "X_Y_Z" },
    ],
    [
      "text that can't be read",
      { type: "malformed", eventType: "assistantResponseEvent" },
      { reason: "malformed-event" },
    ],
    [
      "a call that can't be read",
      { type: "malformed", eventType: "toolUseEvent" },
      { reason: "malformed-event" },
    ],
    [
      "thinking that can't be read",
      { type: "malformed", eventType: "reasoningContentEvent" },
      { reason: "malformed-event" },
    ],
  ])("%s is a fault, whatever came before, and the end of all", (_, event, expected) => {
    for (const before of [[], [text("a")], [use("1", { input: '{"a":1}' })]]) {
      const machine = createResponse(OPTIONS);
      before.forEach((earlier) => machine.push(earlier));
      const batch = machine.push(event);
      expect(batch.events).toEqual([]);
      expect(batch.fault).toMatchObject(expected);
      expect(machine.push(text("b"))).toEqual({ events: [] });
      expect(machine.end()).toEqual({ events: [] });
    }
  });

  test("closes the thinking that was open", () => {
    const error: KiroEvent = { type: "error", code: "E", message: "" };
    expect(reply([{ type: "reasoning", text: "a" }, error]).events).toEqual([
      { type: "reasoning", text: "a" },
      { type: "reasoning-end" },
    ]);
  });

  test("does not bring out what was held back: nothing visible has come, so another attempt is possible", () => {
    const error: KiroEvent = { type: "error", code: "E", message: "" };
    expect(reply([text("<think"), error], TAGS).events).toEqual([]);
  });

  test("leaves a reply alone if it is about bookkeeping", () => {
    for (const eventType of ["metadataEvent", "contextUsageEvent", "meteringEvent"]) {
      expect(reply([{ type: "malformed", eventType }, text("a")]).events).toEqual([
        { type: "text", text: "a" },
        stop("end-turn"),
      ]);
    }
  });
});

describe("the service's length exception", () => {
  const tooLong: KiroEvent = {
    type: "exception",
    exceptionType: "ContentLengthExceededException",
    message: "m",
  };

  test("before any output is an overflow of the prompt", () => {
    expect(reply([tooLong]).fault?.failure).toMatchObject({
      kind: "context-overflow",
      tokens: 200_500,
      limit: 200_000,
    });
  });

  test("after output is max-tokens at the clean end, and nothing comes after it", () => {
    expect(reply([text("a"), use("1", { input: '{"b":' }), tooLong, text("c")])).toEqual({
      events: [{ type: "text", text: "a" }, stop("max-tokens")],
    });
  });

  test("after output and a complete call is max-tokens too", () => {
    expect(reply([use("1", { stop: true }), tooLong]).events).toEqual([
      called("1", "{}"),
      stop("max-tokens"),
    ]);
  });
});

test("after its end the machine gives nothing", () => {
  const machine = createResponse(OPTIONS);
  machine.push(text("a"));
  expect(machine.end()).toEqual({ events: [stop("end-turn")] });
  expect(machine.push(text("b"))).toEqual({ events: [] });
  expect(machine.end()).toEqual({ events: [] });
});

/** Throws where a law of `ReplyEvent` is broken. */
function checkLaws({ events, fault }: Outcome): void {
  let thinking = false;
  for (const [index, event] of events.entries()) {
    if (event.type === "text" || event.type === "reasoning") expect(event.text).not.toBe("");
    if (event.type === "reasoning") thinking = true;
    else if (event.type === "reasoning-end") {
      expect(thinking || event.signature !== undefined).toBe(true);
      thinking = false;
    } else if (event.type !== "usage" && event.type !== "credits") expect(thinking).toBe(false);
    if (event.type === "tool-call") {
      const input: unknown = JSON.parse(event.json);
      expect(input).toBeObject();
      expect(input).not.toBeArray();
    }
    expect(isTerminal(event)).toBe(fault === undefined && index === events.length - 1);
  }
  expect(thinking).toBe(false);
}

test("any events obey the laws of a reply", () => {
  fc.assert(
    fc.property(kiroEvents, responseOptions, (events, options) => {
      const before = structuredClone(events);
      const outcome = reply(events, options);
      expect(events).toEqual(before);
      checkLaws(outcome);
      if (!options.showThinking) {
        for (const { type } of outcome.events) {
          expect(["reasoning", "reasoning-end", "redacted-reasoning"]).not.toContain(type);
        }
      }
      if (outcome.fault?.kind === "empty-reply") {
        expect(outcome.events.every(({ type }) => type === "usage" || type === "credits")).toBe(
          true,
        );
      }
    }),
    { numRuns: 3_000 },
  );
});

test("no call comes out twice or with another call's input", () => {
  fc.assert(
    fc.property(kiroEvents, (events) => {
      const calls = reply(events).events.filter((event) => event.type === "tool-call");
      expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length);
      for (const { id, json } of calls) {
        const inputs = events.flatMap((event) =>
          event.type === "tool-use" && event.id === id ? [event.input ?? ""] : [],
        );
        const starts = inputs.flatMap((_, from) =>
          inputs.map((__, to) => inputs.slice(from, to + 1).join("")),
        );
        expect([...starts, "{}"]).toContain(json);
      }
    }),
    { numRuns: 1_000 },
  );
});

/** From bytes to the outcome, as the client has it: a fault of the framing ends the reply. */
function replay(chunks: Uint8Array[], options: ResponseOptions): Outcome {
  const decoder = new FrameDecoder();
  const machine = createResponse(options);
  const out: ReplyEvent[] = [];
  const add = (batch: Batch): KiroFault | undefined => {
    out.push(...batch.events);
    return batch.fault;
  };
  for (const chunk of chunks) {
    const { frames, fault } = decoder.push(chunk);
    for (const frame of frames) {
      const broken = add(machine.push(createEventReader()(frame)));
      if (broken !== undefined) return { events: out, fault: broken };
    }
    if (fault !== undefined) return { events: out, fault: faultOfFrame(fault) };
  }
  const truncated = decoder.end();
  if (truncated !== undefined) return { events: out, fault: faultOfFrame(truncated) };
  const fault = add(machine.end());
  return fault === undefined ? { events: out } : { events: out, fault };
}

function tool(id: string, rest: object = {}): Uint8Array {
  return eventFrame("toolUseEvent", { toolUseId: id, name: "write", ...rest });
}

describe("a stream that is cut", () => {
  const input = JSON.stringify({ path: "a/é.txt", text: 'line "1"\n日本 😀 }{', n: [1, null] });
  const frames = [
    eventFrame("reasoningContentEvent", { text: "Let me see." }),
    eventFrame("reasoningContentEvent", { signature: "c2ln" }),
    eventFrame("assistantResponseEvent", { content: "Two files, 日本 😀.\n" }),
    tool("a"),
    ...Array.from(input.match(/[^]{1,9}/gu) ?? [], (part) => tool("a", { input: part })),
    tool("a", { stop: true }),
    tool("b", { input: "{}", stop: true }),
    tool("c"),
    tool("c", { stop: true }),
    eventFrame("assistantResponseEvent", { content: "Done." }),
    tool("d", { input }),
    tool("d", { stop: true }),
    eventFrame("contextUsageEvent", { contextUsagePercentage: 3 }),
    eventFrame("meteringEvent", { usage: 0.5, unit: "credit" }),
  ];
  const bytes = Buffer.concat(frames);
  const ends = new Set(frames.map((_, index) => Buffer.concat(frames.slice(0, index + 1)).length));
  const whole = replay([bytes], TAGS);

  test("comes out whole if it is not cut", () => {
    expect(callsOf(whole.events)).toEqual([`a ${input}`, "b {}", "c {}", `d ${input}`]);
    expect(whole.events.at(-1)).toEqual(stop("tool-use"));
    expect(whole.fault).toBeUndefined();
  });

  test("at every byte gives the beginning of the whole reply, and a fault unless a frame ends there", () => {
    for (const [head] of everyCut(bytes)) {
      const { events, fault } = replay([head], TAGS);
      const calls = callsOf(events);
      expect(calls).toEqual(callsOf(whole.events).slice(0, calls.length));
      expect(said(whole.events, "text")).toStartWith(said(events, "text"));
      if (head.length > 0 && !ends.has(head.length)) {
        expect(fault?.reason).toBe("truncated");
        expect(events.some(isTerminal)).toBe(false);
      }
    }
  });

  test("after any event and ended cleanly stops with max-tokens wherever a call was open", () => {
    const events = frames.flatMap((frame) =>
      new FrameDecoder().push(frame).frames.map((one) => createEventReader()(one)),
    );
    let open = false;
    for (const [index, event] of events.entries()) {
      if (event.type === "tool-use") open = !event.stop;
      const outcome = reply(events.slice(0, index + 1), TAGS);
      checkLaws(outcome);
      const calls = callsOf(outcome.events);
      expect(calls).toEqual(callsOf(whole.events).slice(0, calls.length));
      if (open) expect(outcome.events.at(-1)).toEqual(stop("max-tokens"));
    }
  });

  test("into chunks of any size and not short of a byte comes out whole", () => {
    fc.assert(
      fc.property(chunkSizes, (sizes) => {
        expect(replay(rechunk(bytes, sizes), TAGS)).toEqual(whole);
      }),
    );
  });

  test("by a flipped bit is a fault", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        const { events, fault } = replay([damaged], TAGS);
        expect(fault?.kind).toBe("unavailable");
        expect(events.some(isTerminal)).toBe(false);
      }),
    );
  });
});
