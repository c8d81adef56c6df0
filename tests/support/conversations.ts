import * as fc from "fast-check";
import type {
  AssistantPart,
  Conversation,
  Json,
  JsonObject,
  Tool,
  ToolResult,
  Turn,
  UserPart,
} from "../../src/conversation/conversation.ts";

/** A conversation with nothing in it but one prompt, and what a test sets. */
export function conversationOf(parts: Partial<Conversation> = {}): Conversation {
  return {
    model: "claude-sonnet-4-5-20250929",
    system: "",
    turns: [user("Hello")],
    tools: [],
    toolChoice: { type: "auto" },
    reasoning: { type: "unset" },
    output: { type: "text" },
    limits: { stopSequences: [], parallelToolCalls: true },
    notices: [],
    ...parts,
  };
}

export function user(...parts: (UserPart | string)[]): Turn {
  return { role: "user", parts: parts.map(asText) };
}

export function assistant(...parts: (AssistantPart | string)[]): Turn {
  return { role: "assistant", parts: parts.map(asText) };
}

function asText<Part>(part: Part | string): Part | { type: "text"; text: string } {
  return typeof part === "string" ? { type: "text", text: part } : part;
}

export function call(id: string, name: string, input: JsonObject = {}): AssistantPart {
  return { type: "tool-call", id, name, input };
}

export function result(
  callId: string,
  content: ToolResult["content"] | string,
  isError = false,
): ToolResult {
  return {
    type: "tool-result",
    callId,
    content: typeof content === "string" ? [{ type: "text", text: content }] : content,
    isError,
  };
}

export function tool(name: string, description = "A tool.", schema: JsonObject = {}): Tool {
  return { name, description, schema };
}

/** Freezes everything in it, so that a change of the input throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}

const LONG_NAME = `mcp__${"a-server-with-a-long-name__".repeat(3)}`;

/** Names that clients send, and some that none should. */
const toolName = fc.constantFrom(
  "Read",
  "read",
  "READ",
  "Write",
  "t_1",
  "a".repeat(63),
  "a".repeat(64),
  `${LONG_NAME}one`,
  `${LONG_NAME}two`,
  "mcp.server/tool",
  "mcp.server.tool",
  "mcp_server_tool",
  "1st",
  "_private",
  "werkzeug_für_日本",
  "\u212Aelvin",
  "\ud83d",
  "\udc00",
  "",
  "constructor",
  "__proto__",
);

const text = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom("fix the bug", "Grüße, 世界 🎉", "a\nb", "$& {name} {text}"),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom("", " \n\t", "half \ud83d pair", "<thinking>x</thinking>", "null"),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 8, unit: "binary" }) },
);

const callId = fc.constantFrom("a", "b", "c", "a-2", "", "toolu_01", "\ud800", "call");

const nastyInputs: JsonObject[] = [
  {},
  { path: "notes.txt" },
  { "": 1, a: { "": { b: null } } },
  { a: null, b: [null, 1, "", {}, []], c: [] },
  { "\ud800": "\udfff" },
  { n: Number.POSITIVE_INFINITY },
  { type: "object", $ref: "#" },
];

const json: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<Json[]>(null, true, 0, -1.5, 1e300, "", "x", "\ud83d", [], {}),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "", "__proto__", "$ref", "\udc00"), tie("json"), {
      maxKeys: 3,
    }),
  ),
})).json;

const bound = fc.constantFrom<Json[]>(
  0,
  1,
  -1.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 53),
  null,
  "1",
  true,
);
const ref = fc.constantFrom(
  "#",
  "#/$defs/a",
  "#/$defs/b",
  "#/$defs/none",
  "#/%",
  "http://x/y",
  "#a",
);

function keyword(key: string, value: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> {
  return value.map((chosen) => ({ [key]: chosen }));
}

/** JSON Schemas: most of them right, many of them hard, some of them none at all. */
export const schema: fc.Arbitrary<JsonObject> = fc.letrec<{ node: Json; object: JsonObject }>(
  (tie) => {
    const named = fc.dictionary(
      fc.constantFrom("a", "b", "$id", "default", "required", "", "__proto__", "\ud83d"),
      tie("node"),
      { maxKeys: 3 },
    );
    const list = fc.oneof(
      fc.array(tie("node"), { maxLength: 2 }),
      fc.constantFrom<Json[]>(null, {}),
    );
    const names = fc.constantFrom<Json[]>([], ["a"], ["a", "b", "a"], ["", 1], null, true);
    const keywords = fc.oneof(
      keyword(
        "type",
        fc.constantFrom<Json[]>("object", "string", "integer", ["integer", "null"], null, []),
      ),
      keyword("properties", fc.oneof(named, fc.constantFrom<Json[]>(null, [], "x"))),
      keyword("required", names),
      keyword("items", fc.oneof(tie("node"), list)),
      fc
        .tuple(fc.constantFrom("anyOf", "oneOf", "allOf", "prefixItems"), list)
        .map(([key, value]) => ({ [key]: value })),
      fc
        .tuple(fc.constantFrom("additionalProperties", "not", "if", "contains"), tie("node"))
        .map(([key, value]) => ({ [key]: value })),
      fc
        .tuple(
          fc.constantFrom(
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "maxLength",
          ),
          bound,
        )
        .map(([key, value]) => ({ [key]: value })),
      keyword("enum", fc.constantFrom<Json[]>(["x", "y"], [null], [], "x")),
      keyword("description", fc.constantFrom<Json[]>("What it is", "", "half \ud83d", null)),
      fc
        .tuple(
          fc.constantFrom("$schema", "$id", "$comment", "const", "default", "x-extra", ""),
          json,
        )
        .map(([key, value]) => ({ [key]: value })),
      keyword("$ref", ref),
      keyword("$defs", fc.record({ a: tie("node"), b: tie("node") })),
    );
    const node = fc
      .array(keywords, { minLength: 1, maxLength: 7, size: "large" })
      .map((parts): JsonObject => Object.assign({}, ...parts));
    return {
      object: node,
      node: fc.oneof(
        { depthSize: "medium", maxDepth: 4 },
        fc.constantFrom<Json[]>({ type: "string" }, {}, true, false, null, { $ref: "#/$defs/a" }),
        tie("object"),
      ),
    };
  },
).object;

/** Cheap ones for conversations, where the schema is not the point. */
const someSchema = fc.constantFrom<JsonObject[]>(
  {},
  { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  { $schema: "x", type: ["object", "null"], properties: null, required: null },
  { type: "string", additionalProperties: false },
  {
    oneOf: [{ properties: { a: { const: 1 } } }, { $ref: "#/$defs/b" }],
    $defs: { b: { properties: { a: { const: 2, default: null }, self: { $ref: "#" } } } },
  },
  {
    properties: {
      $id: { type: "integer", exclusiveMinimum: 0, maximum: 9_007_199_254_740_991 },
      default: { items: {}, enum: [null, "x"], additionalProperties: true },
    },
    required: [],
  },
);

const image = fc.constantFrom<UserPart & { type: "image" }>(
  { type: "image", format: "png", base64: "iVBORw0KGgo=" },
  { type: "image", format: "jpeg", base64: "/9j/4AAQ" },
);
const document = fc.constantFrom<UserPart & { type: "document" }>(
  { type: "document", name: "a.pdf", mediaType: "application/pdf", base64: "JVBERi0=" },
  { type: "document", name: "", mediaType: "__proto__", base64: "AAAA" },
);
const textPart = text.map((value) => ({ type: "text" as const, text: value }));

const userPart: fc.Arbitrary<UserPart> = fc.oneof(
  { weight: 4, arbitrary: textPart },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("tool-result" as const),
      callId,
      content: fc.array(
        fc.oneof(
          { weight: 4, arbitrary: textPart },
          { weight: 1, arbitrary: image },
          { weight: 1, arbitrary: document },
        ),
        { maxLength: 2 },
      ),
      isError: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: image },
  { weight: 1, arbitrary: document },
);

const assistantPart: fc.Arbitrary<AssistantPart> = fc.oneof(
  { weight: 4, arbitrary: textPart },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("tool-call" as const),
      id: callId,
      name: toolName,
      input: fc.constantFrom(...nastyInputs),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        type: fc.constant("reasoning" as const),
        text,
        signature: fc.constant("c2lnbmVk"),
      },
      { requiredKeys: ["type", "text"] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant({ type: "redacted-reasoning" as const, data: "cmVkYWN0ZWQ=" }),
  },
);

const anyTurn: fc.Arbitrary<Turn> = fc.oneof(
  fc.record({ role: fc.constant("user" as const), parts: fc.array(userPart, { maxLength: 4 }) }),
  fc.record({
    role: fc.constant("assistant" as const),
    parts: fc.array(assistantPart, { maxLength: 4 }),
  }),
);

const anyTool: fc.Arbitrary<Tool> = fc.record({
  name: toolName,
  description: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom("", "Reads a file.", "\ud83d") },
    { weight: 1, arbitrary: fc.constantFrom("x".repeat(9_300), "🎉".repeat(9_217)) },
  ),
  schema: someSchema,
});

const effort = fc.constantFrom("low" as const, "medium" as const, "xhigh" as const, "max" as const);

/**
 * Conversations as bad as histories get: orphans, duplicates, empty turns, prefill, images in results, tools left out,
 * odd names and ids, broken Unicode. Never a forced tool that is not there, and never without turns.
 *
 * Every text that is not blank ends in a mark of its own (`«7»`), so that a test can tell whether it got through.
 */
export const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    model: fc.constantFrom(
      "claude-sonnet-4-5-20250929",
      "claude-opus-4-6-thinking",
      "claude-opus-5",
      "gpt-5.6-sol",
      "glm-5",
    ),
    system: fc.constantFrom("", " ", "Be brief. «s»", "<thinking_mode>on</thinking_mode> «s»"),
    turns: fc.array(anyTurn, { minLength: 1, maxLength: 7 }),
    tools: fc.array(anyTool, { maxLength: 3 }),
    choice: fc.constantFrom("auto", "auto", "none", "any", "tool"),
    reasoning: fc.oneof(
      fc.constantFrom({ type: "unset" as const }, { type: "off" as const }),
      fc.record({ type: fc.constant("adaptive" as const), effort }, { requiredKeys: ["type"] }),
      fc.record({ type: fc.constant("budget" as const), tokens: fc.nat(70_000) }),
      fc.record({ type: fc.constant("unset" as const), effort }),
    ),
    output: fc.constantFrom(
      { type: "text" as const },
      { type: "json" as const },
      { type: "json" as const, schema: { type: "object" } },
    ),
  })
  .map(({ choice, ...parts }) => {
    const [first] = parts.tools;
    const type = choice === "tool" && first === undefined ? "auto" : choice;
    return conversationOf({
      ...parts,
      turns: markTexts(parts.turns),
      toolChoice:
        type === "tool" && first !== undefined
          ? { type: "tool", name: first.name }
          : { type: type === "none" || type === "any" ? type : "auto" },
    });
  });

function markTexts(turns: Turn[]): Turn[] {
  let count = 0;
  const mark = (value: string): string => (/\S/.test(value) ? `${value} «${count++}»` : value);
  return turns.map((turn): Turn => {
    if (turn.role === "assistant") {
      return {
        role: "assistant",
        parts: turn.parts.map((part) =>
          part.type === "text" || part.type === "reasoning"
            ? { ...part, text: mark(part.text) }
            : part,
        ),
      };
    }
    return {
      role: "user",
      parts: turn.parts.map((part): UserPart => {
        if (part.type === "text") return { ...part, text: mark(part.text) };
        if (part.type !== "tool-result") return part;
        return {
          ...part,
          content: part.content.map((piece) =>
            piece.type === "text" ? { ...piece, text: mark(piece.text) } : piece,
          ),
        };
      }),
    };
  });
}

/** The marks of the texts in a conversation, those of thinking left out on request. */
export function marksIn(
  turns: Turn[],
  reasoning: "with-reasoning" | "without-reasoning",
): string[] {
  const kept = reasoning === "with-reasoning" ? turns : turns.map(withoutReasoning);
  return JSON.stringify(kept).match(/«\d+»/g) ?? [];
}

function withoutReasoning(turn: Turn): Turn {
  return turn.role === "user"
    ? turn
    : { role: "assistant", parts: turn.parts.filter((part) => part.type !== "reasoning") };
}
