import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { Secret } from "../secret.ts";
import type { Credential, Login } from "./credential.ts";
import { type Renewal, TokenText } from "./record.ts";
import {
  type Call,
  CamelReply,
  codeOf,
  DEFAULT_LIFETIME_S,
  fill,
  filled,
  Lifetime,
  OptionalToken,
  post,
  type ServiceAnswer,
  type ServiceSettings,
} from "./token-service.ts";

/** What refreshing needs to know of the upstream. */
export type RefreshSettings = ServiceSettings;

/** `message` is for the log: no token, no text of the upstream's. */
export type RefreshFault = {
  kind: /** Only a new log-in helps. */
    | "needs-login"
    /** May pass by itself. */
    | "transient";
  message: string;
  retryAfterMs?: number;
};

/** One attempt to renew the access token. A refresh token may be good for one use only: the caller must not call twice. */
export async function refresh(
  credential: Credential & { login: Login },
  deps: { runtime: Runtime; settings: ServiceSettings },
): Promise<Result<Renewal, RefreshFault>> {
  const { runtime, settings } = deps;
  const { login } = credential;
  const call = callFor(credential, settings, runtime.randomUUID());
  const startedAt = runtime.now();
  const { proxyUrl } = credential;
  const posted = await post(call, { runtime, proxyUrl });
  if (!posted.ok) {
    return fail({ kind: "transient", message: `${SERVICE[login.type]}: ${posted.failure}` });
  }
  const answer = posted.value;
  if (answer.status !== 200) return fail(refusal(login.type, answer, startedAt));
  const reply = (login.type === "external-idp" ? SnakeReply : CamelReply).safeParse(answer.body);
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

const SnakeReply = z
  .object({ access_token: TokenText, refresh_token: OptionalToken, expires_in: Lifetime })
  .transform((reply) => ({
    accessToken: reply.access_token,
    refreshToken: reply.refresh_token,
    lifetimeS: reply.expires_in,
    profileArn: undefined,
  }));

function callFor(
  credential: Credential & { login: Login },
  settings: ServiceSettings,
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

function refusal(type: Login["type"], answer: ServiceAnswer, now: number): RefreshFault {
  const { status } = answer;
  const code = codeOf(answer);
  const retryAfterMs = retryAfter(answer.headers.get("retry-after"), now);
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
