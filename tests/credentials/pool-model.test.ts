import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { createPool, type Lease, type Pool, poolSettings } from "../../src/credentials/pool.ts";
import type { Verdict } from "../../src/credentials/state.ts";
import { createStatesFile } from "../../src/credentials/states-file.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { at, idcRecord, memoryStore, MINUTE, NOW, recordingLog } from "./samples.ts";

const HOUR = 60 * MINUTE;
const IDS = ["a", "b", "c"] as const;
const SLOTS = 2;
const STATES = "/data/states.json";

/** An account, told as naively as can be. */
type Account = {
  kind: "ready" | "cooling" | "exhausted" | "needs-login" | "suspended";
  until: number;
  since: number;
  refusals: number;
  login: number;
  inFlight: number;
};
type Listed = { id: string; priority: number; disabled: boolean; login: number };

const RANK = ["ready", "cooling", "exhausted", "needs-login", "suspended"];

class World {
  readonly clock = createTestRuntime({ now: NOW });
  readonly memory = memoryStore([], this.clock.runtime);
  pool!: Pool;
  leases: { lease: Lease; account: Account; isSettled: boolean; isReleased: boolean }[] = [];

  async open(): Promise<void> {
    const { runtime } = this.clock;
    const { log } = recordingLog();
    const { store, files } = this.memory;
    const created = await createPool({
      store,
      runtime,
      log,
      settings: { ...poolSettings, maxConcurrent: SLOTS },
      statesFile: createStatesFile({ path: STATES, runtime, log, files }),
    });
    if (!created.ok) throw new Error(created.failure.message);
    this.pool = created.value;
  }

  write(listed: readonly Listed[]): void {
    this.memory.edit(
      listed.map(({ id, priority, disabled, login }) => ({
        ...idcRecord(id),
        id,
        priority,
        disabled,
        refreshToken: `${id}-${login}`,
      })),
    );
  }
}

class Model {
  now = NOW;
  listed: Listed[] = IDS.map((id) => ({ id, priority: 0, disabled: false, login: 0 }));
  accounts = new Map<string, Account>(IDS.map((id) => [id, fresh(0)]));
  absent = new Map<string, Account>();
  out = 0;

  wake(): void {
    for (const account of [...this.accounts.values(), ...this.absent.values()]) {
      if (account.kind === "exhausted" && account.until <= this.now) {
        Object.assign(account, { kind: "ready", refusals: 0 });
      }
      if (account.kind === "cooling" && account.until <= this.now) account.kind = "ready";
    }
  }

  usable(): Listed[] {
    return this.listed.filter(
      ({ id, disabled }) => !disabled && this.accounts.get(id)?.kind === "ready",
    );
  }

  judge(account: Account, verdict: Verdict): void {
    this.wake();
    const isGraver = (kind: Account["kind"]): boolean =>
      RANK.indexOf(kind) > RANK.indexOf(account.kind);
    switch (verdict.type) {
      case "unchanged":
        return;
      case "served":
        if (account.kind === "ready") account.refusals = 0;
        return;
      case "refused":
        if (account.kind !== "ready") return;
        account.refusals += 1;
        if (account.refusals < 3) return;
        account.kind = "cooling";
        account.until =
          this.now + Math.min(HOUR, [5, 10, 20, 40, 80][account.refusals - 3]! * MINUTE || HOUR);
        return;
      case "cooling":
      case "suspicious": {
        const until = this.now + verdict.forMs;
        if (isGraver("cooling")) Object.assign(account, { kind: "cooling", until });
        else if (account.kind === "cooling") account.until = Math.max(account.until, until);
        return;
      }
      case "exhausted":
        if (!isGraver("exhausted")) return;
        Object.assign(account, { kind: "exhausted", since: this.now, until: verdict.until });
        account.refusals = 0;
        return;
      case "suspended":
      case "needs-login":
        if (isGraver(verdict.type)) Object.assign(account, { kind: verdict.type, refusals: 0 });
    }
  }

  /** Whether it is on the disk after a second; undefined where a rest is so short that both are right. */
  isKept({ kind, until }: Account): boolean | undefined {
    if (kind === "ready") return false;
    return kind !== "cooling" || until - this.now > 2 * MINUTE ? true : undefined;
  }
}

function fresh(login: number): Account {
  return { kind: "ready", until: 0, since: 0, refusals: 0, login, inFlight: 0 };
}

function logIn(account: Account, login: number): void {
  if (account.login === login) return;
  account.login = login;
  if (account.kind === "needs-login") Object.assign(account, { kind: "ready", refusals: 0 });
  if (account.kind === "exhausted") account.since = 0;
}

function check(model: Model, { pool }: World): void {
  model.wake();
  const expected = model.listed.map(({ id, disabled }) => {
    const account = model.accounts.get(id)!;
    const rests = account.kind === "cooling" || account.kind === "exhausted";
    const until = rests && !disabled ? account.until : undefined;
    return [id, disabled ? "disabled" : account.kind, until, account.inFlight];
  });
  const actual = pool
    .list()
    .map(({ credential, state, inFlight }) => [
      credential.id,
      state.type,
      "until" in state ? state.until : undefined,
      inFlight,
    ]);
  expect(new Set(actual)).toEqual(new Set(expected));
  expect(pool.load()).toEqual({ inFlight: model.out, waiting: 0 });
}

type Command = fc.AsyncCommand<Model, World>;

function command(name: string, run: (model: Model, world: World) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, world) {
      await run(model, world);
      check(model, world);
    },
    toString: () => name,
  };
}

const acquire = command("acquire", async (model, world) => {
  model.wake();
  const want = { model: "m", tried: new Set<string>(), mayWait: false };
  const lease = await world.pool.acquire({ type: "pool" }, want, new AbortController());
  const usable = model.usable();
  const free = usable.filter(({ id }) => model.accounts.get(id)!.inFlight < SLOTS);
  if (free.length === 0) {
    const reason =
      model.listed.length === 0
        ? "no-credentials"
        : usable.length > 0
          ? "queue-full"
          : "none-ready";
    expect(lease).toMatchObject({ ok: false, failure: { reason } });
    return;
  }
  if (!lease.ok) throw new Error(`refused: ${lease.failure.reason}`);
  const { id } = lease.value.credential;
  const best = Math.min(...free.map(({ priority }) => priority));
  expect(free.filter(({ priority }) => priority === best).map((one) => one.id)).toContain(id);
  const account = model.accounts.get(id)!;
  account.inFlight += 1;
  model.out += 1;
  world.leases.push({ lease: lease.value, account, isSettled: false, isReleased: false });
});

const verdicts: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constantFrom<Verdict>({ type: "served" }, { type: "unchanged" }, { type: "refused" }),
  fc.constantFrom<Verdict>({ type: "suspended" }, { type: "needs-login" }),
  fc.record({
    type: fc.constantFrom("cooling" as const, "suspicious" as const),
    forMs: fc.nat(20 * MINUTE),
  }),
  fc.record({
    type: fc.constant("exhausted" as const),
    until: fc.integer({ min: NOW + HOUR, max: NOW + 5 * HOUR }),
  }),
);

const settle = fc.tuple(fc.nat(), verdicts).map(([index, verdict]) =>
  command(`settle ${JSON.stringify(verdict)}`, async (model, { leases }) => {
    const held = leases[index % (leases.length || 1)];
    if (held === undefined) return;
    held.lease.settle(verdict);
    // The first verdict counts, and one on a credential that was dropped meanwhile concerns nobody.
    if (!held.isSettled) model.judge(held.account, verdict);
    held.isSettled = true;
  }),
);

const release = fc.nat().map((index) =>
  command("release", async (model, { leases }) => {
    const held = leases[index % (leases.length || 1)];
    if (held === undefined) return;
    held.lease.release();
    if (held.isReleased) return;
    held.isReleased = true;
    held.account.inFlight -= 1;
    model.out -= 1;
  }),
);

const pass = fc.oneof(fc.nat(5_000), fc.nat(2 * HOUR)).map((ms) =>
  command(`${ms} ms pass`, async (model, { clock }) => {
    await clock.advance(ms);
    model.now += ms;
  }),
);

const quota = fc
  .tuple(fc.constantFrom(...IDS), fc.nat(2), fc.nat(9 * HOUR))
  .map(([id, left, inMs]) =>
    command(`quota of ${id}: ${left}`, async (model, { pool }) => {
      model.wake();
      const resetAt = model.now + inMs;
      pool.learnQuota(id, { remaining: left, resetAt });
      const account = model.accounts.get(id);
      if (account?.kind !== "exhausted") return;
      if (left > 0) account.until = Math.min(account.until, account.since + HOUR);
      else if (inMs > 0) account.until = resetAt;
    }),
  );

const edit = fc
  .tuple(
    fc.constantFrom(...IDS),
    fc.constantFrom("remove", "disable", "enable", "log in", "prefer", "break"),
    fc.integer({ min: -2, max: 2 }),
  )
  .map(([id, what, priority]) =>
    command(`${what} ${id}`, async (model, world) => {
      model.wake();
      if (what === "break") {
        world.memory.content.set("/data/credentials.json", "[{");
        expect((await world.pool.reload()).ok).toBe(false);
        world.write(model.listed);
        return;
      }
      const before = model.listed.find((one) => one.id === id);
      const record = before ?? { id, priority: 0, disabled: false, login: 0 };
      if (what === "disable") record.disabled = true;
      if (what === "enable") record.disabled = false;
      if (what === "log in") record.login += 1;
      if (what === "prefer") record.priority = priority;
      if (what === "remove") {
        model.listed = model.listed.filter((one) => one.id !== id);
        const account = model.accounts.get(id);
        model.accounts.delete(id);
        if (account !== undefined && model.isKept(account)) {
          model.absent.set(id, { ...account, inFlight: 0 });
        }
      } else if (before === undefined) {
        model.listed.push(record);
        const account = model.absent.get(id) ?? fresh(record.login);
        model.absent.delete(id);
        if (account.kind === "ready") account.refusals = 0;
        model.accounts.set(id, account);
        logIn(account, record.login);
      } else {
        logIn(model.accounts.get(id)!, record.login);
      }
      world.write(model.listed);
      expect((await world.pool.reload()).ok).toBe(true);
    }),
  );

const crash = command("crash", async (model, world) => {
  // What happened within the last second may be lost, so nothing does.
  await world.clock.advance(1_000);
  model.now += 1_000;
  model.wake();
  world.leases = [];
  model.out = 0;
  await world.open();
  const saved = world.memory.content.get(STATES) ?? "";
  for (const [id, account] of model.accounts) {
    // A rest so short may have been saved when it was longer; an earlier one that is over may still be in the file.
    const isGone = model.isKept(account) === undefined && !saved.includes(at(account.until));
    if (account.kind === "ready" || isGone) model.accounts.set(id, fresh(account.login));
    else account.inFlight = 0;
  }
});

test("under any verdicts, clock, edits and crashes the pool does as a naive model says", async () => {
  const commands = fc.commands(
    [
      fc.constant(acquire),
      fc.constant(acquire),
      settle,
      settle,
      release,
      pass,
      quota,
      edit,
      fc.constant(crash),
    ],
    { maxCommands: 60, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(commands, async (steps) => {
      const world = new World();
      const model = new Model();
      world.write(model.listed);
      await world.open();
      await fc.asyncModelRun(() => ({ model, real: world }), steps);
    }),
    { numRuns: 150 },
  );
}, 30_000);

function recordOf(login: number): Listed {
  return { id: "a", priority: 0, disabled: false, login };
}

test("what a new log-in has ended while its credential was away is ended on the disk as well", async () => {
  const world = new World();
  const takeOver = async (records: Listed[]): Promise<void> => {
    world.write(records);
    expect((await world.pool.reload()).ok).toBe(true);
  };
  world.write([recordOf(0)]);
  await world.open();
  const want = { model: "m", tried: new Set<string>(), mayWait: false };
  const lease = await world.pool.acquire({ type: "pool" }, want, new AbortController());
  if (!lease.ok) throw new Error(lease.failure.reason);
  lease.value.settle({ type: "needs-login" });
  await world.clock.advance(1_000);
  expect(world.memory.content.get(STATES)).toContain("needs-login");
  await takeOver([]);
  await takeOver([recordOf(1)]);
  await world.clock.advance(1_000);
  expect(world.memory.content.get(STATES)).not.toContain("needs-login");
});
