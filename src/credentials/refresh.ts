import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { Secret } from "../secret.ts";
import type { Credential, Login } from "./credential.ts";
import { ProfileArn, type Renewal, TokenText } from "./record.ts";

/** What refreshing needs to know of the upstream. In the templates, values in braces are filled in per call. */
export type RefreshSettings = {
  hosts: { oidc: string; social: string };
  headers: { socialRefresh: Record<string, string>; oidcToken: Record<string, string> };
  versions: { kiro: string; oidcSdk: string; system: string; node: string };
};

/** `message` is for the log: no token, no text of the upstream's. */
export type RefreshFault = {
  kind: /** Only a new log-in helps. */
    | "needs-login"
    /** May pass by itself. */
    | "transient";
  message: string;
  retryAfterMs?: number;
};

/** The whole exchange may take this long. */
const LIMIT_MS = 20_000;
/** Where a reply does not say how long its token lives. */
const DEFAULT_LIFETIME_S = 3_600;

/** One attempt to renew the access token. A refresh token may be good for one use only: the caller must not call twice. */
export async function refresh(
  credential: Credential & { login: Login },
  deps: { runtime: Runtime; settings: RefreshSettings },
): Promise<Result<Renewal, RefreshFault>> {
  const { runtime, settings } = deps;
  const { login } = credential;
  const { url, headers, body } = callFor(credential, settings, runtime.randomUUID());
  const startedAt = runtime.now();
  const limit = new AbortController();
  const timer = runtime.timer(LIMIT_MS, () => limit.abort());
  let response: Response;
  let text: string;
  try {
    // A redirect would carry the refresh token to a host that nobody has checked.
    const init = { method: "POST", headers, body, redirect: "manual" } as const;
    response = await runtime.fetch(url, { ...init, signal: limit.signal });
    text = await response.text();
  } catch (error) {
    const reason = limit.signal.aborted
      ? `it did not answer within ${LIMIT_MS / 1000} s`
      : `it could not be reached (${errorCode(error)})`;
    return fail({ kind: "transient", message: `${SERVICE[login.type]}: ${reason}` });
  } finally {
    timer.cancel();
  }
  const answer = jsonOf(text);
  if (response.status !== 200) return fail(refusal(login.type, response, answer, startedAt));
  const reply = (login.type === "external-idp" ? SnakeReply : CamelReply).safeParse(answer);
  if (!reply.success) {
    return fail({
      kind: "transient",
      message: `${SERVICE[login.type]}: its answer has no access token`,
    });
  }
  const { accessToken, refreshToken, lifetimeS = DEFAULT_LIFETIME_S, profileArn } = reply.data;
  return ok({
    accessToken: new Secret(accessToken),
    refreshToken: refreshToken === undefined ? undefined : new Secret(refreshToken),
    expiresAt: startedAt + lifetimeS * 1000,
    profileArn,
  });
}

const SERVICE = {
  social: "Kiro's log-in service",
  idc: "AWS's log-in service",
  "external-idp": "the identity provider",
} satisfies Record<Login["type"], string>;

// What is optional and malformed counts as absent: the access token is what matters. A year is beyond any lifetime.
const Optional = TokenText.optional().catch(undefined);
const Lifetime = z
  .union([z.number(), z.string()])
  .transform(Number)
  .pipe(z.number().positive().max(31_536_000))
  .optional()
  .catch(undefined);

const CamelReply = z
  .object({
    accessToken: TokenText,
    refreshToken: Optional,
    expiresIn: Lifetime,
    profileArn: ProfileArn.optional().catch(undefined),
  })
  .transform(({ expiresIn, ...rest }) => ({ ...rest, lifetimeS: expiresIn }));

const SnakeReply = z
  .object({ access_token: TokenText, refresh_token: Optional, expires_in: Lifetime })
  .transform((reply) => ({
    accessToken: reply.access_token,
    refreshToken: reply.refresh_token,
    lifetimeS: reply.expires_in,
    profileArn: undefined,
  }));

type Call = { url: string; headers: Record<string, string>; body: string };

function callFor(
  credential: Credential & { login: Login },
  settings: RefreshSettings,
  invocationId: string,
): Call {
  const { login } = credential;
  const values: Record<string, string> = {
    ...settings.versions,
    region: credential.authRegion,
    machineId: credential.machineId,
    invocationId,
    attempt: "1",
    maxAttempts: "4",
  };
  const refreshToken = login.refreshToken.reveal();
  switch (login.type) {
    case "social":
      return {
        url: `${fill(settings.hosts.social, values)}/refreshToken`,
        headers: filled(settings.headers.socialRefresh, values),
        body: JSON.stringify({ refreshToken }),
      };
    case "idc":
      return {
        url: `${fill(settings.hosts.oidc, values)}/token`,
        headers: filled(settings.headers.oidcToken, values),
        body: JSON.stringify({
          clientId: login.clientId,
          clientSecret: login.clientSecret.reveal(),
          grantType: "refresh_token",
          refreshToken,
        }),
      };
    case "external-idp": {
      const form = new URLSearchParams({
        client_id: login.clientId,
        grant_type: "refresh_token",
        refresh_token: refreshToken,
      });
      if (login.scope !== undefined) form.set("scope", login.scope);
      return {
        url: login.tokenEndpoint,
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          accept: "application/json",
        },
        body: form.toString(),
      };
    }
    default:
      return login satisfies never;
  }
}

function filled(
  templates: Record<string, string>,
  values: Record<string, string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(templates).map(([name, template]) => [name, fill(template, values)]),
  );
}

function fill(template: string, values: Record<string, string>): string {
  return template
    .replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
    .replace(/\/+$/, "");
}

/**
 * Error codes after which only a new log-in helps, without underscores: OAuth's own, and AWS's exceptions, which are
 * named alike. Everything else may pass or is a fault of ours, and must not cost the operator a credential.
 */
const PERMANENT = new Set([
  "invalidgrant",
  "invalidclient",
  "unauthorizedclient",
  "accessdenied",
  "expiredtoken",
  "interactionrequired",
]);

function refusal(
  type: Login["type"],
  response: Response,
  answer: unknown,
  now: number,
): RefreshFault {
  const { status } = response;
  const code = codeOf(response, answer);
  const retryAfterMs = retryAfter(response.headers.get("retry-after"), now);
  const permanent =
    status >= 400 &&
    status < 500 &&
    status !== 429 &&
    ((code !== undefined && PERMANENT.has(normal(code))) || (type === "social" && status === 401));
  return {
    kind: permanent ? "needs-login" : "transient",
    message: `${SERVICE[type]}: it answered ${status}${code === undefined ? "" : ` ${code}`}`,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

const ErrorBody = z.object({ error: z.string() });

function codeOf(response: Response, answer: unknown): string | undefined {
  const written =
    ErrorBody.safeParse(answer).data?.error ?? response.headers.get("x-amzn-errortype");
  // The header may be `com.amazon#InvalidGrantException:http://…`.
  const code = written?.split("#").at(-1)?.split(":")[0];
  return code !== undefined && /^\w{1,50}$/.test(code) ? code : undefined;
}

function normal(code: string): string {
  return code
    .replace(/Exception$/, "")
    .replaceAll("_", "")
    .toLowerCase();
}

/** Seconds or an HTTP date. */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return ms >= 0 ? ms : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A page of a proxy; the status says enough.
    return undefined;
  }
}

function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
