import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { jsonFault } from "../src/json-fault.ts";

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("jsonFault", () => {
  test.each([
    { name: "an empty file", text: "", line: 1, column: 1, message: "too early" },
    { name: "a cut file", text: '[\n  {"a": 1},\n', line: 3, column: 1, message: "too early" },
    {
      name: "a comma after the last member",
      text: '{\n  "a": 1,\n}',
      line: 3,
      column: 1,
      message: "last member",
    },
    { name: "a comma after the last item", text: "[1,]", line: 1, column: 4, message: "a value" },
    {
      name: "a missing comma",
      text: '{"a": 1\n "b": 2}',
      line: 2,
      column: 2,
      message: "a comma or }",
    },
    {
      name: "a missing comma in a list",
      text: "[{} {}]",
      line: 1,
      column: 5,
      message: "a comma or ]",
    },
    { name: "a missing colon", text: '{"a" 1}', line: 1, column: 6, message: "a colon" },
    { name: "a bare name", text: "{a: 1}", line: 1, column: 2, message: 'in "double quotes" or }' },
    { name: "a bare value", text: '{"a": SECRET}', line: 1, column: 7, message: "a value" },
    { name: "single quotes", text: "{'a': 1}", line: 1, column: 2, message: "double quotes" },
    {
      name: "a string over two lines",
      text: '{"a": "SEC\nRET"}',
      line: 1,
      column: 7,
      message: "no end",
    },
    { name: "a Windows path", text: '{"a": "C:\\x"}', line: 1, column: 7, message: "wrong \\" },
    {
      name: "something after the end",
      text: '{"a": 1}\n{"b": 2}',
      line: 2,
      column: 1,
      message: "nothing may follow",
    },
    { name: "the wrong bracket", text: '{"a": [1}', line: 1, column: 9, message: "a comma or ]" },
    { name: "a number with leading zeros", text: "[007]", line: 1, column: 2, message: "a value" },
    { name: "a comment", text: "[\n// x\n]", line: 2, column: 1, message: "a value or ]" },
  ])("finds $name", ({ text, line, column, message }) => {
    expect(parses(text)).toBe(false);
    const fault = jsonFault(text);
    expect(fault).toMatchObject({ line, column });
    expect(fault.message).toContain(message);
    expect(fault.message).not.toContain("SEC");
  });

  test("agrees with the engine: what stands before the place can be completed, and the place can't be the end of valid JSON", () => {
    const damage = fc.tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom("", ",", "}", "]", ":", '"', "x", "\n", "0"),
    );
    fc.assert(
      fc.property(damage, ([json, seed, put]) => {
        const at = seed % json.length;
        const text = json.slice(0, at) + put + json.slice(at + 1);
        fc.pre(!parses(text));
        const { line, column } = jsonFault(text);
        const lines = text.split("\n");
        const offset = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0) + column - 1;
        expect(offset).toBeLessThanOrEqual(text.length);
        // A fault ahead of the place would be a fault of every longer text, too.
        const ahead = jsonFault(text.slice(0, offset));
        if (!parses(text.slice(0, offset))) expect(ahead.message).toContain("too early");
      }),
      { numRuns: 1_000 },
    );
  });

  test("takes valid JSON for nothing but unfinished, so that no valid token is blamed", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        // `[` keeps the text incomplete, so the only fault left is its end.
        expect(jsonFault(`[${json}`).message).toContain("too early");
      }),
      { numRuns: 500 },
    );
  });
});
