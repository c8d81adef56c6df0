import { expect, test } from "bun:test";
import { validateKiroBody } from "./kiro-validator.ts";

/** A whole exchange with everything in it, as AWS's client would send it. */
function goodBody() {
  return {
    conversationState: {
      conversationId: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80",
      agentContinuationId: "1e0d2c3b-4a59-4687-8f7e-6d5c4b3a2910",
      agentTaskType: "vibe",
      chatTriggerType: "MANUAL",
      history: [
        { userInputMessage: { content: "What?", modelId: "m", origin: "AI_EDITOR" } },
        {
          assistantResponseMessage: {
            content: " ",
            reasoningContent: { reasoningText: { text: "", signature: "c2ln" } },
            toolUses: [{ toolUseId: "a", name: "read", input: { list: [], none: {} } }],
          },
        },
      ],
      currentMessage: {
        userInputMessage: {
          content: "",
          modelId: "m",
          origin: "AI_EDITOR",
          images: [{ format: "png", source: { bytes: "AAAA" } }],
          userInputMessageContext: {
            toolResults: [{ toolUseId: "a", content: [{ text: "x" }], status: "success" }],
            tools: [
              {
                toolSpecification: {
                  name: "read",
                  description: "Reads.",
                  inputSchema: { json: { type: "object", properties: { $id: {} } } },
                },
              },
            ],
          },
        },
      },
    },
    profileArn: "arn",
    additionalModelRequestFields: { output_config: { effort: "high" } },
  };
}

test("a good body has no violation", () => {
  expect(validateKiroBody(goodBody())).toEqual([]);
});

const REMOVED = Symbol("removed");
const STATE = "conversationState";
const USER = `${STATE}.history.0.userInputMessage`;
const ASSISTANT = `${STATE}.history.1.assistantResponseMessage`;
const CURRENT = `${STATE}.currentMessage.userInputMessage`;
const RESULTS = `${CURRENT}.userInputMessageContext.toolResults`;
const TOOLS = `${CURRENT}.userInputMessageContext.tools`;
const SPEC = `${TOOLS}.0.toolSpecification`;
const SCHEMA = `${SPEC}.inputSchema.json`;

const userMessage = { userInputMessage: { content: "x", modelId: "m", origin: "AI_EDITOR" } };
const image = { format: "png", source: { bytes: "AAAA" } };
const use = { toolUseId: "a", name: "read", input: {} };
const toolNamed = (name: string) => ({
  toolSpecification: {
    name,
    description: "x",
    inputSchema: { json: { type: "object", properties: {} } },
  },
});

/** What is wrong, where, and the value that makes it so. */
const faults: [string, string, unknown][] = [
  ["an unknown root member", "inferenceConfig", {}],
  ["an unknown trigger", `${STATE}.chatTriggerType`, "AUTO"],
  ["an id that is no UUID", `${STATE}.conversationId`, "conv-1"],
  ["an empty history", `${STATE}.history`, []],
  ["no history where there are results", `${STATE}.history`, REMOVED],
  [
    "a history that the assistant begins",
    `${STATE}.history.0`,
    { assistantResponseMessage: { content: "x" } },
  ],
  ["a history that the user ends", `${STATE}.history.2`, userMessage],
  ["two members in a message", `${STATE}.history.0.assistantResponseMessage`, { content: "x" }],
  [
    "a current message of the assistant",
    `${STATE}.currentMessage`,
    { assistantResponseMessage: { content: "x" } },
  ],
  ["no model", `${USER}.modelId`, REMOVED],
  ["no origin", `${CURRENT}.origin`, REMOVED],
  ["an unknown origin", `${CURRENT}.origin`, "KIRO_IDE"],
  ["empty content of the user", `${USER}.content`, ""],
  ["empty content of the assistant", `${ASSISTANT}.content`, ""],
  ["an empty list", `${CURRENT}.images`, []],
  ["an empty context", `${USER}.userInputMessageContext`, {}],
  ["eleven images", `${CURRENT}.images`, Array.from({ length: 11 }, () => image)],
  ["an unknown image format", `${CURRENT}.images.0.format`, "jpg"],
  ["a data URL", `${CURRENT}.images.0.source.bytes`, "data:image/png;base64,AAAA"],
  ["tools in the history", `${USER}.userInputMessageContext`, { tools: [toolNamed("read")] }],
  ["a call without a result", RESULTS, REMOVED],
  ["a result without a call", `${RESULTS}.0.toolUseId`, "b"],
  [
    "two results of one call",
    `${RESULTS}.1`,
    { toolUseId: "a", content: [{ text: "x" }], status: "error" },
  ],
  ["a result without text", `${RESULTS}.0.content.0.text`, ""],
  ["a result without a status", `${RESULTS}.0.status`, REMOVED],
  ["a result with isError", `${RESULTS}.0.isError`, true],
  ["two calls of one id", `${ASSISTANT}.toolUses.1`, use],
  ["an input that is no object", `${ASSISTANT}.toolUses.0.input`, "{}"],
  ["an empty key in an input", `${ASSISTANT}.toolUses.0.input`, { a: { "": 1 } }],
  ["a null in an input", `${ASSISTANT}.toolUses.0.input`, { a: [null] }],
  ["a member that is undefined", `${CURRENT}.documents`, undefined],
  ["half a surrogate pair", `${CURRENT}.content`, "\ud800"],
  ["both kinds of reasoning", `${ASSISTANT}.reasoningContent.redactedContent`, "AAAA"],
  [
    "reasoning without a signature",
    `${ASSISTANT}.reasoningContent.reasoningText.signature`,
    REMOVED,
  ],
  ["a called tool that is not declared", `${SPEC}.name`, "write"],
  ["a tool name of 64 characters", `${SPEC}.name`, "a".repeat(64)],
  ["a tool name with a dot", `${SPEC}.name`, "a.b"],
  ["a tool name that begins with a digit", `${SPEC}.name`, "1a"],
  ["tool names that differ in case only", `${TOOLS}.1`, toolNamed("READ")],
  ["a blank description", `${SPEC}.description`, " "],
  ["a description over the limit", `${SPEC}.description`, "🎉".repeat(9_217)],
  ["a schema that is no object", `${SCHEMA}.type`, "string"],
  ["a schema without properties", `${SCHEMA}.properties`, REMOVED],
  ["a root combinator", `${SCHEMA}.anyOf`, [{}]],
  ["an empty required list", `${SCHEMA}.required`, []],
  ["a nested $ref", `${SCHEMA}.properties.a`, { items: { $ref: "#" } }],
  ["a nested exclusive bound", `${SCHEMA}.properties.a`, { anyOf: [{ exclusiveMinimum: 0 }] }],
  ["a bound beyond 32 bits", `${SCHEMA}.properties.a`, { maximum: 2 ** 31 }],
  ["a boolean schema", `${SCHEMA}.additionalProperties`, false],
  ["an unknown effort", "additionalModelRequestFields.output_config.effort", "x"],
];

function change(body: object, path: string, value: unknown): void {
  const steps = path.split(".");
  const last = steps.pop() ?? "";
  let at: object = body;
  for (const step of steps) at = Reflect.get(at, step);
  if (value === REMOVED) Reflect.deleteProperty(at, last);
  else Reflect.set(at, last, value);
}

test.each(faults)("finds %s", (_name, path, value) => {
  const body = goodBody();
  change(body, path, value);
  expect(validateKiroBody(body)).not.toEqual([]);
});

test.each([[null], [[]], ["x"], [{}], [{ conversationState: { history: {}, currentMessage: 1 } }]])(
  "takes no junk: %j",
  (junk) => {
    expect(validateKiroBody(junk)).not.toEqual([]);
  },
);
