import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { StopMatcher } from "../../src/gateway/stop-matcher.ts";

function run(pieces: string[], sequences: string[]): { text: string; sequence?: string } {
  const matcher = new StopMatcher(sequences);
  let text = "";
  for (const piece of pieces) {
    const match = matcher.push(piece);
    text += match.text;
    if (match.sequence !== undefined) return { text, sequence: match.sequence };
  }
  return { text: text + matcher.end() };
}

describe("stop matcher", () => {
  test("text passes through untouched where nothing stops it", () => {
    expect(run(["one ", "two"], [])).toEqual({ text: "one two" });
    expect(run(["one ", "two"], ["three"])).toEqual({ text: "one two" });
  });

  test("a sequence that is split over pieces is found and not sent", () => {
    expect(run(["abcST", "O", "Pdef"], ["STOP"])).toEqual({ text: "abc", sequence: "STOP" });
  });

  test("the sequence that is complete first wins, however the text is cut", () => {
    expect(run(["ab", "c"], ["abc", "b"])).toEqual({ text: "a", sequence: "b" });
    expect(run(["abc"], ["abc", "b"])).toEqual({ text: "a", sequence: "b" });
  });

  test("the earliest of several sequences wins", () => {
    expect(run(["a1b2"], ["2", "1"])).toEqual({ text: "a", sequence: "1" });
  });

  test("only what could begin a sequence is held back", () => {
    const matcher = new StopMatcher(["\n\nHuman:"]);
    expect(matcher.push("Hello\n").text).toBe("Hello");
    expect(matcher.push("world").text).toBe("\nworld");
  });

  test("an empty sequence stops nothing", () => {
    expect(run(["abc"], [""])).toEqual({ text: "abc" });
  });

  test("any split of a text gives the same result as the whole text", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
    const sequence = fc.string({
      unit: fc.constantFrom("a", "b", "c"),
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(letters), fc.array(sequence, { maxLength: 3 }), (pieces, sequences) => {
        const whole = pieces.join("");
        const matches = sequences
          .map((one) => ({ at: whole.indexOf(one), end: whole.indexOf(one) + one.length }))
          .filter(({ at }) => at !== -1)
          .toSorted((a, b) => a.end - b.end || a.at - b.at);
        expect(run(pieces, sequences).text).toBe(whole.slice(0, matches[0]?.at));
      }),
    );
  });
});
