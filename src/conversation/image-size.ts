import type { Image } from "./conversation.ts";

/** Enough of a JPEG to get past its metadata; the other formats have their size in the first 30 bytes. */
const JPEG_HEAD = 256 * 1024;
const HEAD = 64;

/** Pixels of an image, from its header. Undefined where it can't be read. */
export function imageSize({ format, base64 }: Pick<Image, "format" | "base64">): Size | undefined {
  const head = Buffer.from(base64.slice(0, format === "jpeg" ? JPEG_HEAD : HEAD), "base64");
  return sizeOf(format, new DataView(head.buffer, head.byteOffset, head.length));
}

export type Size = { width: number; height: number };

function sizeOf(format: Image["format"], head: DataView): Size | undefined {
  switch (format) {
    case "png":
      return head.byteLength < 24
        ? undefined
        : { width: head.getUint32(16), height: head.getUint32(20) };
    case "gif":
      return head.byteLength < 10
        ? undefined
        : { width: head.getUint16(6, true), height: head.getUint16(8, true) };
    case "webp":
      return head.byteLength < 30 ? undefined : webpSize(head);
    case "jpeg":
      return jpegSize(head);
    default:
      return format satisfies never;
  }
}

/** The three kinds of the first chunk: extended, lossless, lossy (RFC 9649). */
function webpSize(head: DataView): Size | undefined {
  switch (head.getUint32(12)) {
    case 0x56503858: // "VP8X"
      return {
        width: 1 + (head.getUint32(24, true) & 0xffffff),
        height: 1 + (head.getUint32(26, true) >>> 8),
      };
    case 0x5650384c: {
      // "VP8L"
      const bits = head.getUint32(21, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
    }
    case 0x56503820: // "VP8 "
      return {
        width: head.getUint16(26, true) & 0x3fff,
        height: head.getUint16(28, true) & 0x3fff,
      };
    default:
      return undefined;
  }
}

/** Walks the segments to the frame header: any of the markers C0 to CF but C4, C8 and CC (ITU T.81, table B.1). */
function jpegSize(head: DataView): Size | undefined {
  let at = 2;
  while (at + 9 <= head.byteLength) {
    if (head.getUint8(at) !== 0xff) return undefined;
    const marker = head.getUint8(at + 1);
    if (marker === 0xff) {
      at++;
    } else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: head.getUint16(at + 7), height: head.getUint16(at + 5) };
    } else {
      at += 2 + head.getUint16(at + 2);
    }
  }
  return undefined;
}
