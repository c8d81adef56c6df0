import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Conversation, Turn } from "../../src/conversation/conversation.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import type { UpstreamProfile } from "../../src/kiro/profile.ts";
import { type KiroRequest, type Rendering, toKiroRequest } from "../../src/kiro/request.ts";
import {
  assistant,
  call,
  conversation as anyConversation,
  conversationOf,
  deepFreeze,
  marksIn,
  result,
  tool,
  user,
} from "../support/conversations.ts";
import { validateKiroBody } from "../support/kiro-validator.ts";

const ids = {
  conversationId: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80",
  continuationId: "1e0d2c3b-4a59-4687-8f7e-6d5c4b3a2910",
};
const { fillers, prompts } = defaultProfile;

function convert(
  given: Conversation,
  rendering?: Rendering,
  profile: UpstreamProfile = defaultProfile,
): KiroRequest {
  const converted = toKiroRequest(given, ids, profile, rendering);
  if (!converted.ok) throw new Error(converted.failure.message);
  return converted.value;
}

function request(parts: Partial<Conversation>, rendering?: Rendering): KiroRequest {
  return convert(conversationOf(parts), rendering);
}

function stateOf({ body }: KiroRequest) {
  return body.conversationState;
}

function currentOf(converted: KiroRequest) {
  return stateOf(converted).currentMessage.userInputMessage;
}

/** The text of the system pair, if there is one. */
function systemOf(converted: KiroRequest): string | undefined {
  const [first, second] = stateOf(converted).history ?? [];
  const isPair =
    second !== undefined &&
    "assistantResponseMessage" in second &&
    second.assistantResponseMessage.content === fillers.systemAcknowledged;
  return isPair && first !== undefined && "userInputMessage" in first
    ? first.userInputMessage.content
    : undefined;
}

function toolNames(converted: KiroRequest): string[] {
  const tools = currentOf(converted).userInputMessageContext?.tools ?? [];
  return tools.map(({ toolSpecification }) => toolSpecification.name);
}

function codes({ notices }: KiroRequest): string[] {
  return notices.map(({ code }) => code);
}

describe("a request", () => {
  test("for one prompt holds that and no more", () => {
    expect(request({}).body).toEqual({
      conversationState: {
        conversationId: ids.conversationId,
        agentContinuationId: ids.continuationId,
        agentTaskType: "vibe",
        chatTriggerType: "MANUAL",
        currentMessage: {
          userInputMessage: { content: "Hello", modelId: "claude-sonnet-4.5", origin: "AI_EDITOR" },
        },
      },
    });
  });

  test("for a tool round with system prompt and thinking reads as the service has it", () => {
    const converted = request({
      model: "claude-opus-4-6-thinking",
      system: "You are a careful coding agent.",
      turns: [
        user("What is in notes.txt?"),
        assistant("Let me look.", call("t1", "read.file", { path: "notes.txt" })),
        user(result("t1", "milk\neggs")),
      ],
      tools: [
        tool("read.file", "Reads.", {
          type: "object",
          properties: {},
          additionalProperties: false,
        }),
      ],
    });
    const name = toolNames(converted)[0] ?? "";
    const common = { modelId: "claude-opus-4.6", origin: "AI_EDITOR" };
    expect(JSON.stringify(converted.body)).toBe(
      JSON.stringify({
        conversationState: {
          conversationId: ids.conversationId,
          agentContinuationId: ids.continuationId,
          agentTaskType: "vibe",
          chatTriggerType: "MANUAL",
          history: [
            {
              userInputMessage: {
                content:
                  "<thinking_mode>adaptive</thinking_mode><thinking_effort>high</thinking_effort>\nYou are a careful coding agent.",
                ...common,
              },
            },
            { assistantResponseMessage: { content: "I will follow these instructions." } },
            { userInputMessage: { content: "What is in notes.txt?", ...common } },
            {
              assistantResponseMessage: {
                content: "Let me look.",
                toolUses: [{ toolUseId: "t1", name, input: { path: "notes.txt" } }],
              },
            },
          ],
          currentMessage: {
            userInputMessage: {
              content: "",
              ...common,
              userInputMessageContext: {
                toolResults: [
                  { toolUseId: "t1", content: [{ text: "milk\neggs" }], status: "success" },
                ],
                tools: [
                  {
                    toolSpecification: {
                      name,
                      description: "Reads.",
                      inputSchema: { json: { type: "object", properties: {} } },
                    },
                  },
                ],
              },
            },
          },
        },
        additionalModelRequestFields: { output_config: { effort: "high" } },
      }),
    );
    expect(converted.originalToolName(name)).toBe("read.file");
    expect(converted).toMatchObject({
      thinking: true,
      tagThinking: true,
      model: { id: "claude-opus-4.6" },
    });
  });

  test("of no turns is refused", () => {
    expect(toKiroRequest(conversationOf({ turns: [] }), ids, defaultProfile)).toEqual({
      ok: false,
      failure: {
        kind: "invalid-request",
        message: "messages: at least one message is required",
      },
    });
  });

  test("keeps the notices of the conversation before its own, each once", () => {
    const given = { code: "ignored-top-k" };
    const turns = [user(result("x", "1"), result("y", "2")), assistant("A")];
    expect(request({ turns, notices: [given] }).notices).toEqual([
      given,
      { code: "stray-tool-result" },
      { code: "prefill-as-instruction" },
    ]);
  });
});

describe("the system text", () => {
  test("is the client's, to the letter", () => {
    const system = "  <env>\n\nLinux {name} $& 🎉\n</env>\n";
    expect(systemOf(request({ system }))).toBe(system);
  });

  test.each(["", " \n"])("is absent where the client gave %j", (system) => {
    expect(stateOf(request({ system })).history).toBeUndefined();
  });

  test("begins with the thinking tags, which alone are one too", () => {
    const tags =
      "<thinking_mode>enabled</thinking_mode><max_thinking_length>2000</max_thinking_length>";
    const reasoning = { type: "budget" as const, tokens: 2_000 };
    expect(systemOf(request({ reasoning, system: "Be brief." }))).toBe(`${tags}\nBe brief.`);
    expect(systemOf(request({ reasoning }))).toBe(tags);
    expect(codes(request({ reasoning }))).toEqual(["thinking-tags-added"]);
  });

  test("keeps the client's own thinking tags, which then are the only ones", () => {
    const system = "<thinking_mode>enabled</thinking_mode> Be brief.";
    const on = request({ system, reasoning: { type: "adaptive" } });
    expect(systemOf(on)).toBe(system);
    expect(on).toMatchObject({ thinking: true, tagThinking: true });
    expect(request({ system })).toMatchObject({ thinking: false, tagThinking: false });
  });

  test("takes in what is too long for a tool's description, after the client's text", () => {
    const converted = request({ system: "Be brief.", tools: [tool("Read", "d".repeat(20_000))] });
    const system = systemOf(converted) ?? "";
    expect(system).toStartWith("Be brief.\n\n# Description of the tool Read, continued\nddd");
    const description =
      currentOf(converted).userInputMessageContext?.tools?.[0]?.toolSpecification.description ?? "";
    expect(`${description}${system}`.match(/d{100,}/g)?.join("")).toHaveLength(20_000);
    expect(converted.notices).toEqual([{ code: "tool-description-moved", detail: "Read" }]);
  });

  test("asks for JSON where the output must be", () => {
    expect(systemOf(request({ output: { type: "json" } }))).toBe(prompts.jsonOutput);
    const schema = { type: "object", properties: { a: { type: ["string", "null"] } } };
    const converted = request({ system: "Be brief.", output: { type: "json", schema } });
    expect(systemOf(converted)).toEndWith(`\n${JSON.stringify(schema)}`);
    expect(codes(converted)).toEqual(["json-output-as-instruction"]);
  });
});

describe("a client's attribution line", () => {
  const attribution = "x-anthropic-billing-header: cc_version=2.1.330; cch=1a2b3;";
  const at = (attributionLine: UpstreamProfile["attributionLine"]) =>
    convert(
      conversationOf({ system: "Be brief.", attribution }),
      {},
      {
        ...defaultProfile,
        attributionLine,
      },
    );

  test("is removed unless the operator wants otherwise, which is told", () => {
    const removed = at("remove");
    expect(JSON.stringify(removed.body)).not.toContain("billing");
    expect(removed.notices).toEqual([{ code: "attribution-line-removed" }]);
  });

  test("is moved behind all that comes again with the next request", () => {
    const moved = at("tail");
    expect(systemOf(moved)).toBe("Be brief.");
    expect(currentOf(moved).content).toBe(`Hello\n\n${attribution}`);
    expect(moved.notices).toEqual([{ code: "attribution-line-moved" }]);
  });

  test("is kept where it was", () => {
    const kept = at("keep");
    expect(systemOf(kept)).toBe(`${attribution}\nBe brief.`);
    expect(kept.notices).toEqual([]);
  });
});

const marksOf = (converted: KiroRequest) =>
  [
    ...JSON.stringify(converted.body).matchAll(
      /"content":"([^"]*)"[^{}]*"cachePoint":\{"type":"default"\}/g,
    ),
  ].map(([, content]) => content);

describe("marks for the prompt cache", () => {
  const given = conversationOf({
    system: "Be brief.",
    turns: [user("One"), assistant("Two"), user("Three")],
    tools: [tool("read")],
  });
  test("are not made unless the operator wants them", () => {
    expect(JSON.stringify(convert(given).body)).not.toContain("cachePoint");
  });

  test("stand at the end of the system prompt and of the history", () => {
    const converted = convert(given, {}, { ...defaultProfile, cachePoints: true });
    expect(marksOf(converted)).toEqual(["Be brief.", "Two"]);
    expect(validateKiroBody(converted.body)).toEqual([]);
  });

  test("are left out of a conservative rendering", () => {
    const profile = { ...defaultProfile, cachePoints: true };
    expect(marksOf(convert(given, { conservative: true }, profile))).toEqual([]);
  });
});

describe("tool choice", () => {
  const tools = [tool("Read"), tool("Write.It")];
  const called = [user("Hi"), assistant(call("a", "Gone"), call("b", "Read")), user("?")];

  test("auto offers all tools, and those that only the history knows", () => {
    expect(toolNames(request({ tools }))).toEqual(["Read", expect.stringMatching(/^Write_It_/)]);
    expect(toolNames(request({ tools, turns: called })).at(-1)).toBe("Gone");
    expect(toolNames(request({ turns: called }))).toEqual(["Gone", "Read"]);
  });

  test("none offers no tool as long as the history calls none", () => {
    const converted = request({ tools, toolChoice: { type: "none" } });
    expect(currentOf(converted).userInputMessageContext).toBeUndefined();
    expect(systemOf(converted)).toBeUndefined();
  });

  test("none after calls declares the tools and forbids them in words", () => {
    const converted = request({ tools, turns: called, toolChoice: { type: "none" } });
    expect(toolNames(converted)).toHaveLength(3);
    expect(systemOf(converted)).toBe(prompts.toolChoiceNone);
  });

  test("any asks for a call in words, where there is a tool", () => {
    const converted = request({ tools, toolChoice: { type: "any" } });
    expect(toolNames(converted)).toHaveLength(2);
    expect(systemOf(converted)).toBe(prompts.toolChoiceAny);
    expect(codes(converted)).toContain("tool-choice-as-instruction");
    expect(systemOf(request({ toolChoice: { type: "any" } }))).toBeUndefined();
  });

  test("a forced tool is the only one on offer and is asked for by the name that is sent", () => {
    const converted = request({
      tools,
      turns: called,
      toolChoice: { type: "tool", name: "Write.It" },
    });
    const [forced = "", ...rest] = toolNames(converted);
    expect(converted.originalToolName(forced)).toBe("Write.It");
    expect(rest).toEqual(["Gone", "Read"]);
    expect(systemOf(converted)).toBe(`Your next reply must call the tool ${forced}.`);
  });

  test("a forced tool that is not there is refused", () => {
    const given = conversationOf({ tools, toolChoice: { type: "tool", name: "Nope" } });
    expect(toKiroRequest(given, ids, defaultProfile)).toEqual({
      ok: false,
      failure: { kind: "invalid-request", message: "Tool 'Nope' not found in provided tools" },
    });
  });
});

describe("renderings", () => {
  const turns = [
    user("Hi"),
    assistant({ type: "reasoning", text: "Hm.", signature: "c2ln" }, call("a", "Read")),
    user(result("a", "x")),
  ];
  const tools = [tool("Read", "", { properties: { p: { type: "string", format: "uri" } } })];

  test("without reasoning, the history has no thinking blocks", () => {
    const converted = request({ turns, tools }, { dropReasoning: true });
    expect(JSON.stringify(converted.body)).not.toContain("Hm.");
    expect(codes(converted)).toEqual(["reasoning-dropped"]);
  });

  test("a conservative one has plain schemas, no optional fields and nothing empty or blank", () => {
    const converted = request(
      { turns, tools, model: "claude-opus-5", reasoning: { type: "adaptive" } },
      { conservative: true },
    );
    expect(Object.keys(converted.body)).toEqual(["conversationState"]);
    expect(Object.keys(stateOf(converted))).toEqual([
      "conversationId",
      "chatTriggerType",
      "history",
      "currentMessage",
    ]);
    expect(stateOf(converted).history?.at(-1)).toEqual({
      assistantResponseMessage: {
        content: "<thinking>Hm.</thinking>",
        toolUses: [{ toolUseId: "a", name: "Read", input: {} }],
      },
    });
    expect(currentOf(converted).content).toBe(fillers.conservative.userWithToolResults);
    expect(JSON.stringify(currentOf(converted))).toContain('"properties":{"p":{"type":"string"}}');
    expect(converted).toMatchObject({ thinking: true, tagThinking: true });
  });
});

function countImages(value: unknown): number {
  return JSON.stringify(value).match(/"format":"(?:png|jpeg)"/g)?.length ?? 0;
}

/** What must hold of any conversation, however bad. */
function check(given: Conversation, rendering: Rendering, profile = defaultProfile): void {
  const converted = convert(deepFreeze(given), rendering, profile);
  expect(validateKiroBody(converted.body)).toEqual([]);

  const text = JSON.stringify(converted.body);
  const found = new Map<string, number>();
  for (const mark of text.match(/«\w+»/g) ?? []) found.set(mark, (found.get(mark) ?? 0) + 1);
  const expected = marksIn(
    given.turns,
    rendering.dropReasoning === true ? "without-reasoning" : "with-reasoning",
  );
  if (given.system.includes("«s»")) expected.push("«s»");
  // Each text once: nothing is lost, nothing is said twice, nothing that was left out is there.
  expect(found).toEqual(new Map(expected.map((mark) => [mark, 1])));

  if (profile.images.maxBytes > 100) {
    const { maxCount } = profile.images;
    expect(countImages(converted.body)).toBe(Math.min(countImages(given.turns), maxCount));
  }

  const declared = toolNames(converted).map(converted.originalToolName);
  expect(new Set(declared).size).toBe(declared.length);
  if (given.toolChoice.type === "auto" || given.toolChoice.type === "any") {
    for (const { name } of given.tools) {
      const isKnown = declared.some(
        (one) => one === name || one.toLowerCase() === name.toLowerCase(),
      );
      if (!isKnown) throw new Error(`the tool ${JSON.stringify(name)} was lost`);
    }
  }
}

const RUNS = 5_000;
const LIMIT_MS = 60_000;
const batches = (count: number) => Array.from({ length: count }, (_, index) => [index + 1]);

describe("of any conversation the body is valid, all text is there once and the input is untouched", () => {
  test.each(batches(8))(
    "as usual, batch %d",
    () => {
      fc.assert(
        fc.property(anyConversation, (given) => check(given, {})),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );

  test.each(batches(4))(
    "without reasoning, batch %d",
    () => {
      fc.assert(
        fc.property(anyConversation, (given) => check(given, { dropReasoning: true })),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );

  test.each(batches(4))(
    "conservatively, batch %d",
    () => {
      fc.assert(
        fc.property(anyConversation, (given) => check(given, { conservative: true })),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );

  test.each(batches(4))(
    "with files and other limits, batch %d",
    () => {
      const profile: UpstreamProfile = {
        ...defaultProfile,
        documents: true,
        images: { maxCount: 2, maxBytes: 7 },
        tools: { ...defaultProfile.tools, nameMax: 20, descriptionMax: 100 },
        thinking: { ...defaultProfile.thinking, mechanism: "native" },
      };
      fc.assert(
        fc.property(anyConversation, (given) => check(given, {}, profile)),
        { numRuns: RUNS },
      );
    },
    LIMIT_MS,
  );
});

test("no schema of a conversation's tools, however bad, makes the body invalid", () => {
  const given = conversationOf({
    tools: [tool("a.b", "\ud83d", JSON.parse('{"type":null,"$ref":"#"}'))],
  });
  expect(validateKiroBody(convert(given).body)).toEqual([]);
});

test("what was sent as the current message stays the same when the conversation goes on", () => {
  const profile = { ...defaultProfile, images: { maxCount: 1_000, maxBytes: 1_000 } };
  const sent = (given: Conversation, turns: Turn[]): string[] => {
    const { history = [], currentMessage } = stateOf(convert({ ...given, turns }, {}, profile));
    const { userInputMessageContext: context, ...current } = currentMessage.userInputMessage;
    const results = context?.toolResults;
    const message = {
      ...current,
      ...(results !== undefined && { userInputMessageContext: { toolResults: results } }),
    };
    return [...history, { userInputMessage: message }].map((one) => JSON.stringify(one));
  };
  fc.assert(
    fc.property(anyConversation, (given) => {
      const auto: Conversation = { ...given, toolChoice: { type: "auto" } };
      // A session as it grows: the user first, then in turn.
      const roles = ["user", "assistant"];
      const turns = given.turns.filter((one) => {
        if (one.role !== roles[0]) return false;
        roles.reverse();
        return true;
      });
      for (let end = 1; end + 2 <= turns.length; end += 2) {
        const before = sent(auto, turns.slice(0, end));
        expect(sent(auto, turns.slice(0, end + 2)).slice(0, before.length)).toEqual(before);
      }
    }),
    { numRuns: 3_000 },
  );
});
