import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Failure } from "../../src/conversation/failure.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import { eventStream, type StreamEnd } from "../../src/http/event-stream.ts";
import { fail, ok, type Result } from "../../src/result.ts";
import { realRuntime } from "../../src/runtime.ts";
import type { Wire } from "../../src/wire/wire.ts";
import { createTestRuntime } from "../support/runtime.ts";

type Events = AsyncGenerator<ReplyEvent[], void, undefined>;

const failure: Failure = { kind: "upstream", message: "broken" };
const stop: ReplyEvent = { type: "stop", reason: "end-turn" };

/** A wire that writes down what it is given. */
const plain: Wire<string> = {
  name: "messages",
  parse: () => fail(failure),
  fold: () => null,
  frame: (event) => `[${event}]`,
  trailer: "(end)",
  failure: () => ({ status: 500, headers: {}, body: null }),
};

function words(event: ReplyEvent): string[] {
  return [event.type === "text" ? event.text : event.type];
}

async function* batches(...all: ReplyEvent[][]): Events {
  yield* all;
}

async function* buggy(): Events {
  yield [{ type: "text", text: "a" }];
  throw new Error("bug");
}

/** The stream, what a reader has got of it, and how it ended. */
function play(begun: Promise<Result<{ events: Events }, Failure>>, late = false) {
  const world = createTestRuntime();
  const client = new AbortController();
  const ends: StreamEnd[] = [];
  const bugs: unknown[] = [];
  const body = eventStream({
    runtime: world.runtime,
    wire: plain,
    encoder: { push: words, heartbeat: () => "(beat)" },
    begun,
    late,
    signal: client.signal,
    heartbeatMs: 10_000,
    stalledMs: 60_000,
    asSeen: (seen) => seen,
    onEvents: () => undefined,
    onEnd: (end) => void ends.push(end),
    onBug: (error) => void bugs.push(error),
  });
  const chunks: string[] = [];
  const end = { state: "open" };
  const reader = body.getReader();
  const reading = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(new TextDecoder().decode(value));
    }
  })().then(
    () => void (end.state = "closed"),
    () => void (end.state = "broken"),
  );
  /** Lets the pause before the cut pass. */
  async function broken(): Promise<void> {
    for (let round = 0; round < 100 && end.state === "open"; round += 1) await world.advance(50);
  }
  return { ...world, broken, client, ends, bugs, chunks, reading, closed: () => end.state };
}

function text(content: string): ReplyEvent {
  return { type: "text", text: content };
}

describe("event stream", () => {
  test("each batch is one write, and the trailer follows a good end", async () => {
    const { reading, chunks, ends, pending } = play(
      Promise.resolve(ok({ events: batches([text("a"), text("b")], [text("c"), stop]) })),
    );
    await reading;
    expect(chunks.join("")).toBe("[a][b][c][stop](end)");
    expect(ends).toEqual([{ outcome: "complete" }]);
    expect(pending()).toBe(0);
  });

  test("a failed reply ends with its error event, no trailer and a broken body", async () => {
    const { chunks, ends, closed, broken } = play(
      Promise.resolve(ok({ events: batches([text("a")], [{ type: "failed", failure }]) })),
    );
    await broken();
    expect(chunks.join("")).toBe("[a][failed]");
    expect(closed()).toBe("broken");
    expect(ends).toEqual([{ outcome: "failed", failure }]);
  });

  test("a failure after the head has left is an error event too", async () => {
    const { chunks, closed, broken } = play(Promise.resolve(fail(failure)), true);
    await broken();
    expect(chunks.join("")).toEndWith("[failed]");
    expect(closed()).toBe("broken");
  });

  test("a quiet stream gets a heartbeat, and events put it off", async () => {
    const next = Promise.withResolvers<ReplyEvent[]>();
    const last = Promise.withResolvers<ReplyEvent[]>();
    async function* slow(): Events {
      yield await next.promise;
      yield await last.promise;
    }
    const { chunks, advance, reading } = play(Promise.resolve(ok({ events: slow() })));
    await advance(9_000);
    expect(chunks.join("")).toBe("");
    next.resolve([text("a")]);
    await advance(9_000);
    expect(chunks.join("")).toBe("[a]");
    await advance(1_001);
    expect(chunks.join("")).toBe("[a](beat)");
    await advance(20_000);
    expect(chunks.join("")).toBe("[a](beat)(beat)(beat)");
    last.resolve([stop]);
    await reading;
    expect(chunks.join("")).toEndWith("[stop](end)");
  });

  test("a stream whose head left early beats at once", async () => {
    const begun = Promise.withResolvers<Result<{ events: Events }, Failure>>();
    const { chunks, advance, reading } = play(begun.promise, true);
    await advance(1);
    expect(chunks.join("")).toBe("(beat)");
    begun.resolve(ok({ events: batches([stop]) }));
    await reading;
  });

  test("a client that has left ends the stream and closes the reply", async () => {
    let closed = false;
    const gone = Promise.withResolvers<ReplyEvent[]>();
    async function* endless(): Events {
      try {
        yield [text("a")];
        yield await gone.promise;
        yield [text("never")];
      } finally {
        closed = true;
      }
    }
    const { client, chunks, ends, settle, pending } = play(
      Promise.resolve(ok({ events: endless() })),
    );
    await settle();
    client.abort();
    gone.resolve([text("late")]);
    await settle();
    expect(chunks.join("")).toBe("[a]");
    expect(ends).toEqual([{ outcome: "cancelled" }]);
    expect(closed).toBe(true);
    expect(pending()).toBe(0);
  });

  test("a bug breaks the body and is reported, never a clean end", async () => {
    const { bugs, ends, closed, broken } = play(Promise.resolve(ok({ events: buggy() })));
    await broken();
    expect(closed()).toBe("broken");
    expect(bugs).toHaveLength(1);
    expect(ends).toMatchObject([{ outcome: "failed", failure: { kind: "internal" } }]);
  });

  test("a reply without an end is a bug, not a success", async () => {
    const { bugs, closed, broken } = play(Promise.resolve(ok({ events: batches([text("a")]) })));
    await broken();
    expect(bugs).toHaveLength(1);
    expect(closed()).toBe("broken");
  });
});

/** Serves one endless reply of large batches, and says how many were asked for. */
function serveEndless(runtime = realRuntime()) {
  const world = {
    batches: 0,
    ended: Promise.withResolvers<StreamEnd>(),
    closed: Promise.withResolvers<void>(),
  };
  async function* endless(): Events {
    try {
      for (;;) {
        world.batches += 1;
        yield [text("x".repeat(64 * 1024))];
      }
    } finally {
      world.closed.resolve();
    }
  }
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: (request) =>
      new Response(
        eventStream({
          runtime,
          wire: plain,
          encoder: { push: words, heartbeat: () => "" },
          begun: Promise.resolve(ok({ events: endless() })),
          late: false,
          signal: request.signal,
          heartbeatMs: 3_600_000,
          stalledMs: 60_000,
          asSeen: (seen) => seen,
          onEvents: () => undefined,
          onEnd: (end) => world.ended.resolve(end),
          onBug: () => undefined,
        }),
      ),
  });
  return { world, server };
}

/** Resolves when the number of batches has stood still for a good many turns. */
async function untilStopped(world: { batches: number }): Promise<void> {
  for (let before = -1; world.batches !== before || before === 0;) {
    before = world.batches;
    await Bun.sleep(100);
  }
}

describe("event stream over a socket", () => {
  test("a client that reads nothing for too long is cut off", async () => {
    const time = createTestRuntime();
    const { world, server } = serveEndless(time.runtime);
    const socket = connect(server.port ?? 0, "127.0.0.1");
    const cut = Promise.withResolvers<void>();
    socket.on("error", () => cut.resolve());
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await untilStopped(world);
    await time.advance(60_001);
    expect(await world.ended.promise).toEqual({ outcome: "cancelled" });
    await world.closed.promise;
    socket.resume();
    await cut.promise;
    await server.stop(true);
  });

  test("a client that stops reading stops the reply, and its departure ends it", async () => {
    const { world, server } = serveEndless();
    const socket = connect(server.port ?? 0, "127.0.0.1");
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await untilStopped(world);
    expect(world.batches).toBeLessThan(500);
    socket.destroy();
    await world.closed.promise;
    expect(await world.ended.promise).toEqual({ outcome: "cancelled" });
    await server.stop(true);
  });
});
