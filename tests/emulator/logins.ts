import { createHash } from "node:crypto";
import type { Accounts, Tokens } from "./accounts.ts";
import type { Answer } from "./answers.ts";
import { refusal } from "./answers.ts";
import type { RecordedRequest } from "./request.ts";
import { members } from "./request.ts";

type Client = { clientId: string; clientSecret: string; grantTypes: string[]; redirects: string[] };
type Grant = { clientId: string | undefined; redirectUri: string; challenge: string };

/** The pages and calls with which a person logs in: IAM Identity Center (`oidc`) and Kiro's portal (`portal`, `auth`). */
export class Logins {
  /** How often a device code is asked for in vain before the person confirms it. */
  pendingPolls = 0;
  /** What the next polls get instead, one each: OAuth's error codes. */
  readonly polls: string[] = [];
  /** What the person does on a page in the browser. */
  consent: "agrees" | "refuses" = "agrees";
  /** Seconds between polls, and how long a device code lives. */
  interval = 1;
  expiresIn = 600;

  readonly #accounts: Accounts;
  readonly #clients = new Map<string, Client>();
  readonly #devices = new Map<string, { clientId: string; left: number }>();
  readonly #codes = new Map<string, Grant>();
  #issued = 0;

  constructor(accounts: Accounts) {
    this.#accounts = accounts;
  }

  /** Undefined for a request that is no part of a log-in. */
  answer(request: RecordedRequest): Answer | undefined {
    const [path, query] = request.path.split("?");
    const body = members(request.body);
    const asked = new URLSearchParams(query);
    switch (`${request.method} ${request.host} ${path}`) {
      case "POST oidc /client/register":
        return this.#register(body);
      case "POST oidc /device_authorization":
        return this.#authorizeDevice(body);
      case "GET oidc /authorize":
        return this.#authorize(asked);
      case "POST oidc /token":
        return body["grantType"] === "refresh_token" ? undefined : this.#token(body);
      case "GET portal /signin":
        return this.#signIn(asked);
      case "POST auth /oauth/token":
        return this.#socialToken(body);
      default:
        return undefined;
    }
  }

  #register(body: Record<string, unknown>): Answer {
    const { clientName, clientType, scopes, grantTypes, redirectUris = [], issuerUrl } = body;
    const fine =
      typeof clientName === "string" &&
      clientType === "public" &&
      Array.isArray(scopes) &&
      scopes.every((scope) => String(scope).startsWith("codewhisperer:")) &&
      Array.isArray(grantTypes) &&
      Array.isArray(redirectUris) &&
      typeof issuerUrl === "string";
    if (!fine) return refusal(400, { error: "invalid_client_metadata" });
    const client = {
      clientId: `client-${(this.#issued += 1)}`,
      clientSecret: this.#next("secret"),
      grantTypes: grantTypes.map(String),
      redirects: redirectUris.map(String),
    };
    this.#clients.set(client.clientId, client);
    const { clientId, clientSecret } = client;
    return refusal(200, { clientId, clientSecret, clientSecretExpiresAt: 1_900_000_000 });
  }

  #authorizeDevice(body: Record<string, unknown>): Answer {
    const client = this.#clientOf(body);
    if (client === undefined) return refusal(401, { error: "invalid_client" });
    const deviceCode = this.#next("device");
    this.#devices.set(deviceCode, { clientId: client.clientId, left: this.pendingPolls });
    return refusal(200, {
      deviceCode,
      userCode: "ABCD-EFGH",
      verificationUri: "https://device.example/start",
      verificationUriComplete: "https://device.example/start?user_code=ABCD-EFGH",
      expiresIn: this.expiresIn,
      interval: this.interval,
    });
  }

  #authorize(asked: URLSearchParams): Answer {
    const clientId = asked.get("client_id") ?? "";
    const redirectUri = asked.get("redirect_uri") ?? "";
    const challenge = asked.get("code_challenge") ?? "";
    const client = this.#clients.get(clientId);
    if (
      client?.redirects.includes(redirectUri) !== true ||
      asked.get("code_challenge_method") !== "S256" ||
      asked.get("response_type") !== "code" ||
      asked.get("scopes") === null
    ) {
      return refusal(400, { error: "invalid_request" });
    }
    return this.#sendBack(redirectUri, asked.get("state"), { clientId, redirectUri, challenge });
  }

  #signIn(asked: URLSearchParams): Answer {
    const base = asked.get("redirect_uri") ?? "";
    const challenge = asked.get("code_challenge") ?? "";
    if (!/^http:\/\/127\.0\.0\.1:\d+$/.test(base) || asked.get("redirect_from") !== "KiroIDE") {
      return refusal(400, { error: "invalid_request" });
    }
    const redirectUri = `${base}/oauth/callback?login_option=github`;
    const grant = { clientId: undefined, redirectUri, challenge };
    return this.#sendBack(redirectUri, asked.get("state"), grant);
  }

  #sendBack(redirectUri: string, state: string | null, grant: Grant): Answer {
    const url = new URL(redirectUri);
    url.searchParams.set("state", state ?? "");
    if (this.consent === "refuses") {
      url.searchParams.set("error", "access_denied");
    } else {
      const code = this.#next("code");
      this.#codes.set(code, grant);
      url.searchParams.set("code", code);
    }
    return refusal(302, "", { location: url.href });
  }

  #token(body: Record<string, unknown>): Answer {
    const client = this.#clientOf(body);
    if (client === undefined || !client.grantTypes.includes(String(body["grantType"]))) {
      return refusal(401, { error: "invalid_client" });
    }
    const { clientId, clientSecret } = client;
    const issue = (): Answer =>
      this.#reply(this.#accounts.issue({ kind: "idc", clientId, clientSecret }));
    if (body["grantType"] === "authorization_code") {
      const { code, codeVerifier, redirectUri } = body;
      const fits = this.#redeem(code, codeVerifier, redirectUri)?.clientId === clientId;
      return fits ? issue() : refusal(400, { error: "invalid_grant" });
    }
    const device = this.#devices.get(String(body["deviceCode"]));
    if (device?.clientId !== clientId) return refusal(400, { error: "invalid_grant" });
    const scripted = this.polls.shift();
    if (scripted !== undefined) return refusal(400, { error: scripted });
    device.left -= 1;
    return device.left < 0 ? issue() : refusal(400, { error: "authorization_pending" });
  }

  #socialToken(body: Record<string, unknown>): Answer {
    const { code, code_verifier: verifier, redirect_uri: redirectUri } = body;
    const grant = this.#redeem(code, verifier, redirectUri);
    if (grant === undefined || grant.clientId !== undefined) {
      return refusal(400, { error: "invalid_grant" });
    }
    return this.#reply(this.#accounts.issue({ kind: "social" }));
  }

  /** A code works once, and only for who has the verifier and was sent back to the same place. */
  #redeem(code: unknown, verifier: unknown, redirectUri: unknown): Grant | undefined {
    const grant = this.#codes.get(String(code));
    this.#codes.delete(String(code));
    const challenge = createHash("sha256").update(String(verifier)).digest("base64url");
    const fits = grant?.challenge === challenge && grant.redirectUri === redirectUri;
    return fits ? grant : undefined;
  }

  #reply(tokens: Tokens): Answer {
    return refusal(200, { ...tokens, tokenType: "Bearer" });
  }

  #clientOf(body: Record<string, unknown>): Client | undefined {
    const client = this.#clients.get(String(body["clientId"]));
    return client?.clientSecret === body["clientSecret"] ? client : undefined;
  }

  #next(prefix: string): string {
    this.#issued += 1;
    return `${prefix}-${this.#issued}-CANARY`;
  }
}
