import { type Fields, isFields } from "./events.ts";

/** What an account may spend and has spent, in the plan's unit (credits), with the service's decimals. */
export type Quota = {
  /** Everything together: the plan's own allowance, an active trial and active bonuses. */
  used: number;
  limit: number;
  /** What may still be spent, overage included where it is switched on. Never negative. */
  remaining: number;
  /** The part of `used` and `limit` that is a trial or a bonus and will not come back. */
  bonus: { used: number; limit: number };
  /** What may be spent beyond the limit, for money; `cap` is absent where there is none. */
  overage: { enabled: boolean; used: number; cap?: number };
  /** As the service calls it: `KIRO FREE`, `KIRO PRO+`. */
  plan?: string;
  /** When the plan's allowance is full again, in milliseconds since the epoch; always ahead. */
  resetAt?: number;
  email?: string;
};

const DAY_MS = 86_400_000;
/** Plans renew by the month or by the year; a date further off is a misunderstanding. */
const RESET_WITHIN_MS = 400 * DAY_MS;
/** Above this a time is in milliseconds, below it in seconds. */
const MILLISECONDS_FROM = 100_000_000_000;

/**
 * Reads an answer of GetUsageLimits, in which anything may be missing. Undefined where it names no limit, which is not
 * the same as a limit of nothing. `now` is in milliseconds since the epoch.
 */
export function quotaOf(reply: Fields, now: number): Quota | undefined {
  const entry = creditsOf(reply);
  const base = entry && usageOf(entry);
  if (entry === undefined || base === undefined) return undefined;
  const trial = members(entry["freeTrialInfo"]);
  const extras = [
    { ...trial, status: trial["freeTrialStatus"], expiresAt: trial["freeTrialExpiry"] },
    ...list(entry["bonuses"]),
  ].flatMap((extra) => (isActive(extra, now) ? (usageOf(extra) ?? []) : []));
  const bonus = {
    used: extras.reduce((sum, { used }) => sum + used, 0),
    limit: extras.reduce((sum, { limit }) => sum + limit, 0),
  };
  const used = base.used + bonus.used;
  const limit = base.limit + bonus.limit;
  const overage = overageOf(reply, entry);
  const beyond = overage.enabled ? Math.max(0, (overage.cap ?? 0) - overage.used) : 0;
  const plan = text(members(reply["subscriptionInfo"])["subscriptionTitle"]);
  const email = text(members(reply["userInfo"])["email"]);
  const resetAt = resetOf(reply, entry, now);
  return {
    used,
    limit,
    remaining: Math.max(0, limit - used) + beyond,
    bonus,
    overage,
    ...(plan !== undefined && { plan }),
    ...(resetAt !== undefined && { resetAt }),
    ...(email !== undefined && { email }),
  };
}

/** What counts credits, else requests, else whatever comes first. */
function creditsOf(reply: Fields): Fields | undefined {
  const entries = [
    ...list(reply["usageBreakdownList"]),
    ...list([reply["usageBreakdown"]]),
    // An older form of the same.
    ...list(reply["limits"]).map((entry) => ({
      resourceType: entry["type"],
      currentUsage: entry["currentUsage"],
      usageLimit: entry["totalUsageLimit"],
    })),
  ].filter((entry) => usageOf(entry) !== undefined);
  const of = (type: string): Fields | undefined =>
    entries.find((entry) => entry["resourceType"] === type);
  return of("CREDIT") ?? of("AGENTIC_REQUEST") ?? entries[0];
}

function usageOf(entry: Fields): { used: number; limit: number } | undefined {
  const limit = precise(entry, "usageLimit");
  return limit === undefined ? undefined : { used: precise(entry, "currentUsage") ?? 0, limit };
}

function overageOf(reply: Fields, entry: Fields): Quota["overage"] {
  const { overageStatus, overageEnabled } = members(reply["overageConfiguration"]);
  const cap = precise(entry, "overageCap");
  return {
    enabled: overageStatus === "ENABLED" || overageEnabled === true,
    used: precise(entry, "currentOverages") ?? 0,
    ...(cap !== undefined && { cap }),
  };
}

function isActive(extra: Fields, now: number): boolean {
  const { status, expiresAt } = extra;
  const end = instantOf(expiresAt);
  return (
    typeof status === "string" &&
    status.toUpperCase() === "ACTIVE" &&
    (end === undefined || end > now)
  );
}

function resetOf(reply: Fields, entry: Fields, now: number): number | undefined {
  const days = amount(reply["daysUntilReset"]) ?? 0;
  const candidates = [
    instantOf(entry["nextDateReset"]),
    instantOf(reply["nextDateReset"]),
    Math.floor(now / DAY_MS) * DAY_MS + Math.ceil(days) * DAY_MS,
  ];
  return candidates.find((at) => at !== undefined && at > now && at < now + RESET_WITHIN_MS);
}

/** A number whose exact form may stand beside a rounded one. */
function precise(entry: Fields, name: string): number | undefined {
  return amount(entry[`${name}WithPrecision`]) ?? amount(entry[name]);
}

function amount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function instantOf(value: unknown): number | undefined {
  const time = amount(value);
  return time === undefined || time > MILLISECONDS_FROM ? time : time * 1000;
}

/** Shown by the command line, and in the log. */
function text(value: unknown): string | undefined {
  return typeof value === "string" && /^[^\p{C}]{1,254}$/u.test(value) ? value : undefined;
}

function members(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}
