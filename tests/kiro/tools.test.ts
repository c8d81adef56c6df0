import { describe, expect, test } from "bun:test";
import type { Tool } from "../../src/conversation/conversation.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { createToolNames, declareTools } from "../../src/kiro/tools.ts";
import { tool } from "../support/conversations.ts";

const MAX = defaultProfile.tools.nameMax;
const VALID = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;

describe("names", () => {
  const long = `mcp__${"server".repeat(12)}__tool`;

  test.each(["Read", "a", "mcp__files__read-all", "x".repeat(63)])("%s stays as it is", (name) => {
    expect(createToolNames([], MAX).toKiro(name)).toBe(name);
  });

  test.each([
    long,
    "x".repeat(64),
    "a.b/c",
    "1st",
    "_x",
    "-x",
    "naïve",
    "日本",
    "🎉",
    "",
    " ",
    "\ud83d",
  ])("%j becomes a valid name and comes back", (name) => {
    const names = createToolNames([name], MAX);
    expect(names.toKiro(name)).toMatch(VALID);
    expect(names.toClient(names.toKiro(name))).toBe(name);
  });

  test("a changed name keeps its beginning and does not depend on the other tools", () => {
    const alone = createToolNames([], MAX).toKiro(long);
    expect(alone).toStartWith(long.slice(0, 50));
    expect(createToolNames(["Read", `${long}2`, "a.b"], MAX).toKiro(long)).toBe(alone);
    expect(createToolNames([], MAX).toKiro("a.b")).toBe("a_b_848885a29349");
  });

  test("a name that is another one's short form keeps its own", () => {
    const short = createToolNames([], MAX).toKiro("a.b");
    const names = createToolNames(["a.b", short], MAX);
    expect(names.toKiro(short)).toBe(short);
    expect(names.toKiro("a.b")).not.toBe(short);
    expect(names.toClient(names.toKiro("a.b"))).toBe("a.b");
  });

  test("halves of different surrogate pairs are different names", () => {
    const names = createToolNames([], MAX);
    expect(names.toKiro("\ud83d")).not.toBe(names.toKiro("\ud83c"));
  });

  test("good names that differ in case only are one name, the first one's", () => {
    const names = createToolNames(["Read", "read"], MAX);
    expect(names.toKiro("READ")).toBe("Read");
    expect(names.toClient("Read")).toBe("Read");
  });

  test("a name that nobody declared comes back as it is", () => {
    expect(createToolNames(["a.b"], MAX).toClient("whatever.it is")).toBe("whatever.it is");
  });

  test("a hundred thousand names of one beginning stay apart and all come back", () => {
    const stem = `mcp__${"long".repeat(20)}.`;
    const originals = Array.from({ length: 100_000 }, (_, index) => stem + index);
    const names = createToolNames(originals, MAX);
    const lowerCased = new Set<string>();
    for (const original of originals) {
      const name = names.toKiro(original);
      if (!VALID.test(name) || names.toClient(name) !== original) throw new Error(original);
      lowerCased.add(name.toLowerCase());
    }
    expect(lowerCased.size).toBe(originals.length);
  });
});

function declare(offered: Tool[], called: string[] = []) {
  const notices: string[] = [];
  const names = createToolNames(
    offered.map(({ name }) => name),
    MAX,
  );
  const declared = declareTools(offered, called, names, defaultProfile, false, (code, detail) =>
    notices.push(`${code} ${detail}`),
  );
  return { ...declared, notices, specs: declared.tools.map((one) => one.toolSpecification) };
}

describe("declarations", () => {
  test("a tool is declared with its description and schema, in the order given", () => {
    const schema = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
    expect(declare([tool("Write", "Writes."), tool("Read", "Reads.", schema)])).toMatchObject({
      specs: [
        { name: "Write", description: "Writes.", inputSchema: { json: { type: "object" } } },
        { name: "Read", description: "Reads.", inputSchema: { json: schema } },
      ],
      sections: [],
      notices: [],
    });
  });

  test("a second tool of one name is dropped with a notice", () => {
    const { specs, notices } = declare([tool("Read", "1"), tool("read", "2"), tool("Read", "3")]);
    expect(specs.map(({ description }) => description)).toEqual(["1"]);
    expect(notices).toEqual(["duplicate-tool-dropped Read", "duplicate-tool-dropped Read"]);
  });

  test("a tool that only the history calls is declared after the others", () => {
    const { specs } = declare([tool("Read")], ["Read", "Gone", "Gone"]);
    expect(specs.slice(1)).toEqual([
      {
        name: "Gone",
        description: defaultProfile.fillers.toolHistoryDescription,
        inputSchema: { json: { type: "object", properties: {} } },
      },
    ]);
  });

  test.each(["", " \n"])(
    "a blank description %j becomes one that names the tool",
    (description) => {
      expect(declare([tool("Read", description)]).specs[0]?.description).toBe("Tool: Read");
    },
  );

  test("a changed name is noticed", () => {
    expect(declare([tool("a.b")]).notices).toEqual(["tool-renamed a_b_848885a29349"]);
  });

  test("a description of exactly the limit stays whole, whatever its characters", () => {
    const description = "🎉".repeat(9_216);
    const { specs, sections } = declare([tool("Read", description)]);
    expect(specs[0]?.description).toBe(description);
    expect(sections).toEqual([]);
  });

  test.each([
    ["ASCII", "0123456789"],
    ["pairs", "🎉🎈"],
  ])(
    "a longer description of %s goes on in a section, and nothing of it is lost",
    (_name, pattern) => {
      const description = pattern.repeat(9_216);
      const { specs, sections, notices } = declare([tool("Read", description)]);
      const start = specs[0]?.description ?? "";
      expect(Array.from(start)).toHaveLength(9_216);
      const [head = "", pointer] = start.split("\n\n");
      expect(pointer).toBe(
        '[Continued in the system prompt under "Description of the tool Read, continued".]',
      );
      const [heading, rest = ""] = sections[0]?.split("\n") ?? [];
      expect(heading).toBe("# Description of the tool Read, continued");
      expect(head + rest).toBe(description);
      expect(notices).toEqual(["tool-description-moved Read"]);
    },
  );
});
