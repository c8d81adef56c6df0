import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/secret.ts";
import { realRuntime } from "../../src/runtime.ts";
import { createFetchTransport } from "../../src/transport/by-fetch.ts";
import { createSocketTransport } from "../../src/transport/by-sockets.ts";
import { chooseTransport } from "../../src/transport/choose.ts";
import type { Exchange, Transport } from "../../src/transport/transport.ts";
import { tls } from "../support/tls.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function serve(fetch: (request: Request) => Response | Promise<Response>): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch });
  closers.push(async () => await server.stop(true));
  return server.url.origin;
}

type Peer = { seen: string; answers: number };

/** A server that answers by hand: `onData` with all that has come on the connection, whose number counts from 1. */
function listen(
  onData: (socket: Bun.Socket<Peer>, connection: number) => void,
  options: { tls?: typeof tls } = {},
) {
  let connections = 0;
  let closed = 0;
  const numbers = new WeakMap<Bun.Socket<Peer>, number>();
  const all: Bun.Socket<Peer>[] = [];
  const listener = Bun.listen<Peer>({
    hostname: "127.0.0.1",
    port: 0,
    ...options,
    socket: {
      open(socket) {
        connections += 1;
        socket.data = { seen: "", answers: 0 };
        numbers.set(socket, connections);
        all.push(socket);
      },
      data(socket, bytes) {
        socket.data.seen += bytes.toString("latin1");
        onData(socket, numbers.get(socket) ?? 0);
      },
      close() {
        closed += 1;
      },
      error() {
        // `close` follows.
      },
    },
  });
  closers.push(() => listener.stop(true));
  return {
    url: `${options.tls === undefined ? "http" : "https"}://localhost:${listener.port}`,
    connections: () => connections,
    closed: () => closed,
    seen: () => all.map(({ data }) => data.seen),
    endAll: () => all.forEach((socket) => socket.end()),
  };
}

const requestsIn = (seen: string): number => seen.split("POST ").length - 1;

/** Answers each request as soon as it is there, which these tests' small ones are at once. */
const answering =
  (text: string) =>
  (socket: Bun.Socket<Peer>): void => {
    for (; socket.data.answers < requestsIn(socket.data.seen); socket.data.answers += 1) {
      socket.write(text);
    }
  };

const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

async function bodyOf(exchange: Exchange): Promise<{ text: string; end: string }> {
  const pieces: Uint8Array[] = [];
  const end = await exchange.forEach((bytes) => {
    pieces.push(Uint8Array.from(bytes));
    return true;
  });
  return { text: Buffer.concat(pieces).toString(), end };
}

async function ask(transport: Transport, url: string, body = "{}") {
  const exchange = transport({ url, headers: { "x-a": "b" }, body });
  const { status } = await exchange.head;
  return { status, ...(await bodyOf(exchange)) };
}

/** Without a way round. */
const bySockets = (): Transport => createSocketTransport(realRuntime(), () => expect.unreachable());

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await Bun.sleep(1);
}

const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => "no error",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : String(error)),
  );

describe.each([
  ["sockets", () => bySockets()],
  ["fetch", () => createFetchTransport(realRuntime())],
])("by %s", (_, create) => {
  test("the request arrives as it was given, and the answer as it was sent", async () => {
    let came: unknown;
    const url = serve(async (request) => {
      const { method, headers } = request;
      const address = new URL(request.url);
      came = {
        method,
        path: address.pathname + address.search,
        host: headers.get("host"),
        header: headers.get("x-a"),
        body: await request.text(),
      };
      return new Response("nöt föund 🎉", { status: 404, headers: { "X-Reason": "because" } });
    });
    const body = JSON.stringify({ text: "日本 é 🎉 \ud800", more: "x".repeat(1000) });
    const exchange = create()({ url: `${url}/a/b?c=d`, headers: { "x-a": "b; c" }, body });
    const { status, headers } = await exchange.head;
    expect([status, headers.get("x-reason"), headers.get("x-none")]).toEqual([
      404,
      "because",
      null,
    ]);
    expect(await bodyOf(exchange)).toEqual({ text: "nöt föund 🎉", end: "end" });
    const path = "/a/b?c=d";
    const { host } = new URL(url);
    expect(came).toEqual({ method: "POST", path, host, header: "b; c", body });
  });

  test("a large request and a large answer are whole", async () => {
    const url = serve(async (request) => new Response(await request.text()));
    const body = JSON.stringify("ä".repeat(4_000_000));
    expect((await ask(create(), url, body)).text === body).toBe(true);
  });

  test("many at once do not wait for each other", async () => {
    const waiting: ((response: Response) => void)[] = [];
    const url = serve(
      async (request) =>
        await new Promise<Response>((resolve) => {
          void request.text().then((text) => waiting.push(() => resolve(new Response(text))));
        }),
    );
    const transport = create();
    const asked = Array.from(
      { length: 100 },
      async (_nothing, at) => await ask(transport, url, `${at}`),
    );
    await until(() => waiting.length === 100);
    for (const answer of waiting) answer(new Response());
    expect((await Promise.all(asked)).map(({ text }) => Number(text))).toEqual(
      Array.from({ length: 100 }, (_nothing, at) => at),
    );
  });

  test("what is not taken yet is not lost", async () => {
    const url = serve(() => new Response("0123456789"));
    const exchange = create()({ url, headers: {}, body: "{}" });
    await exchange.head;
    await Bun.sleep(20);
    expect(await exchange.forEach(() => false)).toBe("stopped");
    expect(await bodyOf(exchange)).toEqual({ text: "", end: "end" });
  });

  test("a taker is waited for, and may fail", async () => {
    const server = listen(answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc"));
    const exchange = create()({ url: server.url, headers: {}, body: "{}" });
    await exchange.head;
    const order: string[] = [];
    const taking = exchange.forEach(async (bytes) => {
      order.push(`took ${bytes.length}`);
      await Bun.sleep(5);
      order.push("done");
      throw new Error("enough");
    });
    expect(taking).rejects.toThrow("enough");
    await taking.catch(() => undefined);
    expect(order).toEqual(["took 3", "done"]);
    exchange.close();
    await until(() => server.closed() === 1);
  });

  test("to close cuts the connection, before the head and in the body", async () => {
    const silent = listen(() => undefined);
    const early = create()({ url: silent.url, headers: {}, body: "{}" });
    await until(() => silent.seen().some((text) => text.endsWith("{}")));
    early.close();
    expect(await codeOf(early.head)).not.toBe("no error");
    await until(() => silent.closed() === 1);

    const half = listen(answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc"));
    const late = create()({ url: half.url, headers: {}, body: "{}" });
    await late.head;
    const reading = bodyOf(late);
    late.close();
    expect((await reading).end).toBe("broken");
    await until(() => half.closed() === 1);
  });

  test("an answer that breaks off is broken", async () => {
    const server = listen((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
      socket.end();
    });
    const { text, end } = await ask(create(), server.url);
    // `fetch` may drop what it has read when it hears of the end.
    expect("abc").toStartWith(text);
    expect(end).toBe("broken");
  });

  test("where nobody answers, the head rejects with why", async () => {
    const closed = listen(() => undefined);
    const { url } = closed;
    await closers.pop()?.();
    const refused = create()({ url, headers: {}, body: "{}" });
    expect(String(await codeOf(refused.head))).toMatch(/ECONNREFUSED|ConnectionRefused/);
    const leaving = listen((socket) => void socket.end());
    const left = create()({ url: leaving.url, headers: {}, body: "{}" });
    expect(await codeOf(left.head)).toBe("ECONNRESET");
  });

  test("a call's own headers are sent with those that it shares with others", async () => {
    const seen: unknown[] = [];
    const url = serve(({ headers }) => {
      seen.push([headers.get("x-a"), headers.get("x-b")]);
      return new Response("");
    });
    const transport = create();
    const headers = { "x-a": "shared" };
    for (const number of ["1", "2"]) {
      const exchange = transport({ url, headers, own: { "x-b": number }, body: "{}" });
      await exchange.head;
      await bodyOf(exchange);
    }
    expect(seen).toEqual([
      ["shared", "1"],
      ["shared", "2"],
    ]);
  });

  test.each([
    { headers: { "x-a": "b\r\nx-c: d" } },
    { headers: {}, own: { "x-a": "b\r\nx-c: d" } },
    { headers: {}, own: { "x-c: d\r\nx-a": "b" } },
  ])("a header that could be read as two is never sent: %j", async (headers) => {
    const server = listen(answering(HELLO));
    const exchange = create()({ url: server.url, ...headers, body: "{}" });
    expect(await codeOf(exchange.head)).not.toBe("no error");
    expect(server.seen().join("")).not.toContain("x-c");
  });

  test("a certificate that nobody vouches for gets no request", async () => {
    const server = listen(answering(HELLO), { tls });
    const exchange = create()({ url: server.url, headers: { "x-a": "secret" }, body: "{}" });
    expect(await codeOf(exchange.head)).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(server.seen().join("")).toBe("");
  });
});

describe("sockets", () => {
  test("a connection serves one call after the other, and as many are open as calls at a time", async () => {
    const server = listen(answering(HELLO));
    const transport = bySockets();
    for (let call = 0; call < 5; call += 1) await ask(transport, server.url);
    expect(server.connections()).toBe(1);
    await Promise.all([ask(transport, server.url), ask(transport, server.url)]);
    await ask(transport, server.url);
    expect(server.connections()).toBe(2);
  });

  test("a connection whose answer was not read to its end serves no other call", async () => {
    const server = listen(answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc"));
    const transport = bySockets();
    for (let call = 0; call < 2; call += 1) {
      const exchange = transport({ url: server.url, headers: {}, body: "{}" });
      await exchange.head;
      expect(await exchange.forEach(() => false)).toBe("stopped");
      exchange.close();
    }
    expect(server.connections()).toBe(2);
  });

  test("a connection that the other side has closed is not used again", async () => {
    const server = listen(answering(HELLO));
    const transport = bySockets();
    await ask(transport, server.url);
    server.endAll();
    await until(() => server.closed() === 1);
    await Bun.sleep(10);
    expect(await ask(transport, server.url)).toEqual({ status: 200, text: "hello", end: "end" });
    expect(server.seen().map(requestsIn)).toEqual([1, 1]);
  });

  test("a request that meets a closing connection is sent again on another, once", async () => {
    const server = listen((socket, connection) => {
      if (connection === 1 && requestsIn(socket.data.seen) === 1) answering(HELLO)(socket);
      else socket.end();
    });
    const transport = bySockets();
    await ask(transport, server.url);
    const exchange = transport({ url: server.url, headers: {}, body: "{}" });
    expect(await codeOf(exchange.head)).toBe("ECONNRESET");
    expect(server.seen().map(requestsIn)).toEqual([2, 1]);
  });

  test("one that closes later may have worked on the request, which is not sent again", async () => {
    let now = 0;
    const server = listen((socket) => {
      if (requestsIn(socket.data.seen) === 1) answering(HELLO)(socket);
      else {
        now = 1_001;
        socket.end();
      }
    });
    const transport = createSocketTransport({ monotonic: () => now }, () => expect.unreachable());
    await ask(transport, server.url);
    const exchange = transport({ url: server.url, headers: {}, body: "{}" });
    expect(await codeOf(exchange.head)).toBe("ECONNRESET");
    expect(server.seen().map(requestsIn)).toEqual([2]);
  });

  test("a connection that was held up for a slow reader serves the next call", async () => {
    const body = "x".repeat(400_000);
    const url = serve(() => new Response(body));
    const transport = bySockets();
    for (let call = 0; call < 3; call += 1) {
      const exchange = transport({ url, headers: {}, body: "{}" });
      await exchange.head;
      // All of it is there by then, and more than is kept without holding the sender up.
      await Bun.sleep(20);
      expect((await bodyOf(exchange)).text.length).toBe(body.length);
    }
  });

  test("to close while a piece is being taken ends the reading after it, once", async () => {
    const server = listen(answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"));
    for (const answer of [true, false, Promise.resolve(true)]) {
      const exchange = bySockets()({ url: server.url, headers: {}, body: "{}" });
      await exchange.head;
      const order: string[] = [];
      const reading = exchange.forEach((bytes) => {
        exchange.close();
        order.push(`took ${bytes.length}`);
        return answer;
      });
      void reading.then((end) => order.push(end));
      expect(await reading).toBe(answer === false ? "stopped" : "broken");
      expect(order[0]).toBe("took 3");
    }
  });

  test("a body without a length that is cut off is broken", async () => {
    const server = listen((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\nabc");
      setTimeout(() => socket.terminate(), 20);
    });
    expect((await ask(bySockets(), server.url)).end).toBe("broken");
    const whole = listen((socket) => void socket.end("HTTP/1.1 200 OK\r\n\r\nabc"));
    expect(await ask(bySockets(), whole.url)).toEqual({ status: 200, text: "abc", end: "end" });
  });

  test("a sender that is faster than its reader has to wait", async () => {
    const size = 64 * 1024 * 1024;
    let sent = 0;
    const piece = Buffer.alloc(256 * 1024, "x");
    const push = (socket: Bun.Socket): void => {
      while (sent < size) {
        const written = socket.write(piece.subarray(0, Math.min(piece.length, size - sent)));
        sent += Math.max(0, written);
        if (written < piece.length) return;
      }
    };
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
          push(socket);
        },
        drain: push,
      },
    });
    closers.push(() => listener.stop(true));
    const url = `http://127.0.0.1:${listener.port}`;
    const exchange = bySockets()({ url, headers: {}, body: "{}" });
    await exchange.head;
    let taken = 0;
    const gate = Promise.withResolvers<boolean>();
    const reading = exchange.forEach((bytes) => {
      taken += bytes.length;
      return taken === bytes.length ? gate.promise : true;
    });
    let before = -1;
    while (before !== sent) {
      before = sent;
      await Bun.sleep(50);
    }
    expect(sent).toBeLessThan(size);
    gate.resolve(true);
    expect(await reading).toBe("end");
    expect(taken).toBe(size);
  });

  test("what is no HTTP is no answer", async () => {
    const server = listen((socket) => void socket.write("SSH-2.0-OpenSSH\r\n\r\n"));
    const exchange = bySockets()({ url: server.url, headers: {}, body: "{}" });
    expect(await codeOf(exchange.head)).toBe("EPROTO");
    await until(() => server.closed() === 1);
    const none = bySockets()({ url: "nowhere", headers: {}, body: "{}" });
    expect(String(await codeOf(none.head))).toContain("URL");
  });

  test("an address of IPv6 is called", async () => {
    const server = Bun.serve({ hostname: "::1", port: 0, fetch: () => new Response("six") });
    closers.push(async () => await server.stop(true));
    const asked = await ask(bySockets(), `http://[::1]:${server.port}`);
    expect(asked).toEqual({ status: 200, text: "six", end: "end" });
  });

  test("an authority of the operator's is trusted, for the names in its certificates", async () => {
    const server = listen(answering(HELLO), { tls });
    const folder = await mkdtemp(join(tmpdir(), "transport-"));
    closers.push(async () => await rm(folder, { recursive: true }));
    await Bun.write(join(folder, "ca.pem"), tls.cert);
    const script = `
      import { createSocketTransport } from ${JSON.stringify(join(import.meta.dir, "../../src/transport/by-sockets.ts"))};
      const transport = createSocketTransport({ monotonic: () => 0 });
      for (const host of ["localhost", "127.0.0.1"]) {
        const exchange = transport({ url: "https://" + host + ":${new URL(server.url).port}", headers: {}, body: "{}" });
        console.log(await exchange.head.then(({ status }) => status, ({ code }) => code));
      }`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") },
      stdio: ["ignore", "pipe", "inherit"],
    });
    // It ends although a connection is kept.
    expect(await new Response(child.stdout).text()).toBe("200\nERR_TLS_CERT_ALTNAME_INVALID\n");
    expect(await child.exited).toBe(0);
  });
});

describe("the choice", () => {
  const runtime = { ...realRuntime(), fetch: async () => new Response("by fetch") };

  test.each([
    ["sockets", {}, {}],
    ["sockets", { HTTPS_PROXY: "" }, {}],
    ["sockets", { HTTPS_PROXY: "http://127.0.0.1:1" }, { proxyUrl: new Secret("direct") }],
    ["fetch", { https_proxy: "http://127.0.0.1:1" }, {}],
    ["fetch", { ALL_PROXY: "http://127.0.0.1:1" }, {}],
    ["fetch", {}, { proxyUrl: new Secret("http://127.0.0.1:1") }],
    ["fetch", {}, { headers: { connection: "close" } }],
    ["fetch", {}, { headers: { "accept-encoding": "gzip" } }],
  ])("is %s with %j and %j", async (by, environment, over) => {
    const url = serve(() => new Response("by sockets"));
    const transport = chooseTransport(runtime, environment);
    const exchange = transport({ url, headers: {}, body: "{}", ...over });
    await exchange.head;
    expect(await bodyOf(exchange)).toEqual({ text: `by ${by}`, end: "end" });
  });
});
