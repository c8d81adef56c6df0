import type { Failure } from "../conversation/failure.ts";
import type { CredentialSource } from "../credentials/pool.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Secret } from "../secret.ts";
import type { UserLimits } from "../usage/limits.ts";
import type { Claim } from "./claim.ts";

/** Somebody who may use the gateway. */
export type Caller = {
  /** For the log; never a part of a key. */
  name: string;
  /** Whose credential pays. */
  source: CredentialSource;
  /** The user of the gateway that it is; one with the gateway's own key is none, and has no limits. */
  user?: { id: string; name: string; limits: UserLimits };
};

export type AuthenticateOptions = {
  /** Absent: the server listens on loopback alone, and any key or none will do. */
  apiKey?: Secret;
  allowClientCredentials: boolean;
  /** Reads a credential that came with a request; the failure is a sentence without any of its values. */
  parseInline(json: unknown): Result<InlineCredential, string>;
};

/** Decides on a claim. Failures are all of kind `authentication`, and none repeats what the client sent. */
export type Authenticate = (claim: Claim) => Result<Caller, Failure>;

type InlineCredential = Extract<CredentialSource, { type: "inline" }>["credential"];

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { apiKey, allowClientCredentials } = options;

  function inline(json: unknown): Result<Caller, Failure> {
    if (!allowClientCredentials) return refused("This gateway takes no credentials from clients.");
    const credential = options.parseInline(json);
    return credential.ok
      ? ok({ name: "inline", source: { type: "inline", credential: credential.value } })
      : refused(`The credential sent with the request can't be used: ${credential.failure}`);
  }

  return (claim) => {
    switch (claim.type) {
      case "inline":
        return inline(claim.json);
      case "malformed":
        return refused(`The credential in ${claim.from} is not valid JSON.`);
      case "activation":
        return refused("This gateway does not accept activation codes.");
      case "key":
        if (apiKey && !apiKey.equals(claim.key.reveal())) return refused("Invalid API key.");
        return ok({ name: apiKey ? "api-key" : "local", source: { type: "pool" } });
      case "none":
        if (apiKey) {
          return refused(
            "Missing API key: send it as x-api-key or as Authorization: Bearer <key>.",
          );
        }
        return ok({ name: "local", source: { type: "pool" } });
      default:
        return claim satisfies never;
    }
  };
}

function refused(message: string): Result<never, Failure> {
  return fail({ kind: "authentication", message });
}
