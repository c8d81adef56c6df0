import type { AssistantPart, Conversation, Tool, UserPart } from "../conversation/conversation.ts";
import { schemaText } from "../conversation/schema-text.ts";
import { imageTokens } from "./image.ts";

/** What a prompt is made of: texts to be counted, and tokens for all that is not text. */
export type Segments = { texts: string[]; fixed: number };

/**
 * Longer texts are cut. A cut costs at most a token, and in exchange a text that only grew is counted from where it
 * grew, and nobody waits long for one count to finish.
 */
const SEGMENT_MAX = 8192;

/**
 * What the service wraps around the parts. The first four were measured against Anthropic's API by the makers of
 * ai-tokenizer (6 for a request, 3 for a message, 549 for one bare tool); the last two are a guess.
 */
const REQUEST = 6;
const MESSAGE = 3;
const TOOLS = 500;
const TOOL = 25;
const TOOL_CALL = 12;
const TOOL_RESULT = 12;

/** A page of a PDF is about 50 KB and 2,000 tokens; base64 has four characters for three bytes. */
const DOCUMENT_TOKENS_PER_CHARACTER = (2000 / 50_000) * (3 / 4);
/** Encrypted thinking is about as long as the thinking itself, at four bytes a token. */
const REDACTED_TOKENS_PER_CHARACTER = (1 / 4) * (3 / 4);

export function segmentsOf(conversation: Conversation): Segments {
  const { system, turns, tools, output } = conversation;
  const segments: Segments = { texts: [], fixed: REQUEST };
  addText(segments, system);
  if (tools.length > 0) segments.fixed += TOOLS;
  for (const tool of tools) addTool(segments, tool);
  if (output.type === "json" && output.schema) addText(segments, JSON.stringify(output.schema));
  for (const turn of turns) {
    segments.fixed += MESSAGE;
    for (const part of turn.parts) addPart(segments, part);
  }
  return segments;
}

function addTool(segments: Segments, tool: Tool): void {
  segments.fixed += TOOL;
  addText(segments, `${tool.name}\n${tool.description}`);
  addText(segments, schemaText(tool));
}

function addPart(segments: Segments, part: UserPart | AssistantPart): void {
  switch (part.type) {
    case "text":
    case "reasoning":
      return addText(segments, part.text);
    case "redacted-reasoning":
      segments.fixed += part.data.length * REDACTED_TOKENS_PER_CHARACTER;
      return;
    case "image":
      segments.fixed += imageTokens(part);
      return;
    case "document":
      segments.fixed += part.base64.length * DOCUMENT_TOKENS_PER_CHARACTER;
      return addText(segments, part.name);
    case "tool-call":
      segments.fixed += TOOL_CALL;
      return addText(segments, `${part.name}\n${JSON.stringify(part.input)}`);
    case "tool-result":
      segments.fixed += TOOL_RESULT;
      for (const inner of part.content) addPart(segments, inner);
      return;
    default:
      return part satisfies never;
  }
}

function addText(segments: Segments, text: string): void {
  for (let at = 0; at < text.length; at += SEGMENT_MAX) {
    segments.texts.push(text.slice(at, at + SEGMENT_MAX));
  }
}
