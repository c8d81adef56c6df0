import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import type { Secret } from "../secret.ts";
import { asNumber } from "./exact-json.ts";

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

// Shown to people, and of no use where it can't be.
const Label = z
  .string()
  .trim()
  .regex(/^[^\p{C}]{1,200}$/u)
  .optional()
  .catch(undefined);

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
  wireProfile: z
    .string()
    .trim()
    .regex(/^\w[\w.-]{0,63}$/, "must be the name of a wire profile")
    .optional(),
  proxyUrl: z.string().trim().optional(),
  proxyUsername: z.string().optional(),
  proxyPassword: z.string().optional(),
  provider: Label,
  email: Label,
  userId: Label,
  startUrl: Label,
});
/** The fields of a record that mean something here, by the name that the file's own format gives them. */
export type Fields = z.infer<typeof Fields>;
type Field = keyof Fields;
const FIELDS = Fields.keyof().options;

const OTHER_SPELLINGS = new Map<string, string[]>(
  Object.entries({
    accessToken: ["access_token"],
    refreshToken: ["refresh_token"],
    expiresAt: ["expires_at"],
    authMethod: ["auth_method", "auth"],
    clientId: ["client_id"],
    clientSecret: ["client_secret"],
    tokenEndpoint: ["token_endpoint"],
    scopes: ["scope"],
    profileArn: ["profile_arn"],
    provider: ["socialProvider", "idp"],
    userId: ["user_id"],
    startUrl: ["start_url", "issuerUrl"],
  } satisfies Partial<Record<Field, string[]>>),
);

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

/** New values by the file's own name of each field; undefined removes it. */
export type Changes = Readonly<Record<string, unknown>>;

/** The record with some of its fields changed, in the spelling that it uses. */
export function changedRecord(record: JsonRecord, changes: Changes): JsonRecord {
  const result = { ...record };
  for (const [name, value] of Object.entries(changes)) {
    if (value !== undefined) result[spellingIn(record, name)] = value;
    else for (const spelling of spellingsOf(name)) delete result[spelling];
  }
  return result;
}

/**
 * The record with its new tokens, in the spelling and the form of date that it uses. The machine id goes in where one is
 * given and there was none, since it may have been derived from a token that is being replaced.
 */
export function renewedRecord(
  record: unknown,
  renewal: Renewal,
  machineId: string | undefined,
): JsonRecord {
  if (!isRecord(record)) throw new Error("a credential's record is not an object");
  const { accessToken, refreshToken, profileArn } = renewal;
  const newMachineId = valueOf(record, "machineId") === undefined ? machineId : undefined;
  return changedRecord(record, {
    accessToken: accessToken.reveal(),
    expiresAt: inFormOf(valueOf(record, "expiresAt"), renewal.expiresAt),
    ...(refreshToken === undefined ? {} : { refreshToken: refreshToken.reveal() }),
    ...(profileArn === undefined ? {} : { profileArn }),
    ...(newMachineId === undefined ? {} : { machineId: newMachineId }),
  });
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a field by the file's own name of it, whatever the record's spelling; undefined where it is blank. */
export function valueOf(record: JsonRecord, name: string): unknown {
  const value = record[spellingIn(record, name)];
  return isGiven(value) ? asNumber(value) : undefined;
}

function spellingIn(record: JsonRecord, name: string): string {
  return spellingsOf(name).find((spelling) => isGiven(record[spelling])) ?? name;
}

function spellingsOf(name: string): string[] {
  return [name, ...(OTHER_SPELLINGS.get(name) ?? [])];
}

/** Null and an empty text count as absent. */
export function isGiven(value: unknown): boolean {
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
