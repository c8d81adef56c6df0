import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import { BoundedMap } from "../bounded-map.ts";
import { type Credential, type CredentialContext, type Login, renewed } from "./credential.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { isSettled, type Journal } from "./journal.ts";
import type { EventLog, Pool, Until } from "./pool.ts";
import type { Renewal } from "./record.ts";
import { refresh, type RefreshFault, type RefreshSettings } from "./refresh.ts";
import type { AccountStore } from "./store.ts";

/** What one upstream call needs to know of the credential it spends. */
export type Access = {
  token: Secret;
  /** Value of the `tokentype` header; absent for tokens of social and AWS log-ins. */
  tokenType?: "API_KEY" | "EXTERNAL_IDP";
  apiRegion: string;
  profileArn?: string;
  machineId: string;
  /** What all its calls go through, as `parseProxyUrl` gives it; absent where the environment decides. */
  proxyUrl?: Secret;
};

export type TokenSettings = { context: CredentialContext; refresh: RefreshSettings };

export type Tokens = {
  /**
   * An access token that is good for `aheadMs` at least (five minutes unless told), or for as long as it lasts where it
   * can't be renewed just now. `refused` is a token of this credential that the service did not accept: it is never given
   * again. At once where there is one; rejects only with the signal's reason, while a renewal that others wait for goes on.
   * A log-in that turns out to be dead is told to the pool. One credential has one access for as long as it is the same.
   */
  access(
    credential: Credential,
    options?: { refused?: Secret; aheadMs?: number },
    until?: Until,
  ): Result<Access, RefreshFault> | Promise<Result<Access, RefreshFault>>;
};

type Renewable = Credential & { login: Login };
type Flight = Promise<Result<Credential, RefreshFault>>;
type Need = { refused: Secret | undefined; aheadMs: number };
/** A renewal that failed and may work later. Times are of the monotonic clock. */
type Failure = { fault: RefreshFault; at: number; tookMs: number };

// A token must outlive the longest wait for the first event of a reply.
const AHEAD_MS = 5 * 60_000;
/** Renewed tokens of clients' own credentials, which are kept nowhere else; and failures. */
const REMEMBERED_MAX = 1_000;
/** How long a token that is still good is used without another try, so that a log-in service that hangs costs one wait. */
const RETRY_AFTER_MS = 30_000;
/** Exchanges in one flight: one more if the store turns out to hold another log-in. */
const ROUNDS = 2;

export function createTokens(deps: {
  pool: Pick<Pool, "current" | "replace" | "judge">;
  store: AccountStore;
  runtime: Runtime;
  log: EventLog;
  settings: TokenSettings;
  journal?: Journal;
}): Tokens {
  const { pool, store, runtime, log, settings, journal } = deps;
  const { context } = settings;
  const flights = new Map<string, Flight>();
  const inline = new BoundedMap<string, Renewal & { version: string }>(REMEMBERED_MAX);
  const failures = new BoundedMap<string, Failure>(REMEMBERED_MAX);
  const accesses = new WeakMap<Credential, Access>();

  const good = (credential: Credential, { refused, aheadMs }: Need): boolean => {
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
    if (renewal.ok) {
      log.info("token-renewed", { credential: id, authMethod });
    } else if (failures.get(keyOf(credential))?.fault.message !== renewal.failure.message) {
      log.warn("token-not-renewed", { credential: id, authMethod, ...renewal.failure });
    }
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
    pool.replace(stored, "found");
    return stored;
  };

  /** Saves, then lets the new tokens be used. Undefined if the store holds another log-in by now. */
  const persist = async (
    credential: Credential,
    renewal: Renewal,
  ): Promise<Credential | undefined> => {
    journal?.note(credential, renewal);
    const stored = await store.put(credential, renewal);
    if (stored.ok || isSettled(stored.failure)) journal?.done(credential);
    if (stored.ok) {
      pool.replace(stored.value, "renewed");
      return stored.value;
    }
    const { failure } = stored;
    if (failure.kind === "conflict") return undefined;
    // The old refresh token may be dead by now: what is only in memory is lost with the process.
    log.error("renewed-token-not-saved", { credential: credential.id, ...failure });
    const unsaved = renewed(credential, renewal, context);
    pool.replace(unsaved, "renewed");
    return unsaved;
  };

  const renewStored = async (given: Credential, need: Need): Flight => {
    let exchanged: string | undefined;
    let failure: RefreshFault = {
      kind: "transient",
      message: "the stored log-in changes all the time",
    };
    for (let round = 0; round < ROUNDS; round++) {
      const current = await reread(pool.current(given.id) ?? given);
      if (good(current, need)) return ok(current);
      if (!isRenewable(current)) {
        // A refusal may have been a mistake; the end of the token is none.
        if (need.refused === undefined) pool.judge(current, { type: "needs-login" });
        return fail(NOT_RENEWABLE);
      }
      if (current.version === exchanged) {
        if (failure.kind === "needs-login") pool.judge(current, { type: "needs-login" });
        break;
      }
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
    const known = inline.get(fingerprintOf(given));
    if (known === undefined) return given;
    const newer = known.version !== given.version && known.expiresAt < (given.expiresAt ?? 0);
    if (newer) return given;
    return renewed(given, known, context);
  };

  /** The client goes on sending the record it has, so what replaced it is kept under the token that it sends. */
  const renewInline = async (given: Credential, need: Need): Flight => {
    const current = latestInline(given);
    if (good(current, need)) return ok(current);
    if (!isRenewable(current)) return fail(NOT_RENEWABLE);
    const renewal = await exchange(current);
    if (!renewal.ok) {
      if (renewal.failure.kind === "needs-login") pool.judge(given, { type: "needs-login" });
      return renewal;
    }
    const { refreshToken = current.login.refreshToken, ...rest } = renewal.value;
    inline.set(fingerprintOf(given), { refreshToken, ...rest, version: given.version });
    return ok(renewed(current, renewal.value, context));
  };

  const fly = async (key: string, credential: Credential, need: Need): Flight => {
    const startedAt = runtime.monotonic();
    const outcome = await (credential.persistent ? renewStored : renewInline)(credential, need);
    const at = runtime.monotonic();
    if (outcome.ok) failures.delete(key);
    else failures.set(key, { fault: outcome.failure, at, tookMs: at - startedAt });
    return outcome;
  };

  const flightFor = (key: string, credential: Credential, need: Need): Flight => {
    const running = flights.get(key);
    if (running !== undefined) return running;
    const flight = fly(key, credential, need).finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };

  /** The outcome of a try that was a moment ago, where another is not worth its time. */
  const remembered = (
    key: string,
    current: Credential,
    refused: Secret | undefined,
  ): Result<Credential, RefreshFault> | undefined => {
    const failed = failures.get(key);
    if (failed?.fault.kind !== "transient") return undefined;
    const ageMs = runtime.monotonic() - failed.at;
    if (ageMs < RETRY_AFTER_MS && good(current, { refused, aheadMs: 0 })) return ok(current);
    // One that failed at once costs nobody anything, so the next may try again.
    return ageMs < failed.tookMs ? fail(failed.fault) : undefined;
  };

  const knownAccess = (credential: Credential): Access => {
    const known = accesses.get(credential) ?? accessOf(credential, context);
    accesses.set(credential, known);
    return known;
  };

  const renewedAccess = async (
    credential: Credential,
    current: Credential,
    need: Need,
    signal: AbortSignal | undefined,
  ): Promise<Result<Access, RefreshFault>> => {
    const { refused } = need;
    signal?.throwIfAborted();
    const key = keyOf(credential);
    const outcome =
      remembered(key, current, refused) ??
      (await unlessAborted(flightFor(key, credential, need), signal));
    if (outcome.ok) {
      return isRefused(outcome.value, refused)
        ? fail({ kind: "transient", message: "renewing gave the refused token again" })
        : ok(knownAccess(outcome.value));
    }
    const usable = outcome.failure.kind === "transient" && good(current, { refused, aheadMs: 0 });
    return usable ? ok(knownAccess(current)) : outcome;
  };

  return {
    access(credential, { refused, aheadMs = AHEAD_MS } = {}, until) {
      const current = credential.persistent
        ? (pool.current(credential.id) ?? credential)
        : latestInline(credential);
      const need = { refused, aheadMs };
      return good(current, need)
        ? ok(knownAccess(current))
        : renewedAccess(credential, current, need, until?.signal);
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

function keyOf(credential: Credential): string {
  return credential.persistent ? `stored ${credential.id}` : `inline ${fingerprintOf(credential)}`;
}

export function accessOf(credential: Credential, { profileArns }: CredentialContext): Access {
  const { accessToken, authMethod, apiRegion, machineId, proxyUrl } = credential;
  if (accessToken === undefined) throw new Error("a credential was handed out without a token");
  const common = {
    token: accessToken,
    apiRegion,
    machineId,
    ...(proxyUrl === undefined ? {} : { proxyUrl }),
  };
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

/** Waits for it, or rejects with the signal's reason as soon as that aborts; what is waited for goes on. */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
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
