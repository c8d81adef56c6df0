import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ResponseParser } from "../../src/transport/response-parser.ts";
import { chunkSizes, everyCut, rechunk } from "../support/rechunk.ts";

type Read = {
  status: number | undefined;
  body: string;
  state: ResponseParser["state"];
  reusable: boolean;
};

/** All of an answer, in the given pieces; `isClosed` where the connection ends after them. */
function read(pieces: Iterable<Uint8Array>, isClosed = false): Read {
  const parser = new ResponseParser();
  const bodies: Buffer[] = [];
  for (const piece of pieces) bodies.push(Buffer.from(parser.push(Buffer.from(piece)) ?? []));
  if (isClosed) parser.close(true);
  const { head, state, reusable } = parser;
  return { status: head?.status, body: Buffer.concat(bodies).toString("latin1"), state, reusable };
}

const readText = (text: string, isClosed = false): Read =>
  read([Buffer.from(text, "latin1")], isClosed);

const OK = "HTTP/1.1 200 OK\r\n";

const body = fc.string({ unit: "binary-ascii", maxLength: 300 });
const header = fc.tuple(fc.stringMatching(/^x-[a-z]{1,8}$/), fc.stringMatching(/^[!-~]{0,20}$/));
const extension = fc.constantFrom("", ";a=b", ' ;q="1"', "\t");
/** An answer of any form as text, and what is to be read of it. */
const answers = fc
  .record({
    interim: fc.constantFrom(
      "",
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 103 \r\nlink: x\r\n\r\n",
    ),
    headers: fc.array(header, { maxLength: 4 }),
    status: fc.constantFrom(200, 201, 400, 403, 429, 500),
    chunks: fc.array(
      fc.tuple(
        body.filter((text) => text !== ""),
        extension,
      ),
      { maxLength: 8 },
    ),
    trailers: fc.array(header, { maxLength: 2 }),
    framing: fc.constantFrom("chunked", "length", "close"),
  })
  .map(({ interim, headers, status, chunks, trailers, framing }) => {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const whole = chunks.map(([text]) => text).join("");
    const start = `${interim}HTTP/1.1 ${status} Any\r\n${lines}`;
    const sized = chunks.map(([text, more]) => `${text.length.toString(16)}${more}\r\n${text}\r\n`);
    const ends = trailers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const texts = {
      chunked: `Transfer-Encoding: Chunked\r\n\r\n${sized.join("")}0\r\n${ends}\r\n`,
      length: `content-length:${whole.length}\r\n\r\n${whole}`,
      close: `\r\n${whole}`,
    };
    return { text: start + texts[framing], framing, status, whole };
  });

describe("an answer", () => {
  test("of any form is read the same however it is cut", () => {
    fc.assert(
      fc.property(answers, chunkSizes, ({ text, framing, status, whole }, sizes) => {
        const isClose = framing === "close";
        const found = read(rechunk(Buffer.from(text, "latin1"), sizes), isClose);
        expect(found).toEqual({ status, body: whole, state: "ended", reusable: !isClose });
      }),
    );
  });

  test("that is cut at each byte in turn gives the same", () => {
    const text = `${OK}transfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: 1\r\n\r\n`;
    for (const pieces of everyCut(Buffer.from(text))) {
      expect(read(pieces)).toEqual({
        status: 200,
        body: "abc0123456789",
        state: "ended",
        reusable: true,
      });
    }
  });

  test("gives the pieces of one read in one step", () => {
    const parser = new ResponseParser();
    const text = `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n4\r\nfg`;
    expect(parser.push(Buffer.from(text))?.toString()).toBe("abcdefg");
    expect(parser.push(Buffer.from("hi\r\n0\r\n\r\n"))?.toString()).toBe("hi");
  });

  test("is broken at its end where the connection ends before", () => {
    for (const text of [
      "",
      OK,
      `${OK}content-length: 3\r\n\r\nab`,
      `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`,
      `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n`,
    ]) {
      expect({ text, ...readText(text, true) }).toMatchObject({ state: "broken", reusable: false });
    }
  });

  test("is no answer where it is not HTTP/1.1 or of a size that nobody sends", () => {
    const chunked = `${OK}transfer-encoding: chunked\r\n\r\n`;
    for (const text of [
      "SSH-2.0-OpenSSH_9.6\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 999 No\r\n\r\n",
      `${OK}content-length: -1\r\n\r\n`,
      `${OK}content-length: 1e3\r\n\r\n`,
      `${OK}content-length: 3\r\ncontent-length: 4\r\n\r\n`,
      `${OK}transfer-encoding: gzip\r\n\r\n`,
      `${OK}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc`,
      `${OK}content-length : 5\r\n\r\n`,
      `${OK}content-length:\r\n 5\r\n\r\n`,
      `${OK}x: y\ncontent-length: 5\r\n\r\n`,
      `${OK}: nothing\r\n\r\n`,
      `${OK}nothing\r\n\r\n`,
      `${OK}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n`,
      `${chunked}g\r\n`,
      `${chunked}\r\n`,
      `${chunked}-1\r\n`,
      `${chunked}3\nabc`,
      `${chunked}1234567890123\r\n`,
      `${chunked}3\r\nabcd\r\n`,
      `${chunked}${"0".repeat(20_000)}`,
      `${chunked}0\r\n${`t: ${"x".repeat(100)}\r\n`.repeat(200)}`,
      `${OK}x: ${"y".repeat(70_000)}`,
      `${OK}x: ${"y".repeat(70_000)}\r\n\r\n`,
    ]) {
      expect({ text: text.slice(0, 80), ...readText(text) }).toMatchObject({ state: "broken" });
    }
  });

  test("of any bytes throws nothing", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
        fc.boolean(),
        (pieces, isHead) => {
          const start = isHead ? [Buffer.from(`${OK}transfer-encoding: chunked\r\n\r\n`)] : [];
          expect(["head", "body", "ended", "broken"]).toContain(
            read([...start, ...pieces], false).state,
          );
          expect(["ended", "broken"]).toContain(read([...start, ...pieces], true).state);
        },
      ),
    );
  });

  test("without a body ends with its head", () => {
    for (const text of [
      "HTTP/1.1 204\r\n\r\n",
      "HTTP/1.1 204 None\r\ntransfer-encoding: chunked\r\n\r\n",
      "HTTP/1.1 304 Same\r\ncontent-length: 9\r\n\r\n",
    ]) {
      expect(readText(text)).toMatchObject({ body: "", state: "ended" });
    }
    expect(readText(`${OK}content-length: 0\r\n\r\n`)).toMatchObject({
      state: "ended",
      reusable: true,
    });
  });
});

describe("a connection serves no other call", () => {
  test.each([
    ["that says it closes", `${OK}Connection: Close\r\ncontent-length: 2\r\n\r\nab`],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab"],
    [
      "with two lengths",
      `${OK}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    ],
    ["with more after it", `${OK}content-length: 2\r\n\r\nabc`],
    [
      "with more after its last chunk",
      `${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nx`,
    ],
  ])("after an answer %s", (_, text) => {
    expect(readText(text)).toEqual({ status: 200, body: "ab", state: "ended", reusable: false });
  });

  test("where something comes that nobody asked for", () => {
    const parser = new ResponseParser();
    parser.push(Buffer.from(`${OK}content-length: 2\r\n\r\nab`));
    expect(parser.reusable).toBe(true);
    expect(parser.push(Buffer.from("x"))).toBeUndefined();
    expect(parser).toMatchObject({ state: "ended", reusable: false });
  });
});

test("a body that ends with its connection is whole only where that ended properly", () => {
  const parser = new ResponseParser();
  parser.push(Buffer.from(`${OK}\r\nab`));
  parser.close(false);
  expect(parser.state).toBe("broken");
});

test("headers are found whatever their case, trimmed, and joined where there are several", () => {
  const parser = new ResponseParser();
  parser.push(Buffer.from(`${OK}X-One:\t a b \r\nx-two:1\r\nX-TWO: 2\r\nempty:\r\n\r\n`));
  const { headers } = parser.head ?? {};
  expect(["x-one", "X-Two", "empty", "x-none", "one"].map((name) => headers?.get(name))).toEqual([
    "a b",
    "1, 2",
    "",
    null,
    null,
  ]);
});
