import type { RedactedReasoning, Reasoning } from "../../conversation/conversation.ts";
import type { Failure } from "../../conversation/failure.ts";
import type { ReplyEvent, StopReason } from "../../conversation/reply.ts";
import { errorObject } from "../openai-errors.ts";
import { sealedReasoning } from "../openai-reasoning.ts";
import { customText } from "../openai-tools.ts";
import { UsageTally } from "../usage.ts";
import type { Encoder, ReplyHead } from "../wire.ts";
import {
  type EventBody,
  frame,
  type ItemStatus,
  type OutputItem,
  type ResponseObject,
  type ResponsesEvent,
  type ResponseUsage,
  type TextPart,
} from "./events.ts";
import type { ReplyForm } from "./request.ts";

type Ending = Pick<ResponseObject, "incomplete_details"> & { status: "completed" | "incomplete" };

const whole: Ending = { status: "completed", incomplete_details: null };
const cut: Ending = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };

const ENDINGS = {
  "end-turn": whole,
  "tool-use": whole,
  "stop-sequence": whole,
  "max-tokens": cut,
  "context-window": cut,
  refusal: { status: "incomplete", incomplete_details: { reason: "content_filter" } },
} satisfies Record<StopReason, Ending>;

/** The item that takes text. One of thinking which is not shown is sent when it has ended. */
type Open = { type: "message" | "reasoning"; id: string; text: string };

/**
 * Neutral events in, the events of one Responses stream out. It begins with the first event that the client could see,
 * or with the first heartbeat.
 */
export class ResponsesEncoder implements Encoder<ResponsesEvent> {
  readonly #form: ReplyForm;
  readonly #head: ReplyHead;
  readonly #tally: UsageTally;
  #started = false;
  #ended = false;
  #sequence = 0;
  /** The items that are done; the next one's index is their number. */
  readonly #output: OutputItem[] = [];
  #open: Open | undefined;
  /** What the current push gives. */
  #out: ResponsesEvent[] = [];

  constructor(form: ReplyForm, head: ReplyHead) {
    this.#form = form;
    this.#head = head;
    this.#tally = new UsageTally(head.inputTokens);
  }

  push(event: ReplyEvent): ResponsesEvent[] {
    this.#out = [];
    if (!this.#ended) this.#encode(event);
    return this.#out;
  }

  /** An event, because Codex's idle timer does not count comments; one of the first two, because SDKs know no other. */
  heartbeat(): string {
    this.#out = [];
    if (!this.#started) this.#start();
    else if (!this.#ended) this.#whole("response.in_progress", { status: "in_progress" });
    return this.#out.map(frame).join("");
  }

  #encode(event: ReplyEvent): void {
    switch (event.type) {
      case "text": {
        const open = this.#open?.type === "message" ? this.#open : this.#beginMessage();
        open.text += event.text;
        this.#out.push({
          type: "response.output_text.delta",
          sequence_number: this.#sequence++,
          item_id: open.id,
          output_index: this.#output.length,
          content_index: 0,
          delta: event.text,
          logprobs: [],
        });
        return;
      }
      case "reasoning":
        return this.#think(event.text);
      case "reasoning-end": {
        const { text } = this.#open?.type === "reasoning" ? this.#open : { text: "" };
        const { signature } = event;
        return this.#endThinking({
          type: "reasoning",
          text,
          ...(signature === undefined ? {} : { signature }),
        });
      }
      case "redacted-reasoning":
        return this.#endThinking(event);
      case "tool-call":
        return this.#call(event);
      case "usage":
        return this.#tally.add(event);
      case "credits":
      // No request of this protocol is read as asking for a search.
      case "web-search":
      case "web-search-results":
        return;
      case "stop": {
        const ending = ENDINGS[event.reason];
        this.#start();
        this.#closeMessage(ending.status);
        this.#whole(`response.${ending.status}`, {
          ...ending,
          output: this.#output,
          usage: this.#usage(),
        });
        this.#ended = true;
        return;
      }
      case "failed":
        this.#start();
        // An item that was open is not said to be done: Codex would keep it, and then hear it again from its retry.
        this.#whole("response.failed", {
          status: "failed",
          error: errorOf(event.failure),
          output: this.#output,
        });
        this.#ended = true;
        return;
      default:
        return event satisfies never;
    }
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#whole("response.created", { status: "in_progress" });
    this.#whole("response.in_progress", { status: "in_progress" });
  }

  #id(prefix: "msg" | "rs" | "fc" | "ctc"): string {
    return `${prefix}_${this.#head.id}_${this.#output.length}`;
  }

  #beginMessage(): Open {
    this.#start();
    const open: Open = { type: "message", id: this.#id("msg"), text: "" };
    this.#open = open;
    this.#add({
      id: open.id,
      type: "message",
      role: "assistant",
      status: "in_progress",
      content: [],
    });
    this.#emit({
      type: "response.content_part.added",
      item_id: open.id,
      output_index: this.#output.length,
      content_index: 0,
      part: textPart(""),
    });
    return open;
  }

  #closeMessage(status: ItemStatus = "completed"): void {
    if (this.#open?.type !== "message") return;
    const { id, text } = this.#open;
    this.#open = undefined;
    const at = { item_id: id, output_index: this.#output.length, content_index: 0 } as const;
    const part = textPart(text);
    this.#emit({ type: "response.output_text.done", ...at, text, logprobs: [] });
    this.#emit({ type: "response.content_part.done", ...at, part });
    this.#done({ id, type: "message", role: "assistant", status, content: [part] });
  }

  #think(delta: string): void {
    if (this.#form.reasoning === "hidden") return;
    this.#start();
    if (this.#open?.type !== "reasoning") {
      this.#closeMessage();
      this.#open = { type: "reasoning", id: this.#id("rs"), text: "" };
      if (this.#form.reasoning === "shown") {
        this.#add({ id: this.#open.id, type: "reasoning", summary: [] });
        this.#emit({
          type: "response.reasoning_summary_part.added",
          ...this.#summary(this.#open),
          part: { type: "summary_text", text: "" },
        });
      }
    }
    this.#open.text += delta;
    if (this.#form.reasoning === "shown") {
      const at = this.#summary(this.#open);
      this.#emit({ type: "response.reasoning_summary_text.delta", ...at, delta });
    }
  }

  #endThinking(part: Reasoning | RedactedReasoning): void {
    if (this.#form.reasoning === "hidden") return;
    this.#start();
    this.#closeMessage();
    const open = this.#open;
    this.#open = undefined;
    const sealed = sealedReasoning(part);
    const id = this.#id("rs");
    const shown = open !== undefined && this.#form.reasoning === "shown";
    // Neither shown nor of any use when it comes back.
    if (!shown && sealed === undefined) return;
    const summary = shown ? [{ type: "summary_text", text: open.text } as const] : [];
    if (!shown) this.#add({ id, type: "reasoning", summary: [] });
    for (const said of summary) {
      const at = this.#summary({ id });
      this.#emit({ type: "response.reasoning_summary_text.done", ...at, text: said.text });
      this.#emit({ type: "response.reasoning_summary_part.done", ...at, part: said });
    }
    this.#done({
      id,
      type: "reasoning",
      summary,
      ...(sealed === undefined ? {} : { encrypted_content: sealed }),
    });
  }

  #call({ id: callId, name: offered, json }: Extract<ReplyEvent, { type: "tool-call" }>): void {
    this.#start();
    this.#closeMessage();
    const { name, namespace } = this.#form.clientNames.get(offered) ?? { name: offered };
    const common = {
      call_id: callId,
      name,
      ...(namespace === undefined ? {} : { namespace }),
    };
    const at = { output_index: this.#output.length };
    if (this.#form.customTools.has(offered)) {
      const input = customText(json);
      const id = this.#id("ctc");
      const call = { id, type: "custom_tool_call", ...common } as const;
      this.#add({ ...call, input: "", status: "in_progress" });
      const of = { item_id: id, ...at };
      this.#emit({ type: "response.custom_tool_call_input.delta", ...of, delta: input });
      this.#emit({ type: "response.custom_tool_call_input.done", ...of, input });
      this.#done({ ...call, input, status: "completed" });
    } else {
      const id = this.#id("fc");
      const call = { id, type: "function_call", ...common } as const;
      this.#add({ ...call, arguments: "", status: "in_progress" });
      const of = { item_id: id, ...at };
      this.#emit({ type: "response.function_call_arguments.delta", ...of, delta: json });
      this.#emit({ type: "response.function_call_arguments.done", ...of, name, arguments: json });
      this.#done({ ...call, arguments: json, status: "completed" });
    }
  }

  #summary({ id }: Pick<Open, "id">) {
    return { item_id: id, output_index: this.#output.length, summary_index: 0 } as const;
  }

  #add(item: OutputItem): void {
    this.#emit({ type: "response.output_item.added", output_index: this.#output.length, item });
  }

  #done(item: OutputItem): void {
    this.#emit({ type: "response.output_item.done", output_index: this.#output.length, item });
    this.#output.push(item);
  }

  #emit(body: EventBody): void {
    this.#out.push({ ...body, sequence_number: this.#sequence++ });
  }

  /**
   * An event about the whole response. The instructions and tools of the request are not in it: no client reads them
   * back, and those of an agent are some 40 KB, three times a reply.
   */
  #whole(
    type: Extract<EventBody, { response: unknown }>["type"],
    state: Pick<ResponseObject, "status"> & Partial<ResponseObject>,
  ): void {
    const { model, toolChoice, parallelToolCalls } = this.#form;
    const response: ResponseObject = {
      id: `resp_${this.#head.id}`,
      object: "response",
      created_at: Math.floor(this.#head.createdAt / 1000),
      error: null,
      incomplete_details: null,
      instructions: null,
      metadata: {},
      model,
      output: [],
      parallel_tool_calls: parallelToolCalls,
      temperature: null,
      tool_choice: toolChoice,
      tools: [],
      top_p: null,
      usage: null,
      ...state,
    };
    this.#emit({ type, response });
  }

  #usage(): ResponseUsage {
    const usage = this.#tally.total;
    const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
    return {
      input_tokens: input,
      input_tokens_details: {
        cached_tokens: usage.cacheReadTokens,
        cache_write_tokens: usage.cacheWriteTokens,
      },
      output_tokens: usage.outputTokens,
      // The service does not say how much of it was thinking; clients want the field.
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + usage.outputTokens,
    };
  }
}

function textPart(text: string): TextPart {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function errorOf(failure: Failure): { code: string; message: string } {
  const { type, code, message } = errorObject(failure, "input");
  // In a stream Codex gives up on the code for missing capacity, and comes again after this one.
  if (failure.kind === "overloaded") return { code: "server_error", message };
  return { code: code ?? type, message };
}

/** The last event has the whole body. The events are those of a reply that did not fail, else it throws. */
export function fold(events: ResponsesEvent[]): ResponseObject {
  const last = events.at(-1);
  if (last?.type === "response.completed" || last?.type === "response.incomplete") {
    return last.response;
  }
  throw new TypeError("a reply ends with its response, completed or incomplete");
}
