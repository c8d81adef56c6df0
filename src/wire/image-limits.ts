import type { Image } from "../conversation/conversation.ts";
import { imageSize } from "../conversation/image-size.ts";

/** Characters of base64. */
const BASE64_MAX = 5 * 1024 ** 2;
/** Pixels of the longer edge. Among more than twenty images less is allowed, but so many are never sent. */
const EDGE_MAX = 8_000;

/**
 * What is wrong with an image that is over a limit of the service. The words are those of Anthropic's API: Claude Code
 * reads them and leaves the image out.
 */
export function overLimit(image: Image): string | undefined {
  const { length } = image.base64;
  if (length > BASE64_MAX) {
    return `image exceeds 5 MB maximum: ${length} bytes > ${BASE64_MAX} bytes`;
  }
  const { width = 0, height = 0 } = imageSize(image) ?? {};
  if (Math.max(width, height) <= EDGE_MAX) return undefined;
  return `At least one of the image dimensions exceed max allowed size: ${EDGE_MAX} pixels (${width} x ${height})`;
}
