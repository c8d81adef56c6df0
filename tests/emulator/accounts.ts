export type TokenKind = "social" | "idc" | "external-idp" | "api-key";

/** What the `tokentype` header has to say for a token to be believed. */
const TOKEN_TYPES: Record<TokenKind, string | undefined> = {
  social: undefined,
  idc: undefined,
  "external-idp": "EXTERNAL_IDP",
  "api-key": "API_KEY",
};

const PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:111122223333:profile/EMULATED";

type Renewal = { kind: "social" | "idc"; clientId?: string; clientSecret?: string };

export type Tokens = { accessToken: string; refreshToken: string; expiresIn: number };

export type CredentialOptions = {
  id?: string;
  priority?: number;
  /** The record says that its token ended an hour ago, so the gateway has to refresh before it can call. */
  expired?: boolean;
};

/**
 * The tokens that exist. A refresh token works once: the exchange replaces it, and the old one is dead from then on.
 * Access tokens live until they are revoked.
 */
export class Accounts {
  readonly #access = new Map<string, TokenKind>();
  readonly #refresh = new Map<string, Renewal>();
  #issued = 0;

  /** Makes `token` known to the service, as one that somebody else issued. */
  accept(token: string, kind: TokenKind = "social"): void {
    this.#access.set(token, kind);
  }

  /** From now on these access tokens are refused, all of them if none is named; their refresh tokens still work. */
  revokeAccess(token?: string): void {
    if (token === undefined) this.#access.clear();
    else this.#access.delete(token);
  }

  /** From now on no refresh token works: the user has to log in again. */
  revokeRefresh(): void {
    this.#refresh.clear();
  }

  /** The `credentials.json` record of a new account. */
  credential(kind: "social" | "idc" | "api-key", options: CredentialOptions = {}): object {
    const { expired = false, ...named } = options;
    if (kind === "api-key") {
      const kiroApiKey = this.#next("ksk");
      this.accept(kiroApiKey, kind);
      return { ...named, authMethod: "api_key", kiroApiKey };
    }
    const client =
      kind === "idc" ? { clientId: this.#next("client"), clientSecret: this.#next("secret") } : {};
    const tokens = this.issue({ kind, ...client });
    const expiresAt = new Date(Date.now() + (expired ? -3_600_000 : tokens.expiresIn * 1_000));
    return {
      ...named,
      authMethod: kind,
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      expiresAt: expiresAt.toISOString(),
      profileArn: PROFILE_ARN,
      ...client,
    };
  }

  /** Undefined when the service would not believe the call; else what kind of token makes it. */
  kindOf(token: string | undefined, tokenType: string | undefined): TokenKind | undefined {
    const kind = token === undefined ? undefined : this.#access.get(token);
    return kind !== undefined && TOKEN_TYPES[kind] === tokenType ? kind : undefined;
  }

  /** The exchange; undefined when the refresh token is not a live one of this kind and client. */
  exchange(refreshToken: unknown, renewal: Renewal): Tokens | undefined {
    if (typeof refreshToken !== "string") return undefined;
    const known = this.#refresh.get(refreshToken);
    if (known === undefined || !Bun.deepEquals(known, renewal)) return undefined;
    this.#refresh.delete(refreshToken);
    return this.issue(known);
  }

  /** Tokens of a log-in, as a refresh or a new log-in gives them. */
  issue(renewal: Renewal): Tokens {
    const accessToken = this.#next("aoa");
    const refreshToken = this.#next("aor");
    this.#access.set(accessToken, renewal.kind);
    this.#refresh.set(refreshToken, renewal);
    return { accessToken, refreshToken, expiresIn: 3_600 };
  }

  /** As long as the real ones: a gateway may take a short token for a masked one. */
  #next(prefix: string): string {
    this.#issued += 1;
    return `${prefix}${String(this.#issued).padStart(4, "0")}${"EMULATED".repeat(20)}`;
  }
}
