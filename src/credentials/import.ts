import { fail, ok, type Result } from "../result.ts";
import { type CredentialContext, hasTruncatedToken, parseCredential } from "./credential.ts";
import { type CredentialFault, isGiven, isRecord, type JsonRecord, valueOf } from "./record.ts";

/** A log-in found in a file of another program, or why it can't be taken over. */
export type Found = {
  /** Where it stands (`accounts[2]`), empty for a file with nothing else in it. */
  place: string;
  record: Result<JsonRecord, CredentialFault>;
};

/**
 * The records in a JSON file of another program: one object or an array of `credentials.json`, of the environment form of
 * kiro2api (`auth`, `refreshToken`), or of Kiro Account Manager, whose accounts may stand under `accounts`, with the
 * log-in on the account itself or under its `credentials`. Fails with a sentence where it is none of these.
 */
export function findRecords(root: unknown, context: CredentialContext): Result<Found[], string> {
  const accounts = isRecord(root) ? root["accounts"] : undefined;
  const [prefix, list] = Array.isArray(accounts)
    ? ["accounts", accounts]
    : ["", Array.isArray(root) ? root : [root]];
  if (list.length === 0) return fail("there is no log-in in it");
  const alone = list.length === 1 && !Array.isArray(root) && prefix === "";
  const found = list.map((entry, index): Found => {
    const place = alone ? "" : `${prefix}[${index}]`;
    return { place, record: checkImport(recordOf(entry, prefix !== ""), context) };
  });
  return ok(found);
}

/** The record, if it is one that will go on working when its access token ends. */
export function checkImport(
  record: unknown,
  context: CredentialContext,
): Result<JsonRecord, CredentialFault> {
  const parsed = parseCredential(record, context);
  if (!parsed.ok) return parsed;
  if (!isRecord(record)) throw new Error("a credential was read from what is no object");
  const { authMethod, login } = parsed.value;
  if (hasTruncatedToken(parsed.value)) {
    return fail({
      path: "refreshToken",
      message:
        "is shortened: the program it comes from hides it in copies. Use the log-in where it is (-link), or log in here",
    });
  }
  if (login === undefined && authMethod !== "api-key") {
    const registered = authMethod === "idc" && isGiven(valueOf(record, "refreshToken"));
    return fail(
      registered
        ? {
            path: "clientId",
            message:
              "and clientSecret are missing: without the client's registration the log-in can't be renewed",
          }
        : {
            path: "refreshToken",
            message: "is missing: the log-in would end with its access token",
          },
    );
  }
  return ok(record);
}

/** What an account of the manager has that means something here; the rest is its own book-keeping. */
const ACCOUNT_FIELDS = [
  "email",
  "userId",
  "machineId",
  "profileArn",
  "provider",
  "label",
  "nickname",
];
const LOGIN_FIELDS = [
  "accessToken",
  "refreshToken",
  "expiresAt",
  "authMethod",
  "clientId",
  "clientSecret",
  "region",
  "startUrl",
  "tokenEndpoint",
  "scopes",
  "provider",
  "kiroApiKey",
  "profileArn",
];

function recordOf(entry: unknown, isAccount: boolean): unknown {
  if (!isRecord(entry)) return entry;
  const nested = entry["credentials"];
  if (!isAccount && !isRecord(nested)) return entry;
  return {
    ...pick(entry, [...ACCOUNT_FIELDS, ...LOGIN_FIELDS]),
    ...(isRecord(nested) ? pick(nested, LOGIN_FIELDS) : {}),
  };
}

function pick(record: JsonRecord, names: readonly string[]): JsonRecord {
  const given = names.map((name) => [name, valueOf(record, name)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}
