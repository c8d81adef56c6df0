import type { Failure } from "../conversation/failure.ts";
import type { CredentialSource } from "../credentials/pool.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import type { UserLimits } from "../usage/limits.ts";
import type { Activation, ActivationVerdict } from "./activation.ts";
import type { AddressLimit } from "./address-limit.ts";
import type { Claim } from "./claim.ts";
import { idOf, type User } from "./user-record.ts";
import type { Users } from "./users.ts";

/** Somebody who may use the gateway. */
export type Caller = {
  /** For the log; never a part of a key. */
  name: string;
  /** Whose credential pays. */
  source: CredentialSource;
  /** The user of the gateway that it is; one with the gateway's own key is none, and has no limits. */
  user?: { id: string; name: string; limits: UserLimits };
};

/** Where a claim comes from. */
export type Origin = {
  /** The client's address, asked for only where it matters. */
  address(): string;
  /** The `X-Machine-Id` header, which activation codes are bound to. */
  machineId: string;
};

export type AuthenticateOptions = {
  /** Absent: the server listens on loopback alone, and any key or none will do. */
  apiKey?: Secret;
  allowClientCredentials: boolean;
  /** Reads a credential that came with a request; the failure is a sentence without any of its values. */
  parseInline(json: unknown): Result<InlineCredential, string>;
  users: Pick<Users, "find">;
  /** Absent: a code passes only if the users have it. */
  activation?: Activation;
  activationOutagePolicy: "known" | "open" | "closed";
  /** Whether the pool serves a user whose own quota is used up. */
  fallback: boolean;
  failures: AddressLimit;
  clientCredentials: AddressLimit;
  runtime: Pick<Runtime, "now">;
};

/**
 * Decides on a claim. Failures are of kind `authentication`, `activation-refused`, `rate-limited` or `unavailable`, and
 * none repeats what the client sent. Only an activation code may have to be waited for.
 */
export type Authenticate = (
  claim: Claim,
  origin: Origin,
) => Result<Caller, Failure> | Promise<Result<Caller, Failure>>;

type InlineCredential = Extract<CredentialSource, { type: "inline" }>["credential"];

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { apiKey, allowClientCredentials, users, activation, runtime } = options;

  /** One wrong key too many from an address is told to wait; the right one never is. */
  function judged(result: Result<Caller, Failure>, origin: Origin): Result<Caller, Failure> {
    if (result.ok || !COUNTED.has(result.failure.kind)) return result;
    const waitMs = options.failures.count(origin.address());
    if (waitMs === undefined) return result;
    return limited("Too many wrong keys or activation codes from this address.", waitMs);
  }

  function inline(json: unknown, origin: Origin): Result<Caller, Failure> {
    if (!allowClientCredentials) return refused("This gateway takes no credentials from clients.");
    const credential = options.parseInline(json);
    if (!credential.ok) {
      return refused(`The credential sent with the request can't be used: ${credential.failure}`);
    }
    const waitMs = options.clientCredentials.count(origin.address());
    if (waitMs !== undefined) {
      return limited("Too many requests with credentials of their own from this address.", waitMs);
    }
    return ok({ name: "inline", source: { type: "inline", credential: credential.value } });
  }

  function activated(
    code: string,
    machineId: string,
  ): Result<Caller, Failure> | Promise<Result<Caller, Failure>> {
    if (activation === undefined) {
      const user = users.find(code);
      return user === undefined ? refused("Unknown activation code.") : callerOf(code, user);
    }
    const verdict = activation.check(code, machineId);
    return verdict instanceof Promise
      ? verdict.then((late) => judgedBy(late, code))
      : judgedBy(verdict, code);
  }

  function judgedBy(verdict: ActivationVerdict, code: string): Result<Caller, Failure> {
    const user = users.find(code);
    switch (verdict.type) {
      case "confirmed":
        return callerOf(code, user);
      case "refused":
        return notActivated(verdict.message);
      case "unavailable": {
        const policy = options.activationOutagePolicy;
        const passes = policy === "known" ? verdict.known || user !== undefined : policy === "open";
        if (passes) return callerOf(code, user);
        return fail({
          kind: "unavailable",
          message: "The activation code can't be checked just now. Try again shortly.",
          retryAfterMs: OUTAGE_RETRY_MS,
        });
      }
      default:
        return verdict satisfies never;
    }
  }

  function callerOf(code: string, user: User | undefined): Result<Caller, Failure> {
    if (user === undefined) {
      const id = idOf(code);
      return ok({ name: id, source: { type: "pool" }, user: { id, name: "", limits: {} } });
    }
    const { id, name, limits, expiresAt } = user;
    if (user.fault !== undefined) {
      return notActivated(
        "The record of this activation code is broken; its operator has to mend it.",
      );
    }
    if (user.disabled) return notActivated("This activation code has been switched off.");
    if (expiresAt !== undefined && runtime.now() >= expiresAt) {
      return notActivated("This activation code has expired.");
    }
    return ok({
      name: id,
      source: user.hasCredentials
        ? { type: "user", user: id, fallback: options.fallback }
        : { type: "pool" },
      user: { id, name, limits },
    });
  }

  return (claim, origin) => {
    switch (claim.type) {
      case "inline":
        return judged(inline(claim.json, origin), origin);
      case "malformed":
        return judged(refused(`The credential in ${claim.from} is not valid JSON.`), origin);
      case "activation": {
        // No code is so long, and the activation server need not be asked.
        if (claim.code.length > CODE_MAX)
          return judged(refused("Unknown activation code."), origin);
        const result = activated(claim.code, origin.machineId);
        return result instanceof Promise
          ? result.then((late) => judged(late, origin))
          : judged(result, origin);
      }
      case "key":
        if (apiKey && !apiKey.equals(claim.key.reveal())) {
          return judged(refused("Invalid API key."), origin);
        }
        return ok({ name: apiKey ? "api-key" : "local", source: { type: "pool" } });
      case "none":
        if (apiKey) {
          const message =
            "Missing API key: send it as x-api-key or as Authorization: Bearer <key>.";
          return judged(refused(message), origin);
        }
        return ok({ name: "local", source: { type: "pool" } });
      default:
        return claim satisfies never;
    }
  };
}

const COUNTED: ReadonlySet<string> = new Set(["authentication", "activation-refused"]);
const OUTAGE_RETRY_MS = 30_000;
const CODE_MAX = 200;

function refused(message: string): Result<never, Failure> {
  return fail({ kind: "authentication", message });
}

function notActivated(message: string): Result<never, Failure> {
  return fail({ kind: "activation-refused", message });
}

function limited(message: string, retryAfterMs: number): Result<never, Failure> {
  return fail({ kind: "rate-limited", message, retryAfterMs });
}
