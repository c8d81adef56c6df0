import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../../src/conversation/conversation.ts";
import { conversationOf, GIF, noticeCodes, PNG, refusalOf, userSaying } from "./requests.ts";

function assistantSaying(...content: unknown[]): Conversation {
  return conversationOf({ messages: [{ role: "assistant", content }] });
}

const partsOf = (conversation: Conversation): unknown => conversation.turns[0]?.parts;
const text = (words: string) => ({ type: "text" as const, text: words });

const result = (fields: object) =>
  userSaying({ type: "tool_result", tool_use_id: "t1", ...fields });
const call = (fields: object) =>
  assistantSaying({ type: "tool_use", id: "t1", name: "run", ...fields });
const image = (source: unknown) => ({ type: "image", source });
const document = (source: unknown, more = {}) =>
  partsOf(userSaying({ type: "document", source, ...more }));

describe("tool results", () => {
  test.each([
    { name: "a string", content: "ok", parts: [text("ok")] },
    { name: "an array", content: [text("a"), text("b")], parts: [text("a"), text("b")] },
    { name: "an empty string", content: "", parts: [] },
    { name: "null", content: null, parts: [] },
    { name: "nothing", content: undefined, parts: [] },
    { name: "a number", content: 42, parts: [text("42")] },
    {
      name: "a tool reference",
      content: [{ type: "tool_reference", tool_name: "mcp__a__b" }],
      parts: [text("The tool mcp__a__b is now available.")],
    },
    {
      name: "a text document",
      content: [{ type: "document", source: { type: "text", data: "words" }, title: "T" }],
      parts: [text("T\n\nwords")],
    },
    {
      name: "a search result",
      content: [{ type: "search_result", title: "T", source: "S", content: [text("C")] }],
      parts: [text("[search_result]\nT\nS\nC")],
    },
  ])("A-48: the content may be $name", ({ content, parts }) => {
    expect(partsOf(result({ content }))).toEqual([
      { type: "tool-result", callId: "t1", content: parts, isError: false },
    ]);
  });

  test("A-48: is_error marks a failed call", () => {
    expect(partsOf(result({ content: "no", is_error: true }))).toMatchObject([{ isError: true }]);
    expect(partsOf(result({ content: "no", is_error: null }))).toMatchObject([{ isError: false }]);
  });

  test("A-48: other blocks stay beside a result, in the client's order", () => {
    const block = { type: "tool_result", tool_use_id: "t1", content: "ok" };
    expect(partsOf(userSaying(text("before"), block, text("after")))).toMatchObject([
      text("before"),
      { type: "tool-result" },
      text("after"),
    ]);
  });

  test("A-49: orphans and duplicates are handed on as they are", () => {
    const conversation = conversationOf({
      messages: [
        { role: "assistant", content: [{ type: "tool_use", id: "lost", name: "a", input: {} }] },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "x", content: "1" },
            { type: "tool_result", tool_use_id: "x", content: "2" },
          ],
        },
      ],
    });
    expect(conversation.turns).toMatchObject([
      { parts: [{ type: "tool-call", id: "lost" }] },
      {
        parts: [
          { callId: "x", content: [text("1")] },
          { callId: "x", content: [text("2")] },
        ],
      },
    ]);
  });

  test("A-49: a result that names no call is content of its own", () => {
    const conversation = userSaying({ type: "tool_result", content: "ok" });
    expect(partsOf(conversation)).toEqual([text("ok")]);
    expect(noticeCodes(conversation)).toEqual(["tool-result-without-id"]);
  });

  test("A-53: an image inside a result is an image", () => {
    const source = { type: "base64", media_type: "image/png", data: PNG };
    expect(partsOf(result({ content: [image(source)] }))).toMatchObject([
      { content: [{ type: "image", format: "png", base64: PNG }] },
    ]);
  });

  test("a fault inside a result is named by its place", () => {
    const block = {
      type: "tool_result",
      tool_use_id: "t1",
      content: [text("a"), { type: "image", source: { type: "base64", data: "?" } }],
    };
    expect(refusalOf({ messages: [{ role: "user", content: [block] }] }).message).toBe(
      "messages.0.content.0.tool_result.content.1.image.source.base64.data: Could not process image",
    );
  });
});

describe("tool calls", () => {
  test.each([
    { input: { a: 1 }, read: { a: 1 } },
    { input: {}, read: {} },
    { input: '{"a":[1]}', read: { a: [1] } },
    { input: "not json", read: { input: "not json" } },
    { input: "[1]", read: { input: "[1]" } },
    { input: "", read: {} },
    { input: null, read: {} },
    { input: undefined, read: {} },
    { input: [1], read: { input: [1] } },
    { input: 5, read: { input: 5 } },
    { input: { __unparsedToolInput: { raw: '{"a' } }, read: { raw: '{"a' } },
    { input: { __unparsedToolInput: '{"a":1}' }, read: { a: 1 } },
    { input: { __unparsedToolInput: '{"a' }, read: { input: '{"a' } },
    { input: { __unparsedToolInput: 1, b: 2 }, read: { __unparsedToolInput: 1, b: 2 } },
  ])("A-49: an input and how it is read: %j", ({ input, read }) => {
    const conversation = call({ input });
    expect(partsOf(conversation)).toEqual([
      { type: "tool-call", id: "t1", name: "run", input: read },
    ]);
    const asGiven = JSON.stringify(input) === JSON.stringify(read);
    expect(noticeCodes(conversation)).toEqual(asGiven ? [] : ["tool-input-repaired"]);
  });

  test("a call without an id or a name is told as text", () => {
    expect(partsOf(call({ id: null, input: { command: "ls" } }))).toEqual([
      text("[tool_use]\nrun\nls"),
    ]);
    expect(partsOf(call({ name: 4 }))).toMatchObject([{ type: "text" }]);
  });
});

describe("thinking in the history", () => {
  test.each([
    { signature: "EqQB", part: { type: "reasoning", text: "Hm", signature: "EqQB" } },
    { signature: "", part: { type: "reasoning", text: "Hm" } },
    { signature: undefined, part: { type: "reasoning", text: "Hm" } },
    { signature: 5, part: { type: "reasoning", text: "Hm" } },
  ])("A-51: any signature does: %j", ({ signature, part }) => {
    expect(partsOf(assistantSaying({ type: "thinking", thinking: "Hm", signature }))).toEqual([
      part,
    ]);
  });

  test("A-51: a signed block may have lost its text", () => {
    expect(partsOf(assistantSaying({ type: "thinking", thinking: "", signature: "s" }))).toEqual([
      { type: "reasoning", text: "", signature: "s" },
    ]);
    const empty = assistantSaying({ type: "thinking", signature: "" });
    expect(partsOf(empty)).toEqual([]);
    expect(empty.notices).toContainEqual({ code: "empty-block", detail: "thinking" });
  });

  test("A-51: redacted thinking keeps its bytes", () => {
    expect(partsOf(assistantSaying({ type: "redacted_thinking", data: "Zm9v" }))).toEqual([
      { type: "redacted-reasoning", data: "Zm9v" },
    ]);
    expect(partsOf(assistantSaying({ type: "redacted_thinking" }))).toEqual([]);
  });
});

describe("blocks that have no place of their own", () => {
  test.each(["user", "assistant"])("A-50: an unknown block of the %s is a note", (role) => {
    const content = [{ type: "hologram", id: "h1", payload: "…" }, text("Hi")];
    const conversation = conversationOf({ messages: [{ role, content }] });
    expect(partsOf(conversation)).toEqual([text("[hologram]"), text("Hi")]);
    expect(conversation.notices).toEqual([{ code: "block-as-text", detail: "hologram" }]);
  });

  test("A-50: what is no block at all does no harm", () => {
    expect(partsOf(userSaying(null, true, [], text("Hi")))).toEqual([text("Hi")]);
    expect(partsOf(userSaying({ text: "untyped" }))).toEqual([text("untyped")]);
    expect(partsOf(userSaying({ type: 4, id: 2 }))).toEqual([text("[unknown]")]);
  });

  test("A-50: blocks in the wrong role stay readable", () => {
    const use = { type: "tool_use", id: "t", name: "run", input: { command: "ls" } };
    expect(partsOf(userSaying(use))).toEqual([text("[tool_use]\nrun\nls")]);
    const used = { type: "tool_result", tool_use_id: "t", content: "a.txt" };
    expect(partsOf(assistantSaying(used))).toEqual([text("[tool_result]\na.txt")]);
    const picture = image({ type: "base64", data: PNG });
    expect(partsOf(assistantSaying(picture))).toEqual([text("[image]")]);
  });

  test("A-50: what server tools of another provider said is kept without their secrets", () => {
    const conversation = assistantSaying(
      { type: "server_tool_use", id: "s1", name: "web_search", input: { query: "bun" } },
      {
        type: "web_search_tool_result",
        tool_use_id: "s1",
        content: [
          {
            type: "web_search_result",
            title: "Bun",
            url: "https://bun.sh",
            encrypted_content: "E",
          },
        ],
      },
      {
        type: "bash_code_execution_tool_result",
        tool_use_id: "s2",
        content: {
          type: "bash_code_execution_result",
          stdout: "out",
          stderr: "err",
          return_code: 0,
        },
      },
      {
        type: "web_fetch_tool_result",
        content: {
          url: "https://a.b",
          content: { type: "document", source: { type: "text", data: "page" } },
        },
      },
      { type: "web_search_tool_result", content: { error_code: "unavailable" } },
      { type: "mcp_tool_result", content: [text("mcp says")] },
      { type: "web_fetch_tool_result", content: { source: { type: "base64", data: "UERG" } } },
    );
    expect(partsOf(conversation)).toEqual([
      text("[server_tool_use]\nweb_search\nbun"),
      text("[web_search_tool_result]\nBun\nhttps://bun.sh"),
      text("[bash_code_execution_tool_result]\nout\nerr"),
      text("[web_fetch_tool_result]\nhttps://a.b\npage"),
      text("[web_search_tool_result]\nunavailable"),
      text("[mcp_tool_result]\nmcp says"),
      text("[web_fetch_tool_result]"),
    ]);
  });

  test("a compaction's summary is plain text", () => {
    expect(partsOf(assistantSaying({ type: "compaction", content: "So far: …" }))).toEqual([
      text("So far: …"),
    ]);
  });
});

describe("images", () => {
  const png = { type: "image", format: "png", base64: PNG };

  test.each([
    {
      name: "with the wrong media type",
      source: { type: "base64", media_type: "image/gif", data: PNG },
    },
    { name: "without a media type", source: { type: "base64", data: PNG } },
    {
      name: "with a data: prefix",
      source: { type: "base64", data: `data:image/jpeg;base64,${PNG}` },
    },
    { name: "with white space", source: { type: "base64", data: PNG.replace(/.{20}/g, "$&\r\n") } },
    { name: "as a data: URL", source: { type: "url", url: `data:image/png;base64,${PNG}` } },
  ])("A-52: an image $name is delivered", ({ source }) => {
    expect(partsOf(userSaying(image(source)))).toEqual([png]);
  });

  test.each([
    { source: { type: "url", url: "https://a.b/c.png" }, path: "source.url" },
    { source: { type: "url" }, path: "source.url" },
    { source: { type: "file", file_id: "file_1" }, path: "source.file" },
    { source: { type: "base64", data: "Qk0AAA==" }, path: "source.base64.data" },
    { source: { type: "base64", data: 5 }, path: "source.base64.data" },
  ])("an image that is refused by its path: %j", ({ source, path }) => {
    const content = [text("a"), image(source)];
    const failure = refusalOf({ messages: [{ role: "user", content }] });
    expect(failure.kind).toBe("invalid-request");
    expect(failure.message).toStartWith(`messages.0.content.1.image.${path}: `);
  });

  test.each([undefined, null, {}, { type: "satellite" }])(
    "a source that is %j is a note",
    (source) => {
      expect(partsOf(userSaying(image(source)))).toEqual([text("[image]")]);
    },
  );
});

describe("documents", () => {
  const pdf = Buffer.from("%PDF-1.7 …").toString("base64");

  test("a PDF is a file with its name and context", () => {
    const source = { type: "base64", media_type: "application/pdf", data: pdf };
    const file = { type: "document", name: "document", mediaType: "application/pdf", base64: pdf };
    expect(document(source)).toEqual([{ ...file, type: "document" }]);
    expect(document(source, { title: "T", context: "C" })).toEqual([
      text("C"),
      { ...file, type: "document", name: "T" },
    ]);
    expect(document({ type: "url", url: `data:application/pdf;base64,${pdf}` })).toEqual([
      { ...file, type: "document" },
    ]);
  });

  test("text is text, however it is wrapped", () => {
    const data = Buffer.from("héllo").toString("base64");
    const titled = { title: "T", context: "C" };
    const expected = [text("T\n\nC\n\nhéllo")];
    expect(document({ type: "base64", media_type: "text/markdown", data }, titled)).toEqual(
      expected,
    );
    expect(document({ type: "text", media_type: "text/plain", data: "héllo" }, titled)).toEqual(
      expected,
    );
    expect(document({ type: "content", content: "héllo" }, titled)).toEqual(expected);
  });

  test("content blocks keep their images", () => {
    const content = [text("a"), { type: "image", source: { type: "base64", data: GIF } }, null];
    expect(document({ type: "content", content }, { title: "T" })).toEqual([
      text("T"),
      text("a"),
      { type: "image", format: "gif", base64: GIF },
    ]);
  });

  test("an unknown source is a note with the title", () => {
    expect(document({ type: "vault" }, { title: "T" })).toEqual([text("[document]\n\nT")]);
  });

  test.each([
    { source: { type: "url", url: "https://a.b/c.pdf" }, path: "source.url" },
    { source: { type: "file", file_id: "f" }, path: "source.file" },
    { source: { type: "base64", data: "?" }, path: "source.base64.data" },
  ])("a document that is refused by its path: %j", ({ source, path }) => {
    const content = [{ type: "document", source }];
    expect(refusalOf({ messages: [{ role: "user", content }] }).message).toStartWith(
      `messages.0.content.0.document.${path}: `,
    );
  });
});
