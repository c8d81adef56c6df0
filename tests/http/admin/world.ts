import { createUsers, createUsersFile } from "../../../src/auth/users.ts";
import { createPool } from "../../../src/credentials/pool.ts";
import type { Verdict } from "../../../src/credentials/state.ts";
import type { AccountFault } from "../../../src/gateway/account.ts";
import { createOverview } from "../../../src/gateway/overview.ts";
import type { QuotaReading } from "../../../src/gateway/quota.ts";
import { type AdminDeps, adminRoutes } from "../../../src/http/admin/admin.ts";
import { fail, ok } from "../../../src/result.ts";
import { Secret } from "../../../src/secret.ts";
import type { UsageFilter } from "../../../src/usage/queries.ts";
import { context, memoryStore, NOW, recordingLog } from "../../credentials/samples.ts";
import { createTestRuntime } from "../../support/runtime.ts";

const USERS = "/data/user_credentials.json";
export const KEY = "sk-admin-0123456789";

const quotaOf = (used: number) => ({
  used,
  limit: 50,
  remaining: 50 - used,
  bonus: { used: 0, limit: 0 },
  overage: { enabled: false, used: 0 },
  email: "CANARY@example.com",
});
const totals = {
  requests: 1,
  failed: 0,
  cancelled: 0,
  input_tokens: 3,
  output_tokens: 1,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  credits: 0.5,
  estimated_credits: 0,
};
export const entry = {
  id: 7,
  time: "2026-01-15T12:00:00.000Z",
  request_id: "req_1",
  user_id: null,
  caller: "api-key",
  credential: "b",
  protocol: "messages",
  stream: false,
  model: "claude-opus-4-6",
  upstream_model: "claude-opus-4.6",
  status: 200,
  outcome: "complete",
  failure: null,
  input_tokens: 3,
  output_tokens: 1,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  credits: 0.5,
  estimated_credits: null,
  first_event_ms: 10,
  upstream_ms: 20,
  duration_ms: 21,
  attempts: 2,
  chain: [
    { credential: "a", fault: "throttled", ms: 5 },
    { credential: "b", ms: 15, credits: 0.5 },
  ],
};

/** The admin API on a pool whose file is in memory. */
export async function adminWorld(
  records: unknown = [],
  more: Partial<AdminDeps> = {},
  userRecords?: unknown,
) {
  const { runtime } = createTestRuntime({ now: NOW });
  const memory = memoryStore(records, runtime);
  const { log, lines } = recordingLog();
  const created = await createPool({ store: memory.store, runtime, log });
  if (!created.ok) throw new Error(created.failure.message);
  const pool = created.value;
  const answers: { fault: AccountFault | undefined } = { fault: undefined };
  const readings = new Map<string, QuotaReading>();
  const quota = {
    async read({ id }: { id: string }) {
      const { fault } = answers;
      if (fault !== undefined && !readings.has(id)) return fail(fault);
      const reading = { quota: quotaOf(readings.size + 1), readAt: NOW, fault };
      readings.set(id, reading);
      return ok(reading);
    },
    known: (id: string) => readings.get(id),
  };
  const asked: (UsageFilter & { by?: string; before?: number; limit?: number })[] = [];
  const usersFile = createUsersFile({ path: USERS, runtime, files: memory.files });
  if (userRecords !== undefined) memory.content.set(USERS, JSON.stringify(userRecords));
  const users = await createUsers({ file: usersFile, log });
  if (!users.ok) throw new Error("the users can't be read");
  const deps: AdminDeps = {
    key: new Secret(KEY),
    failed: () => undefined,
    bodyTimeoutMs: 1_000,
    runtime,
    log,
    server: {
      info: () => ({
        version: "1.2.3",
        commit: "abc",
        bun: "1.4.5",
        platform: "linux-x64",
        started_at: "2026-01-15T12:00:00.000Z",
        uptime_seconds: 60,
        memory_bytes: 1,
        credentials: pool.states(),
        users: users.value.list().length,
        load: { in_flight: 0, waiting: 0 },
        ledger: { pending: 0, lag_ms: 0, lost: 0, failing: false },
        config: { apiKey: new Secret("CANARY-key"), port: 13_000 },
      }),
      reload: async () => ok("2 credentials"),
    },
    credentials: {
      store: memory.store,
      pool,
      overview: createOverview({ pool, quota, runtime }),
      quota,
      context,
    },
    users: {
      users: users.value,
      context,
      runtime,
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    },
    usage: {
      ledger: {
        async usage(by, filter) {
          asked.push({ by, ...filter });
          return ok([{ key: "api-key", ...totals }]);
        },
        totals: async () => ok(totals),
        async entries(filter) {
          asked.push(filter);
          return ok({ entries: [entry], next: 7 });
        },
      },
    },
    ...more,
  };
  const admin = adminRoutes(deps);

  const call = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = { "x-api-key": KEY },
  ) => {
    const written = typeof body === "string" ? body : JSON.stringify(body);
    const sent = { method, headers, ...(body !== undefined && { body: written }) };
    const response = await admin.request(path, sent, {});
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it
    const json: any = isJson && text !== "" ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, body: json };
  };
  const judge = (id: string, verdict: Verdict): void => {
    const credential = pool.current(id);
    if (credential === undefined) throw new Error(`no credential ${id}`);
    pool.judge(credential, verdict);
  };
  const savedUsers = (): unknown => JSON.parse(memory.content.get(USERS) ?? "null");
  return {
    deps,
    call,
    pool,
    memory,
    savedUsers,
    users: users.value,
    lines,
    answers,
    asked,
    judge,
  };
}
