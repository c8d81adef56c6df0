import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Limits, OutputFormat } from "../../src/conversation/conversation.ts";
import { isTerminal, type ReplyEvent } from "../../src/conversation/reply.ts";
import { createOutput } from "../../src/gateway/output.ts";

const unlimited: Limits = { stopSequences: [], parallelToolCalls: true };
const stop: ReplyEvent = { type: "stop", reason: "end-turn" };
const call: ReplyEvent = { type: "tool-call", id: "t1", name: "ls", json: "{}" };

function text(content: string): ReplyEvent {
  return { type: "text", text: content };
}

/** One token a character, so that limits are easy to see. */
function output(limits: Partial<Limits> = {}, format: OutputFormat = { type: "text" }) {
  return createOutput({
    limits: { ...unlimited, ...limits },
    format,
    promptTokens: 100,
    countText: (content) => content.length,
  });
}

function said(events: ReplyEvent[]): string {
  return events.map((event) => (event.type === "text" ? event.text : "")).join("");
}

function end(events: ReplyEvent[]): ReplyEvent | undefined {
  return events.at(-1);
}

function usage(events: ReplyEvent[]): unknown {
  return events.findLast((event) => event.type === "usage");
}

describe("output", () => {
  test("a reply without limits passes as it came, with our own count at its end", () => {
    expect(output().push([text("Hi"), call, stop])).toEqual([
      text("Hi"),
      call,
      {
        type: "usage",
        source: "estimate",
        usage: { inputTokens: 100, outputTokens: 6, cacheReadTokens: 0, cacheWriteTokens: 0 },
      },
      stop,
    ]);
  });

  test("the service's own counts replace ours", () => {
    const counts = { inputTokens: 7, outputTokens: 3, cacheReadTokens: 80, cacheWriteTokens: 2 };
    const events = output().push([
      text("Hello"),
      { type: "usage", usage: counts, source: "upstream" },
      stop,
    ]);
    expect(usage(events)).toEqual({ type: "usage", usage: counts, source: "upstream" });
  });

  test("the share of the window includes the reply, which is taken off", () => {
    const whole: ReplyEvent = {
      type: "usage",
      usage: { inputTokens: 2_000 },
      source: "estimate",
    };
    const events = output().push([text("x".repeat(60)), whole, stop]);
    expect(usage(events)).toMatchObject({ usage: { inputTokens: 1_940, outputTokens: 60 } });
  });

  test("max_tokens cuts text and ends the reply", () => {
    const machine = output({ maxTokens: 4 });
    const events = [...machine.push([text("abc")]), ...machine.push([text("def"), call, stop])];
    expect(said(events)).toBe("abcd");
    expect(end(events)).toEqual({ type: "stop", reason: "max-tokens" });
    expect(usage(events)).toMatchObject({ usage: { outputTokens: 4 } });
    expect(machine.ended).toBe(true);
  });

  test("max_tokens closes the thinking block that it cuts", () => {
    const events = output({ maxTokens: 2 }).push([{ type: "reasoning", text: "hmm" }]);
    expect(events.map(({ type }) => type)).toEqual(["reasoning", "reasoning-end", "usage", "stop"]);
  });

  test("max_tokens does not cut through a surrogate pair", () => {
    expect(said(output({ maxTokens: 2 }).push([text("a\u{1F44B}b")]))).toBe("a");
  });

  test("a whole tool call over max_tokens is delivered and the reply ends with it", () => {
    const machine = output({ maxTokens: 1 });
    const events = machine.push([call, text("more"), stop]);
    expect(events.map(({ type }) => type)).toEqual(["tool-call", "usage", "stop"]);
    expect(end(events)).toEqual({ type: "stop", reason: "tool-use" });
  });

  test("without parallel tool calls the reply ends after the first", () => {
    const machine = output({ parallelToolCalls: false });
    const events = machine.push([text("a"), call, { ...call, id: "t2" }, stop]);
    expect(events.filter(({ type }) => type === "tool-call")).toEqual([call]);
    expect(end(events)).toEqual({ type: "stop", reason: "tool-use" });
  });

  test("a stop sequence across deltas ends the reply before itself", () => {
    const machine = output({ stopSequences: ["END"] });
    const events = [...machine.push([text("one E")]), ...machine.push([text("ND two"), stop])];
    expect(said(events)).toBe("one ");
    expect(end(events)).toEqual({ type: "stop", reason: "stop-sequence", sequence: "END" });
  });

  test("stop sequences do not look at thinking or tool input", () => {
    const events = output({ stopSequences: ["END"] }).push([
      { type: "reasoning", text: "END" },
      { type: "reasoning-end" },
      { type: "tool-call", id: "t", name: "END", json: '{"a":"END"}' },
      stop,
    ]);
    expect(end(events)).toEqual(stop);
  });

  test("text held back for a stop sequence comes out before what follows it", () => {
    const events = output({ stopSequences: ["END"] }).push([text("E"), call, text("N"), stop]);
    expect(events.map(({ type }) => type)).toEqual(["text", "tool-call", "text", "usage", "stop"]);
  });

  test("JSON comes without its code fence", () => {
    const machine = output({}, { type: "json" });
    const events = [...machine.push([text("```json\n{")]), ...machine.push([text("}\n```"), stop])];
    expect(said(events)).toBe("{}");
  });

  test("a failure delivers what was held back and closes the thinking block", () => {
    const failure = { kind: "upstream", message: "cut" } as const;
    const held = output({ stopSequences: ["END"] });
    held.push([text("E")]);
    expect(held.fail(failure)).toEqual([text("E"), { type: "failed", failure }]);
    const thinking = output();
    thinking.push([{ type: "reasoning", text: "hm" }]);
    expect(thinking.fail(failure)).toEqual([
      { type: "reasoning-end" },
      { type: "failed", failure },
    ]);
    expect(thinking.fail(failure)).toEqual([]);
  });

  test("a failure among the events ends the reply as one from outside does", () => {
    const failed: ReplyEvent = { type: "failed", failure: { kind: "upstream", message: "cut" } };
    const machine = output({ stopSequences: ["END"] });
    expect(machine.push([text("E"), failed, text("late")])).toEqual([text("E"), failed]);
    expect(machine.ended).toBe(true);
  });

  test("nothing comes after the end", () => {
    const machine = output();
    machine.push([stop]);
    expect(machine.push([text("late"), stop])).toEqual([]);
  });

  test("whatever comes in, there is one terminal event and it is the last", () => {
    const event = fc.oneof(
      fc.string({ minLength: 1, maxLength: 9 }).map(text),
      fc.constant(call),
      fc.constant<ReplyEvent>({ type: "redacted-reasoning", data: "eA==" }),
      fc.constant<ReplyEvent>({ type: "credits", credits: 1 }),
    );
    const limits = fc.record({
      maxTokens: fc.integer({ min: 1, max: 30 }),
      stopSequences: fc.array(fc.string({ minLength: 1, maxLength: 2 }), { maxLength: 2 }),
      parallelToolCalls: fc.boolean(),
    });
    fc.assert(
      fc.property(limits, fc.array(fc.array(event, { maxLength: 4 })), (limit, batches) => {
        const machine = output(limit);
        const events = [...batches, [stop]].flatMap((batch) => machine.push(batch));
        expect(events.filter(isTerminal)).toHaveLength(1);
        expect(isTerminal(events.at(-1) ?? text(""))).toBe(true);
        expect(events.every((one) => one.type !== "text" || one.text !== "")).toBe(true);
      }),
    );
  });
});
