import type { ReplyEvent, StopReason } from "../../conversation/reply.ts";
import { errorObject } from "../openai-errors.ts";
import { customText } from "../openai-tools.ts";
import { UsageTally } from "../usage.ts";
import type { Encoder, ReplyHead } from "../wire.ts";
import type {
  ChatChunk,
  ChatCompletion,
  ChatEvent,
  ChatMessage,
  ChatUsage,
  Delta,
  FinishReason,
  ToolCall,
  ToolCallDelta,
} from "./events.ts";
import type { ReplyForm } from "./request.ts";

const FINISH_REASONS = {
  "end-turn": "stop",
  "stop-sequence": "stop",
  "tool-use": "tool_calls",
  "max-tokens": "length",
  "context-window": "length",
  refusal: "content_filter",
} satisfies Record<StopReason, FinishReason>;

/**
 * Neutral events in, the chunks of one completion out. The first chunk waits for the first event that the client could
 * see, so that a reply which fails before it is a lone error. Signatures and encrypted thinking have no place here.
 */
export class ChatEncoder implements Encoder<ChatEvent> {
  readonly #form: ReplyForm;
  readonly #head: Omit<ChatChunk, "choices">;
  readonly #usage: UsageTally;
  #started = false;
  #ended = false;
  /** Of the calls so far. */
  #calls = 0;
  /** What the current push gives. */
  #out: ChatEvent[] = [];

  constructor(form: ReplyForm, head: ReplyHead) {
    this.#form = form;
    this.#head = {
      id: `chatcmpl-${head.id}`,
      object: "chat.completion.chunk",
      created: Math.floor(head.createdAt / 1000),
      model: form.model,
    };
    this.#usage = new UsageTally(head.inputTokens);
  }

  push(event: ReplyEvent): ChatEvent[] {
    this.#out = [];
    if (!this.#ended) this.#encode(event);
    return this.#out;
  }

  /** A comment: the SDKs take every event for a chunk. */
  heartbeat(): string {
    return ": keep-alive\n\n";
  }

  #encode(event: ReplyEvent): void {
    switch (event.type) {
      case "text":
        return this.#delta({ content: event.text });
      case "reasoning":
        if (this.#form.reasoning) this.#delta({ reasoning_content: event.text });
        return;
      case "reasoning-end":
      case "redacted-reasoning":
        return;
      case "tool-call":
        return this.#call(event);
      case "usage":
        return this.#usage.add(event);
      case "credits":
      // No request of this protocol is read as asking for a search.
      case "web-search":
      case "web-search-results":
        return;
      case "stop": {
        const reason = FINISH_REASONS[event.reason];
        this.#delta({}, this.#form.legacy && reason === "tool_calls" ? "function_call" : reason);
        if (this.#form.usage) this.#out.push({ ...this.#head, choices: [], usage: this.#total() });
        this.#ended = true;
        return;
      }
      case "failed":
        this.#out.push({ error: errorObject(event.failure, "messages") });
        this.#ended = true;
        return;
      default:
        return event satisfies never;
    }
  }

  #call({ id, name, json }: Extract<ReplyEvent, { type: "tool-call" }>): void {
    const index = this.#calls;
    this.#calls += 1;
    if (this.#form.legacy) {
      // The old form has room for one call; such a request lets the model make no more.
      if (index > 0) return;
      this.#delta({ function_call: { name, arguments: "" } });
      this.#delta({ function_call: { arguments: json } });
    } else if (this.#form.customTools.has(name)) {
      const input = customText(json);
      this.#delta({ tool_calls: [{ index, id, type: "custom", custom: { name, input: "" } }] });
      this.#delta({ tool_calls: [{ index, custom: { input } }] });
    } else {
      const call = { index, id, type: "function", function: { name, arguments: "" } } as const;
      this.#delta({ tool_calls: [call] });
      this.#delta({ tool_calls: [{ index, function: { arguments: json } }] });
    }
  }

  #delta(delta: Delta, finish: FinishReason | null = null): void {
    if (!this.#started) {
      this.#started = true;
      this.#delta({ role: "assistant", content: "" });
    }
    this.#out.push({ ...this.#head, choices: [{ index: 0, delta, finish_reason: finish }] });
  }

  #total(): ChatUsage {
    const usage = this.#usage.total;
    const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
    return {
      prompt_tokens: prompt,
      completion_tokens: usage.outputTokens,
      total_tokens: prompt + usage.outputTokens,
      prompt_tokens_details: { cached_tokens: usage.cacheReadTokens },
    };
  }
}

/** The body that the vendor's SDK makes of these events. They are a whole reply that did not fail, else it throws. */
export function fold(events: ChatEvent[]): ChatCompletion {
  const message: ChatMessage = { role: "assistant", content: "", refusal: null };
  let finish: FinishReason | undefined;
  let last: ChatChunk | undefined;
  for (const event of events) {
    if ("error" in event) throw new TypeError("a failed reply has no body");
    last = event;
    for (const { delta, finish_reason: reason } of event.choices) {
      extend(message, delta);
      finish = reason ?? finish;
    }
  }
  if (last === undefined || finish === undefined) throw new TypeError("a reply ends with a reason");
  const { choices: _, ...head } = last;
  return {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
  };
}

function extend(message: ChatMessage, delta: Delta): void {
  const { content, reasoning_content: reasoning, tool_calls: calls, function_call: call } = delta;
  if (content !== undefined) message.content += content;
  if (reasoning !== undefined) {
    message.reasoning_content = (message.reasoning_content ?? "") + reasoning;
  }
  for (const part of calls ?? []) extendCalls((message.tool_calls ??= []), part);
  if (call === undefined) return;
  if ("name" in call) message.function_call = { ...call };
  else if (message.function_call !== undefined) message.function_call.arguments += call.arguments;
}

function extendCalls(calls: ToolCall[], delta: ToolCallDelta): void {
  if ("id" in delta) {
    const { index, ...call } = delta;
    calls[index] = structuredClone(call);
    return;
  }
  const call = calls[delta.index];
  if ("function" in delta && call?.type === "function") {
    call.function.arguments += delta.function.arguments;
  } else if ("custom" in delta && call?.type === "custom") {
    call.custom.input += delta.custom.input;
  }
}
