import { fail, ok, type Result } from "../result.ts";
import {
  CHECKSUM_BYTES,
  type Frame,
  type FrameFault,
  MAX_FRAME_BYTES,
  MIN_FRAME_BYTES,
  PRELUDE_BYTES,
} from "./frame.ts";
import { checkHeaders } from "./headers.ts";

/** The frames that became whole, and what is wrong with the bytes after them. */
export type Decoded = { frames: Frame[]; fault?: FrameFault };

export type FrameDecoder = {
  /**
   * Takes the next bytes of the stream, cut anywhere. The decoder keeps views into `chunk`, so nobody may write to it
   * afterwards. Frames ahead of a fault are delivered with it.
   */
  push(chunk: Uint8Array): Decoded;
  /** To be called when the stream has ended: a fault if it ended inside a frame. */
  end(): FrameFault | undefined;
};

// Most frames get their whole buffer at once; a longer one doubles it as it comes, so that copying stays linear.
const FIRST_BUFFER_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * Decodes `application/vnd.amazon.eventstream`. The first fault is final: every later `push` and `end` gives it again and
 * no frames, because past a broken frame nothing says where the next one begins.
 *
 * A frame within one chunk is not copied. One that spans chunks is gathered in a buffer of its own, which grows with the
 * bytes that came; a length that was only announced allocates nothing. Frames are at most `maxFrameBytes` long (default
 * 24 MiB).
 */
export function createFrameDecoder(options: { maxFrameBytes?: number } = {}): FrameDecoder {
  const { maxFrameBytes = MAX_FRAME_BYTES } = options;
  let gathered: Uint8Array = NOTHING;
  let held = 0;
  // What the next step needs: a prelude, then the whole frame.
  let wanted = PRELUDE_BYTES;
  let fault: FrameFault | undefined;

  function gather(bytes: Uint8Array): void {
    const size = held + bytes.length;
    if (size > gathered.length) {
      const room = Math.max(size, 2 * gathered.length, FIRST_BUFFER_BYTES);
      const larger = new Uint8Array(Math.min(room, wanted));
      larger.set(gathered.subarray(0, held));
      gathered = larger;
    }
    gathered.set(bytes, held);
    held = size;
  }

  /** Adds the whole frames at the beginning of `bytes` to `frames` and returns how many bytes they are. */
  function take(bytes: Uint8Array, frames: Frame[]): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    wanted = PRELUDE_BYTES;
    while (bytes.length - start >= PRELUDE_BYTES) {
      const length = frameLength(bytes, view, start, maxFrameBytes);
      if (!length.ok) {
        fault = length.failure;
        return start;
      }
      if (bytes.length - start < length.value) {
        wanted = length.value;
        return start;
      }
      const frame = readFrame(bytes, view, start, length.value);
      if (!frame.ok) {
        fault = frame.failure;
        return start;
      }
      frames.push(frame.value);
      start += length.value;
    }
    return start;
  }

  function feed(chunk: Uint8Array, frames: Frame[]): void {
    let start = 0;
    while (held > 0) {
      const missing = chunk.subarray(start, start + wanted - held);
      gather(missing);
      start += missing.length;
      if (held < wanted) return;
      // Either the prelude has become whole, and now the frame is wanted, or the frame has.
      if (take(gathered.subarray(0, held), frames) > 0) {
        gathered = NOTHING;
        held = 0;
      }
      if (fault !== undefined) return;
    }
    start += take(chunk.subarray(start), frames);
    if (fault === undefined && start < chunk.length) gather(chunk.subarray(start));
  }

  return {
    push(chunk) {
      const frames: Frame[] = [];
      if (fault === undefined) feed(chunk, frames);
      return fault === undefined ? { frames } : { frames, fault };
    },
    end() {
      if (held > 0) {
        fault ??= { kind: "truncated", missing: Math.max(wanted, MIN_FRAME_BYTES) - held };
      }
      return fault;
    },
  };
}

/** CRC-32 of eight bytes. Table and loop take 18 ns, a view for the native function alone takes 60. */
function preludeChecksum(bytes: Uint8Array, start: number): number {
  let crc = ~0;
  for (let at = start; at < start + 8; at += 1) {
    crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/** The whole frame's length. The prelude's checksum is compared first: until it holds the lengths are just bytes. */
function frameLength(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  maxFrameBytes: number,
): Result<number, FrameFault> {
  const expected = view.getUint32(start + 8);
  const actual = preludeChecksum(bytes, start);
  if (actual !== expected) return fail({ kind: "prelude-checksum", expected, actual });
  const totalLength = view.getUint32(start);
  const headersLength = view.getUint32(start + 4);
  if (totalLength > maxFrameBytes || totalLength - headersLength < MIN_FRAME_BYTES) {
    return fail({ kind: "length", totalLength, headersLength });
  }
  return ok(totalLength);
}

function readFrame(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  length: number,
): Result<Frame, FrameFault> {
  const end = start + length - CHECKSUM_BYTES;
  const expected = view.getUint32(end);
  const actual = Bun.hash.crc32(bytes.subarray(start, end));
  if (actual !== expected) return fail({ kind: "message-checksum", expected, actual });
  const headersStart = start + PRELUDE_BYTES;
  const payloadStart = headersStart + view.getUint32(start + 4);
  const headers = bytes.subarray(headersStart, payloadStart);
  const fault = checkHeaders(headers);
  if (fault !== undefined) return fail(fault);
  return ok({ headers, payload: bytes.subarray(payloadStart, end) });
}
