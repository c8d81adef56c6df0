/** A header's value, by the ten types of `application/vnd.amazon.eventstream`. */
export type HeaderValue =
  | { type: "boolean"; value: boolean }
  | { type: "byte" | "short" | "integer"; value: number }
  | { type: "long"; value: bigint }
  | { type: "byte-array"; value: Uint8Array }
  | { type: "string"; value: string }
  | { type: "timestamp"; value: Date }
  | { type: "uuid"; value: string };

/** A whole message. `payload` is a view into the decoder's buffer: read it before the next `push`. */
export type Frame = { headers: ReadonlyMap<string, HeaderValue>; payload: Uint8Array };

export type FrameFault =
  | { kind: "prelude-checksum"; expected: number; actual: number }
  | { kind: "message-checksum"; expected: number; actual: number }
  | { kind: "length"; totalLength: number; headersLength: number }
  | { kind: "headers"; detail: string }
  /** The bytes ended inside a frame, `missing` bytes short of what is known to be needed. */
  | { kind: "truncated"; missing: number };
