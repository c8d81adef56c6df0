import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, prompt, readAll } from "./client.ts";

const MB = 1024 * 1024;

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  // A thousand streams on one account are more than it would serve.
  gateway = await startGateway({ kiro, config: { maxConcurrentPerCredential: 0 } });
});
beforeEach(() => kiro.otherwise(scenarios.text));
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(gateway.url + path, { headers, redirect: "manual" });
}

function keyed(): Record<string, string> {
  return { "x-api-key": gateway.apiKey };
}

async function sendTo(path: string, headers: Record<string, string>): Promise<Response> {
  const body = JSON.stringify(prompt("Hi"));
  return await fetch(gateway.url + path, { method: "POST", headers, body });
}

describe("keys", () => {
  const routes: { name: string; send: (headers: Record<string, string>) => Promise<Response> }[] = [
    { name: "POST /v1/messages", send: async (headers) => await sendTo("/v1/messages", headers) },
    {
      name: "POST /v1/messages/count_tokens",
      send: async (headers) => await sendTo("/v1/messages/count_tokens", headers),
    },
    { name: "GET /v1/models", send: async (headers) => await get("/v1/models", headers) },
    {
      name: "GET /v1/models/:id",
      send: async (headers) => await get("/v1/models/claude-sonnet-4-5", headers),
    },
  ];
  test.each(routes)("A-01: $name takes the key in both headers", async (route) => {
    expect((await route.send(keyed())).status).toBe(200);
    expect((await route.send({ authorization: `Bearer ${gateway.apiKey}` })).status).toBe(200);
  });

  test.each(routes)("A-07: $name without the key is a 401 not to be retried", async ({ send }) => {
    const wrong = { "x-api-key": `${gateway.apiKey}x` };
    for (const keys of [{}, wrong, { authorization: "Basic abc" }]) {
      const answer = await readAll(await send({ ...keys, "anthropic-version": "2023-06-01" }));
      expect(answer.status).toBe(401);
      expect(answer.headers.get("x-should-retry")).toBe("false");
      expect(answer.json).toMatchObject({
        type: "error",
        error: { type: "authentication_error" },
        request_id: answer.requestId,
      });
    }
  });

  test("A-05: HEAD / and HEAD /api/hello need no key", async () => {
    for (const path of ["/", "/api/hello"]) {
      const { status } = await fetch(gateway.url + path, { method: "HEAD" });
      expect(status).toBe(200);
    }
  });

  test("A-06: a preflight needs no key and allows what was asked for", async () => {
    const wanted = "x-api-key,anthropic-version,anthropic-beta,x-stainless-lang";
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": wanted,
      },
    });
    expect(response.status).toBeLessThan(300);
    expect(response.headers.get("access-control-allow-headers")).toBe(wanted);
    expect(response.headers.get("access-control-allow-methods")).toContain("POST");
    const answer = await ask(gateway, prompt("Hi"), { headers: { origin: "https://app.example" } });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  });
});

describe("routes", () => {
  test.each([
    "/v1/messages",
    "/messages",
    "/v1/v1/messages",
    "//v1//messages/",
    "/v1/messages?beta=true",
  ])("A-04: %s is the Messages API", async (path) => {
    const { status, json } = await ask(gateway, prompt("Hi"), { path });
    expect(status).toBe(200);
    expect(json).toMatchObject({ type: "message" });
  });

  test("A-04: count_tokens takes ?beta=true", async () => {
    const answer = await ask(gateway, prompt("Hi"), {
      path: "/v1/messages/count_tokens?beta=true",
    });
    expect(answer.json).toEqual({ input_tokens: expect.any(Number) });
  });

  test("A-08: every answer has its request id, and an error says it in its body, too", async () => {
    kiro.script(scenarios.text, scenarios.text);
    const answers = [
      await ask(gateway, prompt("Hi")),
      await ask(gateway, prompt("Hi", { stream: true })),
      await ask(gateway, "{"),
      await ask(gateway, prompt("Hi"), { path: "/v1/nothing" }),
      await readAll(await get("/v1/models", keyed())),
      await readAll(await get("/")),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 404, 200, 200]);
    for (const { requestId, status, json } of answers) {
      expect(requestId).toMatch(/^req_\w{20,}$/);
      if (status >= 400) expect(json).toMatchObject({ request_id: requestId });
    }
    expect(new Set(answers.map(({ requestId }) => requestId)).size).toBe(answers.length);
  });

  test.each(["/v1/files", "/v1/messages/batches", "/v1/complete", "/favicon.ico"])(
    "A-77: %s is a 404 in JSON",
    async (path) => {
      for (const method of ["GET", "POST"]) {
        const headers = { ...keyed(), accept: "text/html" };
        const answer = await readAll(await fetch(gateway.url + path, { method, headers }));
        expect(answer.status).toBe(404);
        expect(answer.headers.get("content-type")).toStartWith("application/json");
        expect(answer.json).toMatchObject({ type: "error", error: { type: "not_found_error" } });
      }
    },
  );
});

describe("counting and models", () => {
  test("A-68: count_tokens needs no max_tokens and no upstream call", async () => {
    const before = kiro.chats().length;
    const body = { model: "claude-sonnet-4-5", messages: [{ role: "user", content: "Hi there" }] };
    const { status, json } = await ask(gateway, body, { path: "/v1/messages/count_tokens" });
    expect(status).toBe(200);
    const { input_tokens: tokens } = json as { input_tokens: number };
    expect(tokens).toBeGreaterThan(0);
    expect(kiro.chats().length).toBe(before);
  });

  test("A-69: forty counts at once are done within a second", async () => {
    let quickest = Infinity;
    // The first one loads the tokenizer, and any of them may meet a busy machine.
    for (let attempt = 0; attempt < 4 && quickest >= 1_000; attempt++) {
      const at = performance.now();
      const answers = await Promise.all(
        Array.from(
          { length: 40 },
          async (_, index) =>
            await ask(gateway, prompt(`Question ${index} of ${attempt}: ${"why? ".repeat(200)}`), {
              path: "/v1/messages/count_tokens",
            }),
        ),
      );
      quickest = Math.min(quickest, performance.now() - at);
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
    expect(quickest).toBeLessThan(1_000);
  });

  test("D-01, D-02, D-05: one list of models serves the clients of both vendors", async () => {
    const response = await get("/v1/models?limit=1000", keyed());
    expect(response.status).toBe(200);
    const list = (await response.json()) as { data: { id: string }[] };
    expect(list).toMatchObject({
      object: "list",
      has_more: false,
      first_id: list.data[0]?.id,
      last_id: list.data.at(-1)?.id,
    });
    expect(list.data.length).toBeGreaterThan(2);
    for (const model of list.data) {
      expect(model).toEqual(
        expect.objectContaining({
          id: expect.any(String),
          object: "model",
          type: "model",
          created: expect.any(Number),
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          owned_by: expect.any(String),
          display_name: expect.any(String),
          max_tokens: expect.any(Number),
        }),
      );
    }
  });

  test("D-03: a model that is not there is a 404 that the clients of both vendors read", async () => {
    const version = { "anthropic-version": "2023-06-01" };
    const anthropic = await get("/v1/models/llama-3", { ...keyed(), ...version });
    expect(anthropic.status).toBe(404);
    expect(await anthropic.json()).toMatchObject({
      type: "error",
      error: { type: "not_found_error", message: "model: llama-3" },
    });
    const openai = await get("/v1/models/llama-3", keyed());
    expect(openai.status).toBe(404);
    expect(await openai.json()).toMatchObject({
      error: { type: "invalid_request_error", code: "model_not_found", message: "model: llama-3" },
    });
  });
});

describe("bodies", () => {
  const oversized = Buffer.alloc(40 * MB, "x");

  test("A-71: gzip is understood, an unknown encoding is a 400", async () => {
    kiro.script(scenarios.echo);
    const zipped = Bun.gzipSync(JSON.stringify(prompt("zipped")));
    const good = await ask(gateway, zipped, { headers: { "content-encoding": "gzip" } });
    expect(good.json).toMatchObject({ content: [{ type: "text", text: "zipped" }] });
    const bad = await ask(gateway, zipped, { headers: { "content-encoding": "rot13" } });
    expect(bad.status).toBe(400);
    expect(bad.json).toMatchObject({ error: { type: "invalid_request_error" } });
  });

  test("F-07: 20 MB of images are accepted and arrive", async () => {
    const png = Buffer.alloc(3 * MB);
    png.write("\x89PNG\r\n\x1a\n", "latin1");
    const data = png.toString("base64");
    const source = { type: "base64", media_type: "image/png", data };
    const content = Array.from({ length: 5 }, () => ({ type: "image", source }));
    const body = prompt("", { messages: [{ role: "user", content }] });
    const answer = await ask(gateway, body);
    expect(answer.status).toBe(200);
    const sent = JSON.stringify(kiro.chats().at(-1)?.body);
    expect(sent.split(data).length - 1).toBe(5);
    kiro.requests.length = 0;
  });

  test("A-70: 40 MB are a 413, which the SDK understands", async () => {
    const client = new Anthropic({
      baseURL: gateway.url,
      apiKey: gateway.apiKey,
      maxRetries: 0,
    });
    const content = oversized.toString("latin1");
    const params = { model: "claude-opus-4-6", max_tokens: 10 };
    const error = await client.messages
      .create({ ...params, messages: [{ role: "user", content }] })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 413, type: "request_too_large" });
  });

  test("F-07: 40 MB without a declared length are a 413, too", async () => {
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < 40; at++)
          controller.enqueue(oversized.subarray(at * MB, (at + 1) * MB));
        controller.close();
      },
    });
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: "POST",
      headers: keyed(),
      body: pieces,
    });
    const answer = await readAll(response);
    expect(answer.status).toBe(413);
    expect(answer.json).toMatchObject({ error: { type: "request_too_large" } });
  });

  test("F-07: the 413 can be read by a client that is still sending", async () => {
    let received = "";
    let unsent = Buffer.concat([
      Buffer.from(
        `POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${gateway.apiKey}\r\n` +
          `content-length: ${200 * MB}\r\n\r\n`,
      ),
      oversized,
    ]);
    const send = (socket: Bun.Socket): void => {
      unsent = unsent.subarray(Math.max(0, socket.write(unsent)));
    };
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(gateway.url).port),
      socket: {
        open: send,
        drain: send,
        data: (_, bytes) => void (received += bytes.toString()),
        error: () => {},
      },
    });
    await until(() => received.endsWith("}"));
    socket.end();
    expect(received).toStartWith("HTTP/1.1 413 ");
    const body: unknown = JSON.parse(received.slice(received.indexOf("\r\n\r\n")));
    expect(body).toMatchObject({ type: "error", error: { type: "request_too_large" } });
  });
});

describe("load", () => {
  test("1,000 streams flow at the same time", async () => {
    kiro.otherwise(scenarios["silence in mid stream"]);
    const body = JSON.stringify(prompt("Hi", { stream: true }));
    // Plain sockets: Bun's `fetch` would open no more than 256 in this process.
    const head =
      `POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${gateway.apiKey}\r\n` +
      `content-length: ${body.length}\r\n\r\n`;
    let flowing = 0;
    const connect = async (): Promise<Bun.Socket> => {
      let received = "";
      return await Bun.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(gateway.url).port),
        socket: {
          open: (socket) => void socket.write(head + body),
          data(_, bytes) {
            const before = received.includes("emulator.");
            received += bytes.toString();
            if (!before && received.includes("emulator.")) flowing += 1;
          },
        },
      });
    };
    const sockets: Bun.Socket[] = [];
    while (sockets.length < 1_000) {
      sockets.push(...(await Promise.all(Array.from({ length: 100 }, connect))));
    }
    await until(() => flowing === 1_000);
    expect(kiro.connections.open).toBe(1_000);
    for (const socket of sockets) socket.end();
    await until(() => kiro.connections.open === 0);
  }, 60_000);
});
