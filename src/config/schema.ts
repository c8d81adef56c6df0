import { z } from "zod";
import { parseRange } from "../address.ts";
import { PROXY_EXPECTED } from "../proxy.ts";
import {
  MAX_COUNT,
  SECRET_EXPECTED,
  URL_EXPECTED,
  baseUrl,
  bytes,
  count,
  everyone,
  isOrigin,
  notes,
  path,
  proxy,
  secret,
  text,
  type KeyType,
  upstreamUrl,
  userLimit,
  version,
  wait,
} from "./fields.ts";

const upstream = z.object({
  apiUrl: upstreamUrl("Base URL of the chat, MCP and quota calls.", "Kiro's own"),
  authUrl: upstreamUrl("Base URL that renews tokens of social log-ins.", "Kiro's own"),
  portalUrl: upstreamUrl("Base URL of the page where social log-ins happen.", "Kiro's own"),
  oidcUrl: upstreamUrl(
    "Base URL that renews tokens of Builder ID and IAM Identity Center log-ins.",
    "AWS's own",
  ),
});

const limits = z.object({
  bodyTimeoutMs: wait(300_000, "How long a client may take to send its request."),
  stalledTimeoutMs: wait(120_000, "How long a client may read nothing of its answer."),
  headersTimeoutMs: wait(60_000, "How long the service may take to answer with a status."),
  firstEventTimeoutMs: wait(120_000, "How long it may then take to send its first event."),
  idleTimeoutMs: wait(300_000, "How long it may fall silent in the middle of an answer."),
  totalTimeoutMs: wait(
    720_000,
    "How long a request may take as a whole, waits and retries included; with web search, each of its rounds.",
  ),
});

const capture = z.object({
  credentials: everyone(
    "Ids of credentials whose failing requests are kept as files, **with the text of prompts and answers**.",
  ),
  users: everyone("Users whose failing requests are kept in the same way."),
  all: z.boolean().default(false).register(notes, {
    type: "yes/no",
    expected: "true or false",
    description: "Whether requests that go well are kept as well.",
  }),
  path: z.string().min(1).exactOptional().register(notes, {
    type: "text",
    expected: "a path",
    description: "Folder of these files.",
    otherwise: "`captures` beside the config file",
  }),
  maxFiles: z
    .int()
    .min(1)
    .max(MAX_COUNT)
    .default(100)
    .register(notes, {
      type: "number",
      expected: `a whole number from 1 to ${MAX_COUNT}`,
      description: "How many of them are kept; the oldest make room.",
    }),
  maxFileBytes: bytes(4 * 1024 ** 2, "Size of the largest one; what does not fit is left out."),
  maxTotalBytes: bytes(100 * 1024 ** 2, "What they may take up together."),
});

/** Both or neither. */
const tls = z.object({
  cert: path(
    "File of the certificate (PEM, with its chain), for HTTPS; taken over when it changes.",
  ),
  key: path("File of the certificate's private key (PEM)."),
});

const userLimits = z.object({
  requestsPerMinute: userLimit(
    z.int(),
    "a whole number",
    "Requests that a user may make in a minute. This and what follows is for users without a limit of their own.",
  ),
  concurrentRequests: userLimit(
    z.int(),
    "a whole number",
    "Requests of a user that may run at the same time.",
  ),
  tokensPerDay: userLimit(
    z.int(),
    "a whole number",
    "Tokens that a user may spend in a day (UTC): prompts, cached or not, and replies.",
  ),
  creditsPerDay: userLimit(
    z.number(),
    "a number",
    "Credits of Kiro that a user may spend in a day (UTC).",
  ),
  creditsPerMonth: userLimit(
    z.number(),
    "a number",
    "Credits of Kiro that a user may spend in a month (UTC).",
  ),
  models: z.array(z.string().min(1)).exactOptional().register(notes, {
    type: "list",
    expected: 'a list of models, such as ["claude-haiku-4-5"]',
    description: "Models that a user may ask for, by any of their names.",
    otherwise: "all",
  }),
});

const topLevel = {
  host: text(/^(?:[\w.:%-]+|\[[\w.:%]+\])$/)
    .transform((host) => host.replaceAll(/[[\]]/g, ""))
    .default("127.0.0.1")
    .register(notes, {
      type: "text",
      expected: "a host name or an IP address",
      description: "Address to listen on; anything but loopback needs a good `apiKey`.",
    }),
  port: z.int().min(0).max(65_535).default(13_000).register(notes, {
    type: "number",
    expected: "a whole number from 0 to 65535",
    description: "Port to listen on; 0 takes any free one.",
  }),
  apiKey: secret().exactOptional().register(notes, {
    type: "text",
    expected: SECRET_EXPECTED,
    description: "Key that clients must send. Without it, on loopback, any key or none will do.",
    otherwise: "none",
    secret: true,
  }),
  adminApiKey: secret().exactOptional().register(notes, {
    type: "text",
    expected: SECRET_EXPECTED,
    description: "Key of the admin API.",
    otherwise: "`apiKey`",
    secret: true,
  }),
  regions: z
    .array(text(/^[a-z]{2}(-[a-z]+)+-\d$/))
    .min(1)
    .default(["us-east-1"])
    .register(notes, {
      type: "list",
      expected: 'a list of AWS regions, such as ["us-east-1"]',
      description: "AWS regions; the first serves credentials that name none.",
    }),
  kiroVersion: version("Version of Kiro that the service is told."),
  systemVersion: version("Operating system that the service is told, such as `darwin#24.6.0`."),
  nodeVersion: version("Version of Node that the service is told."),
  wireProfile: text(/^\w[\w.-]{0,63}$/)
    .exactOptional()
    .register(notes, {
      type: "text",
      expected: "the name of a file in `profiles`, without `.json`",
      description:
        "Wire profile for credentials that name none: `profiles/NAME.json` beside the config file.",
      otherwise: "built in",
    }),
  proxyUrl: proxy().exactOptional().register(notes, {
    type: "text",
    expected: PROXY_EXPECTED,
    description: "Proxy for all calls of credentials that name no `proxyUrl` of their own.",
    otherwise: "the environment's",
    secret: true,
  }),
  userCredentialsPath: z.string().min(1).exactOptional().register(notes, {
    type: "text",
    expected: "a path",
    description: "File of the users and their credentials.",
    otherwise: "`user_credentials.json` beside the config file",
  }),
  activationServerUrl: baseUrl().exactOptional().register(notes, {
    type: "text",
    expected: URL_EXPECTED,
    description: "Base URL of the server that knows activation codes.",
    otherwise: "none",
  }),
  activationOutagePolicy: z.enum(["known", "open", "closed"]).default("known").register(notes, {
    type: "text",
    expected: '"known", "open" or "closed"',
    description:
      "Which codes pass while that server can't be reached: those of users and those confirmed before, all, or none.",
  }),
  userQuotaFallback: z.enum(["pool", "reject"]).default("pool").register(notes, {
    type: "text",
    expected: '"pool" or "reject"',
    description:
      "Who serves a user whose own Kiro quota is used up: the gateway's credentials, or nobody.",
  }),
  authFailuresPerMinute: count(
    60,
    "Wrong keys and codes from one address in a minute, before it is told to wait; 0 for any number.",
  ),
  clientCredentialsPerMinute: count(
    120,
    "Requests with a credential of their own from one address in a minute; 0 for any number.",
  ),
  trustProxy: z
    .array(z.string().refine((range) => parseRange(range) !== undefined))
    .default([])
    .register(notes, {
      type: "list",
      expected: 'a list of addresses and ranges, such as ["127.0.0.1", "10.0.0.0/8"]',
      description: "Reverse proxies whose `X-Forwarded-For` is believed.",
    }),
  allowClientCredentials: z.boolean().default(true).register(notes, {
    type: "yes/no",
    expected: "true or false",
    description: "Whether clients may bring a credential of their own.",
  }),
  corsOrigins: z
    .union([z.literal("*").transform(() => ["*"]), z.array(z.string().refine(isOrigin))])
    .default(["*"])
    .register(notes, {
      type: "list",
      expected: '"*" or a list of origins, such as ["https://app.example"]',
      description: "Origins whose pages may call the gateway from a browser.",
    }),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info").register(notes, {
    type: "text",
    expected: '"debug", "info", "warn" or "error"',
    description: "The least level that is logged.",
  }),
  logFormat: z.enum(["text", "json"]).exactOptional().register(notes, {
    type: "text",
    expected: '"text" or "json"',
    description: "How a log line looks.",
    otherwise: "`text` on a terminal, else `json`",
  }),
  maxBodyBytes: z
    .int()
    .min(1024)
    .max(1024 ** 3)
    .default(32 * 1024 ** 2)
    .register(notes, {
      type: "number",
      expected: "bytes, a whole number from 1024 to 1073741824",
      description: "Size of the largest request.",
    }),
  reusePort: z.boolean().default(false).register(notes, {
    type: "yes/no",
    expected: "true or false",
    description:
      "Whether a second start may take over the port from this one, for updates without a gap. Linux only.",
  }),
  shutdownGraceMs: wait(30_000, "How long running answers may take to finish at a shutdown.", 0),
  rotation: z.enum(["priority", "balanced"]).default("priority").register(notes, {
    type: "text",
    expected: '"priority" or "balanced"',
    description:
      "Whether credentials are spent one after the other by their `priority`, or evenly.",
  }),
  maxConcurrentPerCredential: count(
    0,
    "Requests that one credential serves at a time, others wait; 0 for any number.",
  ),
  queueLength: count(256, "Requests that may wait for a credential; more are refused."),
  queueTimeoutMs: wait(60_000, "How long a request may wait for a credential."),
  remoteImages: z.boolean().default(false).register(notes, {
    type: "yes/no",
    expected: "true or false",
    description: "Whether images that clients give by URL are fetched, from public addresses only.",
  }),
  databasePath: z.string().min(1).exactOptional().register(notes, {
    type: "text",
    expected: "a path",
    description: "Database of the ledger of requests.",
    otherwise: "`kiro-proxy.db` beside the config file",
  }),
  ledgerRetentionDays: z.int().min(32).max(36_500).default(90).register(notes, {
    type: "number",
    expected: "days, a whole number from 32 to 36500",
    description: "How long the ledger keeps a request.",
  }),
  metricsOpen: z.boolean().exactOptional().register(notes, {
    type: "yes/no",
    expected: "true or false",
    description: "Whether `/metrics` needs no admin key.",
    otherwise: "only on loopback",
  }),
  attributionLine: z.enum(["remove", "tail", "keep"]).default("remove").register(notes, {
    type: "text",
    expected: '"remove", "tail" or "keep"',
    description:
      "What becomes of the line with which Claude Code begins each system prompt to say who is asking; kept there, it costs the prompt cache.",
  }),
  cachePoints: z.boolean().default(false).register(notes, {
    type: "yes/no",
    expected: "true or false",
    description:
      "Whether prompts are marked for Kiro's prompt cache, at the end of the system prompt and of the history. Nobody has verified that Kiro heeds it.",
  }),
  leakedToolCalls: z.enum(["mark", "convert"]).default("mark").register(notes, {
    type: "text",
    expected: '"mark" or "convert"',
    description:
      "Whether a tool call that a model writes as text stays text and is only counted, or becomes a call.",
  }),
  modelAliases: z.record(z.string().min(1), z.string().min(1)).default({}).register(notes, {
    type: "object",
    expected: 'an object from name to model, such as {"fast": "claude-haiku-4-5-20251001"}',
    description: "Further names for models.",
  }),
};

/** The whole of `config.json`. Unknown keys are dropped here; `loadConfig` reports them. */
export const configSchema = z.object({
  ...topLevel,
  upstream: upstream.prefault({}),
  limits: limits.prefault({}),
  userLimits: userLimits.prefault({}),
  tls: tls.exactOptional(),
  capture: capture.prefault({}),
});

/**
 * The validated configuration: times in milliseconds, URLs without a slash at the end, the host without brackets, `*`
 * among `corsOrigins` for all of them.
 */
export type Config = z.output<typeof configSchema>;

export type ConfigKey = {
  /** Dotted, as in `upstream.apiUrl`. */
  key: string;
  type: KeyType;
  /** As JSON, or in words where there is no plain default. */
  default: string;
  description: string;
  expected: string;
  secret: boolean;
  /** Variable that overrides the file; absent for lists and objects. */
  env?: string;
};

/** Every key there is, in the order of the documentation. */
export const configKeys: ConfigKey[] = [
  ...keysOf("", topLevel),
  ...keysOf("upstream.", upstream.shape),
  ...keysOf("limits.", limits.shape),
  ...keysOf("capture.", capture.shape),
  ...keysOf("userLimits.", userLimits.shape),
  ...keysOf("tls.", tls.shape),
];

function keysOf(prefix: string, shape: Record<string, z.ZodType>): ConfigKey[] {
  return Object.entries(shape).flatMap(([name, field]) => {
    const note = notes.get(field);
    if (!note) return [];
    const { type, description, expected, otherwise = "none", secret: isSecret = false } = note;
    const key = prefix + name;
    const fallback =
      field instanceof z.ZodDefault ? `\`${JSON.stringify(field.def.defaultValue)}\`` : otherwise;
    const env = type === "list" || type === "object" ? {} : { env: envName(key) };
    return [{ key, type, default: fallback, description, expected, secret: isSecret, ...env }];
  });
}

/** `upstream.apiUrl` → `KIRO_PROXY_UPSTREAM_API_URL` */
function envName(key: string): string {
  return `KIRO_PROXY_${key.replaceAll(/(?=[A-Z])|\./g, "_").toUpperCase()}`;
}

/** The documentation's table of keys, as Markdown without a line end after the last row. */
export function renderConfigTable(): string {
  return [
    "| key | type | default | environment | meaning |",
    "|---|---|---|---|---|",
    ...configKeys.map(
      ({ key, type, default: fallback, env, description }) =>
        `| \`${key}\` | ${type} | ${fallback} | ${env ? `\`${env}\`` : "–"} | ${description} |`,
    ),
  ].join("\n");
}
