import { standardBase64 } from "./base64.ts";
import type { Image, ImageFormat } from "./conversation.ts";

/**
 * The image in `data`: base64 in either alphabet, also as a `data:` URL or with white space in it. The format is read
 * off the first bytes, because clients mislabel. Undefined where it is not base64 of a PNG, JPEG, GIF or WebP.
 */
export function imageFromBase64(data: string): Image | undefined {
  const base64 = standardBase64(data);
  if (base64 === undefined) return undefined;
  const format = formatOf(Buffer.from(base64.slice(0, 16), "base64").toString("latin1"));
  return format && { type: "image", format, base64 };
}

/** `head` is the first twelve bytes as Latin-1, which is as far as the longest signature (RIFF….WEBP) goes. */
function formatOf(head: string): ImageFormat | undefined {
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (head.startsWith("\xff\xd8\xff")) return "jpeg";
  if (head.startsWith("GIF87a") || head.startsWith("GIF89a")) return "gif";
  if (head.startsWith("RIFF") && head.startsWith("WEBP", 8)) return "webp";
  return undefined;
}
