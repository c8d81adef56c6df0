import type {
  Json,
  JsonObject,
  Tool,
  ToolChoice,
  WebSearch,
} from "../../conversation/conversation.ts";
import type { Findings } from "../findings.ts";
import { isObject, isPresent, stringOf, textOf } from "../json.ts";

/** The tools of one request, while its messages are read: they may add and withdraw some. */
export type ToolTable = {
  declared: Map<string, Tool>;
  withdrawn: Set<string>;
  /** Names of what the client declared and nobody here can run. */
  dropped: Set<string>;
  /** The search of the web that the server is to run, by the tool that stands for it. */
  search?: { tool: Tool; search: WebSearch };
};

/** Claude Code's stand-in for the tools it has not shown yet; it forbids calling it. */
const PLACEHOLDER = "DeferredToolPlaceholder";

export function readTools(value: Json | undefined, findings: Findings): ToolTable {
  const table: ToolTable = { declared: new Map(), withdrawn: new Set(), dropped: new Set() };
  if (!isPresent(value)) return table;
  if (!Array.isArray(value)) {
    findings.refuse("tools", "Input should be a valid list");
    return table;
  }
  for (const [index, entry] of value.entries()) {
    if (!isObject(entry)) {
      findings.refuse(`tools.${index}`, "Input should be a valid dictionary");
      continue;
    }
    const { name } = entry;
    const tool = readTool(entry);
    if (tool !== undefined) {
      if (table.declared.has(tool.name)) findings.notice("duplicate-tool", tool.name);
      else declare(tool, entry, table, findings);
    } else if (isRunnable(entry) && name !== PLACEHOLDER) {
      const problem = name === undefined ? "Field required" : "Input should be a valid string";
      findings.refuse(`tools.${index}.${textOf(entry["type"]) ?? "custom"}.name`, problem);
    } else {
      findings.notice("dropped-tool", entry["type"] ?? name);
      if (typeof name === "string") table.dropped.add(name);
    }
  }
  return table;
}

/** Applies a `tool_addition` or `tool_removal` block of a system message. */
export function changeTools(block: JsonObject, table: ToolTable, findings: Findings): void {
  const { type, tool: change } = block;
  // The name of an MCP server's tool is that server's: it says nothing of the tools here.
  if (!isObject(change) || change["type"] === "mcp_tool_reference") {
    return findings.notice("ignored-tool-change");
  }
  const name = textOf(change["name"]);
  if (type === "tool_removal") {
    if (name !== undefined) table.withdrawn.add(name);
    return;
  }
  const { definition } = change;
  const added = isObject(definition) ? readTool(definition) : undefined;
  if (added !== undefined && isObject(definition)) declare(added, definition, table, findings);
  const offered = added?.name ?? name;
  if (offered === undefined) return findings.notice("ignored-tool-change");
  table.withdrawn.delete(offered);
}

/** The tools on offer when the messages are over, in the client's order. */
export function offeredTools(table: ToolTable): Tool[] {
  return Array.from(table.declared.values()).filter((tool) => !table.withdrawn.has(tool.name));
}

/** The search of the web, unless its tool was withdrawn or replaced. */
export function offeredSearch(table: ToolTable, tools: Tool[]): WebSearch | undefined {
  return table.search && tools.includes(table.search.tool) ? table.search.search : undefined;
}

function declare(tool: Tool, entry: JsonObject, table: ToolTable, findings: Findings): void {
  table.declared.set(tool.name, tool);
  if (!isWebSearch(entry)) return;
  const { max_uses: maxUses, user_location: location } = entry;
  const isCount = typeof maxUses === "number" && Number.isInteger(maxUses) && maxUses >= 0;
  if (isPresent(maxUses) && !isCount) findings.notice("ignored-max-uses");
  if (isPresent(location)) findings.notice("ignored-user-location");
  const search: WebSearch = {
    name: tool.name,
    ...(isCount && { maxUses }),
    allowedDomains: readDomains(entry["allowed_domains"]),
    blockedDomains: readDomains(entry["blocked_domains"]),
  };
  // The service searches everywhere: what lies elsewhere is taken out of what it finds.
  if (search.allowedDomains.length + search.blockedDomains.length > 0) {
    findings.notice("web-search-filtered-afterwards");
  }
  table.search = { tool, search };
}

function readDomains(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.flatMap((domain) => textOf(domain)?.trim() || []) : [];
}

/** The vendor's own search, of whatever version; a client's tool is one only by its name. */
function isWebSearch({ type }: JsonObject): boolean {
  return typeof type === "string" && /^web_search_\d/.test(type);
}

/** `tools` are those on offer. A choice among none, or of one that was dropped or withdrawn, becomes `auto`. */
export function readToolChoice(
  value: Json | undefined,
  table: ToolTable,
  tools: Tool[],
  findings: Findings,
): ToolChoice {
  const type = stringOf(isObject(value) ? value["type"] : (value ?? "auto"));
  const name = isObject(value) ? value["name"] : undefined;
  switch (type) {
    case "auto":
    case "none":
      return { type };
    case "any":
      if (tools.length > 0) return { type };
      break;
    case "tool":
      if (typeof name !== "string") {
        findings.refuse("tool_choice.tool.name", "Field required");
      } else if (tools.some((tool) => tool.name === name)) {
        return { type, name };
      } else if (!table.dropped.has(name) && !table.withdrawn.has(name)) {
        findings.refuse("tool_choice", `Tool '${name}' not found in provided tools`);
      }
      break;
  }
  findings.notice("ignored-tool-choice", type);
  return { type: "auto" };
}

/** It has a schema of its own, or is one of the vendor's with a schema known to the model: somebody here can run it. */
function isRunnable(entry: JsonObject): boolean {
  const { type } = entry;
  if (!isPresent(type) || type === "custom") return true;
  return isObject(entry["input_schema"]) || vendorTool(type) !== undefined;
}

/** Undefined for what can't be offered: a tool that nobody here can run, the placeholder, a tool without a name. */
function readTool(entry: JsonObject): Tool | undefined {
  const name = textOf(entry["name"]) ?? (isWebSearch(entry) ? "web_search" : undefined);
  if (name === undefined || name === PLACEHOLDER || !isRunnable(entry)) return undefined;
  const known = vendorTool(entry["type"]);
  const schema = entry["input_schema"];
  return {
    name,
    description: textOf(entry["description"]) ?? known?.description ?? "",
    schema: isObject(schema) ? schema : (known?.schema ?? objectSchema({}, [])),
  };
}

type VendorTool = { prefix: RegExp; description: string; schema: JsonObject };

function vendorTool(type: Json | undefined): VendorTool | undefined {
  if (typeof type !== "string") return undefined;
  return VENDOR_TOOLS.find((tool) => tool.prefix.test(type));
}

const text = { type: "string" };
const integer = { type: "integer" };
const pair = { type: "array", items: integer };
const edits = {
  path: text,
  file_text: text,
  old_str: text,
  new_str: text,
  insert_line: integer,
  insert_text: text,
  view_range: pair,
};

/** The vendor's models know these without a schema; others need one. The members are those of the SDK's types. */
const VENDOR_TOOLS: VendorTool[] = [
  {
    prefix: /^web_search_\d/,
    description:
      "Search the web. Gives titles, addresses and short extracts of the pages found for one query.",
    schema: objectSchema({ query: text }, ["query"]),
  },
  {
    prefix: /^bash_\d/,
    description: "Run a command in a persistent bash session; restart starts a new session.",
    schema: objectSchema({ command: text, restart: { type: "boolean" } }, []),
  },
  {
    prefix: /^text_editor_\d/,
    description: "View, create and edit text files.",
    schema: objectSchema(
      { command: oneOf("view", "create", "str_replace", "insert", "undo_edit"), ...edits },
      ["command", "path"],
    ),
  },
  {
    prefix: /^memory_\d/,
    description: "View and keep notes in files below /memories, which last between conversations.",
    schema: objectSchema(
      {
        command: oneOf("view", "create", "str_replace", "insert", "delete", "rename"),
        ...edits,
        old_path: text,
        new_path: text,
      },
      ["command"],
    ),
  },
  {
    prefix: /^computer_\d/,
    description: "Use a computer's screen, mouse and keyboard; coordinates are pixels [x, y].",
    schema: objectSchema(
      {
        action: text,
        coordinate: pair,
        start_coordinate: pair,
        region: pair,
        text,
        scroll_direction: oneOf("up", "down", "left", "right"),
        scroll_amount: integer,
        duration: { type: "number" },
      },
      ["action"],
    ),
  },
];

function objectSchema(properties: JsonObject, required: string[]): JsonObject {
  return { type: "object", properties, required };
}

function oneOf(...values: string[]): JsonObject {
  return { type: "string", enum: values };
}
