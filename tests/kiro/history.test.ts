import { describe, expect, test } from "bun:test";
import type { Turn, UserPart } from "../../src/conversation/conversation.ts";
import { renderTurns, type TurnRules } from "../../src/kiro/history.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { assistant, call, result, user } from "../support/conversations.ts";

const { fillers } = defaultProfile;

function render(turns: Turn[], rules: Partial<TurnRules> = {}) {
  const notices: string[] = [];
  const rendered = renderTurns(turns, {
    profile: defaultProfile,
    modelId: "m",
    fillers,
    reasoning: "native",
    toolName: (name) => name,
    note: (code) => notices.push(code),
    ...rules,
  });
  return {
    ...rendered,
    all: [...rendered.history, { userInputMessage: rendered.current }],
    notices,
  };
}

/** The conversation in short: who says what. */
function outline(turns: Turn[]): string[] {
  return render(turns).all.map((message) =>
    "userInputMessage" in message
      ? `user: ${message.userInputMessage.content}`
      : `assistant: ${message.assistantResponseMessage.content}`,
  );
}

function results(turns: Turn[]) {
  return render(turns).current.userInputMessageContext?.toolResults;
}

const png: UserPart = { type: "image", format: "png", base64: "AAAA" };
const pdf: UserPart = {
  type: "document",
  name: "plan.pdf",
  mediaType: "application/pdf",
  base64: "JVBERi0=",
};

describe("turns", () => {
  test("one prompt is the current message and there is no history", () => {
    expect(render([user("Hi")])).toMatchObject({
      history: [],
      current: { content: "Hi", modelId: "m", origin: "AI_EDITOR" },
      notices: [],
    });
  });

  test("neighbours of one role become one message, their texts a blank line apart", () => {
    expect(
      outline([user("a", "b"), user("c"), assistant("d"), assistant("e", "f"), user("g")]),
    ).toEqual(["user: a\n\nb\n\nc", "assistant: d\n\ne\n\nf", "user: g"]);
  });

  test("an assistant that begins is given a user to answer", () => {
    expect(outline([assistant("Welcome"), user("Hi")])).toEqual([
      `user: ${fillers.historyStart}`,
      "assistant: Welcome",
      "user: Hi",
    ]);
  });

  test("empty turns are filled so that their neighbours stay apart", () => {
    expect(outline([user("a"), assistant(), user("  "), assistant(""), user("b")])).toEqual([
      "user: a",
      `assistant: ${fillers.assistantEmpty}`,
      `user: ${fillers.userEmpty}`,
      `assistant: ${fillers.assistantEmpty}`,
      "user: b",
    ]);
  });

  test("a last turn of the assistant goes to the history and the user asks it to go on", () => {
    const { notices } = render([user("Count"), assistant("One, two,")]);
    expect(outline([user("Count"), assistant("One, two,")])).toEqual([
      "user: Count",
      "assistant: One, two,",
      `user: ${fillers.continue}`,
    ]);
    expect(notices).toEqual(["prefill-as-instruction"]);
  });

  test("a last turn of the assistant that holds nothing is no prefill", () => {
    expect(outline([user("Hi"), assistant(" ")])).toEqual(["user: Hi"]);
    expect(outline([assistant()])).toEqual([`user: ${fillers.userEmpty}`]);
  });

  test("a last turn of the assistant with a call gets an error as its result", () => {
    const { current } = render([user("Hi"), assistant(call("a", "Read"))]);
    expect(current.content).toBe(fillers.continue);
    expect(current.userInputMessageContext?.toolResults).toEqual([
      { toolUseId: "a", content: [{ text: fillers.toolResultMissing }], status: "error" },
    ]);
  });

  test("a hundred thousand turns of one role are merged in one go", () => {
    const { current } = render(Array.from({ length: 100_000 }, () => user("a")));
    expect(current.content).toHaveLength(3 * 100_000 - 2);
  });

  test("half a surrogate pair becomes the replacement character", () => {
    expect(outline([user("a\ud83d"), assistant("\udc00b"), user("🎉")])).toEqual([
      "user: a\ufffd",
      "assistant: \ufffdb",
      "user: 🎉",
    ]);
  });
});

describe("calls and results", () => {
  const asked = [
    user("Hi"),
    assistant("Reading.", call("a", "Read", { path: "x" }), call("b", "Read")),
  ];

  test("a call keeps its id, name and input, and its text", () => {
    expect(render([...asked, user("?")]).history[1]).toEqual({
      assistantResponseMessage: {
        content: "Reading.",
        toolUses: [
          { toolUseId: "a", name: "Read", input: { path: "x" } },
          { toolUseId: "b", name: "Read", input: {} },
        ],
      },
    });
  });

  test("results stand in the next user message, errors are marked, text stays beside them", () => {
    const turns = [
      ...asked,
      user(result("b", "no", true), "<system-reminder>", result("a", "yes")),
    ];
    expect(results(turns)).toEqual([
      { toolUseId: "b", content: [{ text: "no" }], status: "error" },
      { toolUseId: "a", content: [{ text: "yes" }], status: "success" },
    ]);
    expect(outline(turns).at(-1)).toBe("user: <system-reminder>");
  });

  test("the texts of one result are one, a blank line apart, and an empty one is said to be empty", () => {
    const two = result("a", [
      { type: "text", text: "1" },
      { type: "text", text: "2" },
    ]);
    expect(results([...asked, user(two, result("b", ""))])).toEqual([
      { toolUseId: "a", content: [{ text: "1\n\n2" }], status: "success" },
      { toolUseId: "b", content: [{ text: fillers.toolResultEmpty }], status: "success" },
    ]);
  });

  test("a call without a result gets an error as its result", () => {
    expect(results([...asked, user(result("b", "yes"))])).toEqual([
      { toolUseId: "b", content: [{ text: "yes" }], status: "success" },
      { toolUseId: "a", content: [{ text: fillers.toolResultMissing }], status: "error" },
    ]);
    expect(render([...asked, user("stop")]).notices).toEqual(["missing-tool-result"]);
  });

  test("a result without a call becomes text where it stood", () => {
    const { current, notices } = render([
      user("before", result("z", "late", true), result("y", "x"), "after"),
    ]);
    expect(current.content).toBe(
      "before\n\n[Error of the tool call z]\nlate\n\n[Result of the tool call y]\nx\n\nafter",
    );
    expect(current.userInputMessageContext).toBeUndefined();
    expect(notices).toEqual(["stray-tool-result", "stray-tool-result"]);
  });

  test("a result that comes a turn too late becomes text, and its call has an error", () => {
    const turns = [...asked, user("wait"), assistant("ok"), user(result("a", "late"))];
    const { history, current } = render(turns);
    expect(history[2]).toMatchObject({
      userInputMessage: {
        userInputMessageContext: {
          toolResults: [{ toolUseId: "a", status: "error" }, { toolUseId: "b" }],
        },
      },
    });
    expect(current.content).toContain("late");
  });

  test("of two results of one call the last counts and the other one's text is kept", () => {
    const turns = [...asked, user(result("a", "first"), result("a", "second"), result("b", "x"))];
    expect(results(turns)?.map(({ content }) => content[0]?.text)).toEqual(["second", "x"]);
    expect(outline(turns).at(-1)).toBe("user: [Result of the tool call a]\nfirst");
    expect(render(turns).notices).toEqual(["duplicate-tool-result"]);
  });

  test("calls with one id, or none, get ids of their own, and the results go to them in order", () => {
    const turns = [
      user("Hi"),
      assistant(call("x", "A"), call("x", "B"), call("x-2", "C"), call("", "D"), call("x", "E")),
      user(
        result("x", "1"),
        result("", "4"),
        result("x", "2"),
        result("x-2", "3"),
        result("x", "5"),
      ),
    ];
    expect(render(turns).history[1]).toMatchObject({
      assistantResponseMessage: {
        toolUses: [
          { toolUseId: "x" },
          { toolUseId: "x-2" },
          { toolUseId: "x-2-2" },
          { toolUseId: "call" },
          { toolUseId: "x-3" },
        ],
      },
    });
    expect(results(turns)?.map(({ toolUseId, content }) => [toolUseId, content[0]?.text])).toEqual([
      ["x", "1"],
      ["call", "4"],
      ["x-2", "2"],
      ["x-2-2", "3"],
      ["x-3", "5"],
    ]);
  });

  test("fifty thousand calls of one id are told apart in one go", () => {
    const calls = Array.from({ length: 50_000 }, () => call("x", "A"));
    const answers = calls.map((_, index) => result("x", String(index)));
    const paired = results([user("Hi"), assistant(...calls), user(...answers)]);
    expect(new Set(paired?.map(({ toolUseId }) => toolUseId)).size).toBe(50_000);
  });

  test("an assistant's text between a call and its result does not part them", () => {
    const turns = [
      user("Hi"),
      assistant(call("a", "Read")),
      assistant("Done."),
      user(result("a", "x")),
    ];
    expect(results(turns)).toEqual([
      { toolUseId: "a", content: [{ text: "x" }], status: "success" },
    ]);
  });

  test("an input loses nulls, empty keys and broken text, but no value and no place in a list", () => {
    const input = {
      keep: ["", 0, false, [], {}],
      none: null,
      "": 1,
      list: [null, 1],
      deep: { "": { x: 1 }, broken: "\ud83d", huge: Number.POSITIVE_INFINITY },
      ...JSON.parse('{"__proto__": {"a": 1}}'),
    };
    Object.defineProperty(input, "__proto__", { value: { a: 1 }, enumerable: true });
    const { history } = render([
      user("Hi"),
      assistant(call("a", "Read", input)),
      user(result("a", "x")),
    ]);
    expect(JSON.stringify(history[1])).toContain(
      '"input":{"keep":["",0,false,[],{}],"list":["null",1],"deep":{"broken":"\ufffd"},"__proto__":{"a":1}}',
    );
  });

  test("an input that is nested without end is cut off", () => {
    let input = {};
    for (let depth = 0; depth < 50_000; depth++) input = { input };
    const { history } = render([
      user("Hi"),
      assistant(call("a", "Read", input)),
      user(result("a", "x")),
    ]);
    expect(JSON.stringify(history).length).toBeLessThan(5_000);
  });

  test("contents may be empty only beside results", () => {
    expect(render([...asked, user(result("a", "x"), result("b", "x"))]).current.content).toBe("");
    expect(
      render([user("Hi"), assistant(call("a", "Read")), user(result("a", "x"))]).history[1],
    ).toMatchObject({
      assistantResponseMessage: { content: fillers.assistantToolOnly },
    });
  });

  test("other fillers take the place of the empty ones on request", () => {
    const rules = { fillers: fillers.conservative };
    const turns = [user("Hi"), assistant(call("a", "Read")), user(result("a", "x"))];
    const { history, current } = render(turns, rules);
    expect(history[1]).toMatchObject({
      assistantResponseMessage: { content: fillers.conservative.assistantToolOnly },
    });
    expect(current.content).toBe(fillers.conservative.userWithToolResults);
    expect(render([user(png)], rules).current.content).toBe(fillers.conservative.userImagesOnly);
  });
});

describe("images and files", () => {
  test("an image goes onto its message", () => {
    expect(render([user(png, "What is it?")]).current).toMatchObject({
      content: "What is it?",
      images: [{ format: "png", source: { bytes: "AAAA" } }],
    });
    expect(render([user(png)]).current.content).toBe(fillers.userImagesOnly);
  });

  test("an image in a result goes onto the message and the result points to it", () => {
    const shown = result("a", [{ type: "text", text: "Shot:" }, png]);
    const { current } = render([user("Hi"), assistant(call("a", "Read")), user(png, shown)]);
    expect(current.images).toHaveLength(2);
    expect(current.userInputMessageContext?.toolResults?.[0]?.content).toEqual([
      { text: "Shot:\n\n[Image 2 of this message.]" },
    ]);
  });

  test("of too many images the newest are sent, in the history too, and the others leave a note", () => {
    const shown = result("a", [png, png]);
    const turns = [
      user(png, "Hi"),
      assistant(call("a", "Read")),
      user(shown),
      assistant("ok"),
      user(...Array.from({ length: 9 }, () => png), "last"),
    ];
    const { history, current, notices } = render(turns);
    expect(JSON.stringify([history, current]).split('"format"')).toHaveLength(11);
    expect(current.images).toHaveLength(9);
    expect(history[0]).toMatchObject({
      userInputMessage: { content: expect.stringContaining("only the newest 10 are sent") },
    });
    expect(JSON.stringify(history[2])).toContain("only the newest 10 are sent");
    expect(notices).toEqual(["image-over-count", "image-over-count"]);
  });

  test("an image over the size limit leaves a note", () => {
    const profile = { ...defaultProfile, images: { maxCount: 10, maxBytes: 2 } };
    const { current, notices } = render([user(png, "Hi")], { profile });
    expect(current.images).toBeUndefined();
    expect(current.content).toBe("[An image was left out here: it is larger than 2 bytes.]\n\nHi");
    expect(notices).toEqual(["image-over-size"]);
  });

  test("a file leaves a note where the service takes none", () => {
    const { current, notices } = render([user("Read", pdf)]);
    expect(current.content).toBe(
      'Read\n\n[The file "plan.pdf" (application/pdf) was left out here: it can\'t be sent.]',
    );
    expect(current.documents).toBeUndefined();
    expect(notices).toEqual(["document-omitted"]);
  });

  test("a file goes onto its message where the service takes files, one of an unknown type never", () => {
    const profile = { ...defaultProfile, documents: true };
    const odd: UserPart = { type: "document", name: "x", mediaType: "constructor", base64: "AAAA" };
    const shown = result("a", [pdf, odd]);
    const { current, notices } = render(
      [user("Hi"), assistant(call("a", "Read")), user(shown, pdf)],
      {
        profile,
      },
    );
    const sent = { name: "plan.pdf", format: "pdf", source: { bytes: "JVBERi0=" } };
    expect(current.documents).toEqual([sent, sent]);
    expect(current.userInputMessageContext?.toolResults?.[0]?.content[0]?.text).toStartWith(
      '[File 1 of this message.]\n\n[The file "x"',
    );
    expect(notices).toEqual(["document-omitted"]);
  });
});

/** The one reply of a conversation, as it is rendered. */
function replyTo(
  parts: Parameters<typeof assistant>,
  reasoning: TurnRules["reasoning"] = "native",
) {
  const { history, notices } = render([user("Hi"), assistant(...parts), user("?")], { reasoning });
  const message = history[1];
  const reply =
    message !== undefined && "assistantResponseMessage" in message
      ? message.assistantResponseMessage
      : undefined;
  return { reply, notices };
}

describe("thinking of earlier replies", () => {
  const signed = { type: "reasoning" as const, text: "Hm.", signature: "c2ln" };
  const unsigned = { type: "reasoning" as const, text: "Hm?" };
  const redacted = { type: "redacted-reasoning" as const, data: "AAAA" };
  test("a signed block goes back as it came", () => {
    expect(replyTo([signed, "Yes."])).toEqual({
      reply: {
        content: "Yes.",
        reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } },
      },
      notices: [],
    });
    expect(replyTo([{ ...signed, text: "" }]).reply).toEqual({
      content: fillers.assistantToolOnly,
      reasoningContent: { reasoningText: { text: "", signature: "c2ln" } },
    });
  });

  test("an encrypted block goes back as it came", () => {
    expect(replyTo([redacted, "Yes."]).reply).toEqual({
      content: "Yes.",
      reasoningContent: { redactedContent: "AAAA" },
    });
  });

  test("an unsigned block stands as tagged text in front of the reply, a blank one does not", () => {
    expect(replyTo(["Yes.", unsigned, { ...unsigned, text: " " }])).toEqual({
      reply: { content: "<thinking>Hm?</thinking>\n\nYes." },
      notices: [],
    });
  });

  test("of several blocks the first signed one is sent as such, the others as text, encrypted ones are named", () => {
    const second = { ...signed, text: "Well." };
    expect(replyTo([redacted, unsigned, signed, second, "Yes."])).toEqual({
      reply: {
        content: "<thinking>Hm?</thinking>\n\n<thinking>Well.</thinking>\n\nYes.",
        reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } },
      },
      notices: ["redacted-reasoning-dropped", "signed-reasoning-as-text"],
    });
  });

  test("as text, no block is sent as such", () => {
    expect(replyTo([signed, redacted, "Yes."], "text")).toEqual({
      reply: { content: "<thinking>Hm.</thinking>\n\nYes." },
      notices: ["signed-reasoning-as-text", "redacted-reasoning-dropped"],
    });
  });

  test("left out, no trace of it remains", () => {
    expect(replyTo([signed, unsigned, redacted, "Yes."], "none")).toEqual({
      reply: { content: "Yes." },
      notices: ["reasoning-dropped", "reasoning-dropped", "redacted-reasoning-dropped"],
    });
  });
});
