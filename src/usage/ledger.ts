import type { SQL } from "bun";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { RequestAccount } from "../telemetry/account.ts";
import type { Log } from "../telemetry/log.ts";
import { type DatabaseFault, faultOf, openDatabase } from "./database.ts";
import {
  entries,
  type EntryPage,
  type UsageBy,
  usageBy,
  type UsageFilter,
  type UsageRow,
  type UsageTotals,
  usageTotals,
} from "./queries.ts";
import {
  adoptHolds,
  type HoldRow,
  insertHold,
  type Spending,
  spendingOf,
  writeRows,
} from "./rows.ts";

export type LedgerStatus = {
  /** Rows that wait to be written, and how long the oldest has waited. */
  pending: number;
  lagMs: number;
  /** Since the start. */
  written: number;
  failedWrites: number;
  /** Rows that were given up because too many waited. */
  lost: number;
  failing: boolean;
};

/** Every request that a route of completions has answered. A failing database costs rows, never answers. */
export type Ledger = {
  /**
   * Opens the database and takes over what a gateway that was killed has left, which must be over by then: not before the
   * server has its port. Without it, the first use does.
   */
  open(): Promise<void>;
  /** Takes the row of a request that has ended; it is on the disk within a second. */
  record(account: RequestAccount): void;
  /** Resolves when the hold is on the disk, or can't be put there. The request's row replaces it. */
  hold(row: HoldRow): Promise<void>;
  spending(user: string, since: { day: number; month: number }): Promise<Spending>;
  usage(by: UsageBy, filter: UsageFilter): Promise<Result<UsageRow[], DatabaseFault>>;
  totals(filter: UsageFilter): Promise<Result<UsageTotals, DatabaseFault>>;
  /** Single requests, the latest first. */
  entries(
    filter: UsageFilter & { before?: number; limit: number },
  ): Promise<Result<EntryPage, DatabaseFault>>;
  status(this: void): LedgerStatus;
  /** Writes what is left and closes the database. Later rows are lost. */
  close(): Promise<void>;
};

const BATCH_MS = 500;
const RETRY_MS = 5_000;
/** Rows in one statement: SQLite takes 32,766 values. */
const CHUNK = 500;
const PENDING_MAX = 100_000;
const PRUNE_EVERY_MS = 3_600_000;
/** At a time, so that a backlog of old rows does not hold up the requests. */
const PRUNE_ROWS = 5_000;
const DAY_MS = 86_400_000;

export function createLedger(deps: {
  path: string;
  retentionDays: number;
  runtime: Pick<Runtime, "now" | "monotonic" | "timer">;
  log: Pick<Log, "info" | "error">;
}): Ledger {
  const { path, retentionDays, runtime, log } = deps;
  let sql: SQL | undefined;
  let pending: { account: RequestAccount; since: number }[] = [];
  /** Requests whose hold is on the disk. */
  const held = new Set<string>();
  let timer: Timer | undefined;
  let closed = false;
  let prunedAt = Number.NEGATIVE_INFINITY;
  const counts = { written: 0, failedWrites: 0, lost: 0, failing: false };
  /** What is done with the database is done one after the other: a transaction holds nobody else's rows. */
  let last: Promise<unknown> = Promise.resolve();

  async function inTurn<T>(work: (sql: SQL) => Promise<T>): Promise<Result<T, DatabaseFault>> {
    const turn = last.then(async (): Promise<Result<T, DatabaseFault>> => {
      const database = await opened();
      if (!database.ok) return database;
      try {
        return ok(await work(database.value));
      } catch (error) {
        return fail(faultOf(error));
      }
    });
    last = turn.catch(() => undefined);
    return await turn;
  }

  async function opened(): Promise<Result<SQL, DatabaseFault>> {
    if (sql !== undefined) return ok(sql);
    const database = await openDatabase(path);
    if (!database.ok) return database;
    try {
      await adoptHolds(database.value);
    } catch (error) {
      await database.value.close();
      return fail(faultOf(error));
    }
    sql = database.value;
    return database;
  }

  /** Tells the operator when it stops to work and when it works again, not every time. */
  function note(result: Result<unknown, DatabaseFault>): void {
    if (!result.ok) {
      counts.failedWrites += 1;
      if (!counts.failing) log.error("ledger-failing", { path, ...result.failure });
    } else if (counts.failing) {
      log.info("ledger-works-again", { path, written: counts.written, lost: counts.lost });
    }
    counts.failing = !result.ok;
  }

  async function flush(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    const result = await inTurn(async (database) => {
      while (pending.length > 0) {
        const batch = pending.slice(0, CHUNK).map(({ account }) => account);
        await writeRows(database, batch, held);
        pending = pending.slice(batch.length);
        counts.written += batch.length;
      }
      await prune(database);
    });
    note(result);
    if (pending.length > 0) schedule(result.ok ? BATCH_MS : RETRY_MS);
  }

  function schedule(ms: number): void {
    if (!closed) timer ??= runtime.timer(ms, () => void flush());
  }

  async function prune(database: SQL): Promise<void> {
    const now = runtime.now();
    if (now - prunedAt < PRUNE_EVERY_MS) return;
    const before = now - retentionDays * DAY_MS;
    const { count } = await database`
      DELETE FROM requests WHERE id IN
        (SELECT id FROM requests WHERE at < ${before} ORDER BY at LIMIT ${PRUNE_ROWS})`;
    if (count < PRUNE_ROWS) prunedAt = now;
  }

  async function read<T>(query: (sql: SQL) => Promise<T>): Promise<Result<T, DatabaseFault>> {
    if (pending.length > 0) await flush();
    const database = await inTurn(async (open) => open);
    if (!database.ok) return database;
    try {
      // Not in turn: what takes long must not keep others from writing.
      return ok(await query(database.value));
    } catch (error) {
      return fail(faultOf(error));
    }
  }

  return {
    open: async () => note(await inTurn(prune)),
    record(account) {
      if (pending.length >= PENDING_MAX) {
        counts.lost += 1;
        return;
      }
      pending.push({ account, since: runtime.monotonic() });
      schedule(BATCH_MS);
    },
    async hold(row) {
      const result = await inTurn(async (database) => await insertHold(database, row));
      note(result);
      if (result.ok) held.add(row.requestId);
    },
    async spending(user, since) {
      const result = await read(async (database) => await spendingOf(database, user, since));
      note(result);
      return result.ok
        ? result.value
        : { tokensToday: 0, creditsToday: 0, creditsThisMonth: 0, recent: [] };
    },
    usage: async (by, filter) =>
      await read(async (database) => await usageBy(database, by, filter)),
    totals: async (filter) => await read(async (database) => await usageTotals(database, filter)),
    entries: async (filter) => await read(async (database) => await entries(database, filter)),
    status() {
      const [oldest] = pending;
      const lagMs = oldest === undefined ? 0 : Math.round(runtime.monotonic() - oldest.since);
      return { pending: pending.length, lagMs, ...counts };
    },
    async close() {
      closed = true;
      await flush();
      counts.lost += pending.length;
      if (pending.length > 0) log.error("ledger-rows-lost", { rows: pending.length });
      await sql?.close();
    },
  };
}
