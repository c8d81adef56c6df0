import type {
  AssistantPart,
  Document,
  Image,
  Json,
  JsonObject,
  Text,
  UserPart,
} from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf, textOf } from "./json.ts";
import { documentParts, fileParts, imageParts, imageUrlParts } from "./media.ts";

/**
 * The content of messages. The blocks of both vendors are understood on every wire, because clients mix them: Cursor
 * puts Anthropic's into chat messages.
 */

/** The blocks of a `content`, which may also be a string, one bare block, null or absent. */
export function blocksOf(content: Json | undefined): Json[] {
  if (!isPresent(content)) return [];
  return Array.isArray(content) ? content : [content];
}

/** A user message's content. `path` leads to the content, as in `messages.0.content`. */
export function userParts(content: Json | undefined, path: string, findings: Findings): UserPart[] {
  return blocksOf(content).flatMap((block, index): UserPart[] => {
    if (!isObject(block) || block["type"] !== "tool_result") {
      return contentParts(block, `${path}.${index}`, findings);
    }
    const { tool_use_id: id, content: said, is_error: isError } = block;
    const inner = `${path}.${index}.tool_result.content`;
    return toolResult(id, said, isError === true, inner, findings);
  });
}

/** A result for the call `id`; what names no call is kept as content of its own. `path` leads to the content. */
export function toolResult(
  id: Json | undefined,
  content: Json | undefined,
  isError: boolean,
  path: string,
  findings: Findings,
): UserPart[] {
  const parts = blocksOf(content).flatMap((inner, index) =>
    contentParts(inner, `${path}.${index}`, findings),
  );
  const callId = textOf(id);
  if (callId === undefined) {
    findings.notice("tool-result-without-id");
    return parts;
  }
  return [{ type: "tool-result", callId, content: parts, isError }];
}

/** An assistant message's content. `path` leads to the content. */
export function assistantParts(
  content: Json | undefined,
  path: string,
  findings: Findings,
): AssistantPart[] {
  return blocksOf(content).flatMap((block, index): AssistantPart[] => {
    const kind = isObject(block) ? block["type"] : undefined;
    if (isObject(block)) {
      if (kind === "tool_use") return toolCall(block, findings);
      if (kind === "thinking") return reasoning(block, findings);
      if (kind === "redacted_thinking") return redactedReasoning(block, findings);
    }
    return contentParts(block, `${path}.${index}`, findings).map((part): Text => {
      if (part.type === "text") return part;
      findings.notice("block-as-text", part.type);
      return { type: "text", text: `[${part.type}]` };
    });
  });
}

function toolCall(block: JsonObject, findings: Findings): AssistantPart[] {
  const id = textOf(block["id"]);
  const name = textOf(block["name"]);
  if (id === undefined || name === undefined) return [noteOf(block, findings)];
  return [{ type: "tool-call", id, name, input: toolInput(block["input"], findings) }];
}

/** Where Claude Code puts arguments that it could not parse. */
const UNPARSED = "__unparsedToolInput";

/** Real histories hold inputs as JSON text, as null and wrapped; whatever there is stays readable for the model. */
export function toolInput(input: Json | undefined, findings: Findings): JsonObject {
  const unparsed = isObject(input) && UNPARSED in input && Object.keys(input).length === 1;
  if (isObject(input) && !unparsed) return input;
  findings.notice("tool-input-repaired");
  const value = isObject(input) ? input[UNPARSED] : input;
  if (isObject(value)) return value;
  if (!isPresent(value) || value === "") return {};
  const parsed = typeof value === "string" ? parsedJson(value) : undefined;
  return isObject(parsed) ? parsed : { input: value };
}

export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON: the caller keeps the text as it is.
  }
}

function reasoning(block: JsonObject, findings: Findings): AssistantPart[] {
  const text = stringOf(block["thinking"]);
  const signature = textOf(block["signature"]);
  if (signature !== undefined) return [{ type: "reasoning", text, signature }];
  if (text !== "") return [{ type: "reasoning", text }];
  findings.notice("empty-block", "thinking");
  return [];
}

function redactedReasoning(block: JsonObject, findings: Findings): AssistantPart[] {
  const data = textOf(block["data"]);
  if (data !== undefined) return [{ type: "redacted-reasoning", data }];
  findings.notice("empty-block", "redacted_thinking");
  return [];
}

/** A block that may stand in any role and inside a tool result. `path` leads to the block. */
function contentParts(block: Json, path: string, findings: Findings): (Text | Image | Document)[] {
  if (typeof block === "string") return textParts(block, findings);
  if (!isObject(block)) {
    findings.notice("unknown-block");
    return readable(block).map((text) => ({ type: "text", text }));
  }
  switch (stringOf(block["type"])) {
    case "text":
    case "input_text":
    case "output_text":
      return textParts(block["text"], findings);
    case "refusal":
      return textParts(block["refusal"], findings);
    case "image_url":
      return imageUrlParts(block["image_url"], `${path}.image_url`, findings);
    case "input_image":
      return isPresent(block["image_url"])
        ? imageUrlParts(block["image_url"], `${path}.image_url`, findings)
        : fileParts(block, path, findings);
    case "file":
      return fileParts(block["file"], `${path}.file`, findings);
    case "input_file":
      return fileParts(block, path, findings);
    case "image":
      return imageParts(block["source"], `${path}.image.source`, findings);
    case "document":
      return documentParts(block, `${path}.document`, findings);
    // The client's own summary of what it has cut off: it reads like any other text.
    case "compaction":
      return textParts(block["content"], findings);
    case "tool_reference": {
      const name = textOf(block["tool_name"]);
      if (name !== undefined) return [{ type: "text", text: `The tool ${name} is now available.` }];
      break;
    }
    case "":
      if (textOf(block["text"]) !== undefined) return textParts(block["text"], findings);
      break;
  }
  return [noteOf(block, findings)];
}

function textParts(value: Json | undefined, findings: Findings): Text[] {
  const text = textOf(value);
  if (text !== undefined) return [{ type: "text", text }];
  findings.notice("empty-block", "text");
  return [];
}

/** What stands for a block that the neutral form has no place for: its type, and what a person could read of it. */
export function noteOf(block: JsonObject, findings: Findings): Text {
  const type = textOf(block["type"]) ?? "unknown";
  findings.notice("block-as-text", type);
  return { type: "text", text: [`[${type}]`, ...readable(block)].join("\n") };
}

/** The members of foreign blocks that hold words; ids, encrypted parts and bytes are not among them. */
const READABLE = (
  "name tool_name mcp_server_name title url source page_age input arguments action query command code path " +
  "text content lines stdout stderr output error_code description tool_references tools tabs"
).split(" ");
const DEPTH_MAX = 8;

/**
 * What `encrypted_content` of our own search results begins with, to be told from the vendor's, which nobody can read.
 * Clients send it back with the history, so the model sees what it found earlier.
 */
export const SNIPPET_MARK = "kiro-proxy:";

function readable(value: Json | undefined, depth = 0): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  if (typeof value === "number") return [String(value)];
  if (depth === DEPTH_MAX) return [];
  if (Array.isArray(value)) return value.flatMap((item) => readable(item, depth + 1));
  if (!isObject(value)) return [];
  const words = READABLE.flatMap((key) => readable(value[key], depth + 1));
  const snippet = stringOf(value["encrypted_content"]);
  if (snippet.startsWith(SNIPPET_MARK)) words.push(...readable(snippet.slice(SNIPPET_MARK.length)));
  // A plain-text source; in the others `data` is base64.
  return value["type"] === "text" ? [...words, ...readable(value["data"], depth + 1)] : words;
}
