import { setImmediate } from "node:timers/promises";
import type { Conversation } from "../conversation/conversation.ts";
import { estimateTokens } from "./estimate.ts";
import { segmentsOf } from "./segments.ts";

/** In tokens of the Claude 4 family's models; see `PER_PUBLISHED_TOKEN`. Counts of prompts are whole. */
export type TokenCounter = {
  /** The prompt's size by the tokenizer. The first call loads it; others are let in every 8 K characters. */
  exact(conversation: Conversation): Promise<number>;
  /**
   * The same without waiting: counts that were made before, and estimates for the rest. Where `exact` is in use the rest is
   * counted afterwards, so that later prompts, which hold it too, agree with `exact`.
   */
  quick(conversation: Conversation): number;
  /** An estimate for a text, or for a piece of one: a fraction, so that the pieces of a stream add up. */
  text(text: string): number;
};

export type TokenCounterOptions = {
  /** Gives the tokenizer; called once, when first needed. */
  load?: () => Promise<(text: string) => number>;
  /** Texts whose count is remembered, about 100 bytes each; the texts themselves are not kept. */
  cacheEntries?: number;
};

/**
 * Today's tokenizers are not public. The published one counts a tenth less than Anthropic's API does for the Claude 4
 * models, as measured by the makers of ai-tokenizer.
 */
const PER_PUBLISHED_TOKEN = 1.1;

export function createTokenCounter(options: TokenCounterOptions = {}): TokenCounter {
  const { load = loadClaude, cacheEntries = 20_000 } = options;
  const cache = createCountCache(cacheEntries);
  /** A session sends its texts again with every turn: an estimate of 290 KB takes 0.2 ms, its hash a tenth of that. */
  const estimates = createCountCache(cacheEntries);
  let loading: Promise<(text: string) => number> | undefined;
  let loaded: ((text: string) => number) | undefined;
  /** Estimated so far, to be counted when nothing else is to be done. */
  const later: string[] = [];

  function countLater(tokenize: (text: string) => number, texts: string[]): void {
    const isIdle = later.length === 0;
    if (later.length < LATER_MAX) for (const text of texts) later.push(text);
    if (isIdle) void countWaiting(tokenize);
  }

  async function countWaiting(tokenize: (text: string) => number): Promise<void> {
    for (;;) {
      await setImmediate();
      const text = later.at(-1);
      if (text === undefined) return;
      const key = keyOf(text);
      if (cache.get(key) === undefined) cache.set(key, tokenize(text));
      later.pop();
    }
  }

  function estimated(key: bigint, text: string): number {
    let count = estimates.get(key);
    if (count === undefined) {
      count = estimateTokens(text);
      estimates.set(key, count);
    }
    return count;
  }

  return {
    async exact(conversation) {
      loading ??= load();
      const tokenize = await loading;
      loaded = tokenize;
      const { texts, fixed } = segmentsOf(conversation);
      let tokens = 0;
      let sincePause = 0;
      for (const text of texts) {
        const key = keyOf(text);
        let count = cache.get(key);
        if (count === undefined) {
          if (sincePause >= PAUSE_AFTER) {
            await setImmediate();
            sincePause = 0;
          }
          count = tokenize(text);
          cache.set(key, count);
          sincePause += text.length;
        }
        tokens += count;
      }
      return Math.round(tokens * PER_PUBLISHED_TOKEN + fixed);
    },
    quick(conversation) {
      const { texts, fixed } = segmentsOf(conversation);
      const uncounted: string[] = [];
      let tokens = 0;
      for (const text of texts) {
        const key = keyOf(text);
        const count = cache.get(key);
        if (count === undefined) uncounted.push(text);
        tokens += count ?? estimated(key, text);
      }
      if (loaded !== undefined && uncounted.length > 0) countLater(loaded, uncounted);
      return Math.round(tokens * PER_PUBLISHED_TOKEN + fixed);
    },
    text(text) {
      return estimateTokens(text) * PER_PUBLISHED_TOKEN;
    },
  };
}

/** Characters that are tokenized in one go; a few milliseconds at worst. */
const PAUSE_AFTER = 8192;
/** Texts that may wait to be counted; a prompt's own are taken whole. */
const LATER_MAX = 1_000;

async function loadClaude(): Promise<(text: string) => number> {
  const { createClaudeTokenizer } = await import("./claude.ts");
  return createClaudeTokenizer();
}

/** 64 bits of hash with the length as its seed. */
function keyOf(text: string): bigint {
  return Bun.hash.wyhash(text, BigInt(text.length));
}

type CountCache = { get(key: bigint): number | undefined; set(key: bigint, count: number): void };

/** Forgets what has not been used for the longest time, by halves: a full young half becomes the old one. */
function createCountCache(entries: number): CountCache {
  let young = new Map<bigint, number>();
  let old = new Map<bigint, number>();

  function set(key: bigint, count: number): void {
    if (young.size >= entries / 2) {
      old = young;
      young = new Map();
    }
    young.set(key, count);
  }

  return {
    get(key) {
      const fresh = young.get(key);
      if (fresh !== undefined) return fresh;
      const count = old.get(key);
      if (count !== undefined) set(key, count);
      return count;
    },
    set,
  };
}
