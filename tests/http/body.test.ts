import { describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { readJson } from "../../src/http/body.ts";
import { createTestRuntime } from "../support/runtime.ts";

function post(body: Bun.BodyInit, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

async function readWithin(request: Request, maxBytes: number) {
  return await readJson(request, { maxBytes, withinMs: 1000 }, createTestRuntime().runtime);
}

const value = { text: "grüße, 世界" };
const json = Buffer.from(JSON.stringify(value));

function nested(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}

describe("readJson", () => {
  test.each([
    ["identity", json],
    ["gzip", gzipSync(json)],
    ["x-gzip", gzipSync(json)],
    ["deflate", deflateSync(json)],
    ["br", brotliCompressSync(json)],
    ["zstd", zstdCompressSync(json)],
    ["GZIP", gzipSync(json)],
  ])("a body in %s is understood", async (encoding, bytes) => {
    const read = await readWithin(post(bytes, { "content-encoding": encoding }), 1024);
    expect(read).toEqual({ ok: true, value });
  });

  test("an unknown encoding names the ones that are known", async () => {
    const read = await readWithin(post(json, { "content-encoding": "lzma" }), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "invalid-request" } });
    expect(JSON.stringify(read)).toContain("gzip");
  });

  test("bytes that are not in the encoding they claim are the client's fault", async () => {
    const read = await readWithin(post(json, { "content-encoding": "gzip" }), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "invalid-request" } });
  });

  test.each(["", "{", "nope", '{"a":}'])("%p is not JSON", async (text) => {
    const read = await readWithin(post(text), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "invalid-request" } });
  });

  test("the message says where the JSON breaks and quotes nothing of it", async () => {
    const read = await readWithin(post('{"messages":\n[{"content":MYSECRET}]}'), 1024);
    expect(JSON.stringify(read)).toContain("line 2, column 13");
    expect(JSON.stringify(read)).not.toContain("MYSECRET");
  });

  test("nesting that would overflow a stack is refused, however little it is in bytes", async () => {
    expect((await readWithin(post(nested(500)), 1e6)).ok).toBe(true);
    for (const levels of [501, 100_000]) {
      const read = await readWithin(post(nested(levels)), 1e6);
      expect(read).toMatchObject({ ok: false, failure: { kind: "invalid-request" } });
    }
  });

  test("an upload that breaks off is a failure, not a bug", async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error("x")) });
    const read = await readWithin(post(broken), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "invalid-request" } });
  });

  test("a body over the limit is too large by its declared length", async () => {
    const read = await readWithin(post("x", { "content-length": "2000" }), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "too-large" } });
  });

  test("a body over the limit is too large by its real length", async () => {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(2000).fill(0x20));
        controller.close();
      },
    });
    const read = await readWithin(post(stream), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "too-large" } });
  });

  test("a small body that unpacks to a large one is too large, and is not unpacked whole", async () => {
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024));
    const read = await readWithin(post(bomb, { "content-encoding": "gzip" }), 64 * 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "too-large" } });
  });

  test("the limit counts bytes, not characters", async () => {
    const read = await readWithin(post(JSON.stringify("世".repeat(400))), 1024);
    expect(read).toMatchObject({ ok: false, failure: { kind: "too-large" } });
  });

  test("a body that does not come to its end in time is given up", async () => {
    const { runtime, advance } = createTestRuntime();
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from('{"a":')),
    });
    const reading = readJson(post(stream), { maxBytes: 1024, withinMs: 5000 }, runtime);
    await advance(5001);
    expect(await reading).toEqual({
      ok: false,
      failure: {
        kind: "request-timeout",
        message: "The request body was not complete after 5 s",
      },
    });
  });
});
