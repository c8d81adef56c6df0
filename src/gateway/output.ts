import type { Limits, OutputFormat } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent, StopReason } from "../conversation/reply.ts";
import { createFenceStripper } from "./code-fence.ts";
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
};

export function createOutput(options: OutputOptions): Output {
  const { limits, countText } = options;
  const maxTokens = limits.maxTokens ?? Number.POSITIVE_INFINITY;
  const fence = options.format.type === "json" ? createFenceStripper() : undefined;
  const stops = createStopMatcher(limits.stopSequences);
  const meter = createMeter(options.promptTokens);
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

  /** What was held back in case a stop sequence or a closing fence would come of it. */
  function flush(out: ReplyEvent[]): void {
    if (fence !== undefined) speak(out, fence.end());
    say(out, "text", stops.end());
  }

  function one(event: ReplyEvent, out: ReplyEvent[]): void {
    switch (event.type) {
      case "text":
        speak(out, fence === undefined ? event.text : fence.push(event.text));
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
        if (ended) break;
        // A whole call is worth more than the exact limit, so it is not cut; the reply ends after it.
        meter.spend(countText(event.name) + countText(event.json));
        out.push(event);
        if (!limits.parallelToolCalls || meter.output() >= maxTokens) stop(out, "tool-use");
        break;
      case "usage":
        meter.learn(event.usage, event.source);
        break;
      case "credits":
        out.push(event);
        break;
      case "stop":
        flush(out);
        if (!ended) stop(out, event.reason, event.sequence);
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

/** The first part of a text by share of its length, never through a surrogate pair. */
function startOf(text: string, share: number): string {
  const cut = Math.floor(text.length * Math.max(0, share));
  const code = text.charCodeAt(cut - 1);
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? cut - 1 : cut);
}
