import { afterEach, describe, expect, test } from "bun:test";
import { type Attempt, type Batch, createClient } from "../../src/kiro/client.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import type { UpstreamProfile } from "../../src/kiro/profile.ts";
import { realRuntime } from "../../src/runtime.ts";
import { Secret } from "../../src/secret.ts";
import { words } from "../emulator/answers.ts";
import { eventFrame } from "../emulator/frames.ts";
import { createFetchTransport } from "../../src/transport/by-fetch.ts";
import { createSocketTransport } from "../../src/transport/by-sockets.ts";
import { createTestRuntime } from "../support/runtime.ts";

const limits = { headersMs: 1_000, firstEventMs: 2_000, idleMs: 3_000, totalMs: 60_000 };

function attempt(over: Partial<Attempt> = {}): Attempt {
  return {
    access: { token: new Secret("tok"), apiRegion: "us-east-1", machineId: "0" },
    body: '{"conversationState":{}}',
    number: 1,
    maxAttempts: 9,
    response: {
      tagThinking: false,
      showThinking: false,
      originalToolName: (name) => name,
      context: { window: 200_000, estimatedTokens: 10, now: 0 },
    },
    signal: new AbortController().signal,
    ...over,
  };
}

/** A client whose upstream answers by hand, on a clock that stands still. */
function scripted(fetch: (init: BunFetchRequestInit) => Response | Promise<Response>) {
  const world = createTestRuntime({ fetch: (_url, init) => fetch(init) });
  const profile: UpstreamProfile = { ...defaultProfile, limits };
  const transport = createFetchTransport(world.runtime);
  return { ...world, client: createClient({ runtime: world.runtime, profile, transport }) };
}

/** A body that is fed by hand, and that breaks when the call is aborted, as a socket does. */
function fed(init: BunFetchRequestInit) {
  let feed: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      feed = controller;
      init.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
    },
  });
  return { response: new Response(body), feed: () => feed };
}

async function all(sent: Awaited<ReturnType<ReturnType<typeof createClient>["send"]>>) {
  if (!sent.ok) throw new Error(sent.failure.kind);
  return await Array.fromAsync(sent.value);
}

function part(more: object): Uint8Array {
  return eventFrame("toolUseEvent", { toolUseId: "t", name: "ls", ...more });
}

function faultOf(batches: Batch[]): unknown {
  return batches.at(-1)?.fault?.kind;
}

const hello = Buffer.concat(words("Hello world"));

describe("send", () => {
  test("one chunk of several frames is one batch, and a clean end is a stop", async () => {
    const { client } = scripted(() => new Response(hello));
    const batches = await all(await client.send(attempt()));
    expect(batches).toEqual([
      {
        events: [
          { type: "text", text: "Hello" },
          { type: "text", text: " world" },
        ],
      },
      { events: [{ type: "stop", reason: "end-turn" }] },
    ]);
  });

  test("the body carries the credential's profile ARN and the headers its token", async () => {
    const { client, calls } = scripted(() => new Response(hello));
    const access = { ...attempt().access, profileArn: "arn:x" };
    await all(await client.send(attempt({ access })));
    expect(calls[0]?.init.body).toBe('{"profileArn":"arn:x","conversationState":{}}');
    expect(calls[0]?.init.headers).toMatchObject({ authorization: "Bearer tok" });
  });

  test("a refusal is a fault with the status", async () => {
    const body = JSON.stringify({ message: "x", reason: "MONTHLY_REQUEST_COUNT" });
    const { client, pending } = scripted(() => new Response(body, { status: 402 }));
    const sent = await client.send(attempt());
    expect(sent).toMatchObject({ ok: false, failure: { kind: "quota", status: 402 } });
    expect(pending()).toBe(0);
  });

  test("half of a refusal is none", async () => {
    const ended: string[] = [];
    const { client, pending } = scripted(() => {
      let left = 1;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (left-- > 0) controller.enqueue(Buffer.from('{"message":'));
          else controller.error(Object.assign(new Error("gone"), { code: "ECONNRESET" }));
        },
      });
      return new Response(body, { status: 403 });
    });
    const recording = {
      answered: (status: number) => void ended.push(`answered ${status}`),
      bytes: () => void ended.push("bytes"),
      ended: (how: string) => void ended.push(how),
    };
    const sent = await client.send(attempt({ recording }));
    expect(sent).toMatchObject({ ok: false, failure: { kind: "unavailable", reason: "reset" } });
    expect(ended).toEqual(["answered 403", "broken"]);
    expect(pending()).toBe(0);
  });

  test("the call goes through the credential's proxy", async () => {
    const { client, calls } = scripted(() => new Response(hello));
    const access = { ...attempt().access, proxyUrl: new Secret("socks5://u:p@proxy:1080") };
    await all(await client.send(attempt({ access })));
    await all(await client.send(attempt()));
    expect(calls[0]?.init.proxy).toEqual({ url: "socks5://u:p@proxy:1080", respectNoProxy: false });
    expect(calls[1]?.init).not.toHaveProperty("proxy");
  });

  test.each([
    ["407", () => new Response(null, { status: 407 })],
    [
      "no tunnel",
      () => {
        throw Object.assign(new Error("no"), { code: "ERR_PROXY_TUNNEL" });
      },
    ],
  ])("a proxy that answers %s is nobody's credential's fault", async (_name, answer) => {
    const { client, pending } = scripted(answer);
    const sent = await client.send(attempt());
    expect(sent).toMatchObject({ ok: false, failure: { kind: "unavailable", reason: "proxy" } });
    expect(pending()).toBe(0);
  });

  test("a redirect is not followed", async () => {
    const { client, calls } = scripted(
      () => new Response(null, { status: 302, headers: { location: "http://elsewhere/" } }),
    );
    expect((await client.send(attempt())).ok).toBe(false);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.init.redirect).toBe("manual");
  });

  test("a huge error body is read only as far as it is of use", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    const { client } = scripted(() => new Response(body, { status: 500 }));
    expect((await client.send(attempt())).ok).toBe(false);
    expect(pulled).toBeLessThan(10);
  });

  test("no connection is the fault of nobody's credential", async () => {
    const { client, pending } = scripted(() => {
      throw new Error("connection refused");
    });
    expect(await client.send(attempt())).toMatchObject({
      ok: false,
      failure: { kind: "unavailable" },
    });
    expect(pending()).toBe(0);
  });

  test("an answer that does not begin in time is a time-out", async () => {
    const { client, advance, pending } = scripted(
      async () => await Promise.withResolvers<Response>().promise,
    );
    const sent = client.send(attempt());
    await advance(1_001);
    expect(await sent).toMatchObject({ ok: false, failure: { failure: { kind: "timeout" } } });
    expect(pending()).toBe(0);
  });

  test("a head without a first event is a time-out of its own", async () => {
    const { client, advance } = scripted((init) => fed(init).response);
    const batches = all(await client.send(attempt()));
    await advance(2_001);
    expect((await batches).at(-1)?.fault).toMatchObject({ failure: { kind: "timeout" } });
  });

  test("a tool call that takes its time is an answer in progress, though nothing is to be seen", async () => {
    let chunk: (() => ReadableStreamDefaultController<Uint8Array> | undefined) | undefined;
    const { client, advance } = scripted((init) => {
      const { response, feed } = fed(init);
      chunk = feed;
      return response;
    });
    const batches = all(await client.send(attempt()));
    chunk?.()?.enqueue(part({ input: "{" }));
    for (let seconds = 0; seconds < 10; seconds += 1) {
      await advance(1_000);
      chunk?.()?.enqueue(part({ input: " " }));
    }
    chunk?.()?.enqueue(part({ input: "}", stop: true }));
    chunk?.()?.close();
    await advance(1);
    expect((await batches).flatMap(({ events }) => events.map(({ type }) => type))).toEqual([
      "tool-call",
      "stop",
    ]);
  });

  test("silence in the middle is a time-out, and what came before is delivered", async () => {
    let chunk: (() => ReadableStreamDefaultController<Uint8Array> | undefined) | undefined;
    const { client, advance, pending } = scripted((init) => {
      const { response, feed } = fed(init);
      chunk = feed;
      return response;
    });
    const sent = await client.send(attempt());
    const batches = all(sent);
    chunk?.()?.enqueue(hello);
    await advance(2_900);
    chunk?.()?.enqueue(hello);
    await advance(2_900);
    expect(pending()).toBeGreaterThan(0);
    await advance(101);
    const done = await batches;
    expect(done).toHaveLength(3);
    expect(faultOf(done)).toBe("unavailable");
    expect(pending()).toBe(0);
  });

  test("a body that ends inside a frame is a fault", async () => {
    const { client } = scripted(() => new Response(hello.subarray(0, hello.length - 5)));
    const batches = await all(await client.send(attempt()));
    expect(faultOf(batches)).toBe("unavailable");
    expect(batches.flatMap(({ events }) => events)).toEqual([{ type: "text", text: "Hello" }]);
  });

  test("bytes that are not frames are a fault", async () => {
    const { client } = scripted(() => new Response("<html>not what was asked for</html>"));
    expect(faultOf(await all(await client.send(attempt())))).toBe("unavailable");
  });

  test("a generator that is returned early aborts the call and leaves no timer", async () => {
    const { client, calls, pending } = scripted((init) => {
      const { response, feed } = fed(init);
      feed()?.enqueue(hello);
      return response;
    });
    const sent = await client.send(attempt());
    if (!sent.ok) throw new Error("failed");
    await sent.value.next();
    await sent.value.return();
    expect(calls[0]?.init.signal?.aborted).toBe(true);
    expect(pending()).toBe(0);
  });
});

describe("send over a socket", () => {
  const servers: Bun.Server<undefined>[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop(true);
  });

  function connect(fetch: (request: Request) => Response | Promise<Response>) {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch });
    servers.push(server);
    const profile: UpstreamProfile = {
      ...defaultProfile,
      hosts: { ...defaultProfile.hosts, api: server.url.origin },
    };
    return createClient({
      runtime: realRuntime(),
      profile,
      transport: createSocketTransport(realRuntime(), () => expect.unreachable()),
    });
  }

  test("the client's departure closes the upstream's socket while it is silent", async () => {
    const left = Promise.withResolvers<void>();
    const client = connect((request) => {
      request.signal.addEventListener("abort", () => left.resolve());
      const first = hello;
      return new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(first),
        }),
      );
    });
    const abort = new AbortController();
    const sent = await client.send(attempt({ signal: abort.signal }));
    if (!sent.ok) throw new Error("failed");
    await sent.value.next();
    const next = sent.value.next();
    abort.abort();
    await left.promise;
    expect((await next).value?.fault?.kind).toBe("unavailable");
  });

  test("a departure before the head closes it too", async () => {
    const arrived = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const client = connect(async (request) => {
      request.signal.addEventListener("abort", () => left.resolve());
      arrived.resolve();
      await left.promise;
      return new Response("late");
    });
    const abort = new AbortController();
    const sent = client.send(attempt({ signal: abort.signal }));
    await arrived.promise;
    abort.abort();
    await left.promise;
    expect((await sent).ok).toBe(false);
  });

  test("finished calls leave their connection for the next one", async () => {
    const ports = new Set<number | undefined>();
    const client = connect((request) => {
      ports.add(servers[0]?.requestIP(request)?.port);
      return new Response(hello);
    });
    for (let call = 0; call < 5; call += 1) await all(await client.send(attempt()));
    expect(ports.size).toBe(1);
  });
});
