import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ImageFormat } from "../../src/conversation/conversation.ts";
import { imageTokens } from "../../src/tokens/image.ts";

function tokensOf(format: ImageFormat, bytes: Uint8Array): number {
  return imageTokens({ type: "image", format, base64: Buffer.from(bytes).toString("base64") });
}

function png(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}

function gif(width: number, height: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.write("GIF89a", "latin1");
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  return bytes;
}

function webp(chunk: "VP8 " | "VP8L" | "VP8X", width: number, height: number): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.write(`RIFF    WEBP${chunk}`, "latin1");
  switch (chunk) {
    case "VP8X":
      bytes.writeUIntLE(width - 1, 24, 3);
      bytes.writeUIntLE(height - 1, 27, 3);
      break;
    case "VP8L":
      bytes[20] = 0x2f;
      bytes.writeUInt32LE(((width - 1) | ((height - 1) << 14)) >>> 0, 21);
      break;
    case "VP8 ":
      bytes.writeUInt16LE(width, 26);
      bytes.writeUInt16LE(height, 28);
      break;
  }
  return bytes;
}

/** `before` are segments between the start and the frame header. */
function jpeg(
  width: number,
  height: number,
  { marker = 0xc0, before = Buffer.alloc(0) } = {},
): Buffer {
  const frame = Buffer.from([0xff, marker, 0, 17, 8, 0, 0, 0, 0, 3]);
  frame.writeUInt16BE(height, 5);
  frame.writeUInt16BE(width, 7);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), before, frame, Buffer.alloc(16)]);
}

function segment(marker: number, length: number): Buffer {
  const bytes = Buffer.alloc(length + 2, 0xc0);
  bytes.writeUInt16BE(0xff00 | marker, 0);
  bytes.writeUInt16BE(length, 2);
  return bytes;
}

const WIDTH = 1000;
const HEIGHT = 600;
const TOKENS = 800;

describe("imageTokens", () => {
  test.each<[string, ImageFormat, Buffer]>([
    ["PNG", "png", png(WIDTH, HEIGHT)],
    ["GIF", "gif", gif(WIDTH, HEIGHT)],
    ["lossy WebP", "webp", webp("VP8 ", WIDTH, HEIGHT)],
    ["lossless WebP", "webp", webp("VP8L", WIDTH, HEIGHT)],
    ["extended WebP", "webp", webp("VP8X", WIDTH, HEIGHT)],
    ["JPEG", "jpeg", jpeg(WIDTH, HEIGHT)],
    ["progressive JPEG", "jpeg", jpeg(WIDTH, HEIGHT, { marker: 0xc2 })],
    [
      "JPEG behind 120 KB of metadata, tables and padding",
      "jpeg",
      jpeg(WIDTH, HEIGHT, {
        before: Buffer.concat([
          segment(0xe1, 65_000),
          segment(0xe2, 55_000),
          segment(0xc4, 200),
          Buffer.from([0xff]),
          segment(0xdb, 67),
        ]),
      }),
    ],
  ])("reads the size of a %s", (_, format, bytes) => {
    expect(tokensOf(format, bytes)).toBe(TOKENS);
  });

  test.each([
    ["shrunk to 1568 × 784, which is over the limit", 3136, 1568, 1600],
    ["shrunk to 1568 × 157", 15_680, 1568, 328],
    ["at the limit", 1200, 1000, 1600],
    ["tiny", 1, 1, 1],
    ["wide and flat", 1_000_000, 1, 1],
  ])("an image is %s", (_, width, height, tokens) => {
    expect(tokensOf("png", png(width, height))).toBe(tokens);
  });

  test("the real header of a file is read", () => {
    const pixel =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    expect(imageTokens({ type: "image", format: "png", base64: pixel })).toBe(1);
  });

  test.each<[string, ImageFormat, Buffer]>([
    ["empty", "png", Buffer.alloc(0)],
    ["cut short", "png", png(WIDTH, HEIGHT).subarray(0, 20)],
    ["of size zero", "png", png(0, HEIGHT)],
    ["a GIF cut short", "gif", gif(WIDTH, HEIGHT).subarray(0, 9)],
    ["a WebP of no known kind", "webp", Buffer.alloc(40)],
    [
      "a JPEG without a frame",
      "jpeg",
      Buffer.concat([Buffer.from([0xff, 0xd8]), segment(0xe1, 50)]),
    ],
    ["a JPEG of zeros", "jpeg", Buffer.alloc(1000)],
    [
      "a JPEG with a segment of length zero for ever",
      "jpeg",
      Buffer.concat(Array.from({ length: 5000 }, () => Buffer.from([0xff, 0xe0, 0, 0]))),
    ],
  ])("an image that is %s costs the most", (_, format, bytes) => {
    expect(tokensOf(format, bytes)).toBe(1600);
  });

  test("no bytes make it throw or leave the range", () => {
    const formats = fc.constantFrom<ImageFormat>("png", "jpeg", "gif", "webp");
    const bytes = fc.uint8Array({ maxLength: 200 });
    const jpegs = bytes.map((tail) => new Uint8Array([0xff, 0xd8, 0xff, 0xc0, ...tail]));
    fc.assert(
      fc.property(formats, fc.oneof(bytes, jpegs), (format, content) => {
        const tokens = tokensOf(format, content);
        expect(Number.isInteger(tokens) && tokens >= 1 && tokens <= 1600).toBe(true);
      }),
    );
  });
});
