import type { SQL } from "bun";

/** Which requests; times are milliseconds since the epoch. */
export type UsageFilter = {
  /** From here on. */
  since?: number;
  /** Before this. */
  until?: number;
  /** The id of a user, or the name of a caller that is none. */
  user?: string;
};

export const USAGE_GROUPS = ["user", "model", "credential", "day"] as const;
export type UsageBy = (typeof USAGE_GROUPS)[number];

export type UsageTotals = {
  requests: number;
  failed: number;
  cancelled: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  /** As the service has charged them. */
  credits: number;
  /** What was counted against limits where the service said nothing; not part of `credits`. */
  estimated_credits: number;
};

/** `key` is a user's id or a caller's name, a model of the service, a credential's id or a day (UTC); `none` where there was none. */
export type UsageRow = { key: string } & UsageTotals;

/** A request of the ledger as it is exported and shown. */
export type LedgerEntry = {
  id: number;
  /** ISO 8601. */
  time: string;
  request_id: string;
  user_id: string | null;
  caller: string | null;
  credential: string | null;
  protocol: string;
  stream: boolean | null;
  model: string | null;
  upstream_model: string | null;
  /** Null where the gateway ended before it answered. */
  status: number | null;
  outcome: string;
  failure: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  credits: number | null;
  estimated_credits: number | null;
  first_event_ms: number | null;
  upstream_ms: number | null;
  duration_ms: number | null;
  attempts: number;
  /** Every call to the service, in their order. */
  chain: { credential: string; fault?: string; ms: number; credits?: number }[];
};

export type EntryPage = {
  entries: LedgerEntry[];
  /** `before` of the next page; null on the last one. */
  next: number | null;
};

const SUMS = `count(*) AS requests,
  sum(outcome = 'failed') AS failed,
  sum(outcome = 'cancelled') AS cancelled,
  sum(coalesce(input_tokens, 0)) AS input_tokens,
  sum(coalesce(output_tokens, 0)) AS output_tokens,
  sum(coalesce(cache_read_tokens, 0)) AS cache_read_tokens,
  sum(coalesce(cache_write_tokens, 0)) AS cache_write_tokens,
  sum(coalesce(credits, 0)) AS credits,
  sum(coalesce(estimated_credits, 0)) AS estimated_credits`;

const KEYS = {
  user: "coalesce(user_id, caller, 'none')",
  model: "coalesce(upstream_model, model, 'none')",
  credential: "coalesce(credential, 'none')",
  day: "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
} satisfies Record<UsageBy, string>;

const HOUR_MS = 3_600_000;

/** Sums by one thing; days in their order, all else by what was spent. */
export async function usageBy(sql: SQL, by: UsageBy, filter: UsageFilter): Promise<UsageRow[]> {
  const sums = new Map<string, UsageRow>();
  for await (const rows of hourly<UsageRow>(sql, `${KEYS[by]} AS key, `, "GROUP BY key", filter)) {
    for (const row of rows) {
      const sum = sums.get(row.key);
      if (sum === undefined) sums.set(row.key, row);
      else add(sum, row);
    }
  }
  return [...sums.values()].toSorted(
    (one, other) =>
      (by === "day" ? 0 : other.credits - one.credits || other.requests - one.requests) ||
      (one.key < other.key ? -1 : 1),
  );
}

export async function usageTotals(sql: SQL, filter: UsageFilter): Promise<UsageTotals> {
  const totals = { ...NOTHING };
  for await (const rows of hourly<UsageTotals>(sql, "", "HAVING count(*) > 0", filter)) {
    for (const row of rows) add(totals, row);
  }
  return totals;
}

/** Hour by hour, and in between the process can do other things: SQLite lets nobody else run meanwhile. */
async function* hourly<T>(
  sql: SQL,
  key: string,
  ending: string,
  { since = Number.MIN_SAFE_INTEGER, until = Number.MAX_SAFE_INTEGER, ...filter }: UsageFilter,
): AsyncGenerator<T[], void, undefined> {
  const [bounds] = await sql<{ first: number | null; last: number | null }[]>`
    SELECT (SELECT min(at) FROM requests WHERE at >= ${since}) AS first,
      (SELECT max(at) FROM requests WHERE at < ${until}) AS last`;
  const { first, last } = bounds ?? { first: null, last: null };
  if (first === null || last === null) return;
  let from = first;
  while (from <= last) {
    const to = from - (from % HOUR_MS) + HOUR_MS;
    const span = { ...filter, since: from, until: Math.min(to, until) };
    const { where, values } = conditions(span, "at");
    yield await sql.unsafe<T[]>(`SELECT ${key}${SUMS} FROM requests ${where} ${ending}`, values);
    await new Promise<void>((resolve) => setImmediate(resolve));
    from = to;
  }
}

function add(sum: UsageTotals, more: UsageTotals): void {
  sum.requests += more.requests;
  sum.failed += more.failed;
  sum.cancelled += more.cancelled;
  sum.input_tokens += more.input_tokens;
  sum.output_tokens += more.output_tokens;
  sum.cache_read_tokens += more.cache_read_tokens;
  sum.cache_write_tokens += more.cache_write_tokens;
  sum.credits += more.credits;
  sum.estimated_credits += more.estimated_credits;
}

const NOTHING: UsageTotals = {
  requests: 0,
  failed: 0,
  cancelled: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  credits: 0,
  estimated_credits: 0,
};

type StoredEntry = Omit<LedgerEntry, "time" | "stream" | "chain"> & {
  at: number;
  stream: number | null;
  chain: string | null;
};

/** Single requests, the latest first. `before` is the `next` of the page before. */
export async function entries(
  sql: SQL,
  filter: UsageFilter & { before?: number; limit: number },
): Promise<EntryPage> {
  const { where, values } = conditions(filter, "user");
  const found = await sql.unsafe<StoredEntry[]>(
    `SELECT id, at, request_id, user_id, caller, credential, wire AS protocol, stream, model,
      upstream_model, status, outcome, failure, input_tokens, output_tokens, cache_read_tokens,
      cache_write_tokens, credits, estimated_credits, first_event_ms, upstream_ms, duration_ms,
      attempts, chain
    FROM requests ${where} ORDER BY id DESC LIMIT ?`,
    [...values, filter.limit + 1],
  );
  const page = found.slice(0, filter.limit).map(entryOf);
  return { entries: page, next: found.length > filter.limit ? (page.at(-1)?.id ?? null) : null };
}

function entryOf({ id, at, stream, chain, ...rest }: StoredEntry): LedgerEntry {
  return {
    id,
    time: new Date(at).toISOString(),
    ...rest,
    stream: stream === null ? null : stream === 1,
    chain: chain === null ? [] : JSON.parse(chain),
  };
}

/** @param index which one SQLite is to use; a `+` keeps it from another, which it might think the better one. */
function conditions(
  filter: UsageFilter & { before?: number },
  index: "at" | "user",
): { where: string; values: (string | number)[] } {
  const [at, who] = index === "at" ? ["at", "+coalesce"] : ["+at", "coalesce"];
  const { since, until, user, before } = filter;
  const parts: [string, (string | number)[]][] = [];
  if (since !== undefined) parts.push([`${at} >= ?`, [since]]);
  if (until !== undefined) parts.push([`${at} < ?`, [until]]);
  if (user !== undefined) parts.push([`${who}(user_id, caller) = ?`, [user]]);
  if (before !== undefined) parts.push(["id < ?", [before]]);
  return {
    where: parts.length === 0 ? "" : `WHERE ${parts.map(([text]) => text).join(" AND ")}`,
    values: parts.flatMap(([, values]) => values),
  };
}
