import {
  CHECKSUM_BYTES,
  type HeaderValue,
  MIN_FRAME_BYTES,
  PRELUDE_BYTES,
} from "../../src/eventstream/frame.ts";

/** A plain string is a header of type string. */
export type Headers = Record<string, string | HeaderValue>;
/** An object is sent as JSON, a string as UTF-8. */
export type Payload = Uint8Array | string | object;

/** One frame as the service sends it. Written from the format's description, not from the decoder. */
export function encodeFrame(headers: Headers, payload: Payload = ""): Buffer {
  const block = Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => encodeHeader(name, value)),
  );
  const body = payloadBytes(payload);
  const frame = Buffer.allocUnsafe(MIN_FRAME_BYTES + block.length + body.length);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(block.length, 4);
  frame.set(block, PRELUDE_BYTES);
  frame.set(body, PRELUDE_BYTES + block.length);
  return seal(frame);
}

/** Writes both checksums anew, so that a frame can be forged whose only fault is the one intended. */
export function seal(frame: Buffer): Buffer {
  const end = frame.length - CHECKSUM_BYTES;
  frame.writeUInt32BE(Bun.hash.crc32(frame.subarray(0, 8)), 8);
  frame.writeUInt32BE(Bun.hash.crc32(frame.subarray(0, end)), end);
  return frame;
}

/** `payload` holds the event's members themselves, not wrapped in its name. */
export function eventFrame(eventType: string, payload: Payload): Buffer {
  return encodeFrame(
    {
      ":event-type": eventType,
      ":content-type": "application/json",
      ":message-type": "event",
    },
    payload,
  );
}

/** Usually `{ message, reason? }`. Ends the stream. */
export function exceptionFrame(exceptionType: string, payload: Payload): Buffer {
  return encodeFrame(
    {
      ":message-type": "exception",
      ":exception-type": exceptionType,
      ":content-type": "application/json",
    },
    payload,
  );
}

/** An error outside the service's model: no payload. Ends the stream. */
export function errorFrame(code: string, message: string): Buffer {
  return encodeFrame({
    ":message-type": "error",
    ":error-code": code,
    ":error-message": message,
  });
}

function payloadBytes(payload: Payload): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  return Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
}

function encodeHeader(name: string, value: string | HeaderValue): Uint8Array[] {
  const nameBytes = Buffer.from(name);
  return [
    Uint8Array.of(nameBytes.length),
    nameBytes,
    ...typeAndValue(typeof value === "string" ? { type: "string", value } : value),
  ];
}

function typeAndValue(header: HeaderValue): Uint8Array[] {
  switch (header.type) {
    case "boolean":
      return [Uint8Array.of(header.value ? 0 : 1)];
    case "byte":
      return [Uint8Array.of(2, header.value)];
    case "short":
      return [Uint8Array.of(3), int16(header.value)];
    case "integer":
      return [Uint8Array.of(4), int32(header.value)];
    case "long":
      return [Uint8Array.of(5), int64(header.value)];
    case "byte-array":
      return [Uint8Array.of(6), int16(header.value.length), header.value];
    case "string": {
      const text = Buffer.from(header.value);
      return [Uint8Array.of(7), int16(text.length), text];
    }
    case "timestamp":
      return [Uint8Array.of(8), int64(BigInt(header.value.getTime()))];
    case "uuid":
      return [Uint8Array.of(9), Buffer.from(header.value.replaceAll("-", ""), "hex")];
    default:
      return header satisfies never;
  }
}

function int16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}

function int32(value: number): Uint8Array {
  return Uint8Array.of(value >> 24, value >> 16, value >> 8, value);
}

function int64(value: bigint): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
