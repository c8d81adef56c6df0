import type { ReplyEvent, StopReason, Usage } from "../conversation/reply.ts";
import type { Batch } from "./client.ts";
import { type KiroEvent, parseFields } from "./events.ts";
import { type AnswerContext, faultOfException, faultOfFrame, type KiroFault } from "./failure.ts";
import { LENGTH_EXCEPTION } from "./refusal.ts";
import { createThinkingTagSplitter, type Piece } from "./thinking-tags.ts";

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
  push(event: KiroEvent): Batch;
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
 * - A tool call comes out whole (see `createToolCalls`). One that stays unfinished is withheld and the reply stops with
 *   `max-tokens`, as it does when the service's length limit strikes after output: neither is a success.
 * - `usage` from `upstream` has the service's own counts. Where it gave none there is one from `estimate` instead, whose
 *   `inputTokens` is the share of the window that is used, which is prompt **and** reply: who knows the reply's size
 *   subtracts it. Of either, and of `credits`, the last one holds.
 * - A fault delivers what came before it, except what the tag splitter or an unfinished call still held.
 * - A reply that ends with nothing to show and no reason for that is the fault `empty-reply`.
 */
export function createResponse(options: ResponseOptions): ResponseMachine {
  const { context, showThinking } = options;
  const tools = createToolCalls(options.originalToolName);
  let splitter = options.tagThinking ? createThinkingTagSplitter() : undefined;
  let events: ReplyEvent[] = [];
  let thinking = false;
  // What has come out so far: anything that the client sees, text, a call.
  let shown = false;
  let spoken = false;
  let called = false;
  /** The service has counted the prompt's tokens itself. */
  let counted = false;
  /** The window is used up. */
  let full = false;
  /** The service's own stop reason, where it gave one. */
  let said: StopReason | undefined;
  /** The service broke the reply off because of its length. */
  let cutShort = false;
  let over = false;

  function show(...visible: ReplyEvent[]): void {
    shown ||= visible.length > 0;
    events.push(...visible);
  }

  function endThinking(): void {
    if (thinking) show({ type: "reasoning-end" });
    thinking = false;
  }

  function say(piece: Piece): void {
    if (piece.type === "reasoning" && !showThinking) return;
    if (piece.type !== "reasoning") endThinking();
    if (piece.type === "reasoning-end") return;
    spoken ||= piece.type === "text";
    thinking = piece.type === "reasoning";
    show({ type: piece.type, text: piece.text });
  }

  function call(calls: ToolCall[]): void {
    called ||= calls.length > 0;
    show(...calls);
  }

  /** No tags are looked for from here on. */
  function endSplitting(): void {
    splitter?.end().forEach(say);
    splitter = undefined;
  }

  function text(content: string): void {
    if (content === "") return;
    call(tools.interrupt());
    if (splitter === undefined) say({ type: "text", text: content });
    else splitter.push(content).forEach(say);
  }

  function reasoning(event: Extract<KiroEvent, { type: "reasoning" }>): void {
    const { text: thought, signature, redacted } = event;
    if (thought === undefined && signature === undefined && redacted === undefined) return;
    call(tools.interrupt());
    endSplitting();
    if (!showThinking) return;
    if (thought !== undefined) say({ type: "reasoning", text: thought });
    if (signature !== undefined) {
      show({ type: "reasoning-end", signature });
      thinking = false;
    }
    if (redacted !== undefined) {
      endThinking();
      show({ type: "redacted-reasoning", data: redacted });
    }
  }

  function toolUse(event: ToolUse): KiroFault | undefined {
    endSplitting();
    endThinking();
    const calls = tools.push(event);
    if (calls === "too-long") return faultOfFrame({ kind: "tool-input-too-long" });
    call(calls);
    return undefined;
  }

  function contextUsage(percentage: number): void {
    full = percentage >= 100;
    const tokens = Math.round((Math.min(Math.max(percentage, 0), 100) / 100) * context.window);
    if (counted || tokens === 0) return;
    events.push({ type: "usage", usage: { inputTokens: tokens }, source: "estimate" });
  }

  function metadata(event: Extract<KiroEvent, { type: "metadata" }>): void {
    const usage = usageOf(event);
    if (Object.keys(usage).length > 0) events.push({ type: "usage", usage, source: "upstream" });
    counted ||= usage.inputTokens !== undefined;
    if (event.contextPercentage !== undefined) contextUsage(event.contextPercentage);
    said = stopReason(event.stopReason) ?? said;
  }

  function take(event: KiroEvent): KiroFault | undefined {
    switch (event.type) {
      case "text":
        text(event.text);
        break;
      case "reasoning":
        reasoning(event);
        break;
      case "tool-use":
        return toolUse(event);
      case "metadata":
        metadata(event);
        break;
      case "context-usage":
        contextUsage(event.percentage);
        break;
      case "metering":
        events.push({ type: "credits", credits: event.credits });
        break;
      case "exception":
        cutShort = shown && event.exceptionType === LENGTH_EXCEPTION;
        return cutShort ? undefined : faultOfException(event, context);
      case "error":
      case "invalid-state":
        return faultOfException(event, context);
      case "malformed":
        if (!DISPENSABLE.has(event.eventType)) return faultOfFrame({ kind: "malformed-event" });
        break;
      case "ignored":
    }
    return undefined;
  }

  /** Undefined: there is nothing to show and nothing that would explain it. */
  function reasonToStop(): StopReason | undefined {
    if (said === "refusal") return said;
    if (cutShort || tools.unfinished()) return "max-tokens";
    if (called) return "tool-use";
    if (said === "max-tokens" || said === "context-window") return said;
    if (full) return "context-window";
    if (!shown) return undefined;
    // Thinking without an answer, or a call that was announced and never came, must not pass for a finished turn.
    return spoken && said !== "tool-use" ? "end-turn" : "max-tokens";
  }

  return {
    push(event) {
      events = [];
      if (over || cutShort) return { events };
      const fault = take(event);
      if (fault === undefined) return { events };
      over = true;
      endThinking();
      return { events, fault };
    },
    end() {
      events = [];
      if (over) return { events };
      over = true;
      endSplitting();
      endThinking();
      call(tools.end());
      const reason = reasonToStop();
      if (reason === undefined) return { events, fault: faultOfFrame({ kind: "empty-reply" }) };
      events.push({ type: "stop", reason });
      return { events };
    },
  };
}

function usageOf(event: Extract<KiroEvent, { type: "metadata" }>): Partial<Usage> {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = event;
  return {
    ...(inputTokens !== undefined && { inputTokens }),
    ...(outputTokens !== undefined && { outputTokens }),
    ...(cacheReadTokens !== undefined && { cacheReadTokens }),
    ...(cacheWriteTokens !== undefined && { cacheWriteTokens }),
  };
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

function stopReason(text = ""): StopReason | undefined {
  return STOP_REASONS.get(text.toLowerCase().replaceAll(/[^a-z]/g, ""));
}

type ToolCalls = {
  /** The calls that this fragment completes: its own, or the one before it. */
  push(fragment: ToolUse): ToolCall[] | "too-long";
  /** Text or thinking follows. */
  interrupt(): ToolCall[];
  /** The body has ended cleanly. */
  end(): ToolCall[];
  /** Whether a call was withheld. */
  unfinished(): boolean;
};

type OpenCall = { id: string; name: string; input: string; interrupted: boolean };

/**
 * Puts the fragments of tool calls together, each id for itself. A call is complete at its `stop`, or without one when
 * something else follows, but only if its input is the JSON text of an object; it comes out as the service wrote it. No
 * input at all means `{}`, which only a `stop` proves: without it such a call waits for the end in case more comes.
 * Where neither is so the call is withheld, and fragments after a call's completion are ignored.
 */
function createToolCalls(originalName: (name: string) => string): ToolCalls {
  const open = new Map<string, OpenCall>();
  const closed = new Set<string>();
  let latest: OpenCall | undefined;
  let length = 0;
  let withheld = false;

  /** Nothing if the input is not whole: the call stays open. */
  function complete({ id, name, input }: OpenCall): ToolCall[] {
    const json = isBlank(input) ? "{}" : input;
    if (parseFields(json) === undefined) return [];
    open.delete(id);
    closed.add(id);
    return [{ type: "tool-call", id, name: originalName(name), json }];
  }

  function stop(call: OpenCall): ToolCall[] {
    const calls = complete(call);
    withheld ||= open.delete(call.id);
    closed.add(call.id);
    return calls;
  }

  function interrupt(): ToolCall[] {
    const call = latest;
    latest = undefined;
    // One attempt for each call: to parse at every turn of interleaved fragments would take quadratic time.
    if (call === undefined || call.interrupted) return [];
    call.interrupted = true;
    return isBlank(call.input) ? [] : complete(call);
  }

  return {
    push({ id, name, input = "", whole = false, stop: stopped }) {
      if (closed.has(id)) return [];
      const calls = latest?.id === id ? [] : interrupt();
      const call = open.get(id) ?? { id, name, input: "", interrupted: false };
      open.set(id, call);
      latest = call;
      length += input.length;
      if (length > TOOL_INPUT_MAX) return "too-long";
      call.input = whole ? input : call.input + input;
      if (!stopped) return calls;
      latest = undefined;
      return [...calls, ...stop(call)];
    },
    interrupt,
    end() {
      const calls = [...open.values()].filter(({ interrupted }) => interrupted).flatMap(complete);
      withheld ||= open.size > 0;
      return calls;
    },
    unfinished: () => withheld,
  };
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}
