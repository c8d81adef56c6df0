import type { Credential } from "../credentials/credential.ts";
import type { Pool } from "../credentials/pool.ts";
import type { Member } from "../credentials/roster.ts";
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
  /** When the access token ends; null for API keys and where nobody knows. */
  expires_at: string | null;
  /** There is what it takes to get new tokens. */
  renewable: boolean;
  /** Who the user signs in with. */
  provider: string | null;
  /** The other program whose log-in it is. */
  source: string | null;
  api_region: string;
  auth_region: string;
  /** With the account's number and most of the profile's name left out. */
  profile_arn: string | null;
  /** Without user name and password. */
  proxy: string | null;
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

export type Overview = {
  /** All credentials. A quota older than five minutes is read anew, but never on an account that is to be left alone. */
  list(): Promise<CredentialOverview[]>;
  /** One of them as it is known, without a call to the service. */
  find(id: string): CredentialOverview | undefined;
};

export function createOverview(deps: {
  pool: Pick<Pool, "list">;
  quota: QuotaService;
  runtime: Pick<Runtime, "now">;
}): Overview {
  const { pool, quota, runtime } = deps;

  const overviewOf = ({ credential, state, inFlight }: Member): CredentialOverview => {
    const { id, authMethod, priority, expiresAt, login, provider, source } = credential;
    const { apiRegion, authRegion, profileArn } = credential;
    const reading = quota.known(id);
    return {
      id,
      auth_method: authMethod,
      priority,
      state: state.type,
      until: "until" in state ? isoOf(state.until) : null,
      in_flight: inFlight,
      quota: reading === undefined ? null : quotaOf(reading, runtime.now()),
      expires_at: expiresAt === undefined ? null : isoOf(expiresAt),
      renewable: login !== undefined,
      provider: provider ?? null,
      source: source ?? null,
      api_region: apiRegion,
      auth_region: authRegion,
      profile_arn: profileArn === undefined ? null : masked(profileArn),
      proxy: proxyOf(credential) ?? null,
    };
  };

  return {
    async list() {
      const members = pool.list();
      await Promise.all(
        members.map(async ({ credential, state }) => {
          if (state.type === "ready" || state.type === "exhausted") await quota.read(credential);
        }),
      );
      return members.map(overviewOf);
    },
    find(id) {
      const member = pool.list().find(({ credential }) => credential.id === id);
      return member && overviewOf(member);
    },
  };
}

function quotaOf({ quota, readAt, fault }: QuotaReading, now: number): QuotaOverview {
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
    stale: fault !== undefined,
  };
}

/** Enough to tell two profiles apart. */
function masked(arn: string): string {
  const [, , , region = ""] = arn.split(":");
  return `arn:…:${region}:…${arn.slice(-4)}`;
}

/** Where it goes through, without the log-in of that place. */
export function proxyOf({ proxyUrl }: Pick<Credential, "proxyUrl">): string | undefined {
  if (proxyUrl === undefined) return undefined;
  const url = URL.parse(proxyUrl.reveal());
  return url === null ? "set" : `${url.protocol}//${url.host}`;
}

function hundredths(credits: number): number {
  return Math.round(credits * 100) / 100;
}

function isoOf(instant: number): string {
  return new Date(instant).toISOString();
}
