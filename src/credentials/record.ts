import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import type { Secret } from "../secret.ts";

export type JsonRecord = Record<string, unknown>;

/** `path` names the field as the record spells it, empty for the record itself. Neither holds a value of the record. */
export type CredentialFault = { path: string; message: string };

/** What a refresh gave. An absent `refreshToken` means that the old one stays. */
export type Renewal = {
  accessToken: Secret;
  refreshToken?: Secret | undefined;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  profileArn?: string | undefined;
};

// Tokens go into headers, where a line break or a space would be an injection or a crash.
export const TokenText = z
  .string()
  .trim()
  .regex(/^[\x21-\x7e]+$/, "must be visible ASCII without spaces");
export const ProfileArn = z
  .string()
  .trim()
  .regex(/^arn:[\x21-\x7e]+$/, "must be an ARN");
// A region becomes part of a host name that receives tokens.
export const Region = z
  .string()
  .trim()
  .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "must be an AWS region such as us-east-1");

const Fields = z.object({
  id: z.union([z.string(), z.number()]).optional(),
  accessToken: TokenText.optional(),
  refreshToken: TokenText.optional(),
  expiresAt: z.unknown(),
  authMethod: z.string().optional(),
  clientId: z.string().optional(),
  clientSecret: z.string().optional(),
  kiroApiKey: TokenText.optional(),
  tokenEndpoint: z.string().optional(),
  scopes: z.union([z.string(), z.array(z.string()).transform((all) => all.join(" "))]).optional(),
  region: Region.optional(),
  authRegion: Region.optional(),
  idcRegion: Region.optional(),
  apiRegion: Region.optional(),
  profileArn: ProfileArn.optional(),
  machineId: z.string().optional(),
  priority: z.number().optional(),
  disabled: z.boolean().optional(),
});
/** The fields of a record that mean something here, by the name that the file's own format gives them. */
export type Fields = z.infer<typeof Fields>;
type Field = keyof Fields;
const FIELDS = Fields.keyof().options;

const OTHER_SPELLINGS: Partial<Record<Field, string[]>> = {
  accessToken: ["access_token"],
  refreshToken: ["refresh_token"],
  expiresAt: ["expires_at"],
  authMethod: ["auth_method", "auth"],
  clientId: ["client_id"],
  clientSecret: ["client_secret"],
  tokenEndpoint: ["token_endpoint"],
  scopes: ["scope"],
  profileArn: ["profile_arn"],
};

/** The known fields of a record, whatever its spelling. Empty strings and nulls count as absent. */
export function readRecord(record: unknown): Result<Fields, CredentialFault> {
  if (!isRecord(record)) return fail({ path: "", message: "must be a JSON object" });
  const given = Object.fromEntries(FIELDS.map((field) => [field, valueOf(record, field)]));
  const parsed = Fields.safeParse(given);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  const field = FIELDS.find((name) => name === issue?.path[0]);
  return fail({
    path: field === undefined ? "" : spellingIn(record, field),
    message: issue?.message ?? "can't be read",
  });
}

/**
 * The record with its new tokens, in the spelling and the form of date that it uses. The machine id goes in where there
 * was none, since it may have been derived from a token that is being replaced.
 */
export function renewedRecord(record: unknown, renewal: Renewal, machineId: string): JsonRecord {
  if (!isRecord(record)) throw new Error("a credential's record is not an object");
  const changed: Partial<Record<Field, unknown>> = {
    accessToken: renewal.accessToken.reveal(),
    refreshToken: renewal.refreshToken?.reveal(),
    expiresAt: inFormOf(valueOf(record, "expiresAt"), renewal.expiresAt),
    profileArn: renewal.profileArn,
    machineId: valueOf(record, "machineId") ?? machineId,
  };
  const result = { ...record };
  for (const field of FIELDS) {
    if (changed[field] !== undefined) result[spellingIn(record, field)] = changed[field];
  }
  return result;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function spellingIn(record: JsonRecord, field: Field): string {
  const spellings = [field, ...(OTHER_SPELLINGS[field] ?? [])];
  return spellings.find((name) => isGiven(record[name])) ?? field;
}

function valueOf(record: JsonRecord, field: Field): unknown {
  const value = record[spellingIn(record, field)];
  return isGiven(value) ? value : undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

/** Above this a number is milliseconds, below it seconds. */
const MILLISECONDS_FROM = 100_000_000_000;

/**
 * Milliseconds since the epoch, from RFC 3339 with any offset and any number of fractional digits, or from epoch seconds
 * or milliseconds, also as text. Undefined for anything else.
 */
export function instantOf(value: unknown): number | undefined {
  if (typeof value === "number") {
    if (!Number.isFinite(value) || value <= 0) return undefined;
    return value > MILLISECONDS_FROM ? value : value * 1000;
  }
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return instantOf(Number(text));
  const parts =
    /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-]\d\d):?(\d\d))?$/.exec(text);
  if (parts === null) return undefined;
  const [, date, time, fraction = "", hours, minutes] = parts;
  const offset = hours === undefined ? "Z" : `${hours}:${minutes}`;
  const millis = Date.parse(`${date}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}${offset}`);
  return Number.isNaN(millis) ? undefined : millis;
}

function inFormOf(old: unknown, instant: number): number | string {
  if (typeof old !== "number") return new Date(instant).toISOString();
  return old > MILLISECONDS_FROM ? instant : Math.floor(instant / 1000);
}
