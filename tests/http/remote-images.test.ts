import { describe, expect, test } from "bun:test";
import type { Conversation, Image } from "../../src/conversation/conversation.ts";
import type { Failure } from "../../src/conversation/failure.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import { createApp } from "../../src/http/app.ts";
import {
  createRemoteImages,
  parseWithImages,
  type RemoteImages,
} from "../../src/http/remote-images.ts";
import { fail, ok, type Result } from "../../src/result.ts";
import { createLog } from "../../src/telemetry/log.ts";
import type { ImageLookup } from "../../src/wire/wire.ts";
import { callerDeps } from "../support/auth.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";
import { usageDeps } from "./usage.ts";

const PNG = Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1");
const png: Image = { type: "image", format: "png", base64: PNG.toString("base64") };
const SIGNAL = new AbortController().signal;

/** Hosts are public unless they begin with `in`. */
function world(fetch: ScriptedFetch = () => new Response(PNG)) {
  const { runtime, calls, advance, settle } = createTestRuntime({ fetch });
  const images = createRemoteImages({
    runtime,
    lookup: async (host) => [host.startsWith("in") ? "10.0.0.1" : "93.184.215.14"],
  });
  return { runtime, images, calls, advance, settle };
}

/** A request that is nothing but its images; `fault` is what else is wrong with it. */
function parser(urls: string[], fault?: Failure) {
  let runs = 0;
  return {
    runs: () => runs,
    parse: (images?: ImageLookup): Result<Image[], Failure> => {
      runs++;
      const found: Image[] = [];
      for (const url of urls) {
        const image = images?.(url) ?? fail("none are fetched");
        if (!image.ok) return fail({ kind: "invalid-request", message: image.failure });
        found.push(image.value);
      }
      return fault === undefined ? ok(found) : fail(fault);
    },
  };
}

function many(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `https://img.example/${index}`);
}

async function one(images: RemoteImages, url = "https://img.example/") {
  return (await images.fetch(new Set([url]), SIGNAL)).get(url);
}

async function* hello(): AsyncGenerator<ReplyEvent[], void, undefined> {
  yield [
    { type: "text", text: "Hi" },
    { type: "stop", reason: "end-turn" },
  ];
}

function anthropic(url: string) {
  return {
    max_tokens: 5,
    messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url } }] }],
  };
}

describe("parseWithImages", () => {
  test("parses once, without a look-up, where nothing is fetched", async () => {
    const { parse, runs } = parser(many(1));
    expect(await parseWithImages(parse, undefined, SIGNAL)).toEqual(
      fail({ kind: "invalid-request", message: "none are fetched" }),
    );
    expect(runs()).toBe(1);
  });

  test("parses once where there are no images", async () => {
    const { parse, runs } = parser([]);
    const { images, calls } = world();
    expect(await parseWithImages(parse, images, SIGNAL)).toEqual(ok([]));
    expect([runs(), calls.length]).toEqual([1, 0]);
  });

  test("fetches each URL once and puts the images where they belong", async () => {
    const urls = ["https://img.example/a", "https://img.example/b", "https://img.example/a"];
    const { images, calls } = world((url) => new Response(Buffer.concat([PNG, Buffer.from(url)])));
    const parsed = await parseWithImages(parser(urls).parse, images, SIGNAL);
    expect(calls.map(({ url }) => new URL(url).pathname)).toEqual(["/a", "/b"]);
    const ends = parsed.ok
      ? parsed.value.map(({ base64 }) => Buffer.from(base64, "base64").toString().at(-1))
      : [];
    expect(ends).toEqual(["a", "b", "a"]);
  });

  test("fetches nothing for a request that is refused anyway", async () => {
    const fault: Failure = { kind: "invalid-request", message: "model: Field required" };
    const { images, calls } = world();
    expect(await parseWithImages(parser(many(2), fault).parse, images, SIGNAL)).toEqual(
      fail(fault),
    );
    expect(calls).toEqual([]);
  });

  test("takes ten images and refuses eleven before it fetches any", async () => {
    const { images, calls } = world();
    const ten = await parseWithImages(parser(many(10)).parse, images, SIGNAL);
    expect(ten).toEqual(ok(many(10).map(() => png)));
    expect(calls).toHaveLength(10);
    const same = Array<string>(11).fill("https://img.example/0");
    for (const urls of [many(11), same]) {
      expect(await parseWithImages(parser(urls).parse, images, SIGNAL)).toEqual(
        fail({
          kind: "invalid-request",
          message: "At most 10 images are fetched for one request; send others as base64",
        }),
      );
    }
    expect(calls).toHaveLength(10);
  });

  test("says what is wrong in the words on which Claude Code lets go of an image", async () => {
    const { images } = world();
    expect(await parseWithImages(parser(["https://in.example/"]).parse, images, SIGNAL)).toEqual(
      fail({
        kind: "invalid-request",
        message: "Could not process image: its host has no public address",
      }),
    );
  });
});

describe("a request's images", () => {
  test("are fetched four at a time", async () => {
    const answers: (() => void)[] = [];
    const { images, calls, settle } = world(async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      answers.push(resolve);
      await promise;
      return new Response(PNG);
    });
    const found = images.fetch(new Set(many(6)), SIGNAL);
    await settle();
    expect(calls).toHaveLength(4);
    answers.shift()?.();
    await settle();
    expect(calls).toHaveLength(5);
    for (const answer of answers.splice(0)) answer();
    await settle();
    for (const answer of answers) answer();
    expect((await found).size).toBe(6);
  });

  test("one that fails takes none of the others along", async () => {
    const { images } = world();
    const urls = new Set(["https://in.example/", "https://img.example/"]);
    expect([...(await images.fetch(urls, SIGNAL)).values()]).toEqual([
      fail("its host has no public address"),
      ok(png),
    ]);
  });

  test("are not asked for any more when the client has left", async () => {
    const client = new AbortController();
    const { images, calls, settle } = world(async () => await new Promise(() => undefined));
    const found = images.fetch(new Set(many(10)), client.signal);
    await settle();
    client.abort();
    await found;
    expect(calls).toHaveLength(4);
    expect(calls.every(({ init }) => init.signal?.aborted)).toBe(true);
  });
});

describe("what was fetched is kept", () => {
  test("for ten minutes, however often it is asked for", async () => {
    const { images, calls, advance } = world();
    await one(images);
    await advance(300_000);
    expect(await one(images)).toEqual(ok(png));
    await advance(299_999);
    await one(images);
    expect(calls).toHaveLength(1);
    await advance(1);
    expect(await one(images)).toEqual(ok(png));
    expect(calls).toHaveLength(2);
  });

  test("but not a failure", async () => {
    const answers = [new Response(null, { status: 503 }), new Response(PNG)];
    const { images } = world(() => answers.shift() ?? Response.error());
    expect(await one(images)).toEqual(fail("its host answered with status 503"));
    expect(await one(images)).toEqual(ok(png));
  });

  test("up to 64 MB; what was not asked for the longest goes first", async () => {
    // In base64 they take 12 MiB, so that five of them have room.
    const bytes = Buffer.concat([PNG, Buffer.alloc(9 * 1024 ** 2 - PNG.length)]);
    const { images, calls } = world(() => new Response(bytes));
    const asked = (): number => calls.splice(0).length;
    for (const url of many(5)) await one(images, url);
    expect(asked()).toBe(5);
    await one(images, "https://img.example/0");
    expect(asked()).toBe(0);
    await one(images, "https://img.example/5");
    expect(asked()).toBe(1);
    for (const kept of [0, 2, 3, 4, 5]) await one(images, `https://img.example/${kept}`);
    expect(asked()).toBe(0);
    await one(images, "https://img.example/1");
    expect(asked()).toBe(1);
  });
});

/** The app on a gateway that says hello. */
function served(fetch?: ScriptedFetch) {
  const { runtime, images, calls } = world(fetch);
  const asked: Conversation[] = [];
  const lines: string[] = [];
  const counted: Conversation[] = [];
  const app = createApp({
    ...usageDeps(),
    gateway: {
      async complete({ conversation }) {
        asked.push(conversation);
        return ok({
          events: hello(),
          model: "m",
          credentialId: "c1",
          notices: [],
          attempts: 1,
        });
      },
    },
    runtime,
    log: createLog({
      level: "info",
      format: "json",
      write: (line) => void lines.push(line),
      now: () => 0,
    }),
    ...callerDeps(),
    counter: {
      async exact(conversation) {
        counted.push(conversation);
        return 42;
      },
      quick: () => 40,
      text: (text) => text.length,
    },
    models: { list: () => [], find: () => undefined },
    corsOrigins: ["*"],
    keyless: true,
    body: { maxBytes: 10_000, withinMs: 60_000 },
    stalledMs: 60_000,
    closing: new AbortController().signal,
    headWithinMs: 10_000,
    heartbeatMs: 10_000,
    remoteImages: images,
  });
  const post = async (path: string, body: object, signal?: AbortSignal) =>
    await app.request(
      path,
      { method: "POST", body: JSON.stringify({ model: "m", ...body }), signal: signal ?? null },
      {},
    );
  return { post, asked, calls, lines, counted };
}

describe("the app", () => {
  const wires = [
    { path: "/v1/messages", body: anthropic, at: "messages.0.content.0.image.source.url" },
    {
      path: "/v1/chat/completions",
      body: (url: string) => ({
        messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
      }),
      at: "messages.0.content.0.image_url.url",
    },
    {
      path: "/v1/responses",
      body: (url: string) => ({
        input: [{ role: "user", content: [{ type: "input_image", image_url: url }] }],
      }),
      at: "input.0.content.0.image_url",
    },
  ];

  describe.each(wires)("on $path", ({ path, body, at }) => {
    test("fetches the image and sends it as any other", async () => {
      const { post, asked } = served();
      const response = await post(path, body("https://img.example/a.png"));
      expect(response.status).toBe(200);
      expect(asked[0]?.turns).toEqual([{ role: "user", parts: [png] }]);
    });

    test("names the place of an image that can't be had, never its address", async () => {
      const { post, asked, calls, lines } = served();
      const response = await post(path, body("https://in.example/secret"));
      const text = await response.text();
      expect(response.status).toBe(400);
      expect(text).toContain(`${at}: Could not process image: its host has no public address`);
      expect(text + lines.join("")).not.toMatch(/10\.0\.0\.1|secret/);
      expect([asked, calls]).toEqual([[], []]);
    });
  });

  test("counts a remote image, and fetches it once for the count and the request", async () => {
    const { post, counted, calls } = served();
    const body = anthropic("https://img.example/a.png");
    const response = await post("/v1/messages/count_tokens", body);
    expect(await response.json()).toEqual({ input_tokens: 42 });
    expect(counted[0]?.turns).toEqual([{ role: "user", parts: [png] }]);
    await post("/v1/messages", body);
    expect(calls).toHaveLength(1);
  });

  test("stops fetching for a client that leaves, and says so in the log", async () => {
    const client = new AbortController();
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const { post, asked, calls, lines } = served(async () => {
      resolve();
      return await new Promise<never>(() => undefined);
    });
    const body = anthropic("https://img.example/a.png");
    const answered = post("/v1/messages", body, client.signal);
    await reached;
    client.abort();
    await answered;
    expect(calls[0]?.init.signal?.aborted).toBe(true);
    expect(asked).toEqual([]);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ status: 499, outcome: "cancelled" });
  });
});
