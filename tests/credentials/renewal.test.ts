import { describe, expect, test } from "bun:test";
import { createPool } from "../../src/credentials/pool.ts";
import { renewInBackground } from "../../src/credentials/renewal.ts";
import { createTokens } from "../../src/credentials/tokens.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";
import {
  at,
  bodyOf,
  memoryStore,
  MINUTE,
  NOW,
  recordingLog,
  settings,
  socialRecord,
  token,
} from "./samples.ts";

async function worldOf(records: unknown[], fetch?: ScriptedFetch) {
  let issued = 0;
  const issue: ScriptedFetch = () =>
    Response.json({
      accessToken: `a${++issued}`,
      refreshToken: token(`r${issued}`),
      expiresIn: 3_600,
    });
  const world = createTestRuntime({ now: NOW, fetch: fetch ?? issue });
  const memory = memoryStore(records, world.runtime);
  const { log, lines } = recordingLog();
  const deps = { store: memory.store, runtime: world.runtime, log };
  const created = await createPool(deps);
  if (!created.ok) throw new Error(created.failure.message);
  const pool = created.value;
  const tokens = createTokens({ ...deps, pool, settings });
  const ending = new AbortController();
  const running = renewInBackground({ pool, tokens, runtime: world.runtime }, ending.signal);
  await world.settle();
  return { ...world, ...memory, pool, tokens, lines, ending, running };
}

function ends(id: string, inMs: number, more: object = {}) {
  return { ...socialRecord(id), id, refreshToken: token(id), expiresAt: at(NOW + inMs), ...more };
}

describe("renewInBackground", () => {
  test("renews what ends within ten minutes, and nothing else", async () => {
    const { calls } = await worldOf([
      ends("soon", 10 * MINUTE),
      ends("later", 10 * MINUTE + 1),
      ends("off", MINUTE, { disabled: true }),
      { id: "key", kiroApiKey: "ksk_x" },
    ]);
    expect(calls.map(({ init }) => bodyOf(init).includes("soon"))).toEqual([true]);
  });

  test("lets the first request after eight idle hours find a token, and make no call", async () => {
    const { advance, calls, tokens, pool } = await worldOf([ends("a", 30 * MINUTE)]);
    for (let minute = 0; minute < 8 * 60; minute++) {
      await advance(MINUTE);
      const before = calls.length;
      const member = pool.list()[0];
      if (member === undefined) throw new Error("no credential");
      expect((await tokens.access(member.credential)).ok).toBe(true);
      expect(calls).toHaveLength(before);
    }
    expect(calls.length).toBeGreaterThanOrEqual(8);
    expect(calls.length).toBeLessThanOrEqual(10);
  });

  test("asks for one after the other", async () => {
    let open = 0;
    let most = 0;
    const { advance, calls } = await worldOf(
      ["a", "b", "c"].map((id) => ends(id, MINUTE)),
      async () => {
        open += 1;
        most = Math.max(most, open);
        await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
        return Response.json({ accessToken: "x", expiresIn: 3_600 });
      },
    );
    await advance(10);
    expect(calls).toHaveLength(3);
    expect(most).toBe(1);
  });

  test("leaves alone what may not be called, and says that a dead log-in is dead", async () => {
    const { pool, calls, advance } = await worldOf([ends("a", MINUTE), ends("b", MINUTE)], () =>
      Response.json({ error: "invalid_grant" }, { status: 400 }),
    );
    expect(pool.states()).toEqual({ "needs-login": 2 });
    const before = calls.length;
    await advance(60 * MINUTE);
    expect(calls).toHaveLength(before);
  });

  test("goes on after failures, and tells of them once", async () => {
    const { lines, calls, advance, pool } = await worldOf(
      [ends("a", 10 * MINUTE)],
      () => new Response("", { status: 503 }),
    );
    await advance(30 * MINUTE);
    expect(calls.length).toBeGreaterThanOrEqual(6);
    expect(lines.map(({ event }) => event)).toEqual(["token-not-renewed"]);
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("finds a log-in that somebody has replaced in the store", async () => {
    const { pool, edit, advance } = await worldOf([ends("a", MINUTE)], () =>
      Response.json({ error: "invalid_grant" }, { status: 400 }),
    );
    expect(pool.states()).toEqual({ "needs-login": 1 });
    edit([ends("a", 60 * MINUTE, { refreshToken: token("another") })]);
    await advance(5 * MINUTE);
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("never pauses longer than five minutes, nor always the same", async () => {
    const reloads: number[] = [];
    const { runtime, advance } = createTestRuntime();
    const pool = {
      list: () => [],
      async reload() {
        reloads.push(runtime.monotonic());
        return { ok: false, failure: { kind: "io", file: "", message: "" } } as const;
      },
    };
    const tokens = { access: async () => await Promise.reject(new Error("not asked")) };
    void renewInBackground({ pool, tokens, runtime }, new AbortController().signal);
    await advance(60 * MINUTE);
    const pauses = reloads.slice(1).map((time, index) => time - (reloads[index] ?? 0));
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(4.5 * MINUTE);
      expect(pause).toBeLessThanOrEqual(5 * MINUTE);
    }
    expect(new Set(pauses).size).toBe(pauses.length);
  });

  test("ends with its signal, in the pause and in the middle of a renewal", async () => {
    const idle = await worldOf([]);
    idle.ending.abort(new Error("stop"));
    await idle.running;
    expect(idle.pending()).toBe(0);
    const busy = await worldOf(
      [ends("a", MINUTE)],
      async () => await Promise.withResolvers<Response>().promise,
    );
    busy.ending.abort(new Error("stop"));
    await busy.running;
  });
});
