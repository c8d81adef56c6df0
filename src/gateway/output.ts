import type { Limits, OutputFormat } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent, StopReason } from "../conversation/reply.ts";
import { createFenceStripper } from "./code-fence.ts";
import {
  createLeakFinder,
  type LeakedCall,
  type LeakPiece,
  type ToolLookup,
} from "./leaked-calls.ts";
import { createMeter } from "./meter.ts";
import { createStopMatcher } from "./stop-matcher.ts";

/**
 * What the client asked of the reply and the service has no field for: stop sequences, `max_tokens`, one tool call at
 * most, bare JSON; and the usage that the reply ends with. A synchronous machine over neutral events.
 */
export type Output = {
  push(events: ReplyEvent[]): ReplyEvent[];
  /** Ends the reply with a failure; what was held back is delivered first. */
  fail(failure: Failure): ReplyEvent[];
  /** The terminal event has come out; whatever the service still sends is not wanted. */
  readonly ended: boolean;
};

export type OutputOptions = {
  limits: Limits;
  format: OutputFormat;
  /** Our own count of the prompt. */
  promptTokens: number;
  /** Tokens of a piece of text; fractions, so that pieces add up. */
  countText: (text: string) => number;
  /** Puts the prompt's size by the service right. */
  correct?: (shown: number) => number;
  /** Absent where the client offers no tools. */
  leaks?: LeakOptions;
};

/** What becomes of tool calls that the model writes as text. */
export type LeakOptions = {
  /** They become calls; else they stay text and are only told. */
  convert: boolean;
  toolOf: ToolLookup;
  newId: () => string;
  onLeak: (call: LeakedCall) => void;
};

export function createOutput(options: OutputOptions): Output {
  const { limits, countText, leaks } = options;
  const maxTokens = limits.maxTokens ?? Number.POSITIVE_INFINITY;
  const fence = options.format.type === "json" ? createFenceStripper() : undefined;
  const stops = createStopMatcher(limits.stopSequences);
  const finder = leaks === undefined ? undefined : createLeakFinder(leaks.toolOf);
  const converted: LeakedCall[] = [];
  const made: LeakedCall[] = [];
  const meter = createMeter(options.promptTokens, options.correct);
  let ended = false;
  let reasoning = false;

  function stop(out: ReplyEvent[], reason: StopReason, sequence?: string): void {
    if (reasoning) out.push({ type: "reasoning-end" });
    out.push({ type: "usage", ...meter.final() });
    out.push({ type: "stop", reason, ...(sequence === undefined ? {} : { sequence }) });
    ended = true;
  }

  /** Sends text on its way out, up to the token limit. */
  function say(out: ReplyEvent[], type: "text" | "reasoning", text: string): void {
    if (text === "" || ended) return;
    const left = maxTokens - meter.output();
    const tokens = countText(text);
    const fits = tokens <= left;
    const said = fits ? text : startOf(text, left / tokens);
    meter.spend(fits ? tokens : left);
    if (said !== "") out.push({ type, text: said });
    if (!fits) stop(out, "max-tokens");
  }

  function speak(out: ReplyEvent[], piece: string): void {
    const match = stops.push(piece);
    say(out, "text", match.text);
    if (match.sequence !== undefined && !ended) stop(out, "stop-sequence", match.sequence);
  }

  function hear(out: ReplyEvent[], piece: string): void {
    speak(out, fence === undefined ? piece : fence.push(piece));
  }

  function call(out: ReplyEvent[], event: Extract<ReplyEvent, { type: "tool-call" }>): void {
    flushText(out);
    if (ended) return;
    // A whole call is worth more than the exact limit, so it is not cut; the reply ends after it.
    meter.spend(countText(event.name) + countText(event.json));
    out.push(event);
    if (!limits.parallelToolCalls || meter.output() >= maxTokens) stop(out, "tool-use");
  }

  /** Where calls are not converted, their text has come out already. */
  function handle(out: ReplyEvent[], pieces: LeakPiece[]): void {
    if (leaks === undefined) return;
    for (const piece of pieces) {
      if (piece.type === "text") {
        if (leaks.convert && !ended) hear(out, piece.text);
        continue;
      }
      for (const leaked of piece.calls) {
        if (ended) return;
        leaks.onLeak(leaked);
        if (!leaks.convert || isAmong(made, leaked)) continue;
        converted.push(leaked);
        call(out, { type: "tool-call", id: leaks.newId(), ...leaked });
      }
    }
  }

  function flush(out: ReplyEvent[]): void {
    if (finder !== undefined) handle(out, finder.end());
    flushText(out);
  }

  /** What was held back in case a stop sequence or a closing fence would come of it. */
  function flushText(out: ReplyEvent[]): void {
    if (fence !== undefined) speak(out, fence.end());
    say(out, "text", stops.end());
  }

  function one(event: ReplyEvent, out: ReplyEvent[]): void {
    switch (event.type) {
      case "text":
        if (leaks?.convert !== true) hear(out, event.text);
        if (finder !== undefined && !ended) handle(out, finder.push(event.text));
        break;
      case "reasoning":
        flush(out);
        if (ended) break;
        reasoning = true;
        say(out, "reasoning", event.text);
        break;
      case "reasoning-end":
        flush(out);
        if (ended) break;
        reasoning = false;
        out.push(event);
        break;
      case "redacted-reasoning":
      case "web-search":
      case "web-search-results":
        flush(out);
        if (!ended) out.push(event);
        break;
      case "tool-call":
        flush(out);
        // The model may write a call and make it as well, in either order: it must not run twice.
        if (isAmong(converted, event)) break;
        made.push(event);
        call(out, event);
        break;
      case "usage":
        meter.learn(event.usage, event.source);
        break;
      case "credits":
        out.push(event);
        break;
      case "stop":
        flush(out);
        if (ended) break;
        stop(
          out,
          event.reason === "end-turn" && converted.length > 0 ? "tool-use" : event.reason,
          event.sequence,
        );
        break;
      case "failed":
        flush(out);
        if (!ended) out.push(event);
        ended = true;
        break;
      default:
        event satisfies never;
    }
  }

  return {
    push(events) {
      const out: ReplyEvent[] = [];
      for (const event of events) {
        if (ended) break;
        one(event, out);
      }
      return out;
    },
    fail(failure) {
      const out: ReplyEvent[] = [];
      if (ended) return out;
      flush(out);
      if (!ended) {
        if (reasoning) out.push({ type: "reasoning-end" });
        out.push({ type: "failed", failure });
      }
      ended = true;
      return out;
    },
    get ended() {
      return ended;
    },
  };
}

function isAmong(calls: LeakedCall[], { name, json }: LeakedCall): boolean {
  return calls.some(
    (one) => one.name === name && Bun.deepEquals(JSON.parse(one.json), JSON.parse(json)),
  );
}

/** The first part of a text by share of its length, never through a surrogate pair. */
function startOf(text: string, share: number): string {
  const cut = Math.floor(text.length * Math.max(0, share));
  const code = text.charCodeAt(cut - 1);
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? cut - 1 : cut);
}
