import type { ErrorObject } from "../openai-errors.ts";
import { sseEvent } from "../sse.ts";

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

export type ChatUsage = {
  /** The whole prompt, what came from the cache included. */
  prompt_tokens: number;
  /** Thinking included. */
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
};

export type FunctionCall = { name: string; arguments: string };

export type ToolCall =
  | { id: string; type: "function"; function: FunctionCall }
  | { id: string; type: "custom"; custom: { name: string; input: string } };

/** A reply's body. */
export type ChatCompletion = {
  id: string;
  object: "chat.completion";
  /** Seconds since the epoch. */
  created: number;
  /** The id that the client asked for. */
  model: string;
  choices: [{ index: 0; message: ChatMessage; logprobs: null; finish_reason: FinishReason }];
  usage?: ChatUsage;
};

export type ChatMessage = {
  role: "assistant";
  content: string;
  refusal: null;
  reasoning_content?: string;
  tool_calls?: ToolCall[];
  function_call?: FunctionCall;
};

/** The first of a call names it, the second has its input. */
export type ToolCallDelta =
  | (ToolCall & { index: number })
  | { index: number; function: { arguments: string } }
  | { index: number; custom: { input: string } };

export type Delta = {
  role?: "assistant";
  content?: string;
  reasoning_content?: string;
  tool_calls?: [ToolCallDelta];
  function_call?: FunctionCall | { arguments: string };
};

export type ChatChunk = {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  /** None in the chunk that has the usage. */
  choices: { index: 0; delta: Delta; finish_reason: FinishReason | null }[];
  usage?: ChatUsage;
};

export type ChatEvent = ChatChunk | { error: ErrorObject };

/** One event as server-sent-event text. */
export function frame(event: ChatEvent): string {
  return sseEvent(JSON.stringify(event));
}
