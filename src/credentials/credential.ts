import { parseProxyUrl, PROXY_EXPECTED } from "../proxy.ts";
import { fail, ok, type Result } from "../result.ts";
import { Secret } from "../secret.ts";
import {
  type CredentialFault,
  type Fields,
  instantOf,
  isRecord,
  readRecord,
  Region,
  type Renewal,
  renewedRecord,
} from "./record.ts";

export type AuthMethod = "social" | "idc" | "external-idp" | "api-key";

/** Programs whose log-in can be shared. */
export type SourceName = "kiro-ide" | "kiro-cli";

/** What an access token is renewed with, complete. */
export type Login =
  | { type: "social"; refreshToken: Secret }
  | { type: "idc"; refreshToken: Secret; clientId: string; clientSecret: Secret }
  /** A public client of an outside identity provider (Entra); `tokenEndpoint` is on the allow-list. */
  | {
      type: "external-idp";
      refreshToken: Secret;
      clientId: string;
      tokenEndpoint: string;
      scope?: string | undefined;
    };

export type Credential = {
  /** The record's own id, else one derived from what does not rotate. One line, at most 128 characters. */
  id: string;
  authMethod: AuthMethod;
  /** The id of the user whose own it is; nobody else's requests may spend it. */
  owner?: string | undefined;
  /** The bearer token; for `api-key` the key itself. */
  accessToken?: Secret | undefined;
  /** Milliseconds since the epoch; absent where the record says nothing readable. */
  expiresAt?: number | undefined;
  /** Absent where the record can't be renewed: an API key, or parts of the log-in are missing. */
  login?: Login | undefined;
  /** Lower is used first. */
  priority: number;
  disabled: boolean;
  /** What all its calls go through, as `parseProxyUrl` gives it; absent where neither record nor config says. */
  proxyUrl?: Secret | undefined;
  /** How its calls are written, by the name of a file; absent where the configuration says. */
  wireProfile?: string | undefined;
  /** Another program's log-in that is used where it is; tokens are read from and written to its place. */
  source?: SourceName | undefined;
  /** For people; also what tells that two records are of one account. */
  email?: string | undefined;
  userId?: string | undefined;
  /** Who the user signs in with: Google, Github, BuilderId, Enterprise … */
  provider?: string | undefined;
  /** Of IAM Identity Center and Builder ID; the service's, not checked. */
  startUrl?: string | undefined;
  /** The account's own; an ARN that stands in for others is never kept here. */
  profileArn?: string | undefined;
  apiRegion: string;
  authRegion: string;
  /** 64 hex digits. */
  machineId: string;
  /** True for a record of a store, which renewed tokens are written back to; false for one that a client sent along. */
  persistent: boolean;
  /** Fingerprint of the log-in as it was read; `CredentialStore.put` compares it. */
  version: string;
  /** The record as it came, as JSON text, unknown fields included. */
  raw: Secret;
};

export type CredentialContext = {
  /** The config's first region. */
  defaultRegion: string;
  /** Where the API is known to live or is said by the config to live. */
  regions: readonly string[];
  /** For credentials that name no proxy of their own. */
  proxyUrl?: Secret | undefined;
  /** What is sent for accounts without an ARN of their own. */
  profileArns: { builderId: string; social: string };
};

/** Reads one record of `credentials.json` or of a client. */
export function parseCredential(
  input: unknown,
  context: CredentialContext,
): Result<Credential, CredentialFault> {
  const read = readRecord(input);
  if (!read.ok) return read;
  const fields = read.value;
  const authMethod = authMethodOf(fields);
  const login = loginOf(authMethod, fields);
  if (!login.ok) return login;
  const token = authMethod === "api-key" ? fields.kiroApiKey : fields.accessToken;
  if (token === undefined && login.value === undefined) {
    return fail(MISSING[authMethod]);
  }

  // Shared ARNs say nothing about this account, least of all its region.
  const shared = Object.values(context.profileArns);
  const profileArn = shared.includes(fields.profileArn ?? "") ? undefined : fields.profileArn;
  const own = { ...fields, profileArn };
  const apiRegion = Region.safeParse(apiRegionOf(own, context));
  const authRegion = Region.safeParse(authRegionOf(own, context));
  if (!apiRegion.success || !authRegion.success) {
    return fail({ path: "regions", message: "must be AWS regions such as us-east-1" });
  }
  const proxyUrl = proxyOf(own);
  if (!proxyUrl.ok) return proxyUrl;
  const { email, userId, provider, startUrl } = own;
  const machineId = machineIdOf(own);
  return ok({
    id: idOf(fields.id) ?? machineId.slice(0, 12),
    authMethod,
    accessToken: token === undefined ? undefined : new Secret(token),
    expiresAt: authMethod === "api-key" ? undefined : instantOf(fields.expiresAt),
    login: login.value,
    priority: fields.priority ?? 0,
    disabled: fields.disabled ?? false,
    proxyUrl: proxyUrl.value ?? context.proxyUrl,
    wireProfile: fields.wireProfile,
    email,
    userId,
    provider,
    startUrl,
    profileArn,
    apiRegion: apiRegion.data,
    authRegion: authRegion.data,
    machineId,
    persistent: false,
    version: versionOf(fields),
    raw: new Secret(JSON.stringify(input)),
  });
}

/**
 * Reads a record that a client sent along. Its proxy is ignored: a client could have the gateway open connections to
 * wherever it likes. So is its wire profile: which calls are written how is the operator's business.
 */
export function parseInlineCredential(
  input: unknown,
  context: CredentialContext,
): Result<Credential, CredentialFault> {
  const record = isRecord(input)
    ? { ...input, proxyUrl: undefined, wireProfile: undefined }
    : input;
  return parseCredential(record, context);
}

type RegionFields = Pick<
  Fields,
  "apiRegion" | "profileArn" | "region" | "authRegion" | "idcRegion"
>;

/**
 * Where the API is called. A plain `region` is often only where the user signs in, so it counts if the API is known to
 * live there. `profileArn` must be the account's own.
 */
export function apiRegionOf(fields: RegionFields, context: CredentialContext): string {
  const known = (region: string | undefined): string | undefined =>
    region !== undefined && context.regions.includes(region) ? region : undefined;
  return (
    fields.apiRegion ??
    known(fields.profileArn?.split(":")[3]) ??
    known(fields.region) ??
    context.defaultRegion
  );
}

/** Where tokens are renewed. */
export function authRegionOf(fields: RegionFields, context: CredentialContext): string {
  return fields.authRegion ?? fields.idcRegion ?? fields.region ?? context.defaultRegion;
}

/** The credential with its new tokens; still the same one to the pool and to its store. */
export function renewed(
  credential: Credential,
  renewal: Renewal,
  context: CredentialContext,
): Credential {
  const record: unknown = JSON.parse(credential.raw.reveal());
  const parsed = parseCredential(renewedRecord(record, renewal, credential.machineId), context);
  if (!parsed.ok) throw new Error(`a renewed credential is not readable: ${parsed.failure.path}`);
  const { id, persistent, version, source } = credential;
  return { ...parsed.value, id, persistent, version, source };
}

/** Kiro IDE is known to write shortened refresh tokens, so that copies of its file do not work. */
export function hasTruncatedToken({ login }: Credential): boolean {
  const text = login?.refreshToken.reveal();
  return text !== undefined && (text.length < 100 || text.includes("..."));
}

/** What records write for each method, without `-`, `_` and space, in lower case. */
const METHODS = new Map<string, AuthMethod>([
  ["social", "social"],
  ["google", "social"],
  ["github", "social"],
  ["idc", "idc"],
  ["iam", "idc"],
  ["enterprise", "idc"],
  ["builderid", "idc"],
  ["apikey", "api-key"],
  ["externalidp", "external-idp"],
  ["external", "external-idp"],
  ["azuread", "external-idp"],
  ["azure", "external-idp"],
  ["entra", "external-idp"],
  ["entraid", "external-idp"],
  ["microsoft", "external-idp"],
  ["m365", "external-idp"],
  ["office365", "external-idp"],
]);

function authMethodOf(fields: Fields): AuthMethod {
  if (fields.kiroApiKey !== undefined) return "api-key";
  if (fields.tokenEndpoint !== undefined) return "external-idp";
  const written = METHODS.get(fields.authMethod?.toLowerCase().replace(/[-_ ]/g, "") ?? "");
  if (written !== undefined) return written;
  return fields.clientId !== undefined && fields.clientSecret !== undefined ? "idc" : "social";
}

const MISSING = {
  social: { path: "refreshToken", message: "is missing, and so is accessToken" },
  idc: {
    path: "refreshToken",
    message: "must be there together with clientId and clientSecret (the client's registration)",
  },
  "external-idp": {
    path: "refreshToken",
    message: "must be there together with clientId and tokenEndpoint",
  },
  "api-key": { path: "kiroApiKey", message: "is missing" },
} satisfies Record<AuthMethod, CredentialFault>;

function loginOf(
  authMethod: AuthMethod,
  fields: Fields,
): Result<Login | undefined, CredentialFault> {
  if (authMethod === "api-key") return ok(undefined);
  const { clientId, clientSecret, tokenEndpoint } = fields;
  if (authMethod === "external-idp" && tokenEndpoint !== undefined && !isEntra(tokenEndpoint)) {
    return fail({
      path: "tokenEndpoint",
      message: "must be an https address under microsoftonline.com, .us or .cn",
    });
  }
  if (fields.refreshToken === undefined) return ok(undefined);
  const refreshToken = new Secret(fields.refreshToken);
  switch (authMethod) {
    case "social":
      return ok({ type: "social", refreshToken });
    case "idc":
      if (clientId === undefined || clientSecret === undefined) return ok(undefined);
      return ok({ type: "idc", refreshToken, clientId, clientSecret: new Secret(clientSecret) });
    case "external-idp":
      if (clientId === undefined || tokenEndpoint === undefined) return ok(undefined);
      return ok({
        type: "external-idp",
        refreshToken,
        clientId,
        tokenEndpoint,
        scope: fields.scopes,
      });
    default:
      return authMethod satisfies never;
  }
}

/** The refresh token is sent there and the record may come from a client: no other host may receive it. */
function isEntra(endpoint: string): boolean {
  const url = URL.parse(endpoint);
  return (
    url !== null &&
    url.protocol === "https:" &&
    url.port === "" &&
    url.username === "" &&
    url.password === "" &&
    /\.microsoftonline\.(com|us|cn)$/.test(url.hostname)
  );
}

function proxyOf(fields: Fields): Result<Secret | undefined, CredentialFault> {
  const { proxyUrl: written, proxyUsername: username, proxyPassword: password } = fields;
  if (written === undefined) return ok(undefined);
  const proxyUrl = parseProxyUrl(written, { username, password });
  return proxyUrl === undefined
    ? fail({ path: "proxyUrl", message: `must be ${PROXY_EXPECTED}` })
    : ok(proxyUrl);
}

function idOf(id: string | number | undefined): string | undefined {
  const text = id === undefined ? "" : String(id).trim();
  // Ids are written to the log.
  return /^[^\p{C}]{1,128}$/u.test(text) ? text : undefined;
}

function machineIdOf(fields: Fields): string {
  const written = fields.machineId?.trim().toLowerCase();
  if (written !== undefined && /^[0-9a-f]{64}$/.test(written)) return written;
  if (written !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(written)) {
    return written.replaceAll("-", "").repeat(2);
  }
  const { clientId, profileArn, refreshToken, kiroApiKey, accessToken } = fields;
  const basis =
    written ?? clientId ?? profileArn ?? refreshToken ?? kiroApiKey ?? accessToken ?? "";
  return sha256(`kiro-proxy/${basis}`);
}

function versionOf(fields: Fields): string {
  const { accessToken, refreshToken, clientId, clientSecret, kiroApiKey, tokenEndpoint } = fields;
  return sha256(
    JSON.stringify([
      accessToken,
      refreshToken,
      clientId,
      clientSecret,
      kiroApiKey,
      tokenEndpoint,
      fields.expiresAt,
    ]),
  );
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
