import type { SQL } from "bun";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime, Timer } from "../runtime.ts";
import { type RequestAccount, upstreamMs } from "../telemetry/account.ts";
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

/** What a request of a limited user will cost by our estimate, on the disk before the service is asked. */
export type HoldRow = {
  requestId: string;
  at: number;
  user: string;
  caller: string;
  wire: string;
  model: string;
  credits: number;
  tokens: number;
};

/** What a user has spent since two instants, estimates included, and what the last requests have cost. */
export type Spending = {
  tokensToday: number;
  creditsToday: number;
  creditsThisMonth: number;
  recent: { model: string; promptTokens: number; outputTokens: number; credits: number }[];
};

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
const RECENT = 50;
/** The failure of a request during which the gateway was killed. */
const KILLED = "gateway-killed";
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
      await adopt(database.value);
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
        await write(database, batch, held);
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
    return await inTurn(query);
  }

  return {
    open: async () => note(await inTurn(prune)),
    record(account) {
      if (pending.length >= PENDING_MAX) {
        pending.shift();
        counts.lost += 1;
      }
      pending.push({ account, since: runtime.monotonic() });
      schedule(BATCH_MS);
    },
    async hold(row) {
      const { requestId, at, user, caller, wire, model, credits, tokens } = row;
      const result = await inTurn(
        async (database) =>
          await database`INSERT INTO holds (request_id, at, user_id, caller, wire, model, credits, tokens)
            VALUES (${requestId}, ${at}, ${user}, ${caller}, ${wire}, ${model}, ${credits}, ${tokens})`,
      );
      note(result);
      if (result.ok) held.add(requestId);
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

/**
 * Holds without a row are of requests during which the gateway was killed: they count with what they were expected to cost.
 * Where it is not dead but makes way for this one, it writes the row in the end, and that replaces what is made of the hold.
 */
async function adopt(sql: SQL): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`
      INSERT INTO requests (at, request_id, user_id, caller, wire, model, outcome, failure,
        estimated_credits, estimated_tokens, attempts)
      SELECT at, request_id, user_id, caller, wire, model, 'failed', ${KILLED}, credits, tokens, 0
        FROM holds ORDER BY at`;
    await tx`DELETE FROM holds`;
  });
}

async function write(sql: SQL, batch: RequestAccount[], held: Set<string>): Promise<void> {
  const done = batch.filter(({ requestId }) => held.has(requestId));
  const ids = done.map(({ requestId }) => requestId);
  await sql.begin(async (tx) => {
    if (ids.length > 0) {
      const { count } = await tx`DELETE FROM holds WHERE request_id IN ${tx(ids)}`;
      if (count < ids.length) {
        const since = Math.min(...done.map(({ at }) => at));
        await tx`DELETE FROM requests
          WHERE at >= ${since} AND failure = ${KILLED} AND request_id IN ${tx(ids)}`;
      }
    }
    await tx`INSERT INTO requests ${tx(batch.map(rowOf))}`;
  });
  for (const id of ids) held.delete(id);
}

function rowOf(account: RequestAccount) {
  const { usage, attempts, estimate } = account;
  return {
    at: account.at,
    request_id: account.requestId,
    user_id: account.user ?? null,
    caller: account.caller ?? null,
    credential: account.credential ?? null,
    wire: account.wire,
    stream: account.stream === undefined ? null : Number(account.stream),
    model: account.model ?? null,
    upstream_model: account.upstreamModel ?? null,
    status: account.status,
    outcome: account.outcome,
    failure: account.failure ?? null,
    input_tokens: usage.inputTokens ?? null,
    output_tokens: usage.outputTokens ?? null,
    cache_read_tokens: usage.cacheReadTokens ?? null,
    cache_write_tokens: usage.cacheWriteTokens ?? null,
    credits: account.credits ?? null,
    first_event_ms: account.firstEventMs ?? null,
    upstream_ms: upstreamMs(account),
    duration_ms: account.durationMs,
    attempts: attempts.length,
    chain: attempts.length === 0 ? null : JSON.stringify(attempts),
    estimated_credits: estimate?.credits ?? null,
    estimated_tokens: estimate?.tokens ?? null,
  };
}

async function spendingOf(
  sql: SQL,
  user: string,
  since: { day: number; month: number },
): Promise<Spending> {
  const { day, month } = since;
  const sums = await sql<Omit<Spending, "recent">[]>`
    SELECT
      coalesce(sum(CASE WHEN at >= ${day} THEN coalesce(estimated_tokens, coalesce(input_tokens, 0)
        + coalesce(output_tokens, 0) + coalesce(cache_read_tokens, 0)
        + coalesce(cache_write_tokens, 0)) END), 0) AS tokensToday,
      coalesce(sum(CASE WHEN at >= ${day}
        THEN coalesce(credits, 0) + coalesce(estimated_credits, 0) END), 0) AS creditsToday,
      coalesce(sum(coalesce(credits, 0) + coalesce(estimated_credits, 0)), 0) AS creditsThisMonth
    FROM requests WHERE user_id = ${user} AND at >= ${Math.min(day, month)}`;
  const recent = await sql<Spending["recent"]>`
    SELECT upstream_model AS model, credits, output_tokens AS outputTokens,
      input_tokens + cache_read_tokens + cache_write_tokens AS promptTokens
    FROM requests
    WHERE user_id = ${user} AND credits IS NOT NULL AND upstream_model IS NOT NULL
      AND input_tokens IS NOT NULL AND outcome = 'complete'
    ORDER BY id DESC LIMIT ${RECENT}`;
  const [spent] = sums;
  return {
    tokensToday: spent?.tokensToday ?? 0,
    creditsToday: spent?.creditsToday ?? 0,
    creditsThisMonth: spent?.creditsThisMonth ?? 0,
    recent: [...recent].toReversed(),
  };
}
