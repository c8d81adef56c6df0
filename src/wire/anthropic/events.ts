import type { JsonObject } from "../../conversation/conversation.ts";
import { sseEvent } from "../sse.ts";
import type { ErrorObject } from "./errors.ts";

/** A reply's body. Without `citations` and `caller`: the AI SDK takes neither as null. */
export type Message = {
  id: string;
  type: "message";
  role: "assistant";
  /** The id that the client asked for. */
  model: string;
  content: Block[];
  stop_reason: string | null;
  stop_sequence: string | null;
  usage: MessageUsage;
};

/** Totals, not increments. The three input counts are disjoint. */
export type MessageUsage = {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  /** In a reply with searches: those that were answered. */
  server_tool_use?: { web_search_requests: number; web_fetch_requests: number };
};

export type Block =
  | { type: "text"; text: string }
  /** `signature` is empty where the service gave none: clients want the key. */
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "redacted_thinking"; data: string }
  | { type: "tool_use"; id: string; name: string; input: JsonObject }
  | { type: "server_tool_use"; id: string; name: "web_search"; input: JsonObject }
  | {
      type: "web_search_tool_result";
      tool_use_id: string;
      content: SearchResult[] | { type: "web_search_tool_result_error"; error_code: string };
    };

/** Every member is there because the AI SDK wants it. */
export type SearchResult = {
  type: "web_search_result";
  title: string;
  url: string;
  encrypted_content: string;
  /** A date in words. */
  page_age: string | null;
};

export type Delta =
  | { type: "text_delta"; text: string }
  | { type: "thinking_delta"; thinking: string }
  | { type: "signature_delta"; signature: string }
  | { type: "input_json_delta"; partial_json: string };

/** The events of a Messages stream but for `ping`, which belongs to the connection and not to the reply. */
export type MessagesEvent =
  | { type: "message_start"; message: Message }
  | { type: "content_block_start"; index: number; content_block: Block }
  | { type: "content_block_delta"; index: number; delta: Delta }
  | { type: "content_block_stop"; index: number }
  | {
      type: "message_delta";
      delta: { stop_reason: string; stop_sequence: string | null };
      usage: MessageUsage;
    }
  | { type: "message_stop" }
  | { type: "error"; error: ErrorObject };

/** One event as server-sent-event text. */
export function frame(event: MessagesEvent): string {
  // Nearly all events of a reply are these two; only their text needs escaping.
  if (event.type === "content_block_delta") {
    const { index, delta } = event;
    if (delta.type === "text_delta") {
      return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":{"type":"text_delta","text":${JSON.stringify(delta.text)}}}\n\n`;
    }
    if (delta.type === "thinking_delta") {
      return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":{"type":"thinking_delta","thinking":${JSON.stringify(delta.thinking)}}}\n\n`;
    }
  }
  return sseEvent(JSON.stringify(event), event.type);
}
