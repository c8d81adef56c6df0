import { describe, expect, test } from "bun:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import type { Conversation, Tool, UserPart } from "../../src/conversation/conversation.ts";
import { createTokenCounter } from "../../src/tokens/counter.ts";
import { corpus } from "./corpus.ts";

const EMPTY: Conversation = {
  model: "claude-sonnet-4-5",
  system: "",
  turns: [],
  tools: [],
  toolChoice: { type: "auto" },
  reasoning: { type: "unset" },
  output: { type: "text" },
  limits: { stopSequences: [], parallelToolCalls: true },
  notices: [],
};

function said(...texts: string[]): Conversation {
  return {
    ...EMPTY,
    turns: texts.map((text, index) => ({
      role: index % 2 === 0 ? "user" : "assistant",
      parts: [{ type: "text", text }],
    })),
  };
}

const TOOL: Tool = {
  name: "get_weather",
  description: "Tells the weather of a place.",
  schema: { type: "object", properties: { place: { type: "string" } } },
};

/** A counter whose tokenizer counts characters and remembers what it was given. */
function spied(cacheEntries?: number) {
  const seen: string[] = [];
  let loads = 0;
  const counter = createTokenCounter({
    ...(cacheEntries === undefined ? {} : { cacheEntries }),
    load: async () => {
      loads++;
      return (text) => {
        seen.push(text);
        return text.length;
      };
    },
  });
  return { counter, seen, loads: () => loads };
}

const real = createTokenCounter();

describe("exact", () => {
  test("counts everything that is in a prompt", async () => {
    const png = "iVBORw0KGgoAAAANSUhEUgAAA+gAAAJY";
    const steps: Conversation[] = [EMPTY];
    const grow = (more: Partial<Conversation>) => steps.push({ ...steps.at(-1)!, ...more });
    const user = (...parts: UserPart[]) =>
      grow({ turns: [...steps.at(-1)!.turns, { role: "user", parts }] });
    grow({ system: "Be brief." });
    grow({ tools: [TOOL] });
    grow({ tools: [TOOL, { ...TOOL, name: "other" }] });
    grow({
      tools: [TOOL, { ...TOOL, name: "other", description: `${TOOL.description} Or so it hopes.` }],
    });
    grow({ output: { type: "json", schema: TOOL.schema } });
    user({ type: "text", text: "Hello" });
    user({ type: "image", format: "png", base64: png });
    user({
      type: "document",
      name: "a.pdf",
      mediaType: "application/pdf",
      base64: "A".repeat(9999),
    });
    grow({
      turns: [
        ...steps.at(-1)!.turns,
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "Let me think.", signature: "c2ln" },
            { type: "tool-call", id: "t1", name: "get_weather", input: { place: "Oslo" } },
          ],
        },
      ],
    });
    user({
      type: "tool-result",
      callId: "t1",
      isError: false,
      content: [
        { type: "text", text: "Rain" },
        { type: "image", format: "png", base64: png },
      ],
    });
    grow({
      turns: [
        ...steps.at(-1)!.turns,
        { role: "assistant", parts: [{ type: "redacted-reasoning", data: "A".repeat(400) }] },
      ],
    });
    const counts = await Promise.all(steps.map(async (step) => await real.exact(step)));
    expect(counts.every((count) => Number.isInteger(count) && count > 0)).toBe(true);
    const differences = counts.slice(1).map((count, index) => count - (counts[index] ?? 0));
    expect(Math.min(...differences)).toBeGreaterThan(0);
    // The image of 1000 × 600 pixels, alone and within a result.
    expect(differences[6]).toBe(803);
    expect(differences[9]).toBeGreaterThan(800);
  });

  test("the first tool costs what Anthropic's API adds for one, about 550", async () => {
    const bare = { ...EMPTY, tools: [{ name: "a", description: "", schema: { type: "object" } }] };
    const added = (await real.exact(bare)) - (await real.exact(EMPTY));
    expect(added).toBeGreaterThan(500);
    expect(added).toBeLessThan(600);
  });

  test("loads the tokenizer once, and only when it is needed", async () => {
    const { counter, loads } = spied();
    counter.quick(said("a"));
    counter.text("a");
    expect(loads()).toBe(0);
    await Promise.all([counter.exact(said("a")), counter.exact(said("b"))]);
    await counter.exact(said("c"));
    expect(loads()).toBe(1);
  });

  test("tokenizes a text once, however often it comes", async () => {
    const { counter, seen } = spied();
    await counter.exact(said("one", "two"));
    await counter.exact(said("one", "two", "three", "one"));
    expect(seen).toEqual(["one", "two", "three"]);
  });

  test("cuts a long text, so that one that grew is only counted where it grew", async () => {
    const { counter, seen } = spied();
    await counter.exact(said("a".repeat(20_000)));
    await counter.exact(said("a".repeat(20_001)));
    expect(seen.map((text) => text.length)).toEqual([8192, 3616, 3617]);
    expect(await counter.exact(said("b".repeat(100_000)))).toBe(6 + 3 + 110_000);
  });

  test("lets others run while it counts a long prompt", async () => {
    const { counter } = spied();
    const order: string[] = [];
    const count = counter
      .exact(said(...Array.from({ length: 20 }, (_, index) => `${index}`.repeat(8000))))
      .then(() => order.push("counted"));
    setImmediate(() => order.push("another"));
    await count;
    expect(order).toEqual(["another", "counted"]);
  });

  test("40 at once give what they give one by one", async () => {
    const requests = Array.from({ length: 40 }, (_, index) =>
      said(
        Object.values(corpus)
          .flat()
          .join(`\n${index}\n`)
          .slice(index, index + 3000),
      ),
    );
    const fresh = createTokenCounter();
    const atOnce = await Promise.all(requests.map(async (one) => await fresh.exact(one)));
    for (const [index, request] of requests.entries()) {
      expect(await real.exact(request)).toBe(atOnce[index] ?? 0);
    }
  });

  test("leaves the conversation as it was", async () => {
    const conversation = { ...said("Hello"), tools: [TOOL] };
    const before = structuredClone(conversation);
    await real.exact(conversation);
    real.quick(conversation);
    expect(conversation).toEqual(before);
  });
});

describe("quick", () => {
  test("says exactly what exact has said of the same conversation", async () => {
    const conversation = { ...said(...Object.values(corpus).flat()), tools: [TOOL], system: "x" };
    const counter = createTokenCounter();
    const count = await counter.exact(conversation);
    expect(counter.quick(conversation)).toBe(count);
  });

  test("is near to it where exact was never asked", async () => {
    const conversation = { ...said(...Object.values(corpus).flat()), tools: [TOOL] };
    const count = await real.exact(conversation);
    const estimate = createTokenCounter().quick(conversation);
    expect(Math.abs(estimate / count - 1)).toBeLessThan(0.1);
  });

  test("estimates only what is new", async () => {
    const { counter } = spied();
    const known = await counter.exact(said("x".repeat(5000)));
    const both = counter.quick(said("x".repeat(5000), "hello there, how are you?"));
    expect(both - known).toBeGreaterThan(6);
    expect(both - known).toBeLessThan(14);
  });
});

describe("the cache", () => {
  test("keeps what is used and forgets what is not", async () => {
    const { counter, seen } = spied(8);
    await counter.exact(said("hot"));
    for (let index = 0; index < 100; index++) {
      await counter.exact(said(`cold ${index}`));
      await counter.exact(said("hot"));
    }
    expect(seen.filter((text) => text === "hot")).toHaveLength(1);
    seen.length = 0;
    await counter.exact(said("cold 0"));
    expect(seen).toEqual(["cold 0"]);
  });

  test("never holds more than it may, seen from what it still knows", async () => {
    const { counter, seen } = spied(10);
    const texts = Array.from({ length: 200 }, (_, index) => `text ${index}`);
    for (const text of texts) await counter.exact(said(text));
    seen.length = 0;
    // From the newest to the oldest: a miss makes room only among those already looked at.
    let known = 0;
    for (const text of texts.toReversed()) {
      const before = seen.length;
      await counter.exact(said(text));
      if (seen.length === before) known++;
    }
    expect(known).toBeGreaterThanOrEqual(5);
    expect(known).toBeLessThanOrEqual(10);
  });
});

describe("text", () => {
  test("is nothing for nothing and above it for anything to be read", () => {
    expect(real.text("")).toBe(0);
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary" }), (text) => {
        if (/[\p{L}\p{N}]/u.test(text)) expect(real.text(text)).toBeGreaterThan(0);
      }),
    );
  });

  test.each(Object.entries(corpus))("adds up over the pieces of a stream of %s", (_, texts) => {
    const text = texts.join("\n");
    const pieces = text.match(/\s?[^\s]{1,12}|\s/g) ?? [];
    expect(pieces.join("")).toBe(text);
    const sum = pieces.reduce((tokens, piece) => tokens + real.text(piece), 0);
    expect(Math.abs(sum / real.text(text) - 1)).toBeLessThan(0.25);
  });

  test("is near the exact count of the same text", async () => {
    const text = corpus.english.join("\n");
    const counted = (await real.exact(said(text))) - (await real.exact(said("")));
    expect(Math.abs(real.text(text) / counted - 1)).toBeLessThan(0.1);
  });
});

test("what is only estimated is counted afterwards, once the tokenizer is in use", async () => {
  const counter = createTokenCounter({ load: async () => (text) => text.length * 100 });
  const second = said("Two.");
  const estimated = counter.quick(second);
  await nextTurn();
  expect(counter.quick(second)).toBe(estimated);
  await counter.exact(said("One."));
  expect(counter.quick(second)).toBe(estimated);
  // Two texts at most, each in a turn of the loop's own.
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  const quick = counter.quick(second);
  expect(quick).not.toBe(estimated);
  expect(quick).toBe(await counter.exact(second));
});
