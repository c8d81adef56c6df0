import type { Pool } from "../credentials/pool.ts";
import type { Runtime } from "../runtime.ts";
import type { QuotaReading, QuotaService } from "./quota.ts";

/** A credential as its operator sees it: no token, no e-mail address. Instants are ISO 8601. */
export type CredentialOverview = {
  id: string;
  auth_method: string;
  priority: number;
  state: string;
  /** When a state that ends by itself does. */
  until: string | null;
  in_flight: number;
  /** Null where it was never read. */
  quota: QuotaOverview | null;
};

/** In credits. `stale`: the last try to read it anew failed. */
type QuotaOverview = {
  plan: string | null;
  used: number;
  limit: number;
  remaining: number;
  bonus: { used: number; limit: number };
  overage: { enabled: boolean; used: number; cap: number | null };
  reset_at: string | null;
  age_seconds: number;
  stale: boolean;
};

/** All credentials of the pool. A quota older than five minutes is read anew, but never on an account that is to be left alone. */
export function createOverview(deps: {
  pool: Pick<Pool, "list">;
  quota: QuotaService;
  runtime: Pick<Runtime, "now">;
}): () => Promise<CredentialOverview[]> {
  const { pool, quota, runtime } = deps;
  return async () =>
    await Promise.all(
      pool.list().map(async ({ credential, state, inFlight }) => {
        const { id, authMethod, priority } = credential;
        if (state.type === "ready" || state.type === "exhausted") await quota.read(credential);
        const reading = quota.known(id);
        return {
          id,
          auth_method: authMethod,
          priority,
          state: state.type,
          until: "until" in state ? isoOf(state.until) : null,
          in_flight: inFlight,
          quota: reading === undefined ? null : overviewOf(reading, runtime.now()),
        };
      }),
    );
}

function overviewOf({ quota, readAt, stale }: QuotaReading, now: number): QuotaOverview {
  const { plan, used, limit, remaining, bonus, overage, resetAt } = quota;
  return {
    plan: plan ?? null,
    used: hundredths(used),
    limit: hundredths(limit),
    remaining: hundredths(remaining),
    bonus: { used: hundredths(bonus.used), limit: hundredths(bonus.limit) },
    overage: {
      enabled: overage.enabled,
      used: hundredths(overage.used),
      cap: overage.cap === undefined ? null : hundredths(overage.cap),
    },
    reset_at: resetAt === undefined ? null : isoOf(resetAt),
    age_seconds: Math.round((now - readAt) / 1000),
    stale,
  };
}

function hundredths(credits: number): number {
  return Math.round(credits * 100) / 100;
}

function isoOf(instant: number): string {
  return new Date(instant).toISOString();
}
