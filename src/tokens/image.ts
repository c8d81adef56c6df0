import type { Image } from "../conversation/conversation.ts";
import { imageSize } from "../conversation/image-size.ts";

/** What an image costs at most; also what one costs whose size can't be read. */
const TOKENS_MAX = 1600;
/** The service shrinks an image until its longer edge has no more pixels than this. */
const EDGE_MAX = 1568;
const PIXELS_PER_TOKEN = 750;

/** Tokens of an image by Anthropic's published formula, from the size in its header. */
export function imageTokens(image: Image): number {
  const size = imageSize(image);
  if (!size || size.width === 0 || size.height === 0) return TOKENS_MAX;
  const scale = Math.min(1, EDGE_MAX / Math.max(size.width, size.height));
  const pixels = size.width * scale * (size.height * scale);
  return Math.min(TOKENS_MAX, Math.max(1, Math.round(pixels / PIXELS_PER_TOKEN)));
}
