import { EventStreamCodec } from "@smithy/eventstream-codec";
import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import * as fc from "fast-check";

import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import type { Frame, FrameFault } from "../../src/eventstream/frame.ts";
import { checkHeaders, stringHeader } from "../../src/eventstream/headers.ts";
import { encodeFrame, errorFrame, eventFrame, exceptionFrame, seal } from "../emulator/frames.ts";
import { chunkSizes, everyCut, rechunk } from "../support/rechunk.ts";

const MIB = 1024 * 1024;

const EVENT = Buffer.from(
  "0000007c0000005c3bddcf780b3a6576656e742d74797065070016617373697374616e74526573706f6e73654576656e74" +
    "0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700" +
    "056576656e747b22636f6e74656e74223a224869227db02babdc",
  "hex",
);
const EXCEPTION = Buffer.from(
  "000000b30000006108f0fc630d3a6d6573736167652d74797065070009657863657074696f6e0f3a657863657074696f6e" +
    "2d747970650700135468726f74746c696e67457863657074696f6e0d3a636f6e74656e742d747970650700106170706c69" +
    "636174696f6e2f6a736f6e7b226d657373616765223a2252617465206578636565646564222c22726561736f6e223a2249" +
    "4e53554646494349454e545f4d4f44454c5f4341504143495459227d6d9512c9",
  "hex",
);
const SMALLEST = Buffer.from("000000100000000005c248eb7d98c8ff", "hex");

const awsCodec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString(),
  (text) => Buffer.from(text),
);

/** Everything a stream gives, pushed chunk by chunk and ended; the frames are read only then. */
function decode(chunks: Iterable<Uint8Array>): { frames: string[]; fault: FrameFault | undefined } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) frames.push(...decoder.push(chunk).frames);
  const fault = decoder.end();
  return { frames: frames.map(asHex), fault };
}

function asHex(frame: Frame): string {
  return `${frame.headers.toHex()} ${frame.payload.toHex()}`;
}

/** What `decode` gives for a frame, read off its bytes. */
function expectedHex(bytes: Buffer): string {
  const payloadStart = 12 + bytes.readUInt32BE(4);
  return `${bytes.subarray(12, payloadStart).toHex()} ${bytes.subarray(payloadStart, -4).toHex()}`;
}

/** A prelude with a good checksum, whatever its lengths say. */
function prelude(totalLength: number, headersLength: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(totalLength, 0);
  bytes.writeUInt32BE(headersLength, 4);
  return seal(bytes).subarray(0, 12);
}

/** A frame with good checksums around these header bytes. */
function framed(headers: Uint8Array, payload = "{}"): Buffer {
  const lengths = Buffer.alloc(12);
  const frame = Buffer.concat([lengths, headers, Buffer.from(payload), Buffer.alloc(4)]);
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(headers.length, 4);
  return seal(frame);
}

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const byte = Math.floor(bit / 8);
  copy.writeUInt8(copy.readUInt8(byte) ^ (1 << (bit % 8)), byte);
  return copy;
}

// AWS's codec keeps headers as members of an object and loses this name there.
const anyName = fc.string({ maxLength: 12 }).filter((name) => name !== "__proto__");
const anyFrame = fc
  .tuple(
    fc.dictionary(anyName, fc.string({ unit: "binary", maxLength: 30 }), {
      maxKeys: 4,
    }),
    fc.uint8Array({ maxLength: 300 }),
  )
  .map(([headers, payload]) => encodeFrame(headers, payload));
const anyFrames = fc.array(anyFrame, { maxLength: 6 });

describe("test vectors", () => {
  test("an event decodes to its headers and payload", () => {
    const { frames, fault } = new FrameDecoder().push(EVENT);
    expect(fault).toBeUndefined();
    expect(frames).toHaveLength(1);
    const [event] = frames;
    expect(stringHeader(event!.headers, ":message-type")).toBe("event");
    expect(stringHeader(event!.headers, ":event-type")).toBe("assistantResponseEvent");
    expect(stringHeader(event!.headers, ":content-type")).toBe("application/json");
    expect(Buffer.from(event!.payload).toString()).toBe('{"content":"Hi"}');
  });

  test("an exception decodes to its headers and payload", () => {
    const [exception] = new FrameDecoder().push(EXCEPTION).frames;
    expect(stringHeader(exception!.headers, ":message-type")).toBe("exception");
    expect(stringHeader(exception!.headers, ":exception-type")).toBe("ThrottlingException");
    expect(JSON.parse(Buffer.from(exception!.payload).toString())).toEqual({
      message: "Rate exceeded",
      reason: "INSUFFICIENT_MODEL_CAPACITY",
    });
  });

  test("the smallest frame has neither headers nor payload", () => {
    expect(decode([SMALLEST])).toEqual({ frames: [" "], fault: undefined });
  });

  test("the emulator encodes the same bytes", () => {
    const payload = { message: "Rate exceeded", reason: "INSUFFICIENT_MODEL_CAPACITY" };
    expect(eventFrame("assistantResponseEvent", { content: "Hi" }).toHex()).toBe(EVENT.toHex());
    expect(exceptionFrame("ThrottlingException", payload).toHex()).toBe(EXCEPTION.toHex());
    expect(encodeFrame({}).toHex()).toBe(SMALLEST.toHex());
  });

  test("an error frame carries its code and message in the headers", () => {
    const [error] = new FrameDecoder().push(errorFrame("InternalFailure", "Sorry: ü")).frames;
    expect(stringHeader(error!.headers, ":message-type")).toBe("error");
    expect(stringHeader(error!.headers, ":error-code")).toBe("InternalFailure");
    expect(stringHeader(error!.headers, ":error-message")).toBe("Sorry: ü");
    expect(error!.payload).toHaveLength(0);
  });
});

describe("chunks", () => {
  test("two frames cut at any byte give the same two frames", () => {
    const bytes = Buffer.concat([EVENT, EXCEPTION]);
    const whole = { frames: [expectedHex(EVENT), expectedHex(EXCEPTION)], fault: undefined };
    for (const chunks of everyCut(bytes)) expect(decode(chunks)).toEqual(whole);
  });

  test("single bytes give the same frames", () => {
    const bytes = Buffer.concat([SMALLEST, EVENT, SMALLEST, EXCEPTION]);
    expect(decode(rechunk(bytes, [1]))).toEqual(decode([bytes]));
    expect(decode([bytes]).frames).toHaveLength(4);
  });

  test("any chunking of any frames gives those frames", () => {
    fc.assert(
      fc.property(anyFrames, chunkSizes, (encoded, sizes) => {
        expect(decode(rechunk(Buffer.concat(encoded), sizes))).toEqual({
          frames: encoded.map(expectedHex),
          fault: undefined,
        });
      }),
      { numRuns: 300 },
    );
  });

  test("every frame comes with the push of its last byte", () => {
    const decoder = new FrameDecoder();
    expect(decoder.push(EVENT.subarray(0, -1)).frames).toHaveLength(0);
    expect(decoder.push(EVENT.subarray(-1)).frames).toHaveLength(1);
    expect(
      decoder.push(Buffer.concat([EVENT, SMALLEST, EVENT.subarray(0, 12)])).frames,
    ).toHaveLength(2);
    expect(decoder.push(EVENT.subarray(12)).frames).toHaveLength(1);
    expect(decoder.end()).toBeUndefined();
  });

  test("empty chunks change nothing, wherever they come", () => {
    const empty = new Uint8Array(0);
    for (const [head, tail] of everyCut(EVENT)) {
      expect(decode([empty, head, empty, empty, tail, empty])).toEqual(decode([EVENT]));
    }
  });

  test("a stream without a byte ends well", () => {
    expect(decode([])).toEqual({ frames: [], fault: undefined });
    expect(decode([new Uint8Array(0)])).toEqual({ frames: [], fault: undefined });
  });

  test("a chunk may be a window into a larger buffer", () => {
    const larger = Buffer.concat([Buffer.alloc(7, 0xff), EVENT, SMALLEST, Buffer.alloc(5, 0xff)]);
    const chunk = new Uint8Array(larger.buffer, larger.byteOffset + 7, EVENT.length + 16);
    expect(decode([chunk]).frames).toEqual([expectedHex(EVENT), " "]);
    expect(decode([chunk.subarray(0, 50), chunk.subarray(50)])).toEqual(decode([chunk]));
  });

  test("a frame within one chunk is not copied", () => {
    const chunk = new Uint8Array(Buffer.concat([EVENT, EVENT]));
    const { frames } = new FrameDecoder().push(chunk);
    expect(frames.map(({ payload }) => payload.buffer === chunk.buffer)).toEqual([true, true]);
    expect(frames.map(({ headers }) => headers.buffer === chunk.buffer)).toEqual([true, true]);
  });

  test("a frame that spans chunks has a buffer of its own, of its length", () => {
    const decoder = new FrameDecoder();
    decoder.push(EVENT.subarray(0, 20));
    const [event] = decoder.push(EVENT.subarray(20)).frames;
    expect(event!.payload.buffer.byteLength).toBe(EVENT.length);
  });
});

describe("long frames", () => {
  test("a frame of 20 MiB comes through in chunks of 1 KiB", () => {
    const payload = new Uint8Array(20 * MIB).map((_, i) => i * 31);
    const decoder = new FrameDecoder();
    const found: Frame[] = [];
    const chunks = rechunk(Buffer.concat([encodeFrame({}, payload), SMALLEST]), [1024]);
    for (const chunk of chunks) found.push(...decoder.push(chunk).frames);
    expect(found.map((each) => each.payload.length)).toEqual([20 * MIB, 0]);
    expect(Buffer.compare(found[0]!.payload, payload)).toBe(0);
    expect(decoder.end()).toBeUndefined();
  });

  test("a frame of exactly the limit is taken and one byte more is not", () => {
    const bytes = encodeFrame({}, new Uint8Array(84));
    const fault = { kind: "length", totalLength: 100, headersLength: 0 } as const;
    expect(new FrameDecoder({ maxFrameBytes: 100 }).push(bytes).frames).toHaveLength(1);
    expect(new FrameDecoder({ maxFrameBytes: 99 }).push(bytes)).toEqual({ frames: [], fault });
  });

  test("the limit is 24 MiB unless said otherwise", () => {
    expect(new FrameDecoder().push(prelude(24 * MIB, 0)).fault).toBeUndefined();
    expect(new FrameDecoder().push(prelude(24 * MIB + 1, 0)).fault).toEqual({
      kind: "length",
      totalLength: 24 * MIB + 1,
      headersLength: 0,
    });
  });

  test("memory follows the bytes that came, not the length that was announced", () => {
    Bun.gc(true);
    const before = heapStats().extraMemorySize;
    const decoders = Array.from({ length: 50 }, () => new FrameDecoder());
    for (const decoder of decoders) {
      decoder.push(prelude(24 * MIB, 0));
      decoder.push(new Uint8Array(1_000));
    }
    const grown = heapStats().extraMemorySize - before;
    expect(grown).toBeLessThan(decoders.length * MIB);
    expect(decoders[0]!.end()).toEqual({ kind: "truncated", missing: 24 * MIB - 1_012 });
  });
});

describe("faults", () => {
  test("a forged length of 4 GiB is refused by the checksum as soon as the prelude is there", () => {
    const bytes = Buffer.from(EVENT);
    bytes.writeUInt32BE(0xffff_ffff, 0);
    const decoder = new FrameDecoder();
    expect(decoder.push(bytes.subarray(0, 11)).fault).toBeUndefined();
    expect(decoder.push(bytes.subarray(11, 12)).fault).toMatchObject({
      kind: "prelude-checksum",
      expected: 0x3bddcf78,
    });
  });

  test.each([
    { name: "4 GiB with a good checksum", totalLength: 0xffff_ffff, headersLength: 0 },
    { name: "4 GiB of headers", totalLength: 0xffff_ffff, headersLength: 0xffff_ffef },
    { name: "more headers than the frame can hold", totalLength: 124, headersLength: 109 },
    { name: "headers alone over the limit", totalLength: 124, headersLength: 0xffff_ffff },
    { name: "a frame shorter than its own prelude", totalLength: 15, headersLength: 0 },
    { name: "a frame of no bytes", totalLength: 0, headersLength: 0 },
  ])("$name is a length fault", ({ totalLength, headersLength }) => {
    const bytes = prelude(totalLength, headersLength);
    const fault = { kind: "length", totalLength, headersLength } as const;
    expect(new FrameDecoder().push(bytes)).toEqual({ frames: [], fault });
    expect(decode(rechunk(bytes, [5]))).toEqual({ frames: [], fault });
  });

  test("headers may fill the frame", () => {
    const headers = Buffer.from([1, 0x61, 0]);
    expect(decode([framed(headers, "")])).toEqual({ frames: ["016100 "], fault: undefined });
  });

  test("a changed length is told by the prelude's checksum", () => {
    const { frames, fault } = new FrameDecoder().push(flipped(EVENT, 3 * 8));
    expect(frames).toHaveLength(0);
    expect(fault).toMatchObject({ kind: "prelude-checksum", expected: 0x3bddcf78 });
  });

  test("a changed payload is told by the message's checksum", () => {
    const bytes = flipped(EVENT, 110 * 8);
    const { frames, fault } = new FrameDecoder().push(bytes);
    expect(frames).toHaveLength(0);
    expect(fault).toEqual({
      kind: "message-checksum",
      expected: 0xb02babdc,
      actual: Bun.hash.crc32(bytes.subarray(0, -4)),
    });
  });

  test("every flipped bit of a frame is a fault", () => {
    for (let bit = 0; bit < EVENT.length * 8; bit += 1) {
      const { frames, fault } = decode([flipped(EVENT, bit)]);
      expect(frames).toHaveLength(0);
      expect(fault?.kind).toBe(bit < 12 * 8 ? "prelude-checksum" : "message-checksum");
    }
  });

  test("a flipped bit anywhere in a stream is a fault, and only the frames before it are delivered", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        chunkSizes,
        (encoded, random, sizes) => {
          const bytes = Buffer.concat(encoded);
          const bit = random % (bytes.length * 8);
          let good = 0;
          for (let end = 0; (end += encoded[good]!.length) * 8 <= bit;) good += 1;
          const result = decode(rechunk(flipped(bytes, bit), sizes));
          expect(result.frames).toEqual(encoded.slice(0, good).map(expectedHex));
          expect(result.fault?.kind).toMatch(/checksum/);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("every proper prefix is truncated, by as much as is known, unless it ends on a frame's end", () => {
    const encoded = [EVENT, SMALLEST, EXCEPTION];
    const bytes = Buffer.concat(encoded);
    let start = 0;
    let whole = 0;
    for (let length = 0; length <= bytes.length; length += 1) {
      const next = encoded[whole];
      if (next && length === start + next.length) {
        start = length;
        whole += 1;
      }
      const held = length - start;
      const needed = held < 12 ? 16 : encoded[whole]!.length;
      const expected = {
        frames: encoded.slice(0, whole).map(expectedHex),
        fault: held === 0 ? undefined : { kind: "truncated" as const, missing: needed - held },
      };
      expect(decode([bytes.subarray(0, length)])).toEqual(expected);
      expect(decode(rechunk(bytes.subarray(0, length), [7]))).toEqual(expected);
    }
    expect(whole).toBe(3);
  });

  test.each([
    {
      name: "a type past the last",
      headers: [1, 0x61, 10],
      detail: "byte 0 is of an unknown type",
    },
    {
      name: "an unknown type after a good header",
      headers: [1, 0x61, 0, 1, 0x62, 255],
      detail: "byte 3 is of an unknown type",
    },
    { name: "a name without a type", headers: [1, 0x61], detail: "byte 0 runs past" },
    { name: "a name that overruns", headers: [200, 0x61, 0], detail: "byte 0 runs past" },
    { name: "a lone name length", headers: [1, 0x61, 0, 0], detail: "byte 3 runs past" },
    { name: "a number cut short", headers: [1, 0x61, 4, 0, 0, 0], detail: "byte 0 runs past" },
    { name: "a string without a length", headers: [1, 0x61, 7, 0], detail: "byte 0 runs past" },
    {
      name: "a string that overruns",
      headers: [1, 0x61, 7, 0, 2, 0x62],
      detail: "byte 0 runs past",
    },
    { name: "a uuid cut short", headers: [0, 9, ...Array(15).fill(0)], detail: "byte 0 runs past" },
  ])("a header block with $name is a fault", ({ headers, detail }) => {
    const { frames, fault } = new FrameDecoder().push(framed(Uint8Array.from(headers)));
    expect(frames).toHaveLength(0);
    expect(fault).toEqual({ kind: "headers", detail: expect.stringContaining(detail) });
  });

  test("headers that overrun do not read on into the payload", () => {
    const bytes = framed(Uint8Array.of(1, 0x61, 7, 0, 2), "xx");
    expect(new FrameDecoder().push(bytes).fault?.kind).toBe("headers");
  });

  test("frames ahead of a fault in the same chunk are delivered with it", () => {
    const { frames, fault } = new FrameDecoder().push(
      Buffer.concat([EVENT, EXCEPTION, flipped(EVENT, 900)]),
    );
    expect(frames.map(asHex)).toEqual([expectedHex(EVENT), expectedHex(EXCEPTION)]);
    expect(fault?.kind).toBe("message-checksum");
  });

  test.each([
    { name: "a prelude checksum", bad: flipped(EVENT, 0) },
    { name: "a message checksum", bad: flipped(EVENT, 900) },
    { name: "a length", bad: prelude(15, 0) },
    { name: "a header block", bad: framed(Uint8Array.of(1, 0x61, 10)) },
  ])("after a fault of $name the decoder never delivers again", ({ bad }) => {
    for (const sizes of [[bad.length], [1]]) {
      const decoder = new FrameDecoder();
      const faults = rechunk(bad, sizes).map((chunk) => decoder.push(chunk).fault);
      const fault = faults.at(-1);
      expect(fault).toBeDefined();
      expect(decoder.push(EVENT)).toEqual({ frames: [], fault: fault! });
      expect(decoder.push(new Uint8Array(0))).toEqual({ frames: [], fault: fault! });
      expect(decoder.end()).toBe(fault);
    }
  });

  test("a stream that was ended inside a frame can't be continued", () => {
    const decoder = new FrameDecoder();
    decoder.push(EVENT.subarray(0, 20));
    const fault = { kind: "truncated", missing: EVENT.length - 20 } as const;
    expect(decoder.end()).toEqual(fault);
    expect(decoder.push(EVENT.subarray(20))).toEqual({ frames: [], fault });
    expect(decoder.end()).toEqual(fault);
  });

  test("any bytes at all give frames and perhaps a fault, never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 200 }), chunkSizes, (bytes, sizes) => {
        // Random bytes pass the prelude's checksum once in four thousand million times.
        expect(decode(rechunk(bytes, sizes)).fault?.kind).toBe("prelude-checksum");
        expect(decode([framed(bytes)]).fault).toEqual(checkHeaders(bytes));
      }),
      { numRuns: 300 },
    );
  });
});

test("AWS's codec and the decoder agree on every frame of a stream", () => {
  fc.assert(
    fc.property(anyFrames, (encoded) => {
      const ours = decode([Buffer.concat(encoded)]).frames;
      const theirs = encoded.map((bytes) => {
        const { headers, body } = awsCodec.decode(bytes);
        const block = awsCodec.formatHeaders(headers);
        return `${block.toHex()} ${body.toHex()}`;
      });
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 200 },
  );
});
