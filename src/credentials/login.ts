import { createHash } from "node:crypto";
import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import { instantOf, type JsonRecord } from "./record.ts";
import {
  CamelReply,
  codeOf,
  DEFAULT_LIFETIME_S,
  fill,
  filled,
  Lifetime,
  post,
  type ServiceAnswer,
  type ServiceSettings,
} from "./token-service.ts";

/** What logging in needs to know of the upstream, beyond what refreshing does. */
export type LoginSettings = ServiceSettings & {
  /** `portal` is the page where users of a social account sign in. */
  hosts: ServiceSettings["hosts"] & { portal: string };
  defaultRegion: string;
  builderIdStartUrl: string;
  /** What the consent page calls this program, and what it asks for. */
  login: { clientName: string; scopes: string[] };
};

/** `message` is a sentence for people that holds no secret. */
export type LoginFault = { kind: "cancelled" | "failed"; message: string };

export type LoginDeps = {
  runtime: Runtime;
  settings: LoginSettings;
  proxyUrl?: Secret | undefined;
  /** Ends every call and every wait; the outcome is `cancelled`. */
  signal: AbortSignal;
};

/** An account of IAM Identity Center, or a Builder ID. Both values are validated. */
export type Directory = { startUrl: string; region: string };

/** What the user has to do on any device that has a browser. */
export type DevicePrompt = { url: string; code: string; expiresInS: number };

/**
 * A log-in that ends in the user's browser with a redirect. The redirect counts only if its `state` is this one's; it is
 * an address under the redirect URI, with `code` or `error` in its query.
 */
export type BrowserLogin = {
  /** What the browser has to open. */
  url: string;
  state: string;
  finish(redirect: URL): Promise<LoginOutcome>;
};

/** The record for `credentials.json`, in its own spelling. */
export type LoginOutcome = Result<JsonRecord, LoginFault>;

const CANCELLED: LoginFault = { kind: "cancelled", message: "The log-in was cancelled." };
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const POLL_S = 5;
const SLOW_DOWN_S = 5;
const CODE_LIFETIME_S = 600;

const Registration = z.object({
  clientId: z.string().min(1),
  clientSecret: z.string().min(1),
  clientSecretExpiresAt: z.unknown(),
});
type Registration = z.infer<typeof Registration>;

// Printed on a terminal and opened in a browser.
const WebAddress = z.string().regex(/^https?:\/\/[\x21-\x7e]+$/);
const DeviceCode = z.object({
  deviceCode: z.string().min(1),
  userCode: z.string().regex(/^[\x21-\x7e]{1,40}$/),
  verificationUri: WebAddress,
  verificationUriComplete: WebAddress.optional().catch(undefined),
  expiresIn: Lifetime,
  interval: Lifetime,
});

/**
 * Logs in with a code that the user confirms in a browser, on whatever machine. Asks the service until the user is done,
 * as often as the service allows, for as long as the code lives.
 */
export async function deviceLogin(
  directory: Directory,
  show: (prompt: DevicePrompt) => void,
  deps: LoginDeps,
): Promise<LoginOutcome> {
  const { runtime, signal } = deps;
  const { startUrl } = directory;
  const registered = await register(
    directory,
    { grantTypes: [DEVICE_GRANT, "refresh_token"] },
    deps,
  );
  if (!registered.ok) return registered;
  const { clientId, clientSecret } = registered.value;
  const client = { clientId, clientSecret };

  const started = await oidc(directory, "/device_authorization", { ...client, startUrl }, deps);
  if (!started.ok) return started;
  const code = DeviceCode.safeParse(started.value.body);
  if (started.value.status !== 200 || !code.success) return fail(refusedBy("AWS", started.value));
  const { deviceCode, userCode, verificationUri, verificationUriComplete } = code.data;
  const expiresInS = code.data.expiresIn ?? CODE_LIFETIME_S;
  show({ url: verificationUriComplete ?? verificationUri, code: userCode, expiresInS });

  const until = runtime.now() + expiresInS * 1000;
  let intervalS = Math.max(1, code.data.interval ?? POLL_S);
  for (;;) {
    const slept = await sleep(intervalS * 1000, deps);
    if (!slept || signal.aborted) return fail(CANCELLED);
    if (runtime.now() > until) return fail(EXPIRED);
    const body = { ...client, grantType: DEVICE_GRANT, deviceCode };
    const answer = await oidc(directory, "/token", body, deps);
    if (!answer.ok) {
      if (answer.failure.kind === "cancelled") return answer;
      // The user may be confirming the code while the network is away.
      continue;
    }
    const { status } = answer.value;
    if (status === 200) return directoryRecord(directory, registered.value, answer.value, deps);
    switch (codeOf(answer.value)) {
      case "authorization_pending":
      case "AuthorizationPendingException":
        continue;
      case "slow_down":
      case "SlowDownException":
        intervalS += SLOW_DOWN_S;
        continue;
      case "expired_token":
      case "ExpiredTokenException":
        return fail(EXPIRED);
      case undefined:
      default:
        if (status >= 500 || status === 429) continue;
        return fail(refusedBy("AWS", answer.value));
    }
  }
}

const EXPIRED: LoginFault = {
  kind: "failed",
  message: "The code has expired before it was confirmed. Start again.",
};

/** Begins a log-in of IAM Identity Center or a Builder ID in a browser that can reach `redirectUri`. */
export async function directoryLogin(
  directory: Directory,
  redirectUri: string,
  deps: LoginDeps,
): Promise<Result<BrowserLogin, LoginFault>> {
  const { runtime, settings } = deps;
  const registered = await register(
    directory,
    { grantTypes: ["authorization_code", "refresh_token"], redirectUris: [redirectUri] },
    deps,
  );
  if (!registered.ok) return registered;
  const { clientId, clientSecret } = registered.value;
  const { verifier, challenge, state } = secretsOf(runtime);
  const query = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    scopes: settings.login.scopes.join(" "),
    state,
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  return ok({
    url: `${oidcHost(directory, settings)}/authorize?${query.toString()}`,
    state,
    async finish(redirect) {
      const code = authorizationCode(redirect);
      if (!code.ok) return code;
      const body = {
        clientId,
        clientSecret,
        grantType: "authorization_code",
        code: code.value,
        codeVerifier: verifier,
        redirectUri,
      };
      const answer = await oidc(directory, "/token", body, deps);
      if (!answer.ok) return answer;
      return directoryRecord(directory, registered.value, answer.value, deps);
    },
  });
}

/**
 * Begins a log-in with Google or GitHub, which happens on Kiro's own page. `redirectBase` is an address of this machine
 * without a path; the page chooses the path.
 */
export function socialLogin(
  provider: "Google" | "Github",
  redirectBase: string,
  deps: LoginDeps,
): BrowserLogin {
  const { runtime, settings } = deps;
  const { verifier, challenge, state } = secretsOf(runtime);
  const query = new URLSearchParams({
    state,
    code_challenge: challenge,
    code_challenge_method: "S256",
    redirect_uri: redirectBase,
    redirect_from: "KiroIDE",
  });
  return {
    url: `${settings.hosts.portal}/signin?${query.toString()}`,
    state,
    async finish(redirect) {
      const code = authorizationCode(redirect);
      if (!code.ok) return code;
      const option = redirect.searchParams.get("login_option");
      // The exchange wants the address that the page was sent to, in the form that the IDE gives it.
      const redirectUri =
        redirectBase +
        redirect.pathname +
        (option === null ? "" : `?login_option=${encodeURIComponent(option)}`);
      const values = { ...settings.versions, region: settings.defaultRegion };
      const call = {
        url: `${fill(settings.hosts.social, values)}/oauth/token`,
        headers: {
          "content-type": "application/json",
          "user-agent": fill("KiroIDE-{kiro}", settings.versions),
        },
        body: JSON.stringify({
          code: code.value,
          code_verifier: verifier,
          redirect_uri: redirectUri,
        }),
      };
      const answer = await send("Kiro", call, deps);
      if (!answer.ok) return answer;
      const tokens = tokensOf("Kiro", answer.value, runtime.now());
      if (!tokens.ok) return tokens;
      const chosen =
        { google: "Google", github: "Github" }[option?.toLowerCase() ?? ""] ?? provider;
      return ok({ authMethod: "social", provider: chosen, ...tokens.value });
    },
  };
}

/** Registers this program with the directory, as a client that keeps no secret of its own. */
async function register(
  directory: Directory,
  flow: { grantTypes: string[]; redirectUris?: string[] },
  deps: LoginDeps,
): Promise<Result<Registration, LoginFault>> {
  const { clientName, scopes } = deps.settings.login;
  const body = { clientName, clientType: "public", scopes, ...flow, issuerUrl: directory.startUrl };
  const answer = await oidc(directory, "/client/register", body, deps);
  if (!answer.ok) return answer;
  const registration = Registration.safeParse(answer.value.body);
  if (answer.value.status === 200 && registration.success) return ok(registration.data);
  return fail(refusedBy("AWS", answer.value));
}

function oidcHost({ region }: Directory, settings: LoginSettings): string {
  return fill(settings.hosts.oidc, { region });
}

async function oidc(
  directory: Directory,
  path: string,
  body: object,
  deps: LoginDeps,
): Promise<Result<ServiceAnswer, LoginFault>> {
  const { runtime, settings } = deps;
  const headers = filled(settings.headers.oidcToken, {
    ...settings.versions,
    invocationId: runtime.randomUUID(),
    attempt: "1",
    maxAttempts: "4",
  });
  const url = oidcHost(directory, settings) + path;
  return await send("AWS", { url, headers, body: JSON.stringify(body) }, deps);
}

async function send(
  service: "AWS" | "Kiro",
  call: Parameters<typeof post>[0],
  { runtime, proxyUrl, signal }: LoginDeps,
): Promise<Result<ServiceAnswer, LoginFault>> {
  if (signal.aborted) return fail(CANCELLED);
  const answer = await post(call, { runtime, proxyUrl, signal });
  if (answer.ok) return answer;
  if (signal.aborted) return fail(CANCELLED);
  return fail({ kind: "failed", message: `${service}'s log-in service: ${answer.failure}.` });
}

async function sleep(ms: number, { runtime, signal }: LoginDeps): Promise<boolean> {
  return await runtime.sleep(ms, signal).then(
    () => true,
    () => false,
  );
}

/** RFC 7636. Random UUIDs have 122 random bits each. */
function secretsOf(runtime: Runtime): { verifier: string; challenge: string; state: string } {
  const verifier = `${runtime.randomUUID()}-${runtime.randomUUID()}`;
  const challenge = createHash("sha256").update(verifier).digest("base64url");
  return { verifier, challenge, state: runtime.randomUUID() };
}

function authorizationCode({ searchParams }: URL): Result<string, LoginFault> {
  const error = searchParams.get("error");
  const code = searchParams.get("code");
  if (code !== null && code !== "") return ok(code);
  const reason = error !== null && /^\w{1,50}$/.test(error) ? `: ${error}` : "";
  return fail({ kind: "failed", message: `The browser came back without a log-in${reason}.` });
}

/** The tokens of a reply as fields of a record. Without a refresh token a log-in would end within the hour. */
function tokensOf(
  service: "AWS" | "Kiro",
  answer: ServiceAnswer,
  now: number,
): Result<JsonRecord, LoginFault> {
  const reply = CamelReply.safeParse(answer.body);
  if (answer.status !== 200 || !reply.success) return fail(refusedBy(service, answer));
  const { accessToken, refreshToken, lifetimeS = DEFAULT_LIFETIME_S, profileArn } = reply.data;
  if (refreshToken === undefined) {
    return fail({ kind: "failed", message: `${service} gave no refresh token.` });
  }
  const said = instantOf(
    z.object({ expiresAt: z.unknown() }).safeParse(answer.body).data?.expiresAt,
  );
  const expiresAt = new Date(said ?? now + lifetimeS * 1000).toISOString();
  return ok({ accessToken, refreshToken, expiresAt, ...(profileArn && { profileArn }) });
}

function directoryRecord(
  directory: Directory,
  registration: Registration,
  answer: ServiceAnswer,
  { runtime, settings }: LoginDeps,
): LoginOutcome {
  const tokens = tokensOf("AWS", answer, runtime.now());
  if (!tokens.ok) return tokens;
  const { startUrl, region } = directory;
  const { clientId, clientSecret } = registration;
  const until = instantOf(registration.clientSecretExpiresAt);
  return ok({
    authMethod: "idc",
    provider: startUrl === settings.builderIdStartUrl ? "BuilderId" : "Enterprise",
    ...tokens.value,
    clientId,
    clientSecret,
    ...(until !== undefined && { clientSecretExpiresAt: new Date(until).toISOString() }),
    region,
    startUrl,
  });
}

function refusedBy(service: "AWS" | "Kiro", answer: ServiceAnswer): LoginFault {
  const code = codeOf(answer);
  const what = code ?? (answer.status === 200 ? "something unreadable" : String(answer.status));
  const hint = code === "access_denied" ? " Somebody, or a rule of the organisation, said no." : "";
  return { kind: "failed", message: `${service}'s log-in service answered ${what}.${hint}` };
}
