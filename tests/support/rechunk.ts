import * as fc from "fast-check";

/**
 * Cuts bytes into chunks of the given sizes, in turn and from the beginning again until all is cut. A size of 0 makes an
 * empty chunk; at least one must be more. Every chunk is a copy with a buffer of its own, as from a network.
 */
export function rechunk(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  if (!sizes.some((size) => size > 0)) throw new RangeError("rechunk needs a size above 0");
  const chunks: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    for (const size of sizes) {
      chunks.push(new Uint8Array(bytes.subarray(start, start + size)));
      start += size;
      if (start >= bytes.length) break;
    }
  }
  return chunks;
}

/** The bytes in two chunks, once for every offset, both ends included. */
export function* everyCut(bytes: Uint8Array): Generator<[Uint8Array, Uint8Array]> {
  for (let at = 0; at <= bytes.length; at += 1) {
    yield [new Uint8Array(bytes.subarray(0, at)), new Uint8Array(bytes.subarray(at))];
  }
}

/** Sizes for `rechunk`: mostly smaller than a frame, some larger, some empty chunks among them. */
export const chunkSizes: fc.Arbitrary<number[]> = fc
  .array(fc.oneof(fc.nat(3), fc.nat(40), fc.nat(1_000)), { minLength: 1, maxLength: 12 })
  .filter((sizes) => sizes.some((size) => size > 0));
