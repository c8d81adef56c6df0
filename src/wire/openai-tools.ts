import type { Json, JsonObject, Tool, ToolChoice } from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf, textOf } from "./json.ts";

/** Of Responses' tools, which may be declared in groups: two tools of one name are two if their groups are. */
export type ClientName = { name: string; namespace?: string };

/** The tools of one request, in the client's order. Names are those that the tools are offered under. */
export type Tools = {
  offered: Map<string, Tool>;
  /** Of those that were ever offered: what the client calls them. */
  clientNames: Map<string, ClientName>;
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
  const tools: Tools = {
    offered: new Map(),
    clientNames: new Map(),
    custom: new Set(),
    dropped: new Set(),
  };
  addTools(value, path, tools, findings);
  return tools;
}

/** Adds a list of tools to those that there are. `group` is the namespace that the list belongs to. */
export function addTools(
  value: Json | undefined,
  path: string,
  tools: Tools,
  findings: Findings,
  group?: Group,
): void {
  if (!isPresent(value)) return;
  if (!Array.isArray(value)) {
    findings.refuse(path, "Invalid type: expected an array of objects");
    return;
  }
  for (const [index, entry] of value.entries()) {
    if (isObject(entry)) readTool(entry, `${path}.${index}`, tools, findings, group);
    else findings.refuse(`${path}.${index}`, "Invalid type: expected an object");
  }
}

type Group = { namespace: string; description: string };

function readTool(
  entry: JsonObject,
  path: string,
  tools: Tools,
  findings: Findings,
  group?: Group,
): void {
  const type = textOf(entry["type"]) ?? "function";
  if (type === "namespace" && group === undefined) {
    const namespace = textOf(entry["name"]);
    const { tools: inner } = entry;
    if (namespace !== undefined && Array.isArray(inner) && inner.length > 0) {
      const description = stringOf(entry["description"]);
      addTools(inner, `${path}.tools`, tools, findings, { namespace, description });
      return;
    }
  }
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
  const slot = slotOf(name, group?.namespace, tools);
  if (slot.taken) {
    findings.notice("duplicate-tool", name);
    return;
  }
  // The group's own description has no other place.
  const description = paragraphs(group?.description ?? "", stringOf(body["description"]));
  tools.clientNames.set(
    slot.name,
    group === undefined ? { name } : { name, namespace: group.namespace },
  );
  if (isCustom) tools.custom.add(slot.name);
  tools.offered.set(
    slot.name,
    isCustom
      ? customTool(slot.name, description, body["format"])
      : { name: slot.name, description, schema: schema ?? { type: "object", properties: {} } },
  );
}

function joinedName(name: string, namespace: string | undefined): string {
  return namespace === undefined ? name : `${namespace}__${name}`;
}

/** The name that a tool is offered under, or can be; joined names may meet those of other tools. */
function slotOf(
  name: string,
  namespace: string | undefined,
  tools: Tools,
): { name: string; taken: boolean } {
  for (let slot = joinedName(name, namespace); ; slot += "_") {
    const other = tools.clientNames.get(slot);
    if (other === undefined) return { name: slot, taken: false };
    if (other.name === name && other.namespace === namespace) return { name: slot, taken: true };
  }
}

/** The name that a tool is offered under; where it is not offered, the one that it would have on its own. */
export function offeredName(name: string, namespace: string | undefined, tools: Tools): string {
  const slot = slotOf(name, namespace, tools);
  return slot.taken ? slot.name : joinedName(name, namespace);
}

function paragraphs(...texts: string[]): string {
  return texts.filter((text) => text !== "").join("\n\n");
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
    description: paragraphs(description, rule),
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
      const offered = offeredName(name ?? "", textOf(body["namespace"]), tools);
      if (name === undefined) {
        findings.refuse(`${path}.name`, "Missing required parameter");
      } else if (tools.offered.has(offered)) {
        return { type: "tool", name: offered };
      } else if (!tools.dropped.has(name)) {
        findings.refuse(path, `Tool '${name}' not found in provided tools`);
      }
      break;
    }
    case "allowed_tools": {
      const allowed = Array.isArray(body["tools"]) ? body["tools"] : [];
      if (allowed.length === 0) break;
      const names = new Set(allowed.flatMap((entry) => namesOf(entry, tools)));
      tools.offered = new Map([...tools.offered].filter(([name]) => names.has(name)));
      return { type: body["mode"] === "required" && tools.offered.size > 0 ? "any" : "auto" };
    }
  }
  findings.notice("ignored-tool-choice", type);
  return { type: "auto" };
}

/** The names that an entry of a list of allowed tools is offered under: one, or those of a group. */
function namesOf(entry: Json, tools: Tools): string[] {
  if (!isObject(entry)) return [stringOf(entry)];
  const { type, namespace } = entry;
  const inner = entry[stringOf(type)];
  const name = stringOf(isObject(inner) ? inner["name"] : entry["name"]);
  if (type !== "namespace") return [offeredName(name, textOf(namespace), tools)];
  return [...tools.clientNames].flatMap(([offered, known]) =>
    known.namespace === name ? [offered] : [],
  );
}
