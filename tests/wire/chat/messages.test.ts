import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../../src/conversation/conversation.ts";
import { GIF, noticeCodes, PNG, refusedAs, withMessages } from "./requests.ts";

const text = (words: string) => ({ type: "text" as const, text: words });
const user = (content: unknown) => ({ role: "user", content });
const assistant = (fields: object) => ({ role: "assistant", ...fields });
const tool = (id: string, content: unknown) => ({ role: "tool", tool_call_id: id, content });
const call = (id: string, args: unknown = "{}") => ({
  id,
  type: "function",
  function: { name: "run", arguments: args },
});
const result = (callId: string, ...content: unknown[]) => ({
  type: "tool-result",
  callId,
  content,
  isError: false,
});
const note = (words: string) => text(`<system-reminder>\n${words}\n</system-reminder>`);

function partsOf(conversation: Conversation, turn = 0): unknown {
  return conversation.turns[turn]?.parts;
}

/** The parts of one user message with this content. */
function saying(...content: unknown[]): unknown {
  return partsOf(withMessages(user(content)));
}

describe("system messages", () => {
  test("B-19: system and developer ahead of the others are the system prompt", () => {
    const { system, turns } = withMessages(
      { role: "system", content: "One." },
      { role: "developer", content: [text("Two."), { type: "input_text", text: "Three." }] },
      user("Hi"),
    );
    expect(system).toBe("One.\n\nTwo.\n\nThree.");
    expect(turns).toHaveLength(1);
  });

  test.each(["system", "developer"])("B-19: a later %s is a note in the user's turn", (role) => {
    const conversation = withMessages(
      user("a"),
      assistant({ content: "b" }),
      { role, content: "n" },
      user("c"),
      { role, content: "m" },
    );
    expect(conversation.system).toBe("");
    expect(conversation.turns).toMatchObject([
      { parts: [text("a")] },
      { parts: [text("b")] },
      { parts: [note("n"), text("c"), note("m")] },
    ]);
    expect(noticeCodes(conversation)).toEqual(["system-message-moved"]);
  });

  test("system messages alone are a prompt without a question", () => {
    const conversation = withMessages({ role: "system", content: "One." });
    expect(conversation).toMatchObject({ system: "One.", turns: [{ role: "user", parts: [] }] });
  });
});

describe("user messages", () => {
  test("several in a row all stay", () => {
    expect(withMessages(user("a"), user([text("b"), text("c")])).turns).toMatchObject([
      { role: "user", parts: [text("a")] },
      { role: "user", parts: [text("b"), text("c")] },
    ]);
  });

  test.each([
    {
      name: "an object",
      part: { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
    },
    {
      name: "an object with a detail",
      part: {
        type: "image_url",
        image_url: { url: `data:image/jpeg;base64,${PNG}`, detail: "low" },
      },
    },
    { name: "a string", part: { type: "image_url", image_url: `data:image/png;base64,${PNG}` } },
    { name: "of Responses", part: { type: "input_image", image_url: `data:;base64,${PNG}` } },
    {
      name: "of Anthropic",
      part: { type: "image", source: { type: "base64", media_type: "image/gif", data: PNG } },
    },
    {
      name: "in a file",
      part: { type: "file", file: { file_data: `data:image/png;base64,${PNG}` } },
    },
  ])("B-23: an image may be $name, and its bytes say what it is", ({ part }) => {
    expect(saying(text("Look:"), part)).toEqual([
      text("Look:"),
      { type: "image", format: "png", base64: PNG },
    ]);
  });

  test.each([
    {
      part: { type: "image_url", image_url: { url: "https://a.example/b.png" } },
      param: "messages.0.content.1.image_url.url",
    },
    {
      part: { type: "image_url", image_url: "http://a.example/b.png" },
      param: "messages.0.content.1.image_url",
    },
    {
      part: { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      param: "messages.0.content.1.image_url.url",
    },
    { part: { type: "input_image", file_id: "file_1" }, param: "messages.0.content.1.file_id" },
    {
      part: { type: "file", file: { file_id: "file_1" } },
      param: "messages.0.content.1.file.file_id",
    },
    {
      part: { type: "input_file", file_url: "https://a.example/b.pdf" },
      param: "messages.0.content.1.file_url",
    },
    {
      part: { type: "file", file: { file_data: "data:application/pdf;base64,?" } },
      param: "messages.0.content.1.file.file_data",
    },
  ])("B-23: bytes that can't be had are a 400 that names them: $param", ({ part, param }) => {
    expect(refusedAs({ messages: [user([text("Look:"), part])] })).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      param,
    });
  });

  test("a file is a document, or text where it is text", () => {
    const words = Buffer.from("Words.").toString("base64");
    expect(
      saying(
        {
          type: "file",
          file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBE" },
        },
        { type: "input_file", filename: "b.txt", file_data: `data:text/plain;base64,${words}` },
        { type: "file", file: { file_data: "JVBE" } },
      ),
    ).toEqual([
      { type: "document", name: "a.pdf", mediaType: "application/pdf", base64: "JVBE" },
      text("b.txt\n\nWords."),
      { type: "document", name: "document", mediaType: "application/pdf", base64: "JVBE" },
    ]);
  });

  test.each([
    { part: { type: "refusal", refusal: "No." }, said: "No." },
    { part: { type: "input_text", text: "a" }, said: "a" },
    { part: { type: "output_text", text: "a", annotations: [] }, said: "a" },
    { part: { type: "input_audio", input_audio: { data: "AAAA" } }, said: "[input_audio]" },
    { part: { type: "image_url" }, said: "[image]" },
    { part: { type: "file" }, said: "[file]" },
    { part: { type: "file", file: {} }, said: "[file]" },
    { part: { type: "of_tomorrow", text: "a" }, said: "[of_tomorrow]\na" },
    { part: "a", said: "a" },
  ])("a part that is read as text: %j", ({ part, said }) => {
    expect(saying(part)).toEqual([text(said)]);
  });

  test("B-27: cache_control makes no difference anywhere", () => {
    const cached = { cache_control: { type: "ephemeral" } };
    const conversation = withMessages(
      { role: "system", content: [{ ...text("One."), ...cached }], ...cached },
      { ...user([{ ...text("a"), ...cached }]), ...cached },
      assistant({ content: "", tool_calls: [{ ...call("t1"), ...cached }] }),
      { ...tool("t1", "ok"), ...cached },
    );
    expect(conversation).toEqual(
      withMessages(
        { role: "system", content: "One." },
        user("a"),
        assistant({ content: "", tool_calls: [call("t1")] }),
        tool("t1", "ok"),
      ),
    );
  });

  test("an unknown role is a user's, and named", () => {
    const conversation = withMessages({ role: "robot", content: "Beep." });
    expect(conversation.turns).toEqual([{ role: "user", parts: [text("Beep.")] }]);
    expect(conversation.notices).toEqual([{ code: "role-changed", detail: "robot" }]);
  });
});

describe("assistant messages", () => {
  test.each([
    { name: "null", content: null, parts: [] },
    { name: "an empty string", content: "", parts: [] },
    { name: "nothing", content: undefined, parts: [] },
    { name: "text", content: "a", parts: [text("a")] },
    {
      name: "parts",
      content: [text("a"), { type: "refusal", refusal: "b" }],
      parts: [text("a"), text("b")],
    },
  ])("B-21: the content may be $name", ({ content, parts }) => {
    const message = assistant({ content, tool_calls: [call("t1")] });
    expect(partsOf(withMessages(message))).toEqual([
      ...parts,
      { type: "tool-call", id: "t1", name: "run", input: {} },
    ]);
    expect(partsOf(withMessages(user("a"), assistant({ content }), user("b")), 1)).toEqual(parts);
  });

  test.each([
    { args: '{"a":1}', input: { a: 1 } },
    { args: "{}", input: {} },
    { args: "", input: {} },
    { args: { a: 1 }, input: { a: 1 } },
    { args: '{"a":', input: { input: '{"a":' } },
    { args: "[1]", input: { input: "[1]" } },
    { args: "null", input: { input: "null" } },
    { args: null, input: {} },
    { args: undefined, input: {} },
  ])("arguments and how they are read: %j", ({ args, input }) => {
    const message = assistant({
      tool_calls: [{ id: "t1", function: { name: "run", arguments: args } }],
    });
    expect(partsOf(withMessages(message))).toEqual([
      { type: "tool-call", id: "t1", name: "run", input },
    ]);
  });

  test.each([
    { name: "flat", call: { id: "t1", name: "run", arguments: '{"a":1}' } },
    { name: "of Anthropic", call: { id: "t1", type: "tool_use", name: "run", input: { a: 1 } } },
  ])("a call may be $name", ({ call: entry }) => {
    expect(partsOf(withMessages(assistant({ tool_calls: [entry] })))).toEqual([
      { type: "tool-call", id: "t1", name: "run", input: { a: 1 } },
    ]);
  });

  test("a call of a custom tool keeps its text", () => {
    const entry = { id: "t1", type: "custom", custom: { name: "patch", input: '{"a":1}' } };
    expect(partsOf(withMessages(assistant({ tool_calls: [entry] })))).toEqual([
      { type: "tool-call", id: "t1", name: "patch", input: { input: '{"a":1}' } },
    ]);
  });

  test("a call without an id or a name is told as text", () => {
    const calls = [{ function: { name: "run", arguments: "ls" } }, { id: "t1" }, null];
    const conversation = withMessages(assistant({ tool_calls: calls }));
    expect(partsOf(conversation)).toEqual([text("[tool_call]\nrun\nls"), text("[tool_call]")]);
    expect(noticeCodes(conversation)).toContain("ignored-tool-call");
  });

  test.each(["reasoning_content", "reasoning"])(
    "thinking that comes back as %s is kept",
    (name) => {
      expect(partsOf(withMessages(assistant({ content: "a", [name]: "Hm" })))).toEqual([
        { type: "reasoning", text: "Hm" },
        text("a"),
      ]);
    },
  );

  test("thinking is not said twice", () => {
    const message = assistant({ content: "a", reasoning_content: "Hm", reasoning: "Hm" });
    expect(partsOf(withMessages(message))).toEqual([{ type: "reasoning", text: "Hm" }, text("a")]);
    expect(partsOf(withMessages(assistant({ content: "a", reasoning_content: "" })))).toEqual([
      text("a"),
    ]);
  });

  test("a refusal is what was said", () => {
    expect(partsOf(withMessages(assistant({ content: null, refusal: "No." })))).toEqual([
      text("No."),
    ]);
  });
});

describe("tool messages", () => {
  test("B-20: those that follow one another are one turn", () => {
    const conversation = withMessages(
      user("a"),
      assistant({ tool_calls: [call("t1"), call("t2")] }),
      tool("t1", "1"),
      tool("t2", [text("2")]),
      user("b"),
      tool("t3", "late"),
    );
    expect(conversation.turns.slice(2) as unknown).toEqual([
      { role: "user", parts: [result("t1", text("1")), result("t2", text("2"))] },
      { role: "user", parts: [text("b")] },
      { role: "user", parts: [result("t3", text("late"))] },
    ]);
  });

  test("B-20: a system message between two of them does not part them", () => {
    const between = { role: "system", content: "n" };
    const { turns } = withMessages(user("a"), tool("t1", "1"), between, tool("t2", "2"));
    expect(turns[1]?.parts as unknown).toEqual([
      result("t1", text("1")),
      note("n"),
      result("t2", text("2")),
    ]);
  });

  test("B-22: the content may be parts with an image", () => {
    const content = [
      text("Look:"),
      { type: "image_url", image_url: { url: `data:image/png;base64,${GIF}` } },
    ];
    expect(partsOf(withMessages(tool("t1", content)))).toEqual([
      result("t1", text("Look:"), { type: "image", format: "gif", base64: GIF }),
    ]);
  });

  test("B-22: a fault in it is named by its place", () => {
    const content = [{ type: "image_url", image_url: { url: "https://a.example" } }];
    expect(refusedAs({ messages: [tool("t1", content)] })).toMatchObject({
      param: "messages.0.content.0.image_url.url",
    });
  });

  test("one that names no call is content of its own", () => {
    const conversation = withMessages({ role: "tool", content: "ok" });
    expect(partsOf(conversation)).toEqual([text("ok")]);
    expect(noticeCodes(conversation)).toEqual(["tool-result-without-id"]);
  });

  test("very many of them are no trouble", () => {
    const many = Array.from({ length: 200_000 }, (_, index) => tool(`t${index}`, "ok"));
    expect(withMessages(...many).turns[0]?.parts).toHaveLength(200_000);
  });
});

describe("legacy functions", () => {
  test("B-33: a result belongs to the last call of its function", () => {
    const { turns } = withMessages(
      user("a"),
      assistant({ content: null, function_call: { name: "run", arguments: '{"a":1}' } }),
      { role: "function", name: "run", content: "one" },
      assistant({ content: null, function_call: { name: "run", arguments: "{}" } }),
      { role: "function", name: "run", content: "two" },
    );
    const ids = turns.flatMap(({ parts }) =>
      parts.flatMap((part) => {
        if (part.type === "tool-call") return [part.id];
        return part.type === "tool-result" ? [part.callId] : [];
      }),
    );
    expect(ids).toHaveLength(4);
    expect(ids[0]).toBe(ids[1] as string);
    expect(ids[2]).toBe(ids[3] as string);
    expect(ids[0]).not.toBe(ids[2]);
    expect(ids[0]).toMatch(/^\w+$/);
    expect(turns[1]?.parts).toMatchObject([{ name: "run", input: { a: 1 } }]);
  });

  test("B-33: a result without a call is handed on under its name", () => {
    expect(partsOf(withMessages({ role: "function", name: "run", content: "one" }))).toEqual([
      result("run", text("one")),
    ]);
    expect(partsOf(withMessages({ role: "function", content: "one" }))).toEqual([text("one")]);
  });
});

describe("Anthropic's blocks", () => {
  test("B-24: calls and results are understood, in their order and with their images", () => {
    const image = { type: "image", source: { type: "base64", data: PNG } };
    const { turns } = withMessages(
      user("a"),
      assistant({
        content: [
          { type: "thinking", thinking: "Hm", signature: "s" },
          text("b"),
          { type: "tool_use", id: "t1", name: "run", input: { a: 1 } },
          text("c"),
        ],
      }),
      user([{ type: "tool_result", tool_use_id: "t1", content: [text("ok"), image] }, text("d")]),
    );
    expect(turns.slice(1) as unknown).toEqual([
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "Hm", signature: "s" },
          text("b"),
          { type: "tool-call", id: "t1", name: "run", input: { a: 1 } },
          text("c"),
        ],
      },
      {
        role: "user",
        parts: [result("t1", text("ok"), { type: "image", format: "png", base64: PNG }), text("d")],
      },
    ]);
  });
});
