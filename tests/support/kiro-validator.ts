/**
 * Says what the upstream would object to in a request body. Written from what is known of the service and from the
 * shapes in AWS's published client, and on purpose not from our converter: nothing of `src` is imported here.
 */

type Fields = Record<string, unknown>;
type Path = string;

const ORIGINS = ["AI_EDITOR", "CLI", "KIRO_CLI", "IDE", "CHATBOT"];
const TRIGGERS = ["MANUAL", "DIAGNOSTIC", "INLINE_CHAT"];
const TASKS = ["vibe", "spectask"];
const IMAGE_FORMATS = ["gif", "jpeg", "png", "webp"];
const DOCUMENT_FORMATS = ["csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"];
const EFFORTS = ["none", "low", "medium", "high", "xhigh", "max"];
const TOOL_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DESCRIPTION_MAX = 9_216;
const IMAGES_MAX = 10;

/** One sentence per violation, each with the path of what is wrong; empty for a body that is fine. */
export function validateKiroBody(body: unknown): string[] {
  const check = new Check();
  check.body(body);
  return check.violations;
}

class Check {
  readonly violations: string[] = [];
  #images = 0;
  #calledTools = new Set<string>();

  #say(path: Path, problem: string): void {
    this.violations.push(`${path}: ${problem}`);
  }

  body(body: unknown): void {
    this.#plain(body, "body", 0);
    const root = this.#fields(body, "body", {
      required: ["conversationState"],
      optional: ["profileArn", "additionalModelRequestFields"],
    });
    if (root === undefined) return;
    if ("profileArn" in root) this.#text(root["profileArn"], "profileArn");
    if ("additionalModelRequestFields" in root) {
      this.#modelFields(root["additionalModelRequestFields"], "additionalModelRequestFields");
    }
    const state = this.#fields(root["conversationState"], "conversationState", {
      required: ["currentMessage", "chatTriggerType", "conversationId"],
      optional: ["history", "agentContinuationId", "agentTaskType"],
    });
    if (state === undefined) return;
    this.#oneOf(state["chatTriggerType"], TRIGGERS, "chatTriggerType");
    if ("agentTaskType" in state) this.#oneOf(state["agentTaskType"], TASKS, "agentTaskType");
    for (const id of ["conversationId", "agentContinuationId"]) {
      if (id in state && !UUID.test(String(state[id]))) this.#say(id, "is no lower-case UUID");
    }
    const history = "history" in state ? this.#list(state["history"], "history") : [];
    this.#conversation(history, state["currentMessage"]);
  }

  /** Alternation, and the pairs of calls and results. */
  #conversation(history: unknown[], currentMessage: unknown): void {
    let open: string[] = [];
    let expected: "user" | "assistant" = "user";
    for (const [index, entry] of history.entries()) {
      const path = `history[${index}]`;
      const message = this.#message(entry, path);
      if (message === undefined) continue;
      if (message.role !== expected)
        this.#say(path, `is of the ${message.role}, not the ${expected}`);
      expected = message.role === "user" ? "assistant" : "user";
      open =
        message.role === "user"
          ? this.#user(message.fields, path, open, false)
          : this.#assistant(message.fields, path);
    }
    if (expected !== "user") this.#say("history", "does not end with the assistant");
    const current = this.#message(currentMessage, "currentMessage");
    if (current === undefined) return;
    if (current.role !== "user") this.#say("currentMessage", "is not the user's");
    else this.#user(current.fields, "currentMessage", open, true);
  }

  #message(
    entry: unknown,
    path: Path,
  ): { role: "user" | "assistant"; fields: unknown } | undefined {
    const union = this.#fields(entry, path, {
      required: [],
      optional: ["userInputMessage", "assistantResponseMessage"],
    });
    if (union === undefined) return undefined;
    const members = Object.keys(union);
    if (members.length !== 1) {
      this.#say(path, `is a union with ${members.length} members`);
      return undefined;
    }
    return "userInputMessage" in union
      ? { role: "user", fields: union["userInputMessage"] }
      : { role: "assistant", fields: union["assistantResponseMessage"] };
  }

  #user(value: unknown, path: Path, open: string[], isCurrent: boolean): string[] {
    const message = this.#fields(value, path, {
      required: ["content", "modelId", "origin"],
      optional: ["images", "documents", "cachePoint", "userInputMessageContext"],
    });
    if (message === undefined) return [];
    this.#text(message["modelId"], `${path}.modelId`);
    this.#cachePoint(message, path);
    this.#oneOf(message["origin"], ORIGINS, `${path}.origin`);
    if ("images" in message) this.#imageList(message["images"], `${path}.images`);
    if ("documents" in message) this.#documentList(message["documents"], `${path}.documents`);

    let results: unknown[] = [];
    let tools: unknown[] = [];
    if ("userInputMessageContext" in message) {
      const context = this.#fields(message["userInputMessageContext"], `${path}.context`, {
        required: [],
        optional: ["toolResults", "tools"],
      });
      if (context !== undefined && Object.keys(context).length === 0) {
        this.#say(`${path}.context`, "is empty");
      }
      if (context !== undefined && "toolResults" in context) {
        results = this.#list(context["toolResults"], `${path}.toolResults`);
      }
      if (context !== undefined && "tools" in context) {
        if (!isCurrent) this.#say(path, "declares tools, which only the current message may");
        tools = this.#list(context["tools"], `${path}.tools`);
      }
    }
    if (results.length > 0 && message["content"] === "") {
      // Two clients send this and are served.
    } else {
      this.#text(message["content"], `${path}.content`);
    }
    this.#results(results, `${path}.toolResults`, open);
    if (isCurrent) this.#tools(tools, `${path}.tools`);
    return [];
  }

  #results(results: unknown[], path: Path, open: string[]): void {
    const waiting = new Set(open);
    const seen = new Set<string>();
    for (const [index, entry] of results.entries()) {
      const at = `${path}[${index}]`;
      const result = this.#fields(entry, at, {
        required: ["toolUseId", "content", "status"],
        optional: [],
      });
      if (result === undefined) continue;
      this.#oneOf(result["status"], ["success", "error"], `${at}.status`);
      const id = this.#text(result["toolUseId"], `${at}.toolUseId`);
      if (seen.has(id)) this.#say(at, "answers a call a second time");
      else if (!waiting.delete(id)) this.#say(at, "answers no call of the message before");
      seen.add(id);
      for (const [position, block] of this.#list(result["content"], `${at}.content`).entries()) {
        const content = this.#fields(block, `${at}.content[${position}]`, {
          required: ["text"],
          optional: [],
        });
        if (content !== undefined) this.#text(content["text"], `${at}.content[${position}].text`);
      }
    }
    for (const id of waiting) this.#say(path, `lacks the result of the call ${id}`);
  }

  #assistant(value: unknown, path: Path): string[] {
    const message = this.#fields(value, path, {
      required: ["content"],
      optional: ["toolUses", "reasoningContent", "cachePoint"],
    });
    if (message === undefined) return [];
    this.#text(message["content"], `${path}.content`);
    this.#cachePoint(message, path);
    if ("reasoningContent" in message) {
      this.#reasoning(message["reasoningContent"], `${path}.reasoningContent`);
    }
    const ids: string[] = [];
    const uses = "toolUses" in message ? this.#list(message["toolUses"], `${path}.toolUses`) : [];
    for (const [index, entry] of uses.entries()) {
      const at = `${path}.toolUses[${index}]`;
      const use = this.#fields(entry, at, {
        required: ["toolUseId", "name", "input"],
        optional: [],
      });
      if (use === undefined) continue;
      const id = this.#text(use["toolUseId"], `${at}.toolUseId`);
      if (ids.includes(id)) this.#say(at, `uses the id ${id} a second time`);
      ids.push(id);
      const name = this.#text(use["name"], `${at}.name`);
      if (!TOOL_NAME.test(name)) this.#say(at, `has the bad tool name ${name}`);
      this.#calledTools.add(name);
      if (!isFields(use["input"])) this.#say(`${at}.input`, "is no object");
    }
    return ids;
  }

  #cachePoint(message: Fields, path: Path): void {
    if (!("cachePoint" in message)) return;
    const point = this.#fields(message["cachePoint"], path, { required: ["type"], optional: [] });
    this.#oneOf(point?.["type"], ["default"], `${path}.cachePoint`);
  }

  #reasoning(value: unknown, path: Path): void {
    const union = this.#fields(value, path, {
      required: [],
      optional: ["reasoningText", "redactedContent"],
    });
    if (union === undefined) return;
    if (Object.keys(union).length !== 1) this.#say(path, "is no union of one member");
    if ("redactedContent" in union) this.#text(union["redactedContent"], path);
    if ("reasoningText" in union) {
      const text = this.#fields(union["reasoningText"], path, {
        required: ["text", "signature"],
        optional: [],
      });
      if (text === undefined) return;
      // A thinking block whose text was withheld has a signature only.
      if (typeof text["text"] !== "string") this.#say(`${path}.text`, "is no string");
      this.#text(text["signature"], `${path}.signature`);
    }
  }

  #imageList(value: unknown, path: Path): void {
    for (const [index, entry] of this.#list(value, path).entries()) {
      this.#images++;
      if (this.#images === IMAGES_MAX + 1) this.#say(path, "is over the limit of ten images");
      const image = this.#fields(entry, `${path}[${index}]`, {
        required: ["format", "source"],
        optional: [],
      });
      if (image === undefined) continue;
      this.#oneOf(image["format"], IMAGE_FORMATS, `${path}[${index}].format`);
      this.#bytes(image["source"], `${path}[${index}].source`);
    }
  }

  #documentList(value: unknown, path: Path): void {
    for (const [index, entry] of this.#list(value, path).entries()) {
      const document = this.#fields(entry, `${path}[${index}]`, {
        required: ["name", "format", "source"],
        optional: [],
      });
      if (document === undefined) continue;
      this.#text(document["name"], `${path}[${index}].name`);
      this.#oneOf(document["format"], DOCUMENT_FORMATS, `${path}[${index}].format`);
      this.#bytes(document["source"], `${path}[${index}].source`);
    }
  }

  #bytes(value: unknown, path: Path): void {
    const source = this.#fields(value, path, { required: ["bytes"], optional: [] });
    if (source === undefined) return;
    const bytes = this.#text(source["bytes"], `${path}.bytes`);
    if (!BASE64.test(bytes)) this.#say(`${path}.bytes`, "is no base64");
  }

  #tools(tools: unknown[], path: Path): void {
    const names = new Set<string>();
    const lowerCased = new Set<string>();
    for (const [index, entry] of tools.entries()) {
      const at = `${path}[${index}]`;
      const tool = this.#fields(entry, at, { required: ["toolSpecification"], optional: [] });
      const specification = this.#fields(tool?.["toolSpecification"], at, {
        required: ["name", "description", "inputSchema"],
        optional: [],
      });
      if (specification === undefined) continue;
      const name = this.#text(specification["name"], `${at}.name`);
      if (!TOOL_NAME.test(name)) this.#say(at, `has the bad tool name ${name}`);
      if (lowerCased.has(name.toLowerCase())) this.#say(at, `declares ${name} a second time`);
      names.add(name);
      lowerCased.add(name.toLowerCase());
      const description = this.#text(specification["description"], `${at}.description`);
      if (!/\S/.test(description)) this.#say(at, "has a blank description");
      if (
        description.length > DESCRIPTION_MAX &&
        Array.from(description).length > DESCRIPTION_MAX
      ) {
        this.#say(at, "has too long a description");
      }
      const schema = this.#fields(specification["inputSchema"], `${at}.inputSchema`, {
        required: ["json"],
        optional: [],
      });
      if (schema !== undefined) this.#rootSchema(schema["json"], `${at}.json`);
    }
    for (const name of this.#calledTools) {
      if (!names.has(name)) this.#say(path, `lacks ${name}, which the history calls`);
    }
  }

  #rootSchema(value: unknown, path: Path): void {
    if (!isFields(value)) return this.#say(path, "is no object");
    if (value["type"] !== "object") this.#say(path, "is not of the type object");
    if (!isFields(value["properties"])) this.#say(path, "has no properties object");
    for (const key of ["oneOf", "anyOf", "allOf"]) {
      if (Object.hasOwn(value, key)) this.#say(path, `has ${key} at its root`);
    }
    this.#schema(value, path);
  }

  #schema(value: unknown, path: Path): void {
    if (!isFields(value)) return this.#say(path, "is no schema");
    for (const [key, member] of Object.entries(value)) {
      const at = `${path}.${key}`;
      if (key.startsWith("$") || key === "definitions") this.#say(at, "is not taken");
      switch (key) {
        case "properties":
        case "patternProperties":
        case "dependentSchemas":
          if (!isFields(member)) this.#say(at, "is no object");
          else
            for (const [name, schema] of Object.entries(member))
              this.#schema(schema, `${at}.${name}`);
          break;
        case "required":
          if (!Array.isArray(member) || member.length === 0) this.#say(at, "is empty or no list");
          else if (!member.every((name) => typeof name === "string" && name !== "")) {
            this.#say(at, "is no list of names");
          }
          break;
        case "anyOf":
        case "oneOf":
        case "allOf":
        case "prefixItems":
          for (const [index, schema] of this.#list(member, at).entries()) {
            this.#schema(schema, `${at}[${index}]`);
          }
          break;
        case "items":
          if (Array.isArray(member)) for (const schema of member) this.#schema(schema, at);
          else this.#schema(member, at);
          break;
        case "additionalProperties":
        case "additionalItems":
        case "unevaluatedItems":
        case "unevaluatedProperties":
        case "contains":
        case "propertyNames":
        case "not":
        case "if":
        case "then":
        case "else":
          this.#schema(member, at);
          break;
        case "type":
          if (typeof member !== "string" && !isNames(member)) this.#say(at, "is no type");
          break;
        case "exclusiveMinimum":
        case "exclusiveMaximum":
          this.#say(at, "is not taken");
          break;
        case "minimum":
        case "maximum":
        case "minLength":
        case "maxLength":
        case "minItems":
        case "maxItems":
        case "minProperties":
        case "maxProperties":
          if (typeof member !== "number" || member < -2147483648 || member > 2147483647) {
            this.#say(at, "is no 32-bit bound");
          }
          break;
        default:
      }
    }
  }

  #modelFields(value: unknown, path: Path): void {
    const fields = this.#fields(value, path, {
      required: [],
      optional: ["output_config", "reasoning"],
    });
    const [inner, ...more] = Object.values(fields ?? {});
    if (more.length > 0) this.#say(path, "mixes two kinds of models");
    const effort = this.#fields(inner, path, { required: ["effort"], optional: [] });
    this.#oneOf(effort?.["effort"], EFFORTS, `${path}.effort`);
  }

  /** Nothing null or undefined, no empty key, no text that UTF-8 can't hold, at any depth. */
  #plain(value: unknown, path: Path, depth: number): void {
    if (depth > 400) return this.#say("body", "is nested without end");
    if (typeof value === "string") {
      if (!value.isWellFormed()) this.#say(path, "holds half a surrogate pair");
    } else if (typeof value === "number") {
      if (!Number.isFinite(value)) this.#say(path, "is no finite number");
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries())
        this.#plain(item, `${path}[${index}]`, depth + 1);
    } else if (isFields(value)) {
      for (const [key, member] of Object.entries(value)) {
        if (key === "") this.#say(path, "has an empty key");
        if (!key.isWellFormed()) this.#say(path, "has a key with half a surrogate pair");
        this.#plain(member, `${path}.${key}`, depth + 1);
      }
    } else if (typeof value !== "boolean") {
      this.#say(path, `is ${value === null ? "null" : typeof value}`);
    }
  }

  #fields(
    value: unknown,
    path: Path,
    names: { required: string[]; optional: string[] },
  ): Fields | undefined {
    if (!isFields(value)) {
      this.#say(path, "is no object");
      return undefined;
    }
    for (const name of names.required) {
      if (!Object.hasOwn(value, name)) this.#say(path, `lacks ${name}`);
    }
    for (const name of Object.keys(value)) {
      if (!names.required.includes(name) && !names.optional.includes(name)) {
        this.#say(path, `has the unknown member ${name}`);
      }
    }
    return value;
  }

  #list(value: unknown, path: Path): unknown[] {
    if (Array.isArray(value) && value.length > 0) return value;
    this.#say(path, "is empty or no list");
    return [];
  }

  #text(value: unknown, path: Path): string {
    if (typeof value === "string" && value !== "") return value;
    this.#say(path, "is empty or no text");
    return "";
  }

  #oneOf(value: unknown, allowed: string[], path: Path): void {
    if (typeof value !== "string" || !allowed.includes(value)) {
      this.#say(path, `is none of ${allowed.join(", ")}`);
    }
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNames(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string")
  );
}
