/**
 * One event of the service's answer, decoded. `unknown` is explicit: the service adds kinds, and what we don't know
 * must not break a stream. `exception` and `error` are terminal.
 */
export type KiroEvent =
  | { type: "text"; text: string }
  | { type: "reasoning"; text?: string; signature?: string; redacted?: string }
  /** One fragment of a call. `input` is a fragment of JSON text, or the whole input where the service sent an object. */
  | { type: "tool-use"; id: string; name: string; input?: string; whole?: boolean; stop: boolean }
  | {
      type: "metadata";
      inputTokens?: number;
      outputTokens?: number;
      cacheReadTokens?: number;
      cacheWriteTokens?: number;
      contextPercentage?: number;
      stopReason?: string;
    }
  | { type: "context-usage"; percentage: number }
  | { type: "metering"; credits: number }
  | { type: "invalid-state"; reason: string; message: string }
  | { type: "exception"; exceptionType: string; message: string; reason?: string }
  | { type: "error"; code: string; message: string }
  /** A known kind that means nothing to a client (links, follow-up prompts), or an unknown one. */
  | { type: "ignored"; eventType: string }
  /** A frame of a known kind whose payload does not parse. */
  | { type: "malformed"; eventType: string };
