import type { Credential } from "./credential.ts";
import { type Changes, type JsonRecord, valueOf } from "./record.ts";

/** Whether two records are of one account, as far as they tell. A log-in that nothing is known of is an account of its own. */
export function isSameAccount(a: Credential, b: Credential): boolean {
  if (a.source !== undefined && a.source === b.source && a.id === b.id) return true;
  if (a.version === b.version) return true;
  if (a.authMethod !== b.authMethod) return false;
  if (hasSameRefreshToken(a, b)) return true;
  if (a.userId !== undefined && b.userId !== undefined) return a.userId === b.userId;
  return a.email !== undefined && a.email.toLowerCase() === b.email?.toLowerCase();
}

export function hasSameRefreshToken(a: Credential, b: Credential): boolean {
  const refreshToken = a.login?.refreshToken.reveal();
  return refreshToken !== undefined && b.login?.refreshToken.equals(refreshToken) === true;
}

/** What belongs to a log-in: a refresh token works only with the client, the region and the provider that it came with. */
const LOGIN_FIELDS = [
  "authMethod",
  "accessToken",
  "refreshToken",
  "expiresAt",
  "clientId",
  "clientSecret",
  "clientIdHash",
  "clientSecretExpiresAt",
  "kiroApiKey",
  "tokenEndpoint",
  "scopes",
  "region",
  "authRegion",
  "idcRegion",
  "startUrl",
  "provider",
  // Of the account that was logged in before, perhaps.
  "profileArn",
  "source",
  "path",
];

/** The changes that put the log-in of `record` in the place of another one, as a whole: what it lacks is removed. */
export function newLogin(record: JsonRecord): Changes {
  const login = LOGIN_FIELDS.map((name) => [name, valueOf(record, name)] as const);
  const account = ["email", "userId"].map((name) => [name, valueOf(record, name)] as const);
  return Object.fromEntries([...login, ...account.filter(([, value]) => value !== undefined)]);
}
