import { createHash } from "node:crypto";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import { type Credential, type CredentialContext, type Login, renewed } from "./credential.ts";
import type { EventLog, Pool } from "./pool.ts";
import type { Renewal } from "./record.ts";
import { refresh, type RefreshFault, type RefreshSettings } from "./refresh.ts";
import type { CredentialStore } from "./store.ts";

/** What one upstream call needs to know of the credential it spends. */
export type Access = {
  token: Secret;
  /** Value of the `tokentype` header; absent for tokens of social and AWS log-ins. */
  tokenType?: "API_KEY" | "EXTERNAL_IDP";
  apiRegion: string;
  profileArn?: string;
  machineId: string;
};

export type TokenSettings = { context: CredentialContext; refresh: RefreshSettings };

export type Tokens = {
  /**
   * An access token that is good for five minutes at least, or for as long as it lasts where it can't be renewed just
   * now. `refused` is a token of this credential that the service did not accept: it is never given again. Rejects only
   * with the signal's reason; a renewal that others wait for goes on.
   */
  access(
    credential: Credential,
    options?: { refused?: Secret },
    signal?: AbortSignal,
  ): Promise<Result<Access, RefreshFault>>;
};

type Renewable = Credential & { login: Login };
type Flight = Promise<Result<Credential, RefreshFault>>;

// A token must outlive the longest wait for the first event of a reply.
const AHEAD_MS = 5 * 60_000;
/** Renewed tokens of clients' own credentials, which are kept nowhere else. */
const INLINE_MAX = 1_000;
/** Exchanges in one flight: one more if the store turns out to hold another log-in. */
const ROUNDS = 2;

export function createTokens(deps: {
  pool: Pool;
  store: CredentialStore;
  runtime: Runtime;
  log: EventLog;
  settings: TokenSettings;
}): Tokens {
  const { pool, store, runtime, log, settings } = deps;
  const { context } = settings;
  const flights = new Map<string, Flight>();
  const inline = new Map<string, Renewal & { version: string }>();

  const good = (credential: Credential, refused: Secret | undefined, aheadMs: number): boolean => {
    const { accessToken, expiresAt } = credential;
    if (accessToken === undefined || isRefused(credential, refused)) return false;
    // Without a known end, a token that can't be renewed is good until the service says otherwise.
    if (!isRenewable(credential)) return expiresAt === undefined || expiresAt > runtime.now();
    return expiresAt !== undefined && expiresAt - runtime.now() > aheadMs;
  };

  const exchange = async (credential: Renewable): Promise<Result<Renewal, RefreshFault>> => {
    const { authMethod } = credential;
    const id = credential.persistent ? credential.id : "inline";
    const renewal = await refresh(credential, { runtime, settings: settings.refresh });
    if (renewal.ok) log.info("token-renewed", { credential: id, authMethod });
    else log.warn("token-not-renewed", { credential: id, authMethod, ...renewal.failure });
    return renewal;
  };

  /** Another process, or a person, may have written a newer log-in; ours may be used up by then. */
  const reread = async (credential: Credential): Promise<Credential> => {
    const listed = await store.list();
    if (!listed.ok) {
      log.error("credentials-unreadable", { ...listed.failure });
      return credential;
    }
    const stored = listed.value.credentials.find(({ id }) => id === credential.id);
    if (stored === undefined || stored.version === credential.version) return credential;
    log.info("credential-reread", { credential: credential.id });
    pool.replace(stored);
    return stored;
  };

  /** Saves, then lets the new tokens be used. Undefined if the store holds another log-in by now. */
  const persist = async (
    credential: Credential,
    renewal: Renewal,
  ): Promise<Credential | undefined> => {
    const stored = await store.put(credential, renewal);
    if (stored.ok) {
      pool.replace(stored.value);
      return stored.value;
    }
    const { failure } = stored;
    if (failure.kind === "conflict") return undefined;
    // The old refresh token may be dead by now: what is only in memory is lost with the process.
    log.error("renewed-token-not-saved", { credential: credential.id, ...failure });
    const unsaved = renewed(credential, renewal, context);
    pool.replace(unsaved);
    return unsaved;
  };

  const renewStored = async (given: Credential, refused: Secret | undefined): Flight => {
    let exchanged: string | undefined;
    let failure: RefreshFault = {
      kind: "transient",
      message: "the stored log-in changes all the time",
    };
    for (let round = 0; round < ROUNDS; round++) {
      const current = await reread(pool.current(given.id) ?? given);
      if (good(current, refused, AHEAD_MS)) return ok(current);
      if (!isRenewable(current)) return fail(NOT_RENEWABLE);
      if (current.version === exchanged) break;
      exchanged = current.version;
      const renewal = await exchange(current);
      if (renewal.ok) {
        const next = await persist(current, renewal.value);
        if (next !== undefined) return ok(next);
      } else {
        failure = renewal.failure;
      }
    }
    return fail(failure);
  };

  const latestInline = (given: Credential): Credential => {
    const key = inlineKey(given);
    const known = inline.get(key);
    if (known === undefined) return given;
    const newer = known.version !== given.version && known.expiresAt < (given.expiresAt ?? 0);
    if (newer) return given;
    inline.delete(key);
    inline.set(key, known);
    return renewed(given, known, context);
  };

  /** The client goes on sending the record it has, so what replaced it is kept under the token that it sends. */
  const renewInline = async (given: Credential, refused: Secret | undefined): Flight => {
    const current = latestInline(given);
    if (good(current, refused, AHEAD_MS)) return ok(current);
    if (!isRenewable(current)) return fail(NOT_RENEWABLE);
    const renewal = await exchange(current);
    if (!renewal.ok) return renewal;
    const { refreshToken = current.login.refreshToken, ...rest } = renewal.value;
    inline.set(inlineKey(given), { refreshToken, ...rest, version: given.version });
    const oldest = inline.keys().next();
    if (inline.size > INLINE_MAX && oldest.done !== true) inline.delete(oldest.value);
    return ok(renewed(current, renewal.value, context));
  };

  const flightFor = (credential: Credential, refused: Secret | undefined): Flight => {
    const key = credential.persistent ? `stored ${credential.id}` : inlineKey(credential);
    const running = flights.get(key);
    if (running !== undefined) return running;
    const renew = credential.persistent ? renewStored : renewInline;
    const flight = renew(credential, refused).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };

  return {
    async access(credential, { refused } = {}, signal) {
      const current = credential.persistent
        ? (pool.current(credential.id) ?? credential)
        : latestInline(credential);
      if (good(current, refused, AHEAD_MS)) return ok(accessOf(current, context));
      signal?.throwIfAborted();
      const outcome = await unlessAborted(flightFor(credential, refused), signal);
      if (outcome.ok && !isRefused(outcome.value, refused)) {
        return ok(accessOf(outcome.value, context));
      }
      if (outcome.ok) {
        return fail({ kind: "transient", message: "renewing gave the refused token again" });
      }
      const usable = outcome.failure.kind === "transient" && good(current, refused, 0);
      return usable ? ok(accessOf(current, context)) : outcome;
    },
  };
}

const NOT_RENEWABLE: RefreshFault = {
  kind: "needs-login",
  message: "the record has nothing to get another token with",
};

function isRenewable(credential: Credential): credential is Renewable {
  return credential.login !== undefined;
}

function isRefused(credential: Credential, refused: Secret | undefined): boolean {
  return refused !== undefined && credential.accessToken?.equals(refused.reveal()) === true;
}

function inlineKey({ login, accessToken }: Credential): string {
  const text = (login?.refreshToken ?? accessToken)?.reveal() ?? "";
  return `inline ${createHash("sha256").update(text).digest("hex")}`;
}

function accessOf(credential: Credential, { profileArns }: CredentialContext): Access {
  const { accessToken, authMethod, apiRegion, machineId } = credential;
  if (accessToken === undefined) throw new Error("a credential was handed out without a token");
  const common = { token: accessToken, apiRegion, machineId };
  const ownArn = credential.profileArn;
  switch (authMethod) {
    case "social":
      return { ...common, profileArn: ownArn ?? profileArns.social };
    case "idc":
      return { ...common, profileArn: ownArn ?? profileArns.builderId };
    case "external-idp":
      return {
        ...common,
        tokenType: "EXTERNAL_IDP",
        profileArn: ownArn ?? profileArns.builderId,
      };
    case "api-key":
      return { ...common, tokenType: "API_KEY" };
    default:
      return authMethod satisfies never;
  }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
