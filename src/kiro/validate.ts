import type { Json, JsonObject } from "../conversation/conversation.ts";
import type { KiroBody, KiroMessage, KiroTool, KiroUserMessage } from "./body.ts";
import { isBlank, isObject } from "./document.ts";
import type { UpstreamProfile } from "./profile.ts";

/** A thing in a body to which the service objects, or may object. */
export type Violation = {
  /** A stable word in kebab-case, for logs. */
  rule: string;
  /** Where it is in the body, by positions and the names of members: no prompt text. */
  path: string;
  problem: string;
  /** False where sources disagree on whether the service takes it. */
  certain: boolean;
};

const TOOL_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const BOUND_MAX = 2 ** 31 - 1;

/** Keywords whose value is a schema, a list of them, or schemas by name. */
const INNER = new Set(
  "items prefixItems contains additionalProperties additionalItems unevaluatedItems unevaluatedProperties propertyNames not if then else anyOf oneOf allOf".split(
    " ",
  ),
);
const NAMED = new Set(["properties", "patternProperties", "dependentSchemas"]);
const BOUNDS = new Set(
  "minimum maximum minLength maxLength minItems maxItems minProperties maxProperties".split(" "),
);

/**
 * What the service would answer "Improperly formed request" to, which names no cause. The rules are those that the
 * converter keeps, checked on its result: whatever is found is a fault of the gateway's. What is not certain is listed
 * behind, for a request that was refused although nothing is wrong with it as far as anybody knows.
 */
export function validate(body: KiroBody, profile: UpstreamProfile): Violation[] {
  const found: Violation[] = [];
  const say = (rule: string, path: string, problem: string): void => {
    found.push({ rule, path, problem, certain: true });
  };
  const suspect = (rule: string, path: string, problem: string): void => {
    found.push({ rule, path, problem, certain: false });
  };
  const { conversationState: state } = body;
  if (!UUID.test(state.conversationId)) {
    say("conversation-id", "conversationId", "is no lower-case UUID");
  }
  checkValues(body, "body", say);

  const called = new Set<string>();
  let open: string[] = [];
  let expected: string = "user";
  let images = 0;

  const user = (message: KiroUserMessage, path: string): void => {
    const { content, images: pictures = [], documents = [] } = message;
    const { toolResults: results = [], tools } = message.userInputMessageContext ?? {};
    images += pictures.length;
    if (content === "" && results.length === 0) say("content-empty", `${path}.content`, "is empty");
    else if (isBlank(content)) suspect("content-blank", `${path}.content`, "has no text");
    if (tools !== undefined && path !== "currentMessage") {
      say("tools-in-history", path, "declares tools, which only the current message may");
    }
    for (const [kind, files] of Object.entries({ images: pictures, documents })) {
      for (const [index, { source }] of files.entries()) {
        if (BASE64.test(source.bytes) && source.bytes.length % 4 === 0) continue;
        say("file-bytes", `${path}.${kind}[${index}]`, "is no base64");
      }
    }
    const waiting = new Set(open);
    for (const [index, { toolUseId, content: blocks }] of results.entries()) {
      const at = `${path}.toolResults[${index}]`;
      if (!waiting.delete(toolUseId)) {
        say(
          open.includes(toolUseId) ? "result-twice" : "result-without-call",
          at,
          open.includes(toolUseId)
            ? "answers a call that is answered already"
            : "answers no call of the message right before it",
        );
      }
      if (blocks.length === 0 || blocks.some(({ text }) => text === "")) {
        say("content-empty", at, "has an empty text");
      }
    }
    if (waiting.size > 0) {
      say(
        "call-without-result",
        path,
        `lacks the results of ${waiting.size} calls right before it`,
      );
    }
    open = [];
  };

  const message = (one: KiroMessage, path: string): void => {
    const role = "userInputMessage" in one ? "user" : "assistant";
    if (role !== expected) say("roles-alternate", path, `is the ${role}'s, not the ${expected}'s`);
    expected = role === "user" ? "assistant" : "user";
    if ("userInputMessage" in one) return user(one.userInputMessage, path);
    const { content, toolUses = [], reasoningContent } = one.assistantResponseMessage;
    if (content === "") say("content-empty", `${path}.content`, "is empty");
    else if (isBlank(content)) suspect("content-blank", `${path}.content`, "has no text");
    if (reasoningContent !== undefined) {
      suspect("reasoning-in-history", path, "has a thinking block");
    }
    open = [];
    for (const [index, { toolUseId, name }] of toolUses.entries()) {
      const at = `${path}.toolUses[${index}]`;
      if (toolUseId === "" || open.includes(toolUseId)) {
        say("call-id", at, "has no id, or that of another call");
      }
      open.push(toolUseId);
      called.add(name);
    }
  };

  const { history = [] } = state;
  for (const [index, one] of history.entries()) message(one, `history[${index}]`);
  if (expected === "assistant")
    say("roles-alternate", "history", "does not end with the assistant");
  expected = "user";
  message(state.currentMessage, "currentMessage");
  if (images > profile.images.maxCount) {
    say("image-count", "body", `has ${images} images; ${profile.images.maxCount} are taken`);
  }

  const { tools = [] } = state.currentMessage.userInputMessage.userInputMessageContext ?? {};
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    checkTool(tool, `tools[${index}]`, profile, names, say, suspect);
  }
  for (const name of called) {
    if (!names.has(name.toLowerCase())) {
      say("tool-undeclared", "tools", `lack ${name}, which the history calls`);
    }
  }
  if (profile.cachePoints) suspect("cache-points", "body", "is marked for the prompt cache");
  if (body.additionalModelRequestFields !== undefined) {
    suspect("model-fields", "additionalModelRequestFields", "may not suit the model");
  }
  return found.toSorted((a, b) => Number(b.certain) - Number(a.certain));
}

type Say = (rule: string, path: string, problem: string) => void;

function checkTool(
  { toolSpecification: tool }: KiroTool,
  path: string,
  { tools: limits }: UpstreamProfile,
  names: Set<string>,
  say: Say,
  suspect: Say,
): void {
  const { name, description } = tool;
  const at = `${path} (${name.slice(0, 64)})`;
  if (!TOOL_NAME.test(name) || name.length > limits.nameMax) {
    say("tool-name", at, `has a name that is over ${limits.nameMax} characters or has bad ones`);
  }
  if (names.has(name.toLowerCase())) say("tool-twice", at, "is declared twice");
  names.add(name.toLowerCase());
  if (isBlank(description)) say("tool-description", at, "has no description");
  if (
    description.length > limits.descriptionMax &&
    Array.from(description).length > limits.descriptionMax
  ) {
    say("tool-description", at, `has a description of over ${limits.descriptionMax} characters`);
  }
  const schema = tool.inputSchema.json;
  if (schema["type"] !== "object" || !isObject(schema["properties"])) {
    say("schema-root", at, "has a schema that is not of the type object, with properties");
  }
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    if (Object.hasOwn(schema, key)) say("schema-root", at, `has ${key} at the root of its schema`);
  }
  checkSchema(schema, at, say, suspect);
}

function checkSchema(schema: JsonObject, path: string, say: Say, suspect: Say): void {
  const inner = (value: Json, at: string): void => {
    if (Array.isArray(value)) {
      for (const [index, one] of value.entries()) inner(one, `${at}[${index}]`);
    } else if (isObject(value)) checkSchema(value, at, say, suspect);
    else if (typeof value !== "boolean") say("schema-keyword", at, "is no schema");
  };
  for (const [key, value] of Object.entries(schema)) {
    const at = `${path}.${key}`;
    if (key.startsWith("$") || key === "definitions") say("schema-keyword", at, "is not taken");
    else if (key === "exclusiveMinimum" || key === "exclusiveMaximum") {
      say("schema-keyword", at, "is not taken");
    } else if (key === "required") {
      const isList = Array.isArray(value) && value.length > 0;
      if (!isList || !value.every((name) => typeof name === "string" && name !== "")) {
        say("schema-required", at, "is no list of names, or empty");
      }
    } else if (BOUNDS.has(key)) {
      if (typeof value !== "number" || Math.abs(value) > BOUND_MAX + 1 || value > BOUND_MAX) {
        say("schema-bound", at, "is no 32-bit number");
      }
    } else if (NAMED.has(key)) {
      if (!isObject(value)) say("schema-keyword", at, "is no object");
      else for (const [name, one] of Object.entries(value)) inner(one, `${at}.${name}`);
    } else if (INNER.has(key)) {
      if (key !== "items") suspect(`schema-${key}`, at, "is a keyword that sources disagree on");
      inner(value, at);
    }
  }
}

/** Nothing null, no empty key, no text that UTF-8 can't hold, at any depth. */
function checkValues(value: unknown, path: string, say: Say): void {
  if (value === null) say("value-null", path, "is null");
  else if (typeof value === "string") {
    if (!value.isWellFormed()) say("text-broken", path, "has half a surrogate pair");
  } else if (typeof value === "object") {
    for (const [key, member] of Object.entries(value)) {
      if (key === "") say("key-empty", path, "has an empty key");
      if (!key.isWellFormed()) say("text-broken", path, "has a key with half a surrogate pair");
      checkValues(member, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, say);
    }
  } else if (typeof value === "number" && !Number.isFinite(value)) {
    say("value-null", path, "is no finite number");
  }
}
