import { z } from "zod";
import { asNumber } from "../credentials/exact-json.ts";
import { isGiven, isRecord, type JsonRecord } from "../credentials/record.ts";
import { Secret } from "../secret.ts";
import { type UserLimits, userLimitsSchema } from "../usage/limits.ts";

/** Somebody with an activation code, as `user_credentials.json` has them. */
export type User = {
  /** The record's key, in the file's spelling. */
  code: Secret;
  /** For logs and the ledger: it outlives a change of the code and does not tell it. */
  id: string;
  name: string;
  /** When the code ends, in milliseconds since the epoch. */
  expiresAt?: number;
  /** As the file has it, for the operator. */
  expiresDate: string | null;
  disabled: boolean;
  limits: UserLimits;
  hasCredentials: boolean;
  createdAt: string | null;
  updatedAt: string | null;
  /** What is wrong with the record, as `field: sentence`. It is not to be used then: its limits are not known. */
  fault?: string;
};

const DAY_MS = 86_400_000;

const text = z.string().nullish().catch(undefined);
const Fields = z.object({
  user_id: z
    .string()
    .regex(/^[\w.-]{1,64}$/)
    .optional(),
  user_name: text,
  expires_date: text,
  disabled: z.boolean().default(false),
  created_at: text,
  updated_at: text,
});

/** The members of `limits` in the file are those of `UserLimits` in snake case. */
const LIMITS = new Map(
  Object.keys(userLimitsSchema.shape).map((name) => [snakeCase(name), name] as const),
);

export function userOf(key: string, record: unknown): User {
  const blank: User = {
    code: new Secret(key),
    id: idOf(key),
    name: "",
    expiresDate: null,
    disabled: false,
    limits: {},
    hasCredentials: false,
    createdAt: null,
    updatedAt: null,
  };
  if (!isRecord(record)) return { ...blank, fault: "must be a JSON object" };
  const given = Object.fromEntries(Object.entries(record).filter(([, value]) => isGiven(value)));
  const fields = Fields.safeParse(given);
  if (!fields.success) return { ...blank, fault: faultIn(fields.error, "") };
  const { user_id: id, user_name: name, expires_date: date, disabled, ...rest } = fields.data;
  const user = {
    ...blank,
    ...(id !== undefined && { id }),
    name: name ?? "",
    expiresDate: date ?? null,
    disabled,
    hasCredentials: credentialsOf(record).length > 0,
    createdAt: rest.created_at ?? null,
    updatedAt: rest.updated_at ?? null,
  };
  const expiresAt = date ? endOf(date) : undefined;
  if (date && expiresAt === undefined)
    return { ...user, fault: "expires_date: must be YYYY-MM-DD" };
  const limits = limitsOf(given["limits"]);
  if (typeof limits === "string") return { ...user, fault: limits };
  return { ...user, limits, ...(expiresAt !== undefined && { expiresAt }) };
}

/** Limits as the file and the admin API write them. */
export function limitsRecord(limits: UserLimits): JsonRecord {
  return Object.fromEntries(
    Object.entries(limits).map(([name, value]) => [snakeCase(name), value]),
  );
}

/** A user's own log-ins: one, several or none. */
export function credentialsOf(record: unknown): unknown[] {
  const own = isRecord(record) ? record["credentials"] : undefined;
  if (Array.isArray(own)) return own;
  // The Go build writes an object without content for none.
  return isRecord(own) && Object.values(own).some(isGiven) ? [own] : [];
}

/** What two spellings of a code have in common. */
export function canonicalCode(code: string): string {
  return code.trim().replace(/^act-/i, "").toUpperCase();
}

/** An id for a code that no record names one for. */
export function idOf(code: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`kiro-proxy user ${canonicalCode(code)}`);
  return `user-${digest.digest("hex").slice(0, 10)}`;
}

/** The limits, or what is wrong with them. */
function limitsOf(value: unknown): UserLimits | string {
  if (value === undefined) return {};
  if (!isRecord(value)) return "limits: must be an object";
  const given = Object.entries(value).filter(([, limit]) => limit !== null);
  const unknown = given.find(([name]) => !LIMITS.has(name));
  if (unknown !== undefined) {
    return `limits: has an unknown member; known are ${[...LIMITS.keys()].join(", ")}`;
  }
  const parsed = userLimitsSchema.safeParse(
    Object.fromEntries(given.map(([name, limit]) => [LIMITS.get(name), asNumber(limit)])),
  );
  return parsed.success ? parsed.data : faultIn(parsed.error, "limits.");
}

/** The instant after the last of the day (UTC), or the instant itself where one is written. */
function endOf(written: string): number | undefined {
  const date = written.trim();
  const [day] = /^\d{4}-\d\d-\d\d/.exec(date) ?? [];
  const start = Date.parse(date);
  if (day === undefined || Number.isNaN(start)) return undefined;
  if (day !== date) return start;
  // A day that its month does not have would be one of the next month.
  return new Date(start).toISOString().startsWith(day) ? start + DAY_MS : undefined;
}

function faultIn(error: z.ZodError, prefix: string): string {
  const [issue] = error.issues;
  const path = issue?.path.map((step) => snakeCase(String(step))).join(".") ?? "";
  return `${prefix}${path}: ${issue?.message ?? "can't be read"}`;
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
