import type { Usage } from "../conversation/reply.ts";

/** Keeps count of a reply, and settles with what the service itself has said by the end. */
export type Meter = {
  /** Output tokens so far, by our own count. */
  output(): number;
  spend(tokens: number): void;
  /** From `estimate`, `inputTokens` is the whole context: prompt and reply together. */
  learn(usage: Partial<Usage>, source: "upstream" | "estimate"): void;
  /** The reply's usage: the service's figures where it gave them, else ours. */
  final(): { usage: Usage; source: "upstream" | "estimate" };
};

/** @param correct puts a prompt's size by the service right; without it it is believed */
export function createMeter(
  promptTokens: number,
  correct: (shown: number) => number = (shown) => shown,
): Meter {
  let output = 0;
  let context: number | undefined;
  let upstream: Partial<Usage> = {};
  return {
    output: () => output,
    spend(tokens) {
      output += tokens;
    },
    learn(usage, source) {
      if (source === "upstream") upstream = { ...upstream, ...usage };
      else context = usage.inputTokens;
    },
    final() {
      const outputTokens = upstream.outputTokens ?? Math.round(output);
      const known = upstream.inputTokens !== undefined;
      const estimated =
        context === undefined ? promptTokens : correct(Math.max(1, context - outputTokens));
      return {
        usage: {
          inputTokens: upstream.inputTokens ?? estimated,
          outputTokens,
          cacheReadTokens: upstream.cacheReadTokens ?? 0,
          cacheWriteTokens: upstream.cacheWriteTokens ?? 0,
        },
        source: known ? "upstream" : "estimate",
      };
    },
  };
}
