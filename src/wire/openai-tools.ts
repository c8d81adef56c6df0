import type { Json, JsonObject, Tool, ToolChoice } from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf, textOf } from "./json.ts";

/** The tools of one request, in the client's order. */
export type Tools = {
  offered: Map<string, Tool>;
  /** Names of custom tools: the client wants their one text back as it is, not as JSON. */
  custom: Set<string>;
  /** Names of what the client declared and nobody here can run. */
  dropped: Set<string>;
};

/**
 * The `tools` of Chat and of Responses, and Chat's old `functions`: with the vendor's wrapper or without, with
 * `parameters` or Anthropic's `input_schema`, because clients mix them. `path` leads to the list.
 */
export function readTools(value: Json | undefined, path: string, findings: Findings): Tools {
  const tools: Tools = { offered: new Map(), custom: new Set(), dropped: new Set() };
  if (!isPresent(value)) return tools;
  if (!Array.isArray(value)) {
    findings.refuse(path, "Invalid type: expected an array of objects");
    return tools;
  }
  for (const [index, entry] of value.entries()) {
    if (isObject(entry)) readTool(entry, `${path}.${index}`, tools, findings);
    else findings.refuse(`${path}.${index}`, "Invalid type: expected an object");
  }
  return tools;
}

function readTool(entry: JsonObject, path: string, tools: Tools, findings: Findings): void {
  const type = textOf(entry["type"]) ?? "function";
  const inner = entry[type];
  const body = isObject(inner) ? inner : entry;
  const schema = [body["parameters"], body["input_schema"]].find(isObject);
  const name = textOf(body["name"]);
  const isCustom = type === "custom" && schema === undefined;
  if (type !== "function" && !isCustom && (schema === undefined || name === undefined)) {
    findings.notice("dropped-tool", type);
    if (name !== undefined) tools.dropped.add(name);
    return;
  }
  if (name === undefined) {
    const at = body === entry ? path : `${path}.${type}`;
    findings.refuse(`${at}.name`, "Missing required parameter");
    return;
  }
  if (tools.offered.has(name)) {
    findings.notice("duplicate-tool", name);
    return;
  }
  const description = stringOf(body["description"]);
  if (isCustom) tools.custom.add(name);
  tools.offered.set(
    name,
    isCustom
      ? customTool(name, description, body["format"])
      : { name, description, schema: schema ?? { type: "object", properties: {} } },
  );
}

/** The member of a custom tool's input that holds its text. */
const TEXT = "input";

function customTool(name: string, description: string, format: Json | undefined): Tool {
  const nested = isObject(format) ? format["grammar"] : undefined;
  const grammar = isObject(nested) ? nested : isObject(format) ? format : {};
  const definition = textOf(grammar["definition"]);
  const rule =
    definition === undefined
      ? ""
      : `The ${TEXT} must follow this ${stringOf(grammar["syntax"])} grammar:\n${definition}`;
  return {
    name,
    description: [description, rule].filter((text) => text !== "").join("\n\n"),
    schema: { type: "object", properties: { [TEXT]: { type: "string" } }, required: [TEXT] },
  };
}

/** The input of a call to a custom tool, as the neutral form has it. */
export function customInput(text: string): JsonObject {
  return { [TEXT]: text };
}

/** The text that a custom tool was called with. `json` is the call's input, a JSON object. */
export function customText(json: string): string {
  const input: unknown = JSON.parse(json);
  const text = isObject(input) ? input[TEXT] : undefined;
  return typeof text === "string" ? text : json;
}

/**
 * A `tool_choice` in any of its forms: a word, an object of this vendor's (wrapped or flat) or of Anthropic's, the old
 * `function_call`. A list of allowed tools takes the others out of `tools`. A choice among none, or of a tool that was
 * dropped, becomes `auto`.
 */
export function readToolChoice(
  value: Json | undefined,
  path: string,
  tools: Tools,
  findings: Findings,
): ToolChoice {
  const choice = isObject(value) ? value : {};
  const type =
    textOf(isObject(value) ? value["type"] : value) ?? (isObject(value) ? "tool" : "auto");
  const inner = choice[type];
  const body = isObject(inner) ? inner : choice;
  switch (type) {
    case "auto":
    case "none":
      return { type };
    case "any":
    case "required":
      if (tools.offered.size > 0) return { type: "any" };
      break;
    case "tool":
    case "function":
    case "custom": {
      const name = textOf(body["name"]);
      if (name === undefined) {
        findings.refuse(`${path}.name`, "Missing required parameter");
      } else if (tools.offered.has(name)) {
        return { type: "tool", name };
      } else if (!tools.dropped.has(name)) {
        findings.refuse(path, `Tool '${name}' not found in provided tools`);
      }
      break;
    }
    case "allowed_tools": {
      const allowed = Array.isArray(body["tools"]) ? body["tools"] : [];
      const names = new Set(allowed.map(toolName));
      if (names.size === 0) break;
      tools.offered = new Map([...tools.offered].filter(([name]) => names.has(name)));
      return { type: body["mode"] === "required" && tools.offered.size > 0 ? "any" : "auto" };
    }
  }
  findings.notice("ignored-tool-choice", type);
  return { type: "auto" };
}

function toolName(entry: Json): string | undefined {
  if (!isObject(entry)) return textOf(entry);
  const inner = entry[stringOf(entry["type"])];
  return textOf(isObject(inner) ? inner["name"] : entry["name"]);
}
