import { fail, ok, type Result } from "../result.ts";
import type { FrameFault, HeaderValue } from "./frame.ts";

type HeadersFault = Extract<FrameFault, { kind: "headers" }>;

type HeaderType = {
  /** Length of the value; absent where its first two bytes say it. */
  bytes?: number;
  read(view: DataView, start: number, end: number): HeaderValue;
};

// By default a decoder takes a byte order mark away; a header's text is kept as it is.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** In the order of their numbers. */
const HEADER_TYPES: HeaderType[] = [
  { bytes: 0, read: () => ({ type: "boolean", value: true }) },
  { bytes: 0, read: () => ({ type: "boolean", value: false }) },
  { bytes: 1, read: (view, start) => ({ type: "byte", value: view.getInt8(start) }) },
  { bytes: 2, read: (view, start) => ({ type: "short", value: view.getInt16(start) }) },
  { bytes: 4, read: (view, start) => ({ type: "integer", value: view.getInt32(start) }) },
  { bytes: 8, read: (view, start) => ({ type: "long", value: view.getBigInt64(start) }) },
  { read: (view, start, end) => ({ type: "byte-array", value: slice(view, start + 2, end) }) },
  { read: (view, start, end) => ({ type: "string", value: text(view, start + 2, end) }) },
  { bytes: 8, read: (view, start) => ({ type: "timestamp", value: date(view, start) }) },
  { bytes: 16, read: (view, start, end) => ({ type: "uuid", value: uuid(view, start, end) }) },
];
const STRING_TYPE = 7;

/**
 * Walks a header block without decoding it. Undefined means that every header is of a known type and that the last one
 * ends where the block ends. The block is all of `bytes` unless told where it begins and ends.
 */
export function checkHeaders(
  bytes: Uint8Array,
  from = 0,
  to = bytes.length,
): HeadersFault | undefined {
  for (let start = from; start < to;) {
    const end = headerEnd(bytes, start, to);
    if (!(end <= to)) return brokenHeader(start - from, end);
    start = end;
  }
  return undefined;
}

/**
 * The text of the string header called `name` (ASCII), without decoding the other headers. Undefined if there is none,
 * if it is of another type, or if the block is broken. As in AWS's client, the last of several with one name wins and
 * bytes that are not UTF-8 become U+FFFD.
 */
export function stringHeader(block: Uint8Array, name: string): string | undefined {
  let value: Uint8Array | undefined;
  for (let start = 0; start < block.length;) {
    const end = headerEnd(block, start);
    if (!(end <= block.length)) return undefined;
    if (isNamed(block, start, name)) {
      const typeAt = start + 1 + name.length;
      value = block[typeAt] === STRING_TYPE ? block.subarray(typeAt + 3, end) : undefined;
    }
    start = end;
  }
  return value && utf8.decode(value);
}

/**
 * All headers by name, of all ten types. As in AWS's client, the last of several with one name wins and bytes that are
 * not UTF-8 become U+FFFD. Byte arrays are views into `block`.
 */
export function decodeHeaders(block: Uint8Array): Result<Map<string, HeaderValue>, HeadersFault> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const headers = new Map<string, HeaderValue>();
  for (let start = 0; start < block.length;) {
    const end = headerEnd(block, start);
    const typeAt = start + 1 + view.getUint8(start);
    const type = HEADER_TYPES[block[typeAt] ?? -1];
    if (type === undefined || !(end <= block.length)) return fail(brokenHeader(start, end));
    headers.set(text(view, start + 1, typeAt), type.read(view, typeAt + 1, end));
    start = end;
  }
  return ok(headers);
}

/** Where the header that begins at `start` ends, perhaps beyond the block, which ends at `to`; NaN if its type is unknown. */
function headerEnd(block: Uint8Array, start: number, to = block.length): number {
  const typeAt = start + 1 + (block[start] ?? 0);
  const number = block[typeAt];
  if (number === undefined || typeAt >= to) return Infinity;
  const type = HEADER_TYPES[number];
  if (type === undefined) return NaN;
  const valueAt = typeAt + 1;
  if (type.bytes !== undefined) return valueAt + type.bytes;
  return valueAt + 2 + (((block[valueAt] ?? 0) << 8) | (block[valueAt + 1] ?? 0));
}

function brokenHeader(start: number, end: number): HeadersFault {
  const what = Number.isNaN(end) ? "is of an unknown type" : "runs past the end of the headers";
  return { kind: "headers", detail: `the header at byte ${start} ${what}` };
}

function isNamed(block: Uint8Array, start: number, name: string): boolean {
  if (block[start] !== name.length) return false;
  for (let i = 0; i < name.length; i += 1) {
    if (block[start + 1 + i] !== name.charCodeAt(i)) return false;
  }
  return true;
}

function slice(view: DataView, start: number, end: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start);
}

function text(view: DataView, start: number, end: number): string {
  return utf8.decode(slice(view, start, end));
}

function date(view: DataView, start: number): Date {
  return new Date(Number(view.getBigInt64(start)));
}

function uuid(view: DataView, start: number, end: number): string {
  const hex = slice(view, start, end).toHex();
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
