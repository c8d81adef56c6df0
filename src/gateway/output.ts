import type { Limits, OutputFormat } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent, StopReason } from "../conversation/reply.ts";
import { createFenceStripper, type FenceStripper } from "./code-fence.ts";
import {
  createLeakFinder,
  type LeakedCall,
  type LeakFinder,
  type LeakPiece,
  type ToolLookup,
} from "./leaked-calls.ts";
import { Meter } from "./meter.ts";
import { StopMatcher } from "./stop-matcher.ts";

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
  return new Machine(options);
}

/** A class, because every reply has one. */
class Machine implements Output {
  readonly #limits: Limits;
  readonly #maxTokens: number;
  readonly #countText: (text: string) => number;
  readonly #leaks: LeakOptions | undefined;
  readonly #fence: FenceStripper | undefined;
  readonly #stops: StopMatcher;
  readonly #finder: LeakFinder | undefined;
  readonly #meter: Meter;
  readonly #converted: LeakedCall[] = [];
  readonly #made: LeakedCall[] = [];
  #reasoning = false;
  #ended = false;
  /** What the current push gives. */
  #out: ReplyEvent[] = [];

  constructor({ limits, format, promptTokens, countText, correct, leaks }: OutputOptions) {
    this.#limits = limits;
    this.#maxTokens = limits.maxTokens ?? Number.POSITIVE_INFINITY;
    this.#countText = countText;
    this.#leaks = leaks;
    this.#fence = format.type === "json" ? createFenceStripper() : undefined;
    this.#stops = new StopMatcher(limits.stopSequences);
    this.#finder = leaks === undefined ? undefined : createLeakFinder(leaks.toolOf);
    this.#meter = new Meter(promptTokens, correct);
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(events: ReplyEvent[]): ReplyEvent[] {
    const out: ReplyEvent[] = [];
    this.#out = out;
    for (const event of events) {
      if (this.#ended) break;
      this.#take(event);
    }
    return out;
  }

  fail(failure: Failure): ReplyEvent[] {
    const out: ReplyEvent[] = [];
    this.#out = out;
    if (this.#ended) return out;
    this.#flush();
    if (!this.#ended) {
      if (this.#reasoning) out.push({ type: "reasoning-end" });
      out.push({ type: "failed", failure });
    }
    this.#ended = true;
    return out;
  }

  #take(event: ReplyEvent): void {
    switch (event.type) {
      case "text":
        if (this.#leaks?.convert !== true) this.#hear(event.text, event);
        if (this.#finder !== undefined && !this.#ended) this.#handle(this.#finder.push(event.text));
        break;
      case "reasoning":
        this.#flush();
        if (this.#ended) break;
        this.#reasoning = true;
        this.#say("reasoning", event.text, event);
        break;
      case "reasoning-end":
        this.#flush();
        if (this.#ended) break;
        this.#reasoning = false;
        this.#out.push(event);
        break;
      case "redacted-reasoning":
      case "web-search":
      case "web-search-results":
        this.#flush();
        if (!this.#ended) this.#out.push(event);
        break;
      case "tool-call":
        this.#flush();
        // The model may write a call and make it as well, in either order: it must not run twice.
        if (isAmong(this.#converted, event)) break;
        this.#made.push(event);
        this.#call(event);
        break;
      case "usage":
        this.#meter.learn(event.usage, event.source);
        break;
      case "credits":
        this.#out.push(event);
        break;
      case "stop":
        this.#flush();
        if (this.#ended) break;
        this.#stop(
          event.reason === "end-turn" && this.#converted.length > 0 ? "tool-use" : event.reason,
          event.sequence,
        );
        break;
      case "failed":
        this.#flush();
        if (!this.#ended) this.#out.push(event);
        this.#ended = true;
        break;
      default:
        event satisfies never;
    }
  }

  #stop(reason: StopReason, sequence?: string): void {
    if (this.#reasoning) this.#out.push({ type: "reasoning-end" });
    const { usage, source } = this.#meter.final();
    this.#out.push({ type: "usage", usage, source });
    this.#out.push(
      sequence === undefined ? { type: "stop", reason } : { type: "stop", reason, sequence },
    );
    this.#ended = true;
  }

  /** Sends text on its way out, up to the token limit; `as` is the event that it came in, if that is all of it. */
  #say(type: "text" | "reasoning", text: string, as?: ReplyEvent): void {
    if (text === "" || this.#ended) return;
    const left = this.#maxTokens - this.#meter.output;
    const tokens = this.#countText(text);
    if (tokens <= left) {
      this.#meter.spend(tokens);
      this.#out.push(as ?? { type, text });
      return;
    }
    this.#meter.spend(left);
    const said = startOf(text, left / tokens);
    if (said !== "") this.#out.push({ type, text: said });
    this.#stop("max-tokens");
  }

  #speak(piece: string): void {
    const { text, sequence } = this.#stops.push(piece);
    this.#say("text", text);
    if (sequence !== undefined && !this.#ended) this.#stop("stop-sequence", sequence);
  }

  #hear(piece: string, as?: ReplyEvent): void {
    if (this.#fence !== undefined) this.#speak(this.#fence.push(piece));
    else if (this.#stops.hasSequences) this.#speak(piece);
    else this.#say("text", piece, as);
  }

  #call(event: Extract<ReplyEvent, { type: "tool-call" }>): void {
    this.#flushText();
    if (this.#ended) return;
    // A whole call is worth more than the exact limit, so it is not cut; the reply ends after it.
    this.#meter.spend(this.#countText(event.name) + this.#countText(event.json));
    this.#out.push(event);
    if (!this.#limits.parallelToolCalls || this.#meter.output >= this.#maxTokens) {
      this.#stop("tool-use");
    }
  }

  /** Where calls are not converted, their text has come out already. */
  #handle(pieces: LeakPiece[]): void {
    const leaks = this.#leaks;
    if (leaks === undefined) return;
    for (const piece of pieces) {
      if (piece.type === "text") {
        if (leaks.convert && !this.#ended) this.#hear(piece.text);
        continue;
      }
      for (const leaked of piece.calls) {
        if (this.#ended) return;
        leaks.onLeak(leaked);
        if (!leaks.convert || isAmong(this.#made, leaked)) continue;
        this.#converted.push(leaked);
        this.#call({ type: "tool-call", id: leaks.newId(), ...leaked });
      }
    }
  }

  #flush(): void {
    if (this.#finder !== undefined) this.#handle(this.#finder.end());
    this.#flushText();
  }

  /** What was held back in case a stop sequence or a closing fence would come of it. */
  #flushText(): void {
    if (this.#fence !== undefined) this.#speak(this.#fence.end());
    this.#say("text", this.#stops.end());
  }
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
