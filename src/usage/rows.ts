import type { SQL } from "bun";
import { type RequestAccount, upstreamMs } from "../telemetry/account.ts";

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

/** The failure of a request during which the gateway was killed. */
const KILLED = "gateway-killed";
/** So many requests teach what others will cost. */
const RECENT = 50;

/** Puts a hold on the disk. */
export async function insertHold(sql: SQL, row: HoldRow): Promise<void> {
  const { requestId, at, user, caller, wire, model, credits, tokens } = row;
  await sql`INSERT INTO holds (request_id, at, user_id, caller, wire, model, credits, tokens)
    VALUES (${requestId}, ${at}, ${user}, ${caller}, ${wire}, ${model}, ${credits}, ${tokens})`;
}

/**
 * Holds without a row are of requests during which the gateway was killed: they count with what they were expected to cost.
 * Where it is not dead but makes way for this one, it writes the row in the end, and that replaces what is made of the hold.
 */
export async function adoptHolds(sql: SQL): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`
      INSERT INTO requests (at, request_id, user_id, caller, wire, model, outcome, failure,
        estimated_credits, estimated_tokens, attempts)
      SELECT at, request_id, user_id, caller, wire, model, 'failed', ${KILLED}, credits, tokens, 0
        FROM holds ORDER BY at`;
    await tx`DELETE FROM holds`;
  });
}

/** Writes rows, and takes back the holds of the requests that have some. */
export async function writeRows(
  sql: SQL,
  batch: RequestAccount[],
  held: Set<string>,
): Promise<void> {
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

/** What a user has spent since the start of a day and of a month. */
export async function spendingOf(
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
