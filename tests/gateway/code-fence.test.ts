import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createFenceStripper } from "../../src/gateway/code-fence.ts";

function strip(pieces: string[]): string {
  const stripper = createFenceStripper();
  return pieces.map((piece) => stripper.push(piece)).join("") + stripper.end();
}

describe("code fence", () => {
  test.each([
    { name: "bare JSON stays as it is", text: '{"a": 1}', bare: '{"a": 1}' },
    { name: "a fence with a language goes", text: '```json\n{"a": 1}\n```', bare: '{"a": 1}' },
    { name: "a fence without a language goes", text: "```\n[1]\n```\n", bare: "[1]" },
    { name: "white space before the fence goes", text: "\n\n```json\n{}\n```", bare: "{}" },
    { name: "a fence that never closes", text: "```json\n{}", bare: "{}" },
    {
      name: "back quotes inside stay",
      text: '```json\n{"a": "``` `"}\n```',
      bare: '{"a": "``` `"}',
    },
    { name: "text that only begins with a back quote", text: "`x`", bare: "`x`" },
    { name: "a back quote and no more", text: "`", bare: "`" },
  ])("$name", ({ text, bare }) => {
    expect(strip([text])).toBe(bare);
    expect(strip(text.split(""))).toBe(bare);
  });

  test("any split of a text gives the same result as the whole text", () => {
    const unit = fc.constantFrom("`", "```", "json", "\n", "{", "}", " ", "a");
    fc.assert(
      fc.property(fc.array(fc.string({ unit, maxLength: 8 })), (pieces) => {
        expect(strip(pieces)).toBe(strip([pieces.join("")]));
      }),
    );
  });

  test("endless white space in a fence costs no more than it is long", () => {
    const stripper = createFenceStripper();
    stripper.push("```json\n{");
    const sent = Array.from({ length: 50_000 }, () => stripper.push(" ")).join("");
    expect(sent.length).toBeGreaterThan(40_000);
    expect((sent + stripper.push("}\n```") + stripper.end()).trim()).toBe("}");
  });

  test("what is not in a fence is sent at once", () => {
    const stripper = createFenceStripper();
    expect(stripper.push("{")).toBe("{");
    expect(stripper.push('"a"')).toBe('"a"');
  });
});
