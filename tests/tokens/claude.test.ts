import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createClaudeTokenizer } from "../../src/tokens/claude.ts";

const tokenize = createClaudeTokenizer();

describe("the tokenizer", () => {
  // Counts of @anthropic-ai/tokenizer 0.0.4, which has the vocabulary in the form in which Anthropic published it.
  test.each([
    ["hello world!", 3],
    ["The quick brown fox jumps over the lazy dog.", 10],
    ["const x = await fetch(url, { headers });", 11],
    ["Größe 12345 — naïve", 8],
    ["", 0],
  ])("counts %j as its vocabulary says", (text, tokens) => {
    expect(tokenize(text)).toBe(tokens);
  });

  test.each([
    "<META>",
    "<EOT> and <META_START>",
    "constructor __proto__ toString",
    "\ud800 alone",
    "\0\u0007",
  ])("%j is a text as any other", (text) => {
    expect(tokenize(text)).toBeGreaterThan(0);
  });

  test("no text makes it throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        expect(tokenize(text)).toBeLessThanOrEqual(4 * text.length);
      }),
    );
  });

  // Without a limit on the length of a word, each of these takes minutes: the merge is quadratic.
  test.each([
    ["one Chinese word", "中文字符测试".repeat(20_000)],
    ["one Latin word", "ab".repeat(60_000)],
    ["one line", "=-".repeat(60_000)],
    ["one blank", " ".repeat(120_000)],
    ["one number", "12".repeat(60_000)],
  ])("takes a text of %s in its stride", (_, text) => {
    expect(tokenize(text)).toBeGreaterThan(1000);
  });
});
