import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createClaudeTokenizer } from "../../src/tokens/claude.ts";
import { estimateTokens } from "../../src/tokens/estimate.ts";
import { corpus } from "./corpus.ts";

const tokenize = createClaudeTokenizer();

function errorOf(text: string): number {
  const tokens = tokenize(text);
  return Math.abs(estimateTokens(text) - tokens) / tokens;
}

describe("estimateTokens", () => {
  test.each(Object.entries(corpus))("is near the tokenizer on %s", (_, texts) => {
    const errors = texts.map(errorOf).toSorted((a, b) => a - b);
    expect(errors[Math.floor(errors.length / 2)]).toBeLessThan(0.1);
    expect(errors.at(-1)).toBeLessThan(0.25);
  });

  test.each([
    ["hex", Buffer.alloc(500, "not so random").toString("hex")],
    ["base64", Buffer.from(Object.values(corpus).flat().join()).toString("base64")],
    [
      "Russian",
      "Прежде чем менять файл, прочитайте его до конца и запустите все тесты. ".repeat(3),
    ],
    [
      "German",
      "Lies die Datei, bevor du sie änderst, und führe danach alle Prüfungen aus. ".repeat(3),
    ],
    [
      "Japanese",
      "ファイルを変更する前に、必ず最後まで読んでからテストを実行してください。".repeat(3),
    ],
  ])("is of the right order on %s", (_, text) => {
    expect(errorOf(text)).toBeLessThan(0.4);
  });

  test("is nothing for no text and grows with the text", () => {
    expect(estimateTokens("")).toBe(0);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (head, tail) => {
        expect(estimateTokens(head + tail)).toBeGreaterThanOrEqual(estimateTokens(head));
      }),
    );
  });

  test("no text costs more than four tokens a character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const tokens = estimateTokens(text);
        expect(tokens).toBeLessThanOrEqual(4 * text.length);
      }),
    );
  });
});
