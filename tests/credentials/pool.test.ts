import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { createPool, type Lease, type Pool } from "../../src/credentials/pool.ts";
import {
  type CredentialState,
  READY,
  settle,
  stateAt,
  type Verdict,
} from "../../src/credentials/rotation.ts";
import { createTestRuntime } from "../support/runtime.ts";
import {
  idcRecord,
  memoryStore,
  MINUTE,
  NOW,
  parsed,
  recordingLog,
  socialRecord,
} from "./samples.ts";

async function poolOf(...records: unknown[]) {
  const world = createTestRuntime({ now: NOW });
  const memory = memoryStore(records, world.runtime);
  const { log, lines } = recordingLog();
  const created = await createPool({ store: memory.store, runtime: world.runtime, log });
  if (!created.ok) throw new Error(created.failure.message);
  return { ...world, ...memory, pool: created.value, lines };
}

function want(...tried: string[]) {
  return { model: "claude-sonnet-4.5", tried: new Set(tried) };
}

function acquired(pool: Pool, ...tried: string[]): Lease {
  const lease = pool.acquire({ type: "pool" }, want(...tried));
  if (!lease.ok) throw new Error(lease.failure.reason);
  return lease.value;
}

function named(id: string, more: object = {}) {
  return { ...idcRecord(id), id, ...more };
}

describe("createPool", () => {
  test("warns of a missing file and has no credentials", async () => {
    const { content, store, runtime } = await poolOf();
    content.clear();
    const { log, lines } = recordingLog();
    const created = await createPool({ store, runtime, log });
    expect(lines).toEqual([{ level: "warn", event: "credentials-missing" }]);
    expect(created.ok && created.value.acquire({ type: "pool" }, want())).toEqual({
      ok: false,
      failure: { reason: "no-credentials", states: {} },
    });
  });

  test("gives a broken file back as a failure", async () => {
    const { content, store, runtime } = await poolOf();
    content.set("/data/credentials.json", "{");
    const created = await createPool({ store, runtime, log: recordingLog().log });
    expect(created).toMatchObject({ ok: false, failure: { kind: "broken", line: 1 } });
  });

  test("tells which records are left out and which tokens look shortened", async () => {
    const { lines, pool } = await poolOf(named("short", { refreshToken: "SECRET" }), {
      region: "SECRET",
    });
    expect(lines).toEqual([
      {
        level: "error",
        event: "credential-rejected",
        path: "[1].region",
        message: expect.any(String),
      },
      { level: "warn", event: "refresh-token-looks-truncated", credential: "short" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("SECRET");
    expect(pool.states()).toEqual({ ready: 1 });
  });
});

describe("acquire", () => {
  test("goes by priority, and on to the next for a request that has tried the first", async () => {
    const { pool } = await poolOf(
      named("b", { priority: 1 }),
      named("a"),
      named("c", { priority: 2 }),
    );
    expect(acquired(pool).credential.id).toBe("a");
    expect(acquired(pool, "a").credential.id).toBe("b");
    expect(acquired(pool, "a", "b").credential.id).toBe("c");
    expect(pool.acquire({ type: "pool" }, want("a", "b", "c"))).toEqual({
      ok: false,
      failure: { reason: "all-tried", states: { ready: 3 } },
    });
  });

  test("never gives a disabled credential", async () => {
    const { pool } = await poolOf(named("a", { disabled: true }));
    expect(pool.acquire({ type: "pool" }, want())).toEqual({
      ok: false,
      failure: { reason: "none-ready", states: { disabled: 1 } },
    });
  });

  test("says when the first one is back, and gives it then", async () => {
    const { pool, advance, lines } = await poolOf(named("a"), named("b"), named("c"));
    acquired(pool).settle({ type: "exhausted", until: NOW + 60 * MINUTE });
    acquired(pool).settle({ type: "cooling", forMs: 10 * MINUTE });
    acquired(pool).settle({ type: "suspended" });
    expect(pool.acquire({ type: "pool" }, want())).toEqual({
      ok: false,
      failure: {
        reason: "none-ready",
        readyAt: NOW + 10 * MINUTE,
        states: { exhausted: 1, cooling: 1, suspended: 1 },
      },
    });
    await advance(10 * MINUTE);
    expect(acquired(pool).credential.id).toBe("b");
    await advance(50 * MINUTE);
    expect(acquired(pool).credential.id).toBe("a");
    expect(lines.map(({ credential, from, to }) => [credential, from, to].join(" "))).toEqual([
      "a ready exhausted",
      "b ready cooling",
      "c ready suspended",
      "b cooling ready",
      "a exhausted ready",
    ]);
  });

  test("a credential from the client is given whatever the pool holds, once, and leaves no trace", async () => {
    const { pool, lines } = await poolOf(named("a"));
    // The client may name any id, also one of the pool's.
    const credential = parsed({ ...socialRecord(), id: "a" });
    const lease = pool.acquire({ type: "inline", credential }, want());
    expect(lease.ok && lease.value.credential).toBe(credential);
    if (lease.ok) lease.value.settle({ type: "suspended" });
    expect(pool.acquire({ type: "inline", credential }, want("a"))).toEqual({
      ok: false,
      failure: { reason: "all-tried", states: {} },
    });
    expect(pool.states()).toEqual({ ready: 1 });
    expect(lines).toEqual([]);
  });
});

describe("settle", () => {
  test("counts once a lease", async () => {
    const { pool } = await poolOf(named("a"));
    const lease = acquired(pool);
    lease.settle({ type: "served" });
    lease.settle({ type: "suspended" });
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("logs a loss that needs a person as an error", async () => {
    const { pool, lines } = await poolOf(named("a"), named("b"));
    acquired(pool).settle({ type: "suspended" });
    acquired(pool).settle({ type: "needs-login" });
    expect(lines).toMatchObject([
      { level: "error", event: "credential-state", credential: "a", to: "suspended" },
      { level: "error", event: "credential-state", credential: "b", to: "needs-login" },
    ]);
  });

  test("ten thousand client errors and outages change nothing", async () => {
    const { pool, lines } = await poolOf(named("a"));
    for (let request = 0; request < 10_000; request++) acquired(pool).settle({ type: "unchanged" });
    expect(pool.states()).toEqual({ ready: 1 });
    expect(lines).toEqual([]);
  });
});

describe("replace", () => {
  test("leases get the new tokens, and a lost log-in counts as found", async () => {
    const { pool } = await poolOf(named("a"));
    const lease = acquired(pool);
    lease.settle({ type: "needs-login" });
    const fresh = { ...parsed(named("a")), persistent: true };
    pool.replace(fresh);
    expect(pool.current("a")).toBe(fresh);
    expect(acquired(pool).credential).toBe(fresh);
  });

  test("does not end a rest or a suspension", async () => {
    const { pool } = await poolOf(named("a"), named("b"));
    acquired(pool).settle({ type: "cooling", forMs: MINUTE });
    acquired(pool).settle({ type: "suspended" });
    for (const id of ["a", "b"]) pool.replace(parsed(named(id)));
    expect(pool.states()).toEqual({ cooling: 1, suspended: 1 });
  });

  test("follows the operator's switch, and adds nothing", async () => {
    const { pool } = await poolOf(named("a"));
    pool.replace(parsed(named("a", { disabled: true })));
    expect(pool.states()).toEqual({ disabled: 1 });
    pool.replace(parsed(named("a")));
    expect(pool.states()).toEqual({ ready: 1 });
    pool.replace(parsed(named("stranger")));
    expect(pool.states()).toEqual({ ready: 1 });
    expect(pool.current("stranger")).toBeUndefined();
  });
});

test("the pool agrees with a naive model under any verdicts and any clock", async () => {
  const verdict: fc.Arbitrary<Verdict> = fc.oneof(
    fc.constantFrom<Verdict>({ type: "served" }, { type: "unchanged" }, { type: "refused" }),
    fc.constantFrom<Verdict>({ type: "suspended" }, { type: "needs-login" }),
    fc.record({ type: fc.constant("cooling" as const), forMs: fc.nat(20 * MINUTE) }),
    fc.record({
      type: fc.constant("exhausted" as const),
      until: fc.integer({ min: NOW, max: NOW + 60 * MINUTE }),
    }),
  );
  const step = fc.record({ verdict, waitMs: fc.nat(10 * MINUTE), late: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { pool, runtime, advance } = await poolOf(
        named("a"),
        named("b", { priority: -1 }),
        named("c"),
      );
      const model = new Map<string, CredentialState>(["b", "a", "c"].map((id) => [id, READY]));
      const open: { id: string; lease: Lease; verdict: Verdict }[] = [];
      const close = (): void => {
        for (const { id, lease, verdict: last } of open.splice(0)) {
          lease.settle(last);
          model.set(id, settle(model.get(id) ?? READY, last, runtime.now()));
        }
      };
      for (const { verdict: next, waitMs, late } of steps) {
        const lease = pool.acquire({ type: "pool" }, want());
        const expected = [...model].find(
          ([, state]) => stateAt(state, runtime.now()).type === "ready",
        );
        expect(lease.ok ? lease.value.credential.id : undefined).toBe(expected?.[0]);
        if (lease.ok)
          open.push({ id: lease.value.credential.id, lease: lease.value, verdict: next });
        if (!late) close();
        await advance(waitMs);
      }
    }),
    { numRuns: 60 },
  );
});

test("printing a pool or a lease shows no token", async () => {
  const { pool } = await poolOf(named("a", { accessToken: "SECRET", refreshToken: "SECRET" }));
  const values = [pool, acquired(pool), pool.current("a")];
  expect(inspect(values, { depth: 9 }) + JSON.stringify(values)).not.toContain("SECRET");
});
