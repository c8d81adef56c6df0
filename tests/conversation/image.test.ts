import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { imageFromBase64 } from "../../src/conversation/image.ts";

const png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const webp = [...Buffer.from("RIFF\x10\x00\x00\x00WEBPVP8 ", "latin1")];

function encoded(...bytes: number[]): string {
  return Buffer.from(bytes).toString("base64");
}

describe("imageFromBase64", () => {
  test.each([
    { name: "PNG", bytes: png, format: "png" },
    { name: "JPEG", bytes: [0xff, 0xd8, 0xff, 0xe0, 0, 16], format: "jpeg" },
    { name: "old GIF", bytes: [...Buffer.from("GIF87a")], format: "gif" },
    { name: "new GIF", bytes: [...Buffer.from("GIF89a")], format: "gif" },
    { name: "WebP", bytes: webp, format: "webp" },
  ] as const)("reads the format of a $name off its bytes", ({ bytes, format }) => {
    const base64 = encoded(...bytes);
    expect(imageFromBase64(base64)).toEqual({ type: "image", format, base64 });
  });

  test.each([
    { name: "nothing", data: "" },
    { name: "a bare prefix", data: "data:image/png;base64," },
    { name: "a prefix without a comma", data: "data:image/png" },
    { name: "no base64", data: "not base64!" },
    { name: "an SVG as text", data: "data:image/svg+xml,<svg/>" },
    { name: "a BMP", data: encoded(0x42, 0x4d, 0, 0, 0, 0, 0, 0) },
    { name: "a RIFF that is no WebP", data: Buffer.from("RIFF\0\0\0\0WAVE").toString("base64") },
    { name: "a signature cut short", data: encoded(...png.slice(0, 7)) },
    { name: "one digit too many", data: `${encoded(...png, 1)}A` },
    { name: "padding in the middle", data: encoded(...png) + encoded(...png) },
    { name: "a letter outside the alphabets", data: `${encoded(...png)}é` },
  ])("has no image for $name", ({ data }) => {
    expect(imageFromBase64(data)).toBeUndefined();
  });

  test("whatever dress the base64 comes in, the image is the same", () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((rest) => Buffer.from([...png, ...rest]));
    const prefix = fc.constantFrom("", "data:image/png;base64,", " data:IMAGE/JPEG;x=y;base64,");
    const space = fc.constantFrom("", "\n", "\r\n", " ", "\t");
    fc.assert(
      fc.property(bytes, prefix, space, fc.boolean(), fc.boolean(), (data, head, gap, url, pad) => {
        const base64 = data.toString("base64");
        const alphabet = url ? base64.replaceAll("+", "-").replaceAll("/", "_") : base64;
        const padded = pad ? alphabet : alphabet.replace(/=+$/, "");
        const dressed = head + padded.replace(/.{7}/g, `$&${gap}`) + gap;
        expect(imageFromBase64(dressed)).toEqual({ type: "image", format: "png", base64 });
      }),
    );
  });
});
