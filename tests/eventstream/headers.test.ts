import { EventStreamCodec, Int64, type MessageHeaderValue } from "@smithy/eventstream-codec";
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";

import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import type { Frame, HeaderValue } from "../../src/eventstream/frame.ts";
import { checkHeaders, decodeHeaders, stringHeader } from "../../src/eventstream/headers.ts";
import { encodeFrame, type Headers, seal } from "../emulator/frames.ts";

const awsCodec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString(),
  (text) => Buffer.from(text),
);

function toAws(header: HeaderValue): MessageHeaderValue {
  if (header.type === "byte-array") return { type: "binary", value: header.value };
  if (header.type !== "long") return header;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(header.value);
  return { type: "long", value: new Int64(bytes) };
}

function fromAws(header: MessageHeaderValue): HeaderValue {
  if (header.type === "binary") return { type: "byte-array", value: new Uint8Array(header.value) };
  if (header.type !== "long") return header;
  return { type: "long", value: Buffer.from(header.value.bytes).readBigInt64BE() };
}

const anyValue: fc.Arbitrary<HeaderValue> = fc.oneof(
  fc.record({ type: fc.constant("boolean"), value: fc.boolean() }),
  fc.record({ type: fc.constant("byte"), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ type: fc.constant("short"), value: fc.integer({ min: -32_768, max: 32_767 }) }),
  fc.record({ type: fc.constant("integer"), value: fc.integer() }),
  fc.record({
    type: fc.constant("long"),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  }),
  fc.record({ type: fc.constant("byte-array"), value: fc.uint8Array({ maxLength: 400 }) }),
  fc.record({ type: fc.constant("string"), value: fc.string({ unit: "binary", maxLength: 400 }) }),
  fc.record({ type: fc.constant("timestamp"), value: fc.date({ noInvalidDate: true }) }),
  fc.record({ type: fc.constant("uuid"), value: fc.uuid() }),
);
const anyName = fc
  .string({ unit: fc.oneof(fc.constantFrom(":", "-", "a", "b"), fc.string({ unit: "binary" })) })
  // AWS's codec collects headers in a plain object.
  .filter((text) => Buffer.byteLength(text) <= 255 && text !== "__proto__");
const anyHeaders = fc.dictionary(anyName, anyValue, { maxKeys: 8, noNullPrototype: true });

function onlyFrame(bytes: Uint8Array): Frame {
  const { frames, fault } = new FrameDecoder().push(bytes);
  expect(fault).toBeUndefined();
  expect(frames).toHaveLength(1);
  return frames[0]!;
}

function block(headers: Headers): Uint8Array {
  return onlyFrame(encodeFrame(headers)).headers;
}

function decoded(bytes: Uint8Array): Map<string, HeaderValue> {
  const result = decodeHeaders(bytes);
  if (!result.ok) throw new Error(result.failure.detail);
  return result.value;
}

const EVERY_TYPE: Record<string, HeaderValue> = {
  yes: { type: "boolean", value: true },
  no: { type: "boolean", value: false },
  byte: { type: "byte", value: -128 },
  short: { type: "short", value: -32_768 },
  integer: { type: "integer", value: -2_147_483_648 },
  long: { type: "long", value: -(2n ** 63n) },
  bytes: { type: "byte-array", value: Uint8Array.of(0, 127, 128, 255) },
  string: { type: "string", value: "naïve 🙂" },
  timestamp: { type: "timestamp", value: new Date("1969-07-20T20:17:40.123Z") },
  uuid: { type: "uuid", value: "01234567-89ab-cdef-fedc-ba9876543210" },
};

describe("all ten types", () => {
  test("come out as they went in", () => {
    expect(decoded(block(EVERY_TYPE))).toEqual(new Map(Object.entries(EVERY_TYPE)));
  });

  test.each([
    { hex: "00", header: { type: "boolean", value: true } },
    { hex: "01", header: { type: "boolean", value: false } },
    { hex: "02ff", header: { type: "byte", value: -1 } },
    { hex: "03fffe", header: { type: "short", value: -2 } },
    { hex: "0480000000", header: { type: "integer", value: -2_147_483_648 } },
    { hex: "057fffffffffffffff", header: { type: "long", value: 2n ** 63n - 1n } },
    { hex: "06000201ff", header: { type: "byte-array", value: Uint8Array.of(1, 255) } },
    { hex: "060000", header: { type: "byte-array", value: new Uint8Array(0) } },
    { hex: "070002c3bc", header: { type: "string", value: "ü" } },
    { hex: "070000", header: { type: "string", value: "" } },
    { hex: "08fffffffffffffc18", header: { type: "timestamp", value: new Date(-1000) } },
    {
      hex: "0900112233445566778899aabbccddeeff",
      header: { type: "uuid", value: "00112233-4455-6677-8899-aabbccddeeff" },
    },
  ] satisfies { hex: string; header: HeaderValue }[])(
    "$hex is read and written",
    ({ hex, header }) => {
      const bytes = Buffer.from(`026964${hex}`, "hex");
      expect([...decoded(bytes)]).toEqual([["id", header]]);
      expect(block({ id: header }).toHex()).toBe(bytes.toHex());
    },
  );

  test("take the longest name and text that fit", () => {
    const name = "n".repeat(255);
    const value = "v".repeat(65_535);
    const bytes = block({ [name]: value, next: "still read" });
    expect(stringHeader(bytes, name)).toBe(value);
    expect(stringHeader(bytes, "next")).toBe("still read");
    expect(decoded(bytes).get(name)).toEqual({ type: "string", value });
  });

  test("leave a timestamp beyond the calendar an invalid date", () => {
    const bytes = Buffer.from("0174087fffffffffffffff", "hex");
    const header = decoded(bytes).get("t");
    expect(header?.type === "timestamp" && header.value.getTime()).toBeNaN();
  });

  test("encoded by AWS decode here to the same values", () => {
    fc.assert(
      fc.property(anyHeaders, fc.uint8Array({ maxLength: 50 }), (values, body) => {
        const entries = Object.entries(values).map(([key, value]) => [key, toAws(value)] as const);
        const frame = onlyFrame(awsCodec.encode({ headers: Object.fromEntries(entries), body }));
        expect(decoded(frame.headers)).toEqual(new Map(Object.entries(values)));
        expect(frame.payload).toEqual(body);
      }),
      { numRuns: 300 },
    );
  });

  test("encoded by the emulator decode in AWS's codec to the same values", () => {
    fc.assert(
      fc.property(anyHeaders, fc.uint8Array({ maxLength: 50 }), (values, payload) => {
        const { headers, body } = awsCodec.decode(encodeFrame(values, payload));
        const entries = Object.entries(headers).map(
          ([key, value]) => [key, fromAws(value)] as const,
        );
        expect(new Map(entries)).toEqual(new Map(Object.entries(values)));
        expect(new Uint8Array(body)).toEqual(payload);
      }),
      { numRuns: 300 },
    );
  });
});

describe("looking up one string", () => {
  const bytes = block({ ...EVERY_TYPE, ":message-type": "event", ":event-type": "", last: "x" });

  test("finds it wherever it stands among headers of every type", () => {
    expect(stringHeader(bytes, "string")).toBe("naïve 🙂");
    expect(stringHeader(bytes, ":message-type")).toBe("event");
    expect(stringHeader(bytes, "last")).toBe("x");
  });

  test("tells an empty text from an absent header", () => {
    expect(stringHeader(bytes, ":event-type")).toBe("");
    expect(stringHeader(bytes, ":error-code")).toBeUndefined();
    expect(stringHeader(new Uint8Array(0), ":event-type")).toBeUndefined();
  });

  test("takes no part of a name for the name", () => {
    expect(stringHeader(bytes, ":message-typ")).toBeUndefined();
    expect(stringHeader(bytes, ":message-type2")).toBeUndefined();
    expect(stringHeader(bytes, ":message-typf")).toBeUndefined();
    expect(stringHeader(bytes, "")).toBeUndefined();
  });

  test.each(Object.keys(EVERY_TYPE).filter((key) => key !== "string"))(
    "has no text for the header %s of another type",
    (key) => expect(stringHeader(bytes, key)).toBeUndefined(),
  );

  test("agrees with decoding them all, the last of several included", () => {
    const parts = fc.array(
      fc.tuple(fc.constantFrom("a", "b", "ab"), fc.oneof(fc.string(), anyValue)),
    );
    fc.assert(
      fc.property(parts, (pairs) => {
        const several = Buffer.concat(pairs.map(([key, value]) => block({ [key]: value })));
        const all = decoded(several);
        for (const key of ["a", "b", "ab", "c"]) {
          const header = all.get(key);
          const text = header?.type === "string" ? header.value : undefined;
          expect(stringHeader(several, key)).toBe(text);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("takes the last of two with one name, as AWS's codec does", () => {
    const twice = Buffer.concat([block({ id: "first" }), block({ id: "second" })]);
    const frame = encodeFrame({ id: "first", ie: "second" });
    const renamed = seal(Buffer.from(frame.toHex().replace("026965", "026964"), "hex"));
    expect(onlyFrame(renamed).headers.toHex()).toBe(twice.toHex());
    expect(stringHeader(twice, "id")).toBe("second");
    expect(awsCodec.decode(renamed).headers["id"]?.value).toBe("second");
  });
});

describe("text", () => {
  test("keeps a byte order mark", () => {
    const bytes = block({ id: "\uFEFFtext" });
    expect(stringHeader(bytes, "id")).toBe("\uFEFFtext");
    expect(decoded(bytes).get("id")).toEqual({ type: "string", value: "\uFEFFtext" });
  });

  test("has a replacement character where the bytes are not UTF-8", () => {
    const bytes = Buffer.from("02696407000361ff62", "hex");
    expect(stringHeader(bytes, "id")).toBe("a\uFFFDb");
    expect(decoded(bytes).get("id")).toEqual({ type: "string", value: "a\uFFFDb" });
  });
});

describe("broken blocks", () => {
  test("cut anywhere inside a header are refused by all three readers", () => {
    const bytes = block({ ...EVERY_TYPE, last: "x" });
    const ends = new Set<number>();
    for (let end = 0; end <= bytes.length; end += 1) {
      const cut = bytes.subarray(0, end);
      const fault = checkHeaders(cut);
      if (fault === undefined) ends.add(end);
      expect(decodeHeaders(cut).ok).toBe(fault === undefined);
      expect(stringHeader(cut, "last")).toBe(end === bytes.length ? "x" : undefined);
    }
    // Before the first header and after each of the eleven.
    expect(ends.size).toBe(12);
  });

  test("give no text, even of a header ahead of the break", () => {
    const bytes = Buffer.concat([block({ id: "text" }), Uint8Array.of(1, 0x61, 10)]);
    expect(stringHeader(bytes, "id")).toBeUndefined();
  });

  test("are found alike by the walk and by decoding, for any bytes", () => {
    const lengthsAndTypes = fc.oneof(fc.nat(12), fc.nat(255));
    const bytes = fc.array(lengthsAndTypes, { maxLength: 40 }).map((all) => Uint8Array.from(all));
    fc.assert(
      fc.property(bytes, fc.string({ maxLength: 3 }), (any, name) => {
        const fault = checkHeaders(any);
        const result = decodeHeaders(any);
        expect(result.ok ? undefined : result.failure).toEqual(fault);
        expect(fault === undefined || stringHeader(any, name) === undefined).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
