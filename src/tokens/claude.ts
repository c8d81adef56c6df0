import { Tokenizer } from "ai-tokenizer";
import {
  binaryEncoder,
  name,
  pat_str as pattern,
  stringEncoder,
} from "ai-tokenizer/encoding/claude";

/** Merging is quadratic in the length of a word, and a client may send a word of a megabyte. */
const WORD_MAX = 64;
/** Words whose merge is remembered; the library's own 100,000 cost memory and save no time. */
const MERGES_KEPT = 10_000;

/**
 * Counts tokens with the last vocabulary that Anthropic has published. Loading this file takes some 100 ms and 20 MB,
 * so it is imported only when somebody counts.
 */
export function createClaudeTokenizer(): (text: string) => number {
  const data = {
    name,
    pat_str: pattern.replaceAll("+", `{1,${WORD_MAX}}`),
    // With them, a text that merely mentions one, such as <META>, throws.
    special_tokens: {},
    stringEncoder,
    binaryEncoder,
    decoder: {},
  };
  const tokenizer = new Tokenizer(data, {}, MERGES_KEPT);
  return (text) => tokenizer.count(text);
}
