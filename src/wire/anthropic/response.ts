import type {
  ReplyEvent,
  StopReason,
  WebSearchProblem,
  WebSearchResult,
} from "../../conversation/reply.ts";
import { SNIPPET_MARK } from "../blocks.ts";
import { isObject } from "../json.ts";
import { sseEvent } from "../sse.ts";
import { UsageTally } from "../usage.ts";
import type { Encoder, ReplyHead } from "../wire.ts";
import { errorObject } from "./errors.ts";
import type { Block, Delta, Message, MessagesEvent, MessageUsage, SearchResult } from "./events.ts";
import type { ThinkingDisplay } from "./options.ts";

const STOP_REASONS = {
  "end-turn": "end_turn",
  "tool-use": "tool_use",
  "max-tokens": "max_tokens",
  "stop-sequence": "stop_sequence",
  "context-window": "model_context_window_exceeded",
  refusal: "refusal",
} satisfies Record<StopReason, string>;

const PING = sseEvent('{"type":"ping"}', "ping");

/**
 * Neutral events in, the events of one Messages stream out. `message_start` waits for the first event that the client
 * can see, so that a reply which fails before it is a lone `error`, and usage that came before it is in it.
 */
export class MessagesEncoder implements Encoder<MessagesEvent> {
  readonly #model: string;
  readonly #display: ThinkingDisplay;
  readonly #id: string;
  readonly #tally: UsageTally;
  #started = false;
  #ended = false;
  /** The block that takes deltas; the other kinds are opened and closed at one go. */
  #open: "text" | "thinking" | undefined;
  /** Of the open block, or of the next one. */
  #index = 0;
  /** Those that were answered; undefined in a reply without any. */
  #searches: number | undefined;
  /** What the current push gives. */
  #out: MessagesEvent[] = [];

  constructor(model: string, display: ThinkingDisplay, head: ReplyHead) {
    this.#model = model;
    this.#display = display;
    this.#id = `msg_${head.id}`;
    this.#tally = new UsageTally(head.inputTokens);
  }

  push(event: ReplyEvent): MessagesEvent[] {
    this.#out = [];
    if (!this.#ended) this.#encode(event);
    return this.#out;
  }

  heartbeat(): string {
    return PING;
  }

  #encode(event: ReplyEvent): void {
    switch (event.type) {
      case "text":
        if (this.#open !== "text") {
          this.#begin({ type: "text", text: "" });
          this.#open = "text";
        }
        return this.#delta({ type: "text_delta", text: event.text });
      case "reasoning":
        if (this.#display === "hidden") return;
        this.#think();
        if (this.#display === "omitted") return;
        return this.#delta({ type: "thinking_delta", thinking: event.text });
      case "reasoning-end":
        if (this.#display === "hidden") return;
        this.#think();
        return this.#close(event.signature);
      case "redacted-reasoning":
        if (this.#display === "hidden") return;
        this.#begin({ type: "redacted_thinking", data: event.data });
        return this.#end();
      case "tool-call":
        this.#begin({ type: "tool_use", id: event.id, name: event.name, input: {} });
        this.#delta({ type: "input_json_delta", partial_json: event.json });
        return this.#end();
      case "web-search":
        this.#begin({
          type: "server_tool_use",
          id: searchId(event.id),
          name: "web_search",
          input: {},
        });
        this.#delta({
          type: "input_json_delta",
          partial_json: JSON.stringify({ query: event.query }),
        });
        return this.#end();
      case "web-search-results":
        this.#searches ??= 0;
        if (Array.isArray(event.outcome)) this.#searches += 1;
        this.#begin({
          type: "web_search_tool_result",
          tool_use_id: searchId(event.id),
          content: searchContent(event.outcome),
        });
        return this.#end();
      case "usage":
        return this.#tally.add(event);
      case "credits":
        return;
      case "stop":
        this.#start();
        this.#close();
        this.#out.push(
          {
            type: "message_delta",
            delta: {
              stop_reason: STOP_REASONS[event.reason],
              stop_sequence: event.sequence ?? null,
            },
            usage: this.#usage(),
          },
          { type: "message_stop" },
        );
        this.#ended = true;
        return;
      case "failed":
        this.#out.push({ type: "error", error: errorObject(event.failure) });
        this.#ended = true;
        return;
      default:
        return event satisfies never;
    }
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    const message: Message = {
      id: this.#id,
      type: "message",
      role: "assistant",
      model: this.#model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      // LangChain adds this count to the final one.
      usage: { ...this.#usage(), output_tokens: 0 },
    };
    this.#out.push({ type: "message_start", message });
  }

  #begin(block: Block): void {
    this.#start();
    this.#close();
    this.#out.push({ type: "content_block_start", index: this.#index, content_block: block });
  }

  #think(): void {
    if (this.#open === "thinking") return;
    this.#begin({ type: "thinking", thinking: "", signature: "" });
    this.#open = "thinking";
  }

  #delta(delta: Delta): void {
    this.#out.push({ type: "content_block_delta", index: this.#index, delta });
  }

  #close(signature = ""): void {
    if (this.#open === undefined) return;
    if (this.#open === "thinking") this.#delta({ type: "signature_delta", signature });
    this.#open = undefined;
    this.#end();
  }

  #end(): void {
    this.#out.push({ type: "content_block_stop", index: this.#index });
    this.#index += 1;
  }

  #usage(): MessageUsage {
    const usage = this.#tally.total;
    return {
      input_tokens: usage.inputTokens,
      output_tokens: usage.outputTokens,
      cache_creation_input_tokens: usage.cacheWriteTokens,
      cache_read_input_tokens: usage.cacheReadTokens,
      ...(this.#searches !== undefined && {
        server_tool_use: { web_search_requests: this.#searches, web_fetch_requests: 0 },
      }),
    };
  }
}

function searchId(id: string): string {
  return `srvtoolu_${id}`;
}

const SEARCH_ERRORS = {
  unavailable: "unavailable",
  "max-uses-exceeded": "max_uses_exceeded",
  "invalid-input": "invalid_tool_input",
} satisfies Record<WebSearchProblem, string>;

function searchContent(outcome: WebSearchResult[] | WebSearchProblem) {
  return Array.isArray(outcome)
    ? outcome.map(searchResult)
    : ({ type: "web_search_tool_result_error", error_code: SEARCH_ERRORS[outcome] } as const);
}

function searchResult({ title, url, snippet, publishedAt }: WebSearchResult): SearchResult {
  return {
    type: "web_search_result",
    title,
    url,
    encrypted_content: SNIPPET_MARK + snippet,
    page_age: publishedAt === undefined ? null : dateInWords(publishedAt),
  };
}

function dateInWords(ms: number): string {
  return new Date(ms).toLocaleDateString("en-US", { dateStyle: "long", timeZone: "UTC" });
}

/** The body that the vendor's SDK makes of these events. They are a whole reply that did not fail, else it throws. */
export function fold(events: MessagesEvent[]): Message {
  const [start] = events;
  if (start?.type !== "message_start") throw new TypeError("a reply begins with message_start");
  const message: Message = { ...start.message, content: [] };
  let json = "";
  for (const event of events) {
    switch (event.type) {
      case "content_block_start":
        message.content.push({ ...event.content_block });
        break;
      case "content_block_delta":
        if (event.delta.type === "input_json_delta") json += event.delta.partial_json;
        else extend(message.content[event.index], event.delta);
        break;
      case "content_block_stop": {
        const block = message.content[event.index];
        if (block?.type === "tool_use" || block?.type === "server_tool_use") {
          block.input = parseInput(json);
        }
        json = "";
        break;
      }
      case "message_delta":
        message.stop_reason = event.delta.stop_reason;
        message.stop_sequence = event.delta.stop_sequence;
        message.usage = event.usage;
        break;
      case "error":
        throw new TypeError("a failed reply has no body");
      case "message_start":
      case "message_stop":
        break;
      default:
        event satisfies never;
    }
  }
  return message;
}

function extend(
  block: Block | undefined,
  delta: Exclude<Delta, { type: "input_json_delta" }>,
): void {
  if (delta.type === "text_delta" && block?.type === "text") block.text += delta.text;
  if (block?.type !== "thinking") return;
  if (delta.type === "thinking_delta") block.thinking += delta.thinking;
  if (delta.type === "signature_delta") block.signature = delta.signature;
}

function parseInput(json: string) {
  const input: unknown = JSON.parse(json);
  if (!isObject(input)) throw new TypeError("the input of a tool call is a JSON object");
  return input;
}
