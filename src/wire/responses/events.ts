import type { Json } from "../../conversation/conversation.ts";
import { sseEvent } from "../sse.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export type TextPart = { type: "output_text"; text: string; annotations: []; logprobs: [] };

export type SummaryPart = { type: "summary_text"; text: string };

/** `id` is the item's own; clients answer a call by its `call_id`. */
export type OutputItem =
  | { id: string; type: "message"; role: "assistant"; status: ItemStatus; content: TextPart[] }
  | { id: string; type: "reasoning"; summary: SummaryPart[]; encrypted_content?: string }
  | {
      id: string;
      type: "function_call";
      call_id: string;
      name: string;
      /** Of the group that the tool was declared in; `name` is the one inside the group. */
      namespace?: string;
      arguments: string;
      status: ItemStatus;
    }
  | {
      id: string;
      type: "custom_tool_call";
      call_id: string;
      name: string;
      namespace?: string;
      input: string;
      status: ItemStatus;
    };

export type ResponseUsage = {
  /** The whole prompt, what came from the cache included. */
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  /** Thinking included. */
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
};

/** A reply's body, and the state of a reply in the events that are about the whole of it. */
export type ResponseObject = {
  id: string;
  object: "response";
  /** Seconds since the epoch. */
  created_at: number;
  status: "in_progress" | "completed" | "incomplete" | "failed";
  error: { code: string; message: string } | null;
  incomplete_details: { reason: "max_output_tokens" | "content_filter" } | null;
  instructions: null;
  metadata: Record<string, never>;
  /** The id that the client asked for. */
  model: string;
  output: OutputItem[];
  parallel_tool_calls: boolean;
  temperature: null;
  /** As the client said it. */
  tool_choice: Json;
  tools: [];
  top_p: null;
  usage: ResponseUsage | null;
};

type OfItem = { item_id: string; output_index: number };
type OfText = OfItem & { content_index: 0 };
type OfSummary = OfItem & { summary_index: 0 };

export type EventBody =
  | {
      type:
        | "response.created"
        | "response.in_progress"
        | "response.completed"
        | "response.incomplete"
        | "response.failed";
      response: ResponseObject;
    }
  | {
      type: "response.output_item.added" | "response.output_item.done";
      output_index: number;
      item: OutputItem;
    }
  | ({
      type: "response.content_part.added" | "response.content_part.done";
      part: TextPart;
    } & OfText)
  | ({ type: "response.output_text.delta"; delta: string; logprobs: [] } & OfText)
  | ({ type: "response.output_text.done"; text: string; logprobs: [] } & OfText)
  | ({
      type: "response.reasoning_summary_part.added" | "response.reasoning_summary_part.done";
      part: SummaryPart;
    } & OfSummary)
  | ({ type: "response.reasoning_summary_text.delta"; delta: string } & OfSummary)
  | ({ type: "response.reasoning_summary_text.done"; text: string } & OfSummary)
  | ({ type: "response.function_call_arguments.delta"; delta: string } & OfItem)
  | ({ type: "response.function_call_arguments.done"; name: string; arguments: string } & OfItem)
  | ({ type: "response.custom_tool_call_input.delta"; delta: string } & OfItem)
  | ({ type: "response.custom_tool_call_input.done"; input: string } & OfItem);

/** Numbers begin at zero and rise by one. */
export type ResponsesEvent = { sequence_number: number } & EventBody;

/** One event as server-sent-event text. */
export function frame(event: ResponsesEvent): string {
  // Nearly all events of a reply are these; only their text needs escaping.
  if (event.type === "response.output_text.delta") {
    const { sequence_number: number, item_id: id, output_index: index, delta } = event;
    return `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":${number},"item_id":"${id}","output_index":${index},"content_index":0,"delta":${JSON.stringify(delta)},"logprobs":[]}\n\n`;
  }
  return sseEvent(JSON.stringify(event), event.type);
}
