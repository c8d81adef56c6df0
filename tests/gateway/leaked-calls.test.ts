import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Tool } from "../../src/conversation/conversation.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import { createLeakFinder, type LeakPiece } from "../../src/gateway/leaked-calls.ts";
import { createOutput } from "../../src/gateway/output.ts";

const tools: Tool[] = [
  {
    name: "Bash",
    description: "",
    schema: {
      type: "object",
      properties: { command: { type: "string" }, timeout: { type: "number" } },
    },
  },
  { name: "Read", description: "", schema: { type: "object" } },
];
const toolOf = (name: string) => tools.find((tool) => tool.name === name);

/** With the prefix that models put before such tags, or without. */
function invoke(prefix: string, name = "Bash"): string {
  return `<${prefix}invoke name="${name}">
<${prefix}parameter name="command">echo "</done>" && ls</${prefix}parameter>
<${prefix}parameter name="timeout">60</${prefix}parameter>
</${prefix}invoke>`;
}

const json = '{"command":"echo \\"</done>\\" && ls","timeout":60}';
const bash = { name: "Bash", json };
const ANT = ["ant", "ml:"].join("");

function find(text: string, sizes: number[] = [text.length || 1]): LeakPiece[] {
  const finder = createLeakFinder(toolOf);
  const pieces: LeakPiece[] = [];
  for (let at = 0, turn = 0; at < text.length; turn += 1) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
    pieces.push(...finder.push(text.slice(at, at + size)));
    at += size;
  }
  return merged([...pieces, ...finder.end()]);
}

function merged(pieces: LeakPiece[]): LeakPiece[] {
  const out: LeakPiece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (piece.type === "text" && last?.type === "text") last.text += piece.text;
    else out.push({ ...piece });
  }
  return out;
}

const leaks = [
  ["invoke", invoke("")],
  ["invoke with its prefix", invoke(ANT)],
  ["function_calls", `<function_calls>\n${invoke("")}\n</function_calls>`],
  [
    "function_calls with its prefix",
    `<${ANT}function_calls>\n${invoke(ANT)}\n</${ANT}function_calls>`,
  ],
  ["function_calls that never end", `<function_calls>\n${invoke("")}`],
  ["tool_call", `<tool_call>\n{"name": "Bash", "arguments": ${json}}\n</tool_call>`],
  ["Called", `[Called Bash with args: ${json}]`],
];

describe("a call that leaks as text", () => {
  test.each(leaks)("is found as %s, wherever the text is cut", (_, leak) => {
    const text = `Let me look.\n${leak}\n`;
    const expected: LeakPiece[] = [
      { type: "text", text: "Let me look.\n" },
      { type: "calls", calls: [bash] },
    ];
    expect(find(text)).toEqual(expected);
    for (let at = 1; at < text.length; at += 1) {
      expect(find(text, [at, text.length])).toEqual(expected);
    }
    expect(find(text, [1])).toEqual(expected);
  });

  test("may be one of several", () => {
    const text = `<function_calls>\n${invoke("")}\n${invoke("", "Read")}\n</function_calls>\nDone.`;
    expect(find(text)).toEqual([
      { type: "calls", calls: [bash, { ...bash, name: "Read", json: expect.any(String) }] },
      { type: "text", text: "Done." },
    ]);
  });
});

describe("no call is found", () => {
  test.each([
    ["in fenced code", `\`\`\`xml\n${invoke("")}\n\`\`\`\n`],
    ["in a fence within a longer one", `\`\`\`\`md\n\`\`\`xml\n${invoke("")}\n\`\`\`\n\`\`\`\`\n`],
    ["behind a span of three", `\`\`\`x\`\`\` is one\n\`\`\`xml\n${invoke("")}\n\`\`\`\n`],
    ["in a fence that shows another's head", `\`\`\`\n\`\`\`js\n${invoke("")}\n\`\`\`\n`],
    ["in a fence in a list", `- \`\`\`xml\n  ${invoke("").replaceAll("\n", "\n  ")}\n  \`\`\`\n`],
    ["in a fence deep in a list", `10. a\n\n    ~~~xml\n${invoke("")}\n    ~~~\n`],
    ["in a code span", `\`${invoke("")}\``],
    ["in the middle of a line", `Write ${invoke("")}`],
    ["in indented code", `    ${invoke("")}`],
    ["of a tool that is not declared", invoke("", "Deploy")],
    ["that is not whole", invoke("").slice(0, -3)],
    ["without its input", '<tool_call>{"name": "Bash"}</tool_call>'],
    ["in other tags", "<invoke>\n<invoked name='x'>\n<tool_calls>\n[Called it a day]"],
  ])("%s", (_, text) => {
    expect(find(text)).toEqual([{ type: "text", text }]);
    expect(find(text, [1])).toEqual([{ type: "text", text }]);
  });

  test("in any text without one, which comes out to the byte", () => {
    const marks = fc.constantFrom(
      "<",
      "\n",
      "```",
      "<invoke ",
      "[Called ",
      "<tool_call>",
      "{",
      "}]",
      " ",
      "é🙂",
      "a",
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(marks, fc.string({ unit: "binary" })), { maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (parts, sizes) => {
          const text = parts.join("");
          expect(find(text, sizes)).toEqual(text === "" ? [] : [{ type: "text", text }]);
        },
      ),
    );
  });
});

test("only a line that begins as a call does is held back", () => {
  const finder = createLeakFinder(toolOf);
  expect(finder.push("Hello <")).toEqual([{ type: "text", text: "Hello <" }]);
  expect(finder.push("\n<inv")).toEqual([{ type: "text", text: "\n" }]);
  expect(finder.push("ention>")).toEqual([{ type: "text", text: "<invention>" }]);
});

test.each([
  '<invoke name="Bash"> is how a call looks. ',
  "[Called Bash with args: {…}], it says. ",
  "<tool_call>{ is how it begins. ",
])("prose that begins as a call does comes out soon: %s", (head) => {
  const finder = createLeakFinder(toolOf);
  let fed = head;
  let out = finder.push(head);
  while (out.length === 0 && fed.length < 1_000) {
    out = finder.push("And so on. ");
    fed += "And so on. ";
  }
  expect(out).toEqual([{ type: "text", text: fed }]);
});

test("a fence that has ended hides no call", () => {
  const text = `- \`\`\`sh\n  ls\n  \`\`\`\n${invoke("")}`;
  expect(find(text, [1])).toEqual([
    { type: "text", text: "- ```sh\n  ls\n  ```\n" },
    { type: "calls", calls: [bash] },
  ]);
});

test("a parameter is what its schema takes", () => {
  const properties = {
    id: { type: ["string", "null"] },
    ids: { anyOf: [{ type: "string" }, { type: "array" }] },
    count: { type: "integer" },
  };
  const tool: Tool = { name: "Look", description: "", schema: { type: "object", properties } };
  const read = (key: string, value: string) => {
    const text = `<invoke name="Look"><parameter name="${key}">${value}</parameter></invoke>`;
    const [piece] = createLeakFinder(() => tool).push(text);
    return piece?.type === "calls" ? JSON.parse(piece.calls[0]!.json)[key] : piece;
  };
  expect(read("id", "123")).toBe("123");
  expect(read("id", '"a"')).toBe('"a"');
  expect(read("id", "null")).toBeNull();
  expect(read("ids", '["a"]')).toEqual(["a"]);
  expect(read("count", "60")).toBe(60);
  expect(read("unknown", "60")).toBe("60");
});

test("a call that is too long stays text, at no more cost than its length", () => {
  const text = `<invoke name="Bash">\n<parameter name="command">${"x>\n".repeat(400_000)}`;
  expect(find(text, [97])).toEqual([{ type: "text", text }]);
});

function reply(convert: boolean, events: ReplyEvent[]) {
  const told: unknown[] = [];
  const out = createOutput({
    limits: { stopSequences: [], parallelToolCalls: true },
    format: { type: "text" },
    promptTokens: 1,
    countText: (text) => text.length,
    leaks: { convert, toolOf, newId: () => "t9", onLeak: (call) => void told.push(call) },
  }).push(events);
  return { told, out: out.filter(({ type }) => type !== "usage") };
}

describe("a reply with such a call", () => {
  const [, leak = ""] = leaks[0] ?? [];
  const stop: ReplyEvent = { type: "stop", reason: "end-turn" };

  test("keeps it as text, which is told once", () => {
    const text: ReplyEvent = { type: "text", text: `Well.\n${leak}` };
    expect(reply(false, [text, stop])).toEqual({ told: [bash], out: [text, stop] });
  });

  test("has the call instead where that is wanted, and ends with it", () => {
    const { told, out } = reply(true, [
      { type: "text", text: `Well.\n${leak.slice(0, 40)}` },
      { type: "text", text: `${leak.slice(40)}\n` },
      stop,
    ]);
    expect(told).toEqual([bash]);
    expect(out).toEqual([
      { type: "text", text: "Well.\n" },
      { type: "tool-call", id: "t9", ...bash },
      { type: "stop", reason: "tool-use" },
    ]);
  });

  test("does not make it twice where the model then makes it itself", () => {
    const real: ReplyEvent = { type: "tool-call", id: "t1", name: "Bash", json: ` ${json}` };
    const other: ReplyEvent = { type: "tool-call", id: "t2", name: "Bash", json: "{}" };
    const { out } = reply(true, [{ type: "text", text: leak }, real, other, stop]);
    expect(out.filter(({ type }) => type === "tool-call")).toEqual([
      { type: "tool-call", id: "t9", ...bash },
      other,
    ]);
  });

  test("does not make it again where the model has made it itself", () => {
    const real: ReplyEvent = { type: "tool-call", id: "t1", name: "Bash", json };
    const { told, out } = reply(true, [real, { type: "text", text: leak }, stop]);
    expect(told).toEqual([bash]);
    expect(out).toEqual([real, { type: "stop", reason: "end-turn" }]);
  });
});
