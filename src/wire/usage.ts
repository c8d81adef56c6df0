import type { ReplyEvent, Usage } from "../conversation/reply.ts";

/** What a reply has cost: field by field the last word of the service, else our last estimate, else nothing. */
export class UsageTally {
  #estimated: Partial<Usage>;
  #reported: Partial<Usage> = {};

  /** `inputTokens` is our estimate of the prompt before anybody has said more. */
  constructor(inputTokens: number) {
    this.#estimated = { inputTokens };
  }

  add({ usage, source }: Extract<ReplyEvent, { type: "usage" }>): void {
    if (source === "upstream") this.#reported = { ...this.#reported, ...usage };
    else this.#estimated = { ...this.#estimated, ...usage };
  }

  get total(): Usage {
    return {
      inputTokens: 0,
      outputTokens: 0,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      ...this.#estimated,
      ...this.#reported,
    };
  }
}
