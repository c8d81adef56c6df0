import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import * as fc from "fast-check";
import { createPool, type Lease, type Pool, poolSettings } from "../../src/credentials/pool.ts";
import type { Verdict } from "../../src/credentials/state.ts";
import { createStatesFile } from "../../src/credentials/states-file.ts";
import { createTestRuntime } from "../support/runtime.ts";
import {
  FILE,
  idcRecord,
  memoryStore,
  MINUTE,
  NOW,
  parsed,
  recordingLog,
  socialRecord,
} from "./samples.ts";

const HOUR = 60 * MINUTE;
const STATES = "/data/credential-states.json";
const never = new AbortController();

type Settings = Partial<typeof poolSettings>;

function worldOf(records: unknown[], settings: Settings = {}) {
  const clock = createTestRuntime({ now: NOW });
  const memory = memoryStore(records, clock.runtime);
  const { log, lines } = recordingLog();
  const exhausted: string[] = [];
  return {
    ...clock,
    ...memory,
    lines,
    exhausted,
    open: async () =>
      await createPool({
        store: memory.store,
        runtime: clock.runtime,
        log,
        settings: { ...poolSettings, ...settings },
        statesFile: createStatesFile({
          path: STATES,
          runtime: clock.runtime,
          log,
          files: memory.files,
        }),
        onExhausted: ({ id }) => void exhausted.push(id),
      }),
    transitions: () =>
      lines
        .filter(({ event }) => event === "credential-state")
        .map(({ credential, from, to, cause }) => [credential, from, to, cause].join(" ")),
  };
}

type World = ReturnType<typeof worldOf>;

async function opened({ open }: World): Promise<Pool> {
  const created = await open();
  if (!created.ok) throw new Error(created.failure.message);
  return created.value;
}

async function poolOf(records: unknown[], settings: Settings = {}) {
  const world = worldOf(records, settings);
  return { ...world, pool: await opened(world) };
}

function want(...tried: string[]) {
  return { model: "claude-sonnet-4.5", tried: new Set(tried), mayWait: true };
}

async function acquired(pool: Pool, ...tried: string[]): Promise<Lease> {
  const lease = await pool.acquire({ type: "pool" }, want(...tried), never);
  if (!lease.ok) throw new Error(lease.failure.reason);
  return lease.value;
}

async function settled(pool: Pool, verdict: Verdict): Promise<string> {
  const lease = await acquired(pool);
  lease.settle(verdict);
  lease.release();
  return lease.credential.id;
}

async function refusal(pool: Pool, over: object = {}): Promise<unknown> {
  const lease = await pool.acquire({ type: "pool" }, { ...want(), ...over }, never);
  return lease.ok ? "a lease" : lease.failure;
}

function named(id: string, more: object = {}) {
  return { ...idcRecord(id), id, ...more };
}

describe("createPool", () => {
  test("warns of a missing file and has no credentials", async () => {
    const world = worldOf([]);
    world.content.clear();
    const pool = await opened(world);
    expect(world.lines).toEqual([{ level: "warn", event: "credentials-missing" }]);
    expect(await refusal(pool)).toEqual({ reason: "no-credentials", states: {} });
  });

  test("gives a broken file back as a failure", async () => {
    const world = worldOf([]);
    world.content.set(FILE, "{");
    expect(await world.open()).toMatchObject({ ok: false, failure: { kind: "broken", line: 1 } });
  });

  test("gives a broken file of states back as well, since a suspension may be in it", async () => {
    const world = worldOf([named("a")]);
    world.content.set(STATES, "{");
    expect(await world.open()).toMatchObject({ ok: false, failure: { file: STATES } });
  });

  test("tells which records are left out and which tokens look shortened", async () => {
    const { lines, pool } = await poolOf([
      named("short", { refreshToken: "SECRET" }),
      { region: "SECRET" },
    ]);
    expect(lines).toContainEqual({
      level: "error",
      event: "credential-rejected",
      path: "[1].region",
      message: expect.any(String),
    });
    expect(lines).toContainEqual({
      level: "warn",
      event: "refresh-token-looks-truncated",
      credential: "short",
    });
    expect(JSON.stringify(lines)).not.toContain("SECRET");
    expect(pool.states()).toEqual({ ready: 1 });
  });
});

describe("acquire", () => {
  test("goes by priority, and on to the next for a request that has tried the first", async () => {
    const { pool } = await poolOf([
      named("b", { priority: 1 }),
      named("a"),
      named("c", { priority: 2 }),
    ]);
    expect((await acquired(pool)).credential.id).toBe("a");
    expect((await acquired(pool, "a")).credential.id).toBe("b");
    expect((await acquired(pool, "a", "b")).credential.id).toBe("c");
    expect(await refusal(pool, want("a", "b", "c"))).toEqual({
      reason: "all-tried",
      states: { ready: 3 },
    });
  });

  test("never gives a disabled credential", async () => {
    const { pool } = await poolOf([named("a", { disabled: true })]);
    expect(await refusal(pool)).toEqual({ reason: "none-ready", states: { disabled: 1 } });
  });

  test("says when the first one is back, and gives it then", async () => {
    const { pool, advance, transitions } = await poolOf([named("a"), named("b"), named("c")]);
    await settled(pool, { type: "exhausted", until: NOW + HOUR });
    await settled(pool, { type: "cooling", forMs: 10 * MINUTE });
    await settled(pool, { type: "suspended" });
    expect(await refusal(pool)).toEqual({
      reason: "none-ready",
      readyAt: NOW + 10 * MINUTE,
      states: { exhausted: 1, cooling: 1, suspended: 1 },
    });
    await advance(10 * MINUTE);
    expect((await acquired(pool)).credential.id).toBe("b");
    await advance(50 * MINUTE);
    expect((await acquired(pool)).credential.id).toBe("a");
    expect(transitions()).toEqual([
      "a ready exhausted exhausted",
      "b ready cooling cooling",
      "c ready suspended suspended",
      "b cooling ready rest-over",
      "a exhausted ready rest-over",
    ]);
    expect(Object.fromEntries(pool.transitions)).toEqual({
      "ready exhausted": 1,
      "ready cooling": 1,
      "ready suspended": 1,
      "cooling ready": 1,
      "exhausted ready": 1,
    });
  });

  test("a lease is of no use any more once another request has lost the credential", async () => {
    const { pool, advance } = await poolOf([named("a")]);
    const first = await acquired(pool);
    const second = await acquired(pool);
    second.settle({ type: "suspicious", forMs: MINUTE });
    expect(first.usable()).toBe(false);
    await advance(MINUTE);
    expect(first.usable()).toBe(true);
    second.settle({ type: "suspended" });
    expect(first.usable()).toBe(true);
  });

  test("rejects with the reason of one who has left and would have to wait", async () => {
    const { pool } = await poolOf([named("a")], { maxConcurrent: 1 });
    await acquired(pool);
    const signal = AbortSignal.abort(new Error("left"));
    const outcome = Promise.try(() => pool.acquire({ type: "pool" }, want(), { signal }));
    expect(await outcome.then(String, String)).toContain("left");
    expect(pool.load()).toEqual({ inFlight: 1, waiting: 0 });
  });
});

describe("slots", () => {
  test("so many requests as are allowed go to one credential, then to the next, then wait in line", async () => {
    const { pool, settle } = await poolOf([named("a"), named("b", { priority: 1 })], {
      maxConcurrent: 2,
    });
    const leases = [];
    for (let request = 0; request < 4; request++) leases.push(await acquired(pool));
    expect(leases.map(({ credential }) => credential.id)).toEqual(["a", "a", "b", "b"]);
    const order: string[] = [];
    const waiting = ["fifth", "sixth"].map(async (name) => {
      const lease = await acquired(pool);
      order.push(`${name} ${lease.credential.id}`);
      return lease;
    });
    await settle();
    expect(pool.load()).toEqual({ inFlight: 4, waiting: 2 });
    leases[3]?.release();
    leases[3]?.release();
    await settle();
    expect(order).toEqual(["fifth b"]);
    leases[0]?.release();
    for (const lease of [...leases, ...(await Promise.all(waiting))]) lease.release();
    expect(order).toEqual(["fifth b", "sixth a"]);
    expect(pool.load()).toEqual({ inFlight: 0, waiting: 0 });
    expect(pool.list().map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  test("a full line and a long wait are refusals of their own", async () => {
    const { pool, advance } = await poolOf([named("a")], {
      maxConcurrent: 1,
      queueLength: 1,
      queueTimeoutMs: 5_000,
    });
    const lease = await acquired(pool);
    expect(await refusal(pool, { mayWait: false })).toMatchObject({ reason: "queue-full" });
    const waiting = refusal(pool);
    expect(await refusal(pool)).toEqual({ reason: "queue-full", states: { ready: 1 } });
    await advance(5_000);
    expect(await waiting).toEqual({ reason: "queue-timeout", states: { ready: 1 } });
    lease.release();
    expect(pool.load()).toEqual({ inFlight: 0, waiting: 0 });
  });

  test("those who wait are told at once when nothing is left to wait for", async () => {
    const { pool, settle } = await poolOf([named("a")], { maxConcurrent: 1 });
    const lease = await acquired(pool);
    const waiting = refusal(pool);
    await settle();
    lease.settle({ type: "suspended" });
    expect(await waiting).toEqual({ reason: "none-ready", states: { suspended: 1 } });
  });

  test("one who waits gets a credential whose rest ends, and one that is added", async () => {
    const { pool, advance, edit } = await poolOf([named("a"), named("b")], { maxConcurrent: 1 });
    await settled(pool, { type: "cooling", forMs: MINUTE / 2 });
    await acquired(pool);
    const first = acquired(pool);
    const second = acquired(pool);
    await advance(MINUTE / 2);
    expect((await first).credential.id).toBe("a");
    edit([named("a"), named("b"), named("c")]);
    await pool.reload();
    expect((await second).credential.id).toBe("c");
  });

  test("a client's own credential has slots of its own", async () => {
    const { pool } = await poolOf([], { maxConcurrent: 1 });
    const source = { type: "inline", credential: parsed(socialRecord("mine")) } as const;
    const first = await pool.acquire(source, want(), never);
    const full = await pool.acquire(source, { ...want(), mayWait: false }, never);
    expect(full).toMatchObject({ failure: { reason: "queue-full", states: {} } });
    if (first.ok) first.value.release();
    expect((await pool.acquire(source, want(), never)).ok).toBe(true);
  });

  test("no mixture of departures, verdicts and double releases leaks one", async () => {
    const request = fc.record({
      leavesAfterMs: fc.option(fc.nat(3_000), { nil: undefined }),
      worksMs: fc.nat(3_000),
      releases: fc.integer({ min: 1, max: 3 }),
      verdict: fc.constantFrom<Verdict | undefined>(
        undefined,
        { type: "served" },
        { type: "unchanged" },
        { type: "refused" },
        { type: "cooling", forMs: 700 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 25 }), async (requests) => {
        const { pool, runtime, advance, pending } = await poolOf([named("a"), named("b")], {
          maxConcurrent: 2,
          queueLength: 10,
          queueTimeoutMs: 2_000,
        });
        const running = requests.map(async ({ leavesAfterMs, worksMs, releases, verdict }) => {
          const client = new AbortController();
          if (leavesAfterMs !== undefined) runtime.timer(leavesAfterMs, () => client.abort());
          const lease = await Promise.try(() =>
            pool.acquire({ type: "pool" }, want(), client),
          ).catch(() => undefined);
          if (lease?.ok !== true) return;
          for (const { inFlight } of pool.list()) expect(inFlight).toBeLessThanOrEqual(2);
          await runtime.sleep(worksMs);
          if (verdict !== undefined) lease.value.settle(verdict);
          for (let time = 0; time < releases; time++) lease.value.release();
        });
        await advance(60_000);
        await Promise.all(running);
        expect(pool.load()).toEqual({ inFlight: 0, waiting: 0 });
        expect(pool.list().map(({ inFlight }) => inFlight)).toEqual([0, 0]);
        expect(pending()).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});

const talk = async (pool: Pool, conversation: string, tried: string[] = []): Promise<Lease> => {
  const lease = await pool.acquire({ type: "pool" }, { ...want(...tried), conversation }, never);
  if (!lease.ok) throw new Error(lease.failure.reason);
  return lease.value;
};

describe("a conversation", () => {
  test("stays where it was moved to, among equals", async () => {
    const { pool, advance } = await poolOf([named("a"), named("b")]);
    const lease = await talk(pool, "x");
    lease.settle({ type: "cooling", forMs: 5_000 });
    expect((await talk(pool, "x")).credential.id).toBe("b");
    await advance(5_000);
    expect((await talk(pool, "x")).credential.id).toBe("b");
    expect((await talk(pool, "y")).credential.id).toBe("a");
  });

  test("never waits for the credential that it is used to", async () => {
    const { pool } = await poolOf([named("a"), named("b")], {
      rotation: "balanced",
      maxConcurrent: 1,
    });
    const first = await talk(pool, "x");
    const second = await talk(pool, "x");
    expect([first.credential.id, second.credential.id]).toEqual(["a", "b"]);
  });

  test("new ones are spread by what is left, also between two readings of it", async () => {
    const { pool } = await poolOf([named("a"), named("b")], { rotation: "balanced" });
    pool.learnQuota("a", { remaining: 11 });
    pool.learnQuota("b", { remaining: 10 });
    const ids: string[] = [];
    for (let turn = 0; turn < 6; turn++) ids.push(await settled(pool, { type: "served" }));
    expect(ids.toSorted().join("")).toBe("aaabbb");
    pool.learnQuota("b", { remaining: 500 });
    for (let turn = 0; turn < 6; turn++) {
      expect(await settled(pool, { type: "served" })).toBe("b");
    }
  });

  test.each([
    { name: "at work a tenth of the time", maxConcurrent: 8, pauseMs: 120_000 },
    // Beyond the slots of an account a turn has to move; how many slots there are is the operator's choice.
    { name: "at work most of the time, with slots for all", maxConcurrent: 0, pauseMs: 10_000 },
  ])(
    "of a hundred on four accounts, $name: even load, and nearly every turn stays put",
    async (load) => {
      for (const seed of [1, 2, 3]) {
        const { pool, runtime, advance } = await poolOf(
          ["a", "b", "c", "d"].map((id) => named(id)),
          {
            rotation: "balanced",
            maxConcurrent: load.maxConcurrent,
          },
        );
        let drawn = seed * 7_919;
        const draw = (): number => (drawn = (drawn * 48_271) % 2_147_483_647) / 2_147_483_647;
        const served = new Map<string, number>();
        let stayed = 0;
        let followUps = 0;
        const session = async (name: string): Promise<void> => {
          let last: string | undefined;
          for (let turn = 0; turn < 20; turn++) {
            // A person or a tool takes its time between two replies.
            await runtime.sleep(draw() * load.pauseMs);
            const lease = await talk(pool, name);
            const { id } = lease.credential;
            served.set(id, (served.get(id) ?? 0) + 1);
            if (last !== undefined) {
              followUps += 1;
              if (id === last) stayed += 1;
            }
            last = id;
            await runtime.sleep(draw() * 15_000);
            lease.settle({ type: "served" });
            lease.release();
          }
        };
        const sessions = Array.from({ length: 100 }, async (_, name) => await session(`s${name}`));
        for (let minute = 0; minute < 60; minute++) await advance(MINUTE);
        await Promise.all(sessions);
        const loads = [...served.values()];
        expect(loads).toHaveLength(4);
        expect(Math.max(...loads) / Math.min(...loads)).toBeLessThanOrEqual(1.5);
        expect(stayed / followUps).toBeGreaterThanOrEqual(0.95);
      }
    },
    30_000,
  );
});

describe("entitlement", () => {
  const opus = { model: "claude-opus-4.6" };

  test("a credential that is known not to offer the model is skipped, one that nobody asked is not", async () => {
    const { pool } = await poolOf([named("a"), named("b")]);
    pool.learnModels("a", new Set(["claude-sonnet-4.5"]));
    expect((await acquired(pool)).credential.id).toBe("a");
    const lease = await pool.acquire({ type: "pool" }, { ...want(), ...opus }, never);
    expect(lease).toMatchObject({ value: { credential: { id: "b" } } });
  });

  test("a model that none offers is told as such, and one that only a resting one offers is not", async () => {
    const { pool } = await poolOf([named("a"), named("b")]);
    pool.learnModels("a", new Set(["claude-sonnet-4.5"]));
    pool.learnModels("b", new Set());
    expect(await refusal(pool, opus)).toEqual({
      reason: "model-not-offered",
      states: { ready: 2 },
    });
    await settled(pool, { type: "cooling", forMs: MINUTE });
    expect(await refusal(pool)).toEqual({
      reason: "none-ready",
      readyAt: NOW + MINUTE,
      states: { cooling: 1 },
    });
    pool.learnModels("b", undefined);
    expect((await acquired(pool)).credential.id).toBe("b");
  });
});

const source = (id: string, name = id) =>
  ({ type: "inline", credential: parsed({ ...socialRecord(name), id }) }) as const;

describe("a client's own credential", () => {
  test("is given whatever the pool holds, once a request, and never stands for one of the pool", async () => {
    const { pool, transitions, content, advance } = await poolOf([named("a")]);
    // The client may name any id, also one of the pool's.
    const mine = source("a", "mine");
    const lease = await pool.acquire(mine, want(), never);
    expect(lease.ok && lease.value.credential).toBe(mine.credential);
    if (lease.ok) lease.value.settle({ type: "suspended" });
    expect(await pool.acquire(mine, want("a"), never)).toMatchObject({ ok: false });
    expect(pool.states()).toEqual({ ready: 1 });
    // The log never has a name that a client has chosen, and the file has nothing of it.
    expect(transitions()).toEqual(["inline ready suspended suspended"]);
    await advance(1_000);
    expect(content.has(STATES)).toBe(false);
  });

  test.each<{ verdict: Verdict; state: string }>([
    { verdict: { type: "suspended" }, state: "suspended" },
    { verdict: { type: "suspicious", forMs: HOUR }, state: "cooling" },
    { verdict: { type: "exhausted", until: NOW + HOUR }, state: "exhausted" },
  ])("that is $state is refused without a call, under whatever id", async ({ verdict, state }) => {
    const { pool } = await poolOf([]);
    const lease = await pool.acquire(source("x", "mine"), want(), never);
    if (!lease.ok) throw new Error(lease.failure.reason);
    lease.value.settle(verdict);
    lease.value.release();
    expect(await pool.acquire(source("y", "mine"), want(), never)).toMatchObject({
      failure: { reason: "none-ready", states: { [state]: 1 } },
    });
    expect((await pool.acquire(source("x", "other"), want(), never)).ok).toBe(true);
  });
});

describe("settle", () => {
  test("counts once a lease", async () => {
    const { pool } = await poolOf([named("a")]);
    const lease = await acquired(pool);
    lease.settle({ type: "served" });
    lease.settle({ type: "suspended" });
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("logs a loss that the operator has to hear of as an error", async () => {
    const { pool, lines } = await poolOf([named("a"), named("b"), named("c")]);
    await settled(pool, { type: "suspended" });
    await settled(pool, { type: "needs-login" });
    await settled(pool, { type: "suspicious", forMs: HOUR });
    expect(lines).toMatchObject([
      { level: "error", event: "credential-state", credential: "a", to: "suspended" },
      { level: "error", event: "credential-state", credential: "b", to: "needs-login" },
      { level: "error", event: "credential-state", credential: "c", cause: "suspicious" },
    ]);
  });

  test("of a used-up plan asks for its quota once, and its reset ends the rest", async () => {
    const { pool, exhausted, advance } = await poolOf([named("a")]);
    const [first, second] = [await acquired(pool), await acquired(pool)];
    first.settle({ type: "exhausted", until: NOW + 16 * 24 * HOUR });
    second.settle({ type: "exhausted", until: NOW + 16 * 24 * HOUR });
    expect(exhausted).toEqual(["a"]);
    pool.learnQuota("a", { remaining: 0, resetAt: NOW + HOUR });
    expect(await refusal(pool)).toMatchObject({ readyAt: NOW + HOUR });
    await advance(HOUR);
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("from elsewhere than a request counts only for the log-in that it is about", async () => {
    const { pool } = await poolOf([named("a")]);
    const old = pool.current("a");
    if (old === undefined) throw new Error("no a");
    pool.replace({ ...parsed(named("a", { refreshToken: "new" })), persistent: true }, "renewed");
    pool.judge(old, { type: "needs-login" });
    expect(pool.states()).toEqual({ ready: 1 });
    pool.judge(pool.current("a") ?? old, { type: "needs-login" });
    expect(pool.states()).toEqual({ "needs-login": 1 });
  });
});

describe("replace", () => {
  test("ends needs-login alone", async () => {
    const { pool } = await poolOf([named("a"), named("b"), named("c")]);
    await settled(pool, { type: "needs-login" });
    await settled(pool, { type: "cooling", forMs: MINUTE });
    await settled(pool, { type: "suspended" });
    for (const id of ["a", "b", "c"]) {
      pool.replace(parsed(named(id, { refreshToken: "x" })), "renewed");
    }
    expect(pool.states()).toEqual({ ready: 1, cooling: 1, suspended: 1 });
  });

  test("follows the operator's switch, which hides a state and does not change it", async () => {
    const { pool, transitions } = await poolOf([named("a")]);
    await settled(pool, { type: "suspended" });
    pool.replace(parsed(named("a", { disabled: true })), "found");
    expect(pool.states()).toEqual({ disabled: 1 });
    pool.replace(parsed(named("a")), "found");
    expect(pool.states()).toEqual({ suspended: 1 });
    expect(transitions().slice(1)).toEqual([
      "a suspended disabled operator",
      "a disabled suspended operator",
    ]);
  });

  test("adds nothing", async () => {
    const { pool } = await poolOf([named("a")]);
    pool.replace(parsed(named("stranger")), "found");
    expect(pool.states()).toEqual({ ready: 1 });
    expect(pool.current("stranger")).toBeUndefined();
  });
});

describe("reload", () => {
  test("takes over what was added, changed and removed, and keeps the states of the rest", async () => {
    const { pool, edit, lines } = await poolOf([named("a"), named("b"), named("c")]);
    await settled(pool, { type: "suspended" });
    edit([named("a"), named("c", { priority: -1 }), named("d")]);
    expect(await pool.reload()).toEqual({
      ok: true,
      value: { added: 1, changed: 1, removed: 1, credentials: 3, rejected: [], missing: false },
    });
    expect(lines.at(-1)).toEqual({
      level: "info",
      event: "credentials-reloaded",
      added: 1,
      changed: 1,
      removed: 1,
      credentials: 3,
    });
    expect(pool.states()).toEqual({ suspended: 1, ready: 2 });
    expect((await acquired(pool)).credential.id).toBe("c");
    const before = lines.length;
    await pool.reload();
    expect(lines).toHaveLength(before);
  });

  test.each([
    { name: "broken", text: "[{" },
    { name: "empty, as while somebody writes it", text: "" },
  ])("of a file that is $name changes nothing and tells once", async ({ text }) => {
    const { pool, content, lines } = await poolOf([named("a")]);
    content.set(FILE, text);
    expect(await pool.reload()).toMatchObject({
      ok: false,
      failure: { kind: "broken", file: FILE },
    });
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 1 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ event: "credentials-unreadable", file: FILE, line: 1 });
  });

  test("of a file that is gone, or with a record that can't be used, drops nobody", async () => {
    const { pool, content, edit, lines } = await poolOf([named("a"), named("b")]);
    content.delete(FILE);
    expect(await pool.reload()).toMatchObject({ value: { missing: true, credentials: 2 } });
    edit([named("a", { region: "nowhere" }), named("c")]);
    expect(await pool.reload()).toMatchObject({
      value: { added: 1, removed: 0, rejected: [{ path: "[0].region" }] },
    });
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 3 });
    expect(lines.filter(({ event }) => event === "credential-rejected")).toHaveLength(1);
  });

  test("of another log-in ends needs-login, and asks for the quota of a used-up plan", async () => {
    const { pool, edit, exhausted } = await poolOf([named("a"), named("b"), named("c")]);
    await settled(pool, { type: "needs-login" });
    await settled(pool, { type: "exhausted", until: NOW + HOUR });
    await settled(pool, { type: "suspended" });
    edit(["a", "b", "c"].map((id) => named(id, { refreshToken: "another" })));
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 1, exhausted: 1, suspended: 1 });
    expect(exhausted).toEqual(["b", "b"]);
    pool.learnQuota("b", { remaining: 50 });
    expect(pool.states()).toEqual({ ready: 2, suspended: 1 });
  });

  test("follows the order of the records, which decides among equals", async () => {
    const { pool, edit } = await poolOf([named("a"), named("b")]);
    edit([named("c"), named("b"), named("a")]);
    await pool.reload();
    expect(pool.list().map(({ credential }) => credential.id)).toEqual(["c", "b", "a"]);
    expect((await acquired(pool)).credential.id).toBe("c");
  });

  test("does not undo a renewal that ends while the file is read", async () => {
    const world = worldOf([named("a")]);
    const pool = await opened(world);
    const read = world.store.list.bind(world.store);
    const renewed = { ...parsed(named("a", { refreshToken: "newest" })), persistent: true };
    let reads = 0;
    world.store.list = async () => {
      const listed = await read();
      reads += 1;
      if (reads === 1) {
        pool.replace(renewed, "renewed");
        world.edit([named("a", { refreshToken: "newest" })]);
      }
      return listed;
    };
    await pool.reload();
    expect(reads).toBe(2);
    expect(pool.current("a")?.login).toEqual(renewed.login);
  });

  test("brings the state of an account back with it, for whoever switches between accounts", async () => {
    const { pool, edit } = await poolOf([named("a")]);
    await settled(pool, { type: "exhausted", until: NOW + HOUR });
    edit([named("b")]);
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 1 });
    edit([named("a")]);
    await pool.reload();
    expect(pool.states()).toEqual({ exhausted: 1 });
  });
});

describe("a restart", () => {
  test.each<{ name: string; verdict: Verdict; after: string }>([
    { name: "a suspension", verdict: { type: "suspended" }, after: "suspended" },
    { name: "a dead log-in", verdict: { type: "needs-login" }, after: "needs-login" },
    {
      name: "a used-up plan",
      verdict: { type: "exhausted", until: NOW + HOUR },
      after: "exhausted",
    },
    { name: "a long rest", verdict: { type: "suspicious", forMs: HOUR }, after: "cooling" },
    { name: "no short rest", verdict: { type: "cooling", forMs: MINUTE }, after: "ready" },
    { name: "no refusal", verdict: { type: "refused" }, after: "ready" },
  ])("remembers $name", async ({ verdict, after }) => {
    const world = await poolOf([named("a")]);
    await settled(world.pool, verdict);
    await world.advance(1_000);
    expect((await opened(world)).states()).toEqual({ [after]: 1 });
  });

  test("brings a used-up plan back at its reset", async () => {
    const world = await poolOf([named("a")]);
    await settled(world.pool, { type: "exhausted", until: NOW + HOUR });
    await world.advance(1_000);
    const restarted = await opened(world);
    expect(await refusal(restarted)).toMatchObject({ readyAt: NOW + HOUR });
    await world.advance(HOUR);
    expect((await acquired(restarted)).credential.id).toBe("a");
    await world.advance(1_000);
    expect(JSON.parse(world.content.get(STATES) ?? "")).toEqual({});
  });

  test("with another log-in forgets that the old one was dead, and no suspension", async () => {
    const world = await poolOf([named("a"), named("b")]);
    await settled(world.pool, { type: "needs-login" });
    await settled(world.pool, { type: "suspended" });
    await world.advance(1_000);
    world.edit(["a", "b"].map((id) => named(id, { refreshToken: "another" })));
    expect((await opened(world)).states()).toEqual({ ready: 1, suspended: 1 });
  });

  test("after our own renewal still knows which log-in a state is about", async () => {
    const world = await poolOf([named("a")]);
    world.edit([named("a", { refreshToken: "renewed" })]);
    world.pool.replace(
      { ...parsed(named("a", { refreshToken: "renewed" })), persistent: true },
      "renewed",
    );
    await settled(world.pool, { type: "needs-login" });
    await world.advance(1_000);
    expect((await opened(world)).states()).toEqual({ "needs-login": 1 });
  });

  test("is not needed for an operator who takes an entry out of the file of states", async () => {
    const { pool, advance, content, transitions } = await poolOf([named("a"), named("b")]);
    await settled(pool, { type: "suspended" });
    await settled(pool, { type: "suspended" });
    await advance(1_000);
    const { a: _, ...rest } = JSON.parse(content.get(STATES) ?? "");
    content.set(STATES, JSON.stringify(rest));
    await pool.reload();
    expect(transitions().at(-1)).toBe("a suspended ready operator");
    content.delete(STATES);
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 2 });
  });

  test("and two gateways on one folder tell each other what they found out", async () => {
    const world = await poolOf([named("a"), named("b")]);
    const other = await opened(world);
    await settled(world.pool, { type: "suspended" });
    await world.advance(1_000);
    expect(await settled(other, { type: "unchanged" })).toBe("a");
    await other.reload();
    expect(await settled(other, { type: "suspended" })).toBe("b");
    await world.advance(1_000);
    await world.pool.reload();
    expect(world.pool.states()).toEqual({ suspended: 2 });
    expect((await opened(world)).states()).toEqual({ suspended: 2 });
  });

  test("and a gateway that knows of less never lifts what another has found out", async () => {
    const world = await poolOf([named("a"), named("b")]);
    const other = await opened(world);
    // A short rest is not saved, so this one has nothing of its own about `a` in the file.
    expect(await settled(other, { type: "cooling", forMs: 10_000 })).toBe("a");
    expect(await settled(world.pool, { type: "suspended" })).toBe("a");
    await world.advance(1_000);
    expect(await settled(other, { type: "exhausted", until: world.runtime.now() + 1e9 })).toBe("b");
    await world.advance(1_000);
    await world.pool.reload();
    expect(world.pool.states()).toEqual({ suspended: 1, exhausted: 1 });
    expect(other.states()).toEqual({ suspended: 1, exhausted: 1 });
  });
});

test("printing a pool or a lease shows no token", async () => {
  const { pool } = await poolOf([named("a", { accessToken: "SECRET", refreshToken: "SECRET" })]);
  const values = [pool, await acquired(pool), pool.current("a"), pool.list()];
  expect(inspect(values, { depth: 9 }) + JSON.stringify(values)).not.toContain("SECRET");
});
