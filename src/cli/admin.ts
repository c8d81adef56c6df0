import { randomBytes } from "node:crypto";
import type { Users } from "../auth/users.ts";
import type { Config } from "../config/schema.ts";
import { describeStoreFault, sentence } from "../credentials/describe.ts";
import type { Pool } from "../credentials/pool.ts";
import type { Reloaded } from "../credentials/roster.ts";
import type { CredentialStore } from "../credentials/store.ts";
import { createOverview } from "../gateway/overview.ts";
import type { QuotaService } from "../gateway/quota.ts";
import type { AdminDeps } from "../http/admin/admin.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { Ledger } from "../usage/ledger.ts";
import { commit, version } from "../version.ts";
import { contextOf } from "./settings.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";

/** What the admin API works on. */
export function adminDeps(deps: {
  config: Config;
  profile: UpstreamProfile;
  store: CredentialStore;
  pool: Pool;
  quota: QuotaService;
  ledger: Ledger;
  users: Users;
  failed: AdminDeps["failed"];
  runtime: Runtime;
  log: Log;
}): AdminDeps {
  const { config, store, pool, quota, ledger, users, failed, runtime, log } = deps;
  const context = contextOf(config, deps.profile);
  const startedAt = runtime.now();
  const monotonicStart = runtime.monotonic();
  return {
    key: config.adminApiKey ?? config.apiKey,
    failed,
    bodyTimeoutMs: config.limits.bodyTimeoutMs,
    runtime,
    log,
    server: {
      info() {
        const { inFlight, waiting } = pool.load();
        const { pending, lagMs, lost, failing } = ledger.status();
        return {
          version,
          commit,
          bun: Bun.version,
          platform: `${process.platform}-${process.arch}`,
          started_at: new Date(startedAt).toISOString(),
          uptime_seconds: Math.floor((runtime.monotonic() - monotonicStart) / 1000),
          memory_bytes: process.memoryUsage.rss(),
          credentials: pool.states(),
          users: users.list().length,
          load: { in_flight: inFlight, waiting },
          ledger: { pending, lag_ms: Math.round(lagMs), lost, failing },
          config,
        };
      },
      async reload() {
        const [reloaded, counted] = await Promise.all([pool.reload(), users.reload()]);
        if (!counted.ok) return fail(describeStoreFault(counted.failure));
        return reloaded.ok ? told(reloaded.value) : fail(describeStoreFault(reloaded.failure));
      },
    },
    credentials: {
      store,
      pool,
      overview: createOverview({ pool, quota, runtime }),
      quota,
      context,
    },
    users: { users, context, runtime, randomBytes },
    usage: { ledger },
  };
}

/** What a reload has come to, in a sentence for the operator. */
function told({ added, changed, removed, ...now }: Reloaded): Result<string, string> {
  const done = `${now.credentials} credentials (${added} added, ${changed} changed, ${removed} removed)`;
  if (now.missing) return fail(`credentials.json is not there; still ${done}`);
  return now.rejected.length === 0
    ? ok(done)
    : fail(`${now.rejected.map(sentence).join("; ")}. Else taken over: ${done}`);
}
