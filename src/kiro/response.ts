import type { ReplyEvent, StopReason, Usage } from "../conversation/reply.ts";
import type { Batch } from "./client.ts";
import { type KiroEvent, parseFields } from "./events.ts";
import { type AnswerContext, faultOfException, faultOfFrame, type KiroFault } from "./failure.ts";
import { LENGTH_EXCEPTION } from "./refusal.ts";
import {
  createThinkingTagSplitter,
  type Piece,
  type ThinkingTagSplitter,
} from "./thinking-tags.ts";

export type ResponseOptions = {
  /** The prompt asked for thinking in tags, so they are taken out of the text. */
  tagThinking: boolean;
  /** False: the client asked for no thinking, so none of it comes out. */
  showThinking: boolean;
  /** The model's window, and what the words of a fault need. */
  context: AnswerContext;
  /** Undoes the shortening of tool names. */
  originalToolName: (name: string) => string;
};

export type ResponseMachine = {
  /** The batch's events are added to `events`, where such are given. */
  push(event: KiroEvent, events?: ReplyEvent[]): Batch;
  /** The body has ended cleanly. After a fault or this, nothing more comes out. */
  end(): Batch;
};

type ToolUse = Extract<KiroEvent, { type: "tool-use" }>;
type ToolCall = Extract<ReplyEvent, { type: "tool-call" }>;

/** UTF-16 units of JSON in the tool calls of one reply. */
const TOOL_INPUT_MAX = 16 * 1024 * 1024;

/** Bookkeeping: a reply is whole without it. */
const DISPENSABLE = new Set([
  "metadataEvent",
  "messageMetadataEvent",
  "contextUsageEvent",
  "meteringEvent",
]);

/**
 * Turns the service's events into the neutral reply, by the laws of `ReplyEvent`.
 *
 * - Text is never changed, joined or compared. Tags are split off until a tool call or native thinking begins.
 * - A thinking block ends with its signature, or when anything else begins.
 * - A tool call comes out whole (see `ToolCalls`). One that stays unfinished is withheld and the reply stops with
 *   `max-tokens`, as it does when the service's length limit strikes after output: neither is a success.
 * - `usage` from `upstream` has the service's own counts. Where it gave none there is one from `estimate` instead, whose
 *   `inputTokens` is the share of the window that is used, which is prompt **and** reply: who knows the reply's size
 *   subtracts it. Of either, and of `credits`, the last one holds.
 * - A fault delivers what came before it, except what the tag splitter or an unfinished call still held.
 * - A reply that ends with nothing to show and no reason for that is the fault `empty-reply`.
 */
export function createResponse(options: ResponseOptions): ResponseMachine {
  return new Machine(options);
}

/** A class, because every reply has one: as closures its parts were 22 functions. */
class Machine implements ResponseMachine {
  readonly #context: AnswerContext;
  readonly #showThinking: boolean;
  readonly #tools: ToolCalls;
  #splitter: ThinkingTagSplitter | undefined;
  /** What the current push gives. */
  #events: ReplyEvent[] = [];
  #thinking = false;
  // What has come out so far: anything that the client sees, text, a call.
  #shown = false;
  #spoken = false;
  #called = false;
  /** The service has counted the prompt's tokens itself. */
  #counted = false;
  /** The window is used up. */
  #full = false;
  /** The service's own stop reason, where it gave one. */
  #said: StopReason | undefined;
  /** The service broke the reply off because of its length. */
  #cutShort = false;
  #over = false;

  constructor({ context, showThinking, originalToolName, tagThinking }: ResponseOptions) {
    this.#context = context;
    this.#showThinking = showThinking;
    this.#tools = new ToolCalls(originalToolName);
    this.#splitter = tagThinking ? createThinkingTagSplitter() : undefined;
  }

  push(event: KiroEvent, events: ReplyEvent[] = []): Batch {
    this.#events = events;
    if (this.#over || this.#cutShort) return { events };
    const fault = this.#take(event);
    if (fault === undefined) return { events };
    this.#over = true;
    this.#endThinking();
    return { events, fault };
  }

  end(): Batch {
    const events: ReplyEvent[] = [];
    this.#events = events;
    if (this.#over) return { events };
    this.#over = true;
    this.#endSplitting();
    this.#endThinking();
    this.#call(this.#tools.end());
    const reason = this.#reasonToStop();
    if (reason === undefined) return { events, fault: faultOfFrame({ kind: "empty-reply" }) };
    events.push({ type: "stop", reason });
    return { events };
  }

  #show(event: ReplyEvent): void {
    this.#shown = true;
    this.#events.push(event);
  }

  #endThinking(): void {
    if (this.#thinking) this.#show({ type: "reasoning-end" });
    this.#thinking = false;
  }

  #say(piece: Piece): void {
    if (piece.type === "reasoning" && !this.#showThinking) return;
    if (piece.type !== "reasoning") this.#endThinking();
    if (piece.type === "reasoning-end") return;
    this.#spoken ||= piece.type === "text";
    this.#thinking = piece.type === "reasoning";
    this.#show({ type: piece.type, text: piece.text });
  }

  #call(calls: ToolCall[]): void {
    this.#called ||= calls.length > 0;
    for (const call of calls) this.#show(call);
  }

  /** No tags are looked for from here on. */
  #endSplitting(): void {
    for (const piece of this.#splitter?.end() ?? []) this.#say(piece);
    this.#splitter = undefined;
  }

  #text(content: string): void {
    if (content === "") return;
    this.#call(this.#tools.interrupt());
    if (this.#splitter === undefined) return this.#say({ type: "text", text: content });
    for (const piece of this.#splitter.push(content)) this.#say(piece);
  }

  #reasoning(event: Extract<KiroEvent, { type: "reasoning" }>): void {
    const { text: thought, signature, redacted } = event;
    if (thought === undefined && signature === undefined && redacted === undefined) return;
    this.#call(this.#tools.interrupt());
    this.#endSplitting();
    if (!this.#showThinking) return;
    if (thought !== undefined) this.#say({ type: "reasoning", text: thought });
    if (signature !== undefined) {
      this.#show({ type: "reasoning-end", signature });
      this.#thinking = false;
    }
    if (redacted !== undefined) {
      this.#endThinking();
      this.#show({ type: "redacted-reasoning", data: redacted });
    }
  }

  #toolUse(event: ToolUse): KiroFault | undefined {
    this.#endSplitting();
    this.#endThinking();
    const calls = this.#tools.push(event);
    if (calls === "too-long") return faultOfFrame({ kind: "tool-input-too-long" });
    this.#call(calls);
    return undefined;
  }

  #contextUsage(percentage: number): void {
    this.#full = percentage >= 100;
    const { window } = this.#context;
    const tokens = Math.round((Math.min(Math.max(percentage, 0), 100) / 100) * window);
    if (this.#counted || tokens === 0) return;
    this.#events.push({ type: "usage", usage: { inputTokens: tokens }, source: "estimate" });
  }

  #metadata(event: Extract<KiroEvent, { type: "metadata" }>): void {
    const usage = usageOf(event);
    if (Object.keys(usage).length > 0)
      this.#events.push({ type: "usage", usage, source: "upstream" });
    this.#counted ||= usage.inputTokens !== undefined;
    if (event.contextPercentage !== undefined) this.#contextUsage(event.contextPercentage);
    this.#said = stopReason(event.stopReason) ?? this.#said;
  }

  #take(event: KiroEvent): KiroFault | undefined {
    switch (event.type) {
      case "text":
        this.#text(event.text);
        break;
      case "reasoning":
        this.#reasoning(event);
        break;
      case "tool-use":
        return this.#toolUse(event);
      case "metadata":
        this.#metadata(event);
        break;
      case "context-usage":
        this.#contextUsage(event.percentage);
        break;
      case "metering":
        this.#events.push({ type: "credits", credits: event.credits });
        break;
      case "exception":
        this.#cutShort = this.#shown && event.exceptionType === LENGTH_EXCEPTION;
        return this.#cutShort ? undefined : faultOfException(event, this.#context);
      case "error":
      case "invalid-state":
        return faultOfException(event, this.#context);
      case "malformed":
        if (!DISPENSABLE.has(event.eventType)) return faultOfFrame({ kind: "malformed-event" });
        break;
      case "ignored":
    }
    return undefined;
  }

  /** Undefined: there is nothing to show and nothing that would explain it. */
  #reasonToStop(): StopReason | undefined {
    const said = this.#said;
    if (said === "refusal") return said;
    if (this.#cutShort || this.#tools.unfinished()) return "max-tokens";
    if (this.#called) return "tool-use";
    if (said === "max-tokens" || said === "context-window") return said;
    if (this.#full) return "context-window";
    if (!this.#shown) return undefined;
    // Thinking without an answer, or a call that was announced and never came, must not pass for a finished turn.
    return this.#spoken && said !== "tool-use" ? "end-turn" : "max-tokens";
  }
}

function usageOf(event: Extract<KiroEvent, { type: "metadata" }>): Partial<Usage> {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = event;
  const usage: Partial<Usage> = {};
  if (inputTokens !== undefined) usage.inputTokens = inputTokens;
  if (outputTokens !== undefined) usage.outputTokens = outputTokens;
  if (cacheReadTokens !== undefined) usage.cacheReadTokens = cacheReadTokens;
  if (cacheWriteTokens !== undefined) usage.cacheWriteTokens = cacheWriteTokens;
  return usage;
}

/** The spellings of Anthropic and Bedrock; letters only, because their case and separators vary. */
const STOP_REASONS = new Map<string, StopReason>([
  ["endturn", "end-turn"],
  ["tooluse", "tool-use"],
  ["maxtokens", "max-tokens"],
  ["modelcontextwindowexceeded", "context-window"],
  ["refusal", "refusal"],
  ["contentfiltered", "refusal"],
  ["guardrailintervened", "refusal"],
]);

function stopReason(text: string | undefined): StopReason | undefined {
  if (text === undefined) return undefined;
  return STOP_REASONS.get(text.toLowerCase().replaceAll(/[^a-z]/g, ""));
}

type OpenCall = { id: string; name: string; input: string; interrupted: boolean };

/**
 * Puts the fragments of tool calls together, each id for itself. A call is complete at its `stop`, or without one when
 * something else follows, but only if its input is the JSON text of an object; it comes out as the service wrote it. No
 * input at all means `{}`, which only a `stop` proves: without it such a call waits for the end in case more comes.
 * Where neither is so the call is withheld, and fragments after a call's completion are ignored.
 */
class ToolCalls {
  readonly #originalName: (name: string) => string;
  readonly #open = new Map<string, OpenCall>();
  readonly #closed = new Set<string>();
  #latest: OpenCall | undefined;
  #length = 0;
  #withheld = false;

  constructor(originalName: (name: string) => string) {
    this.#originalName = originalName;
  }

  /** The calls that this fragment completes: its own, or the one before it. */
  push({ id, name, input = "", whole = false, stop: stopped }: ToolUse): ToolCall[] | "too-long" {
    if (this.#closed.has(id)) return [];
    const calls = this.#latest?.id === id ? [] : this.interrupt();
    const call = this.#open.get(id) ?? { id, name, input: "", interrupted: false };
    this.#open.set(id, call);
    this.#latest = call;
    this.#length += input.length;
    if (this.#length > TOOL_INPUT_MAX) return "too-long";
    call.input = whole ? input : call.input + input;
    if (!stopped) return calls;
    this.#latest = undefined;
    return [...calls, ...this.#stop(call)];
  }

  /** Text or thinking follows. */
  interrupt(): ToolCall[] {
    const call = this.#latest;
    this.#latest = undefined;
    // One attempt for each call: to parse at every turn of interleaved fragments would take quadratic time.
    if (call === undefined || call.interrupted) return NO_CALLS;
    call.interrupted = true;
    return isBlank(call.input) ? NO_CALLS : this.#complete(call);
  }

  /** The body has ended cleanly. */
  end(): ToolCall[] {
    if (this.#open.size === 0) return NO_CALLS;
    const calls = [...this.#open.values()]
      .filter(({ interrupted }) => interrupted)
      .flatMap((call) => this.#complete(call));
    this.#withheld ||= this.#open.size > 0;
    return calls;
  }

  /** Whether a call was withheld. */
  unfinished(): boolean {
    return this.#withheld;
  }

  /** Nothing if the input is not whole: the call stays open. */
  #complete({ id, name, input }: OpenCall): ToolCall[] {
    const json = isBlank(input) ? "{}" : input;
    if (parseFields(json) === undefined) return [];
    this.#open.delete(id);
    this.#closed.add(id);
    return [{ type: "tool-call", id, name: this.#originalName(name), json }];
  }

  #stop(call: OpenCall): ToolCall[] {
    const calls = this.#complete(call);
    this.#withheld ||= this.#open.delete(call.id);
    this.#closed.add(call.id);
    return calls;
  }
}

const NO_CALLS: ToolCall[] = [];

function isBlank(text: string): boolean {
  return text.trim() === "";
}
