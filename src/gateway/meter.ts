import type { Usage } from "../conversation/reply.ts";

/** Keeps count of a reply, and settles with what the service itself has said by the end. */
export class Meter {
  readonly #promptTokens: number;
  readonly #correct: ((shown: number) => number) | undefined;
  #output = 0;
  #context: number | undefined;
  #upstream: Partial<Usage> = {};

  /** `correct` puts a prompt's size by the service right; without it it is believed. */
  constructor(promptTokens: number, correct?: (shown: number) => number) {
    this.#promptTokens = promptTokens;
    this.#correct = correct;
  }

  /** Output tokens so far, by our own count. */
  get output(): number {
    return this.#output;
  }

  spend(tokens: number): void {
    this.#output += tokens;
  }

  /** From `estimate`, `inputTokens` is the whole context: prompt and reply together. */
  learn(usage: Partial<Usage>, source: "upstream" | "estimate"): void {
    if (source === "upstream") Object.assign(this.#upstream, usage);
    else this.#context = usage.inputTokens;
  }

  /** The reply's usage: the service's figures where it gave them, else ours. */
  final(): { usage: Usage; source: "upstream" | "estimate" } {
    const { inputTokens, outputTokens = Math.round(this.#output) } = this.#upstream;
    const estimated = this.#estimate(outputTokens);
    return {
      usage: {
        inputTokens: inputTokens ?? estimated,
        outputTokens,
        cacheReadTokens: this.#upstream.cacheReadTokens ?? 0,
        cacheWriteTokens: this.#upstream.cacheWriteTokens ?? 0,
      },
      source: inputTokens === undefined ? "estimate" : "upstream",
    };
  }

  #estimate(outputTokens: number): number {
    if (this.#context === undefined) return this.#promptTokens;
    const shown = Math.max(1, this.#context - outputTokens);
    return this.#correct === undefined ? shown : this.#correct(shown);
  }
}
