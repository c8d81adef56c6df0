import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SQL } from "bun";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../src/telemetry/log.ts";
import { migrations, openDatabase, openForReading } from "../../src/usage/database.ts";
import { type Ledger, createLedger } from "../../src/usage/ledger.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { account } from "./accounts.ts";

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 0, 15, 12);

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-ledger-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

let path = "";
beforeEach(() => {
  path = join(folder, `${crypto.randomUUID()}.db`);
});

function world(options: { retentionDays?: number } = {}) {
  const testWorld = createTestRuntime({ now: NOON });
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format: "text",
    write: (line) => void lines.push(line),
    now: () => 0,
  });
  const open = async (): Promise<Ledger> => {
    const { runtime } = testWorld;
    const ledger = createLedger({ path, retentionDays: options.retentionDays ?? 90, runtime, log });
    await ledger.open();
    return ledger;
  };
  return { ...testWorld, lines, open };
}

async function rows(): Promise<Record<string, unknown>[]> {
  const sql = new SQL({ adapter: "sqlite", filename: path, readonly: true });
  try {
    return [...(await sql`SELECT * FROM requests ORDER BY id`)];
  } finally {
    await sql.close();
  }
}

/** Lets the writes of a flush that a timer has started come to their end. */
async function written(ledger: Ledger): Promise<void> {
  while (ledger.status().pending > 0) await Bun.sleep(1);
}

describe("rows", () => {
  test("a request's row is on the disk within a second", async () => {
    const { open, advance } = world();
    const ledger = await open();
    ledger.record(account({ requestId: "req_1" }));
    expect(ledger.status()).toMatchObject({ pending: 1, written: 0 });
    await advance(1_000);
    await written(ledger);
    expect(await rows()).toMatchObject([
      {
        at: NOON,
        request_id: "req_1",
        caller: "api-key",
        credential: "c1",
        wire: "messages",
        stream: 1,
        model: "sonnet",
        upstream_model: "claude-sonnet-4.5",
        status: 200,
        outcome: "complete",
        input_tokens: 100,
        output_tokens: 20,
        credits: 0.5,
        first_event_ms: 300,
        upstream_ms: 900,
        duration_ms: 1_000,
        attempts: 1,
        chain: '[{"credential":"c1","ms":900}]',
      },
    ]);
    await ledger.close();
  });

  test("rows outlive a restart, and more come to them", async () => {
    const { open } = world();
    for (let start = 0; start < 2; start++) {
      const ledger = await open();
      for (let n = 0; n < 1_200; n++) ledger.record(account());
      await ledger.close();
    }
    expect(await rows()).toHaveLength(2_400);
  });

  test("nobody but the owner may read the files", async () => {
    await Bun.write(path, "");
    const { open } = world();
    const ledger = await open();
    ledger.record(account());
    await ledger.totals({});
    const modes = await Promise.all(
      ["", "-wal", "-shm"].map(async (end) => (await stat(path + end)).mode & 0o777),
    );
    expect(modes).toEqual([0o600, 0o600, 0o600]);
    await ledger.close();
  });

  test("rows past the retention go", async () => {
    const { open } = world({ retentionDays: 40 });
    const ledger = await open();
    ledger.record(account({ at: NOON - 41 * DAY }));
    ledger.record(account({ at: NOON - 39 * DAY }));
    await ledger.close();
    await (await open()).close();
    expect(await rows()).toMatchObject([{ at: NOON - 39 * DAY }]);
  });
});

describe("versions", () => {
  test.each(migrations.map((_, at) => at + 1))(
    "rows of schema %d are there after an update",
    async (version) => {
      const old = await openDatabase(path, migrations.slice(0, version));
      if (!old.ok) throw new Error(old.failure.message);
      await old.value`INSERT INTO requests (at, request_id, wire, outcome, attempts, credits)
        VALUES (${NOON}, 'req_old', 'chat', 'complete', 1, 2.5)`;
      await old.value.close();
      const ledger = await world().open();
      ledger.record(account({ credits: 1 }));
      expect(await ledger.totals({})).toMatchObject({
        ok: true,
        value: { requests: 2, credits: 3.5 },
      });
      await ledger.close();
    },
  );

  test("a database of a newer version is left alone", async () => {
    const newer = await openDatabase(path, [...migrations, ["CREATE TABLE later (x)"]]);
    if (newer.ok) await newer.value.close();
    const { open, lines } = world();
    const ledger = await open();
    ledger.record(account());
    await ledger.close();
    expect(lines.join("")).toContain("newer");
    expect(await rows()).toEqual([]);
    expect((await openForReading(path)).ok).toBe(false);
  });
});

describe("a database that fails", () => {
  test("costs no request, is told once, and gets its rows when it works again", async () => {
    await Bun.write(path, "not a database ".repeat(1_000));
    const { open, lines, advance } = world();
    const ledger = await open();
    ledger.record(account());
    await ledger.hold({
      requestId: "req_h",
      at: NOON,
      user: "u1",
      caller: "Ann",
      wire: "chat",
      model: "m",
      credits: 1,
      tokens: 1,
    });
    expect(await ledger.totals({})).toMatchObject({ ok: false });
    await advance(20_000);
    expect(ledger.status()).toMatchObject({ pending: 1, failing: true, lagMs: 20_000 });
    expect(lines.filter((line) => line.includes("ledger-failing"))).toHaveLength(1);
    await rm(path);
    while (ledger.status().pending > 0) {
      await advance(5_000);
      await Bun.sleep(1);
    }
    expect(ledger.status()).toMatchObject({ pending: 0, failing: false, written: 1, lagMs: 0 });
    expect(lines.join("")).toContain("ledger-works-again");
    await ledger.close();
    expect(await rows()).toHaveLength(1);
  });

  test("in the middle, as a full disk does, loses none of the rows that come meanwhile", async () => {
    const { open, advance, lines } = world();
    const ledger = await open();
    ledger.record(account());
    await ledger.totals({});
    const other = new SQL({ adapter: "sqlite", filename: path });
    await other`CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT raise(ABORT, 'disk full'); END`;
    for (let n = 0; n < 1_000; n++) ledger.record(account());
    await advance(500);
    while (!ledger.status().failing) await Bun.sleep(1);
    expect(ledger.status()).toMatchObject({ pending: 1_000, written: 1, lost: 0 });
    expect(lines.join("")).toContain("disk full");
    await other`DROP TRIGGER full`;
    await other.close();
    await ledger.close();
    expect(await rows()).toHaveLength(1_001);
  });

  test("says at the end what it has lost", async () => {
    await Bun.write(path, "");
    path = join(path, "x.db");
    const { open, lines } = world();
    const ledger = await open();
    ledger.record(account());
    await ledger.close();
    expect(lines.join("")).toContain("ledger-rows-lost rows=1");
  });
});

describe("what was spent", () => {
  const dayStart = Date.UTC(2026, 0, 15);
  const since = { day: dayStart, month: Date.UTC(2026, 0, 1) };

  test("is added up by day and month from the rows, whatever still waits to be written", async () => {
    const ledger = await world().open();
    ledger.record(account({ user: "u1", at: dayStart - 1, credits: 2 }));
    ledger.record(account({ user: "u1", credits: 1 }));
    ledger.record(account({ user: "u2", credits: 16 }));
    ledger.record(account({ user: "u1", at: since.month - 1, credits: 32 }));
    const cancelled = account({ user: "u1", usage: {}, estimate: { credits: 0.25, tokens: 7 } });
    delete cancelled.credits;
    ledger.record(cancelled);
    expect(await ledger.spending("u1", since)).toMatchObject({
      tokensToday: 127,
      creditsToday: 1.25,
      creditsThisMonth: 3.25,
    });
    await ledger.close();
  });

  test("counts what a killed gateway had under way, once, as a failed request", async () => {
    const { open } = world();
    const killed = await open();
    const hold = { at: NOON, user: "u1", caller: "Ann", wire: "chat", model: "m", tokens: 50 };
    await killed.hold({ ...hold, requestId: "req_a", credits: 4 });
    await killed.hold({ ...hold, requestId: "req_b", credits: 8 });
    killed.record(account({ requestId: "req_a", user: "u1", credits: 1 }));
    await killed.totals({});
    // No `close`: nothing more is written.
    const ledger = await open();
    expect(await ledger.spending("u1", since)).toMatchObject({
      creditsToday: 9,
      tokensToday: 170,
    });
    await ledger.close();
    const again = await open();
    expect(await again.spending("u1", since)).toMatchObject({ creditsToday: 9 });
    expect(await again.entries({ limit: 1 })).toMatchObject({
      value: { entries: [{ request_id: "req_b", outcome: "failed", failure: "gateway-killed" }] },
    });
    await again.close();
    await killed.close();
  });

  test("counts a request once whose gateway makes way for another and still ends it", async () => {
    const { open } = world();
    const old = await open();
    const hold = { at: NOON, user: "u1", caller: "Ann", wire: "chat", model: "m", tokens: 50 };
    await old.hold({ ...hold, requestId: "req_a", credits: 4 });
    const ledger = await open();
    expect(await ledger.spending("u1", since)).toMatchObject({ creditsToday: 4 });
    old.record(account({ requestId: "req_a", user: "u1", credits: 1 }));
    await old.close();
    expect(await ledger.spending("u1", since)).toMatchObject({ creditsToday: 1 });
    expect(await ledger.totals({})).toMatchObject({ value: { requests: 1 } });
    await ledger.close();
  });
});

async function filled(): Promise<Ledger> {
  const ledger = await world().open();
  ledger.record(account({ user: "u1", caller: "Ann", credits: 1 }));
  ledger.record(account({ user: "u1", caller: "Ann", credits: 2, upstreamModel: "m2" }));
  ledger.record(account({ at: NOON + DAY, credits: 4, credential: "c2" }));
  const refused = account({ status: 401, outcome: "failed", failure: "authentication" });
  delete refused.caller;
  delete refused.credits;
  ledger.record({ ...refused, usage: {}, attempts: [] });
  ledger.record(account({ user: "u2", caller: "Bob", outcome: "cancelled", status: 499 }));
  return ledger;
}

describe("queries", () => {
  test("sums go by user, model, credential or day", async () => {
    const ledger = await filled();
    const keys = async (by: "user" | "model" | "credential" | "day") => {
      const found = await ledger.usage(by, {});
      return found.ok ? found.value.map(({ key, credits }) => [key, credits]) : [];
    };
    expect(await keys("user")).toEqual([
      ["api-key", 4],
      ["u1", 3],
      ["u2", 0.5],
      ["none", 0],
    ]);
    expect(await keys("model")).toEqual([
      ["claude-sonnet-4.5", 5.5],
      ["m2", 2],
    ]);
    expect(await keys("credential")).toEqual([
      ["c2", 4],
      ["c1", 3.5],
    ]);
    expect(await keys("day")).toEqual([
      ["2026-01-15", 3.5],
      ["2026-01-16", 4],
    ]);
    await ledger.close();
  });

  test("a time and a user narrow them", async () => {
    const ledger = await filled();
    expect(await ledger.totals({ since: NOON + 1 })).toMatchObject({ value: { requests: 1 } });
    expect(await ledger.totals({ until: NOON + 1 })).toMatchObject({
      value: { requests: 4, failed: 1, cancelled: 1 },
    });
    expect(await ledger.totals({ user: "u1" })).toMatchObject({ value: { credits: 3 } });
    expect(await ledger.totals({ user: "api-key" })).toMatchObject({ value: { credits: 4 } });
    expect(await ledger.totals({ user: "nobody" })).toMatchObject({
      value: { requests: 0, credits: 0, input_tokens: 0 },
    });
    await ledger.close();
  });

  test("single requests come in pages, the latest first", async () => {
    const ledger = await filled();
    const ids: number[] = [];
    let before: number | undefined;
    do {
      const page = await ledger.entries({ limit: 2, ...(before !== undefined && { before }) });
      if (!page.ok) throw new Error(page.failure.message);
      ids.push(...page.value.entries.map(({ id }) => id));
      before = page.value.next ?? undefined;
    } while (before !== undefined);
    expect(ids).toEqual([5, 4, 3, 2, 1]);
    expect(await ledger.entries({ limit: 1 })).toMatchObject({
      value: {
        entries: [
          {
            time: "2026-01-15T12:00:00.000Z",
            stream: true,
            chain: [{ credential: "c1", ms: 900 }],
          },
        ],
      },
    });
    await ledger.close();
  });
});
