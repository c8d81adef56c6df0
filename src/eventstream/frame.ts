/*
 * One message of `application/vnd.amazon.eventstream`, the framing of AWS's streaming services. Integers are big-endian,
 * both checksums are CRC-32 as in zlib.
 *
 *   0              4                8             12            12+H             T-4         T
 *   +--------------+----------------+-------------+-------------+----------------+-----------+
 *   | total length | headers length | prelude     | headers     | payload        | message   |
 *   | T            | H              | CRC of 0..8 | (H bytes)   | (T-H-16 bytes) | CRC of    |
 *   |              |                |             |             |                | 0..T-4    |
 *   +--------------+----------------+-------------+-------------+----------------+-----------+
 *
 * A header is: length of the name (1 byte), name (UTF-8), type (1 byte), value. Its ten types are in `headers.ts`.
 */

/** Both lengths and their checksum. */
export const PRELUDE_BYTES = 12;
export const CHECKSUM_BYTES = 4;
/** A message without headers and payload. */
export const MIN_FRAME_BYTES = PRELUDE_BYTES + CHECKSUM_BYTES;
/** The limit of AWS's C implementation. */
export const MAX_FRAME_BYTES = 24 * 1024 * 1024;

/**
 * A whole message whose checksums hold and whose header block is well formed. It is a window into the bytes that came;
 * they stay valid for as long as they are held, because the decoder never writes into bytes that it has handed out.
 * Views are made only where they are asked for: most frames are read by their text alone.
 */
export class Frame {
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #headersEnd: number;
  readonly #end: number;

  /** `start` is where the headers begin, `end` where the payload ends. */
  constructor(bytes: Buffer, start: number, headersEnd: number, end: number) {
    this.#bytes = bytes;
    this.#start = start;
    this.#headersEnd = headersEnd;
    this.#end = end;
  }

  /** To be read with `stringHeader` or `decodeHeaders`. */
  get headers(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#headersEnd);
  }

  get payload(): Uint8Array {
    return this.#bytes.subarray(this.#headersEnd, this.#end);
  }

  /** The payload as UTF-8; a byte order mark is text like any other. */
  get text(): string {
    return this.#bytes.toString("utf8", this.#headersEnd, this.#end);
  }

  /** Whether the header block is the same, byte by byte. A text of it to compare would cost as much as reading the payload. */
  hasHeaders(block: Uint8Array): boolean {
    const start = this.#start;
    if (block.length !== this.#headersEnd - start) return false;
    for (let at = 0; at < block.length; at += 1) {
      if (block[at] !== this.#bytes[start + at]) return false;
    }
    return true;
  }
}

/** A header's value, by the ten types of the format (`true` and `false` are a type each). */
export type HeaderValue =
  | { type: "boolean"; value: boolean }
  | { type: "byte" | "short" | "integer"; value: number }
  | { type: "long"; value: bigint }
  | { type: "byte-array"; value: Uint8Array }
  | { type: "string"; value: string }
  /** An invalid `Date` where the milliseconds are beyond what `Date` can hold. */
  | { type: "timestamp"; value: Date }
  /** Lower case, with hyphens. */
  | { type: "uuid"; value: string };

/** Why bytes are not a stream of frames. `expected` is the checksum in the frame, `actual` that of its bytes. */
export type FrameFault =
  | { kind: "prelude-checksum"; expected: number; actual: number }
  | { kind: "message-checksum"; expected: number; actual: number }
  /** The prelude is intact but its lengths are over the limit or contradict each other. */
  | { kind: "length"; totalLength: number; headersLength: number }
  | { kind: "headers"; detail: string }
  /** The bytes ended inside a frame, `missing` bytes short of what is known to be needed. */
  | { kind: "truncated"; missing: number };
