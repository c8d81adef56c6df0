import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createThinkingTagSplitter, type Piece } from "../../src/kiro/thinking-tags.ts";
import { cutText, shares, taggedText } from "../support/kiro-events.ts";

/** Pieces of one type in a row count as one: where they are cut is not the splitter's business. */
function joined(pieces: Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (piece.type === "reasoning-end" || last?.type !== piece.type) out.push({ ...piece });
    else last.text += piece.text;
  }
  return out;
}

function piecesOf(...pushes: string[]): Piece[] {
  const splitter = createThinkingTagSplitter();
  return [...pushes.flatMap((push) => splitter.push(push)), ...splitter.end()];
}

function split(...pushes: string[]): Piece[] {
  return joined(piecesOf(...pushes));
}

function text(said: string): Piece {
  return { type: "text", text: said };
}

function thought(said: string): Piece[] {
  return [{ type: "reasoning", text: said }, { type: "reasoning-end" }];
}

describe("thinking tags that count", () => {
  test.each<[name: string, input: string, expected: Piece[]]>([
    ["the usual form", "<thinking>\nHm.\n</thinking>\n\nYes.", [...thought("Hm.\n"), text("Yes.")]],
    [
      "no newline after the tag",
      "<thinking>Hm.</thinking>\n\nYes.",
      [...thought("Hm."), text("Yes.")],
    ],
    [
      "a Windows newline after the tag",
      "<thinking>\r\nHm.</thinking>\n\nYes.",
      [...thought("Hm."), text("Yes.")],
    ],
    ["one newline of two after the tag", "<thinking>\n\nHm.</thinking>\n\n", thought("\nHm.")],
    [
      "white space ahead of the block",
      "\n\n <thinking>Hm.</thinking>\n\nYes.",
      [...thought("Hm."), text("Yes.")],
    ],
    [
      "text ahead of the block",
      "So: \n<thinking>Hm.</thinking>\n\nYes.",
      [text("So: \n"), ...thought("Hm."), text("Yes.")],
    ],
    [
      "more than one blank line after it",
      "<thinking>Hm.</thinking>\n\n\n  Yes.",
      [...thought("Hm."), text("\n  Yes.")],
    ],
    [
      "a second block",
      "<thinking>a</thinking>\n\n<thinking>b</thinking>\n\nc",
      [...thought("a"), text("<thinking>b</thinking>\n\nc")],
    ],
    ["an end tag with nothing behind it", "<thinking>Hm.</thinking>", thought("Hm.")],
    ["an end tag with white space behind it", "<thinking>Hm.</thinking> \n ", thought("Hm.")],
    [
      "an end tag without a blank line",
      "<thinking>a</thinking>\nb</thinking>\n\nYes.",
      [...thought("a</thinking>\nb"), text("Yes.")],
    ],
    [
      "an end tag after a quoted word",
      '<thinking>They said "hi"</thinking>\n\nYes.',
      [...thought('They said "hi"'), text("Yes.")],
    ],
    [
      "an end tag after a code block",
      "<thinking>\n```\nx\n```</thinking>\n\nYes.",
      [...thought("```\nx\n```"), text("Yes.")],
    ],
    ["no end tag at all", "<thinking>Hm. No end", thought("Hm. No end")],
    ["half an end tag", "<thinking>Hm.</think", thought("Hm.</think")],
    ["a lone carriage return after the tag", "<thinking>\r", thought("\r")],
    ["an empty block", "<thinking></thinking>\n\nYes.", [text("Yes.")]],
    ["a tag and nothing else", "<thinking>", []],
    [
      "a tag after closed quotes and code",
      'a "b" `c`\n```\nd\n```\n<thinking>Hm.</thinking>\n\nYes.',
      [text('a "b" `c`\n```\nd\n```\n'), ...thought("Hm."), text("Yes.")],
    ],
    [
      "three backticks behind another one",
      "` ``` c\n<thinking>Hm.</thinking>\n\nYes.",
      [text("` ``` c\n"), ...thought("Hm."), text("Yes.")],
    ],
    [
      "three backticks in the middle of an earlier line",
      "a ``` b\n<thinking>Hm.</thinking>\n\nYes.",
      [text("a ``` b\n"), ...thought("Hm."), text("Yes.")],
    ],
    [
      "a stray mark on an earlier line",
      'a 5" `disk\n<thinking>Hm.</thinking>\n\nYes.',
      [text('a 5" `disk\n'), ...thought("Hm."), text("Yes.")],
    ],
  ])("%s", (_, input, expected) => {
    expect(split(input)).toEqual(expected);
  });
});

describe("thinking tags that are only mentioned", () => {
  test.each([
    ["in backticks", "Use `<thinking>` for it.</thinking>\n\nx"],
    ["in double quotes", 'Use "<thinking>" for it.</thinking>\n\nx'],
    ["in single quotes", "Use '<thinking>' for it.</thinking>\n\nx"],
    ["behind a backslash", "Use \\<thinking> for it.</thinking>\n\nx"],
    ["ahead of a quote mark", "Use <thinking>' for it.</thinking>\n\nx"],
    ["in the middle of a code span", "Use `a <thinking> b` for it.</thinking>\n\nx"],
    ["in the middle of a quotation", 'Use "a <thinking> b" for it.</thinking>\n\nx'],
    ["in a fenced block", "```xml\n<thinking>\na\n</thinking>\n\n```\nx"],
    ["in a fenced block after text", "So:\n  ```xml\n<thinking>\na\n</thinking>\n\n```\nx"],
    ["in a fenced block with a shorter fence in it", "````\n```\n<thinking>\na</thinking>\n\n````"],
    ["in a fenced block that never ends", "```\n<thinking>a</thinking>\n\nx"],
    ["in another case", "<Thinking>a</Thinking>\n\nx"],
    ["as the beginning of another tag", "<thinking_mode>a</thinking_mode>\n\nx"],
    ["by their end alone", "a</thinking>\n\nx"],
  ])("%s stay text", (_, input) => {
    expect(split(input)).toEqual([text(input)]);
  });

  test.each([
    ["in backticks", "`</thinking>`\n\n"],
    ["in double quotes", 'the "</thinking>"\n\n'],
    ["after an opening quote", 'the "</thinking>\n\n'],
  ])("an end tag %s does not end the block", (_, mention) => {
    const input = `<thinking>a ${mention}b</thinking>\n\nYes.`;
    expect(split(input)).toEqual([...thought(`a ${mention}b`), text("Yes.")]);
  });
});

describe("what is held back", () => {
  test("text that can't become a tag comes out at once", () => {
    const splitter = createThinkingTagSplitter();
    expect(splitter.push("Hello, wor")).toEqual([text("Hello, wor")]);
    expect(splitter.push("ld <")).toEqual([text("ld ")]);
    expect(splitter.push("b>")).toEqual([text("<b>")]);
  });

  test("thinking comes out at once but for the beginning of an end tag", () => {
    const splitter = createThinkingTagSplitter();
    expect(splitter.push("<thinking>\nHm, le")).toEqual([{ type: "reasoning", text: "Hm, le" }]);
    expect(splitter.push("t me</thin")).toEqual([{ type: "reasoning", text: "t me" }]);
    expect(splitter.push("king>\n")).toEqual([]);
    expect(splitter.push("\nYes")).toEqual([{ type: "reasoning-end" }, text("Yes")]);
  });

  test("white space at the beginning waits for what follows", () => {
    const splitter = createThinkingTagSplitter();
    expect(splitter.push(" \n")).toEqual([]);
    expect(splitter.push("\n")).toEqual([]);
    expect(splitter.push("Yes")).toEqual([text(" \n\nYes")]);
  });

  test("white space alone is text", () => {
    expect(split(" ", "\n\n")).toEqual([text(" \n\n")]);
  });

  test("a quote mark in the next push unmakes a tag", () => {
    expect(split("a <thinking>", "` b")).toEqual([text("a <thinking>` b")]);
  });

  test("a quote mark in the push before unmakes a tag", () => {
    expect(split("a `", "<thinking> b")).toEqual([text("a `<thinking> b")]);
  });

  test("nothing comes of no text", () => {
    expect(split()).toEqual([]);
    expect(split("", "")).toEqual([]);
  });
});

describe("the end", () => {
  test("what is pushed after it is plain text", () => {
    const splitter = createThinkingTagSplitter();
    expect(splitter.push("<thinking>Hm.")).toEqual([{ type: "reasoning", text: "Hm." }]);
    expect(splitter.end()).toEqual([{ type: "reasoning-end" }]);
    expect(splitter.push("<thinking>x</thinking>\n\n")).toEqual([
      text("<thinking>x</thinking>\n\n"),
    ]);
    expect(splitter.end()).toEqual([]);
  });

  test("half a tag becomes text", () => {
    expect(split("a <thin")).toEqual([text("a <thin")]);
  });
});

describe("for any text", () => {
  test("where it is cut makes no difference", () => {
    fc.assert(
      fc.property(taggedText, shares, (input, cuts) => {
        expect(split(...cutText(input, cuts))).toEqual(split(input));
      }),
      { numRuns: 3_000 },
    );
  });

  test("a cut at every place makes no difference", () => {
    const input =
      '\n <thinking>\r\n日😀 `</thinking>` "</thinking>\n\n</thinking>\n\n😀 <thinking> `\n';
    for (let at = 0; at <= input.length; at += 1) {
      expect(split(input.slice(0, at), input.slice(at))).toEqual(split(input));
    }
    expect(split(...input.split(""))).toEqual(split(input));
  });

  test("a character whose halves come apart comes out whole", () => {
    const splitter = createThinkingTagSplitter();
    const pushes = "😀 <thinking>😀</thinking>\n\n😀".split("");
    const out = [...pushes.flatMap((push) => splitter.push(push)), ...splitter.end()];
    expect(out.filter((piece) => "text" in piece && !piece.text.isWellFormed())).toEqual([]);
  });

  test("no character beyond the BMP comes out in halves", () => {
    fc.assert(
      fc.property(taggedText, shares, (input, cuts) => {
        fc.pre(input.isWellFormed());
        for (const piece of piecesOf(...cutText(input, cuts))) {
          expect(piece.type === "reasoning-end" || piece.text.isWellFormed()).toBe(true);
        }
      }),
    );
  });

  test("only the tags and the white space around them are missing", () => {
    fc.assert(
      fc.property(taggedText, (input) => {
        const out = split(input);
        const thoughts = out.find(({ type }) => type === "reasoning");
        const inside = RegExp.escape(
          thoughts !== undefined && "text" in thoughts ? thoughts.text : "",
        );
        const block = new RegExp(
          `<thinking>(?:\\r?\\n)?${inside}(?:</thinking>(?:\\n\\n|\\s*$))?`,
          "gy",
        );
        const possible = thoughts === undefined ? [input] : [];
        for (
          let at = input.indexOf("<thinking>");
          at >= 0;
          at = input.indexOf("<thinking>", at + 1)
        ) {
          block.lastIndex = at;
          const ahead = input.slice(0, at);
          const behind = block.test(input) ? input.slice(block.lastIndex) : undefined;
          if (behind !== undefined) possible.push((ahead.trim() === "" ? "" : ahead) + behind);
        }
        const said = out.map((piece) => (piece.type === "text" ? piece.text : "")).join("");
        expect(possible).toContain(said);
      }),
      { numRuns: 2_000 },
    );
  });

  test("the pieces are never empty and never two of a type in one push", () => {
    fc.assert(
      fc.property(taggedText, shares, (input, cuts) => {
        const splitter = createThinkingTagSplitter();
        for (const out of [
          ...cutText(input, cuts).map((part) => splitter.push(part)),
          splitter.end(),
        ]) {
          out.forEach((piece, index) => {
            expect(piece).not.toHaveProperty("text", "");
            expect(piece.type).not.toBe(out[index + 1]?.type);
          });
        }
      }),
    );
  });

  test("thousands of half tags come through whole", () => {
    const splitter = createThinkingTagSplitter();
    const out = Array.from({ length: 20_000 }, () => splitter.push("\n\n\n\n<thin")).flat();
    expect(joined([...out, ...splitter.end()])).toEqual([text("\n\n\n\n<thin".repeat(20_000))]);
  });

  test("endless white space after a closing tag is not held back for ever", () => {
    const splitter = createThinkingTagSplitter();
    splitter.push("<thinking>Hm.</thinking>");
    const out = Array.from({ length: 50_000 }, () => splitter.push(" ")).flat();
    expect(out[0]).toEqual({ type: "reasoning-end" });
    expect([...out, ...splitter.push("Yes.")].at(-1)).toEqual(text("Yes."));
  });
});
