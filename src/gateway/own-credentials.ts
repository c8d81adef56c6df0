import type { Credential } from "../credentials/credential.ts";
import type { CredentialSource, Lease, Pool, PoolEmpty, Until, Want } from "../credentials/pool.ts";
import type { Tokens } from "../credentials/tokens.ts";
import type { Result } from "../result.ts";

type Side = { pool: Pick<Pool, "acquire">; tokens: Tokens };

/**
 * The gateway's credentials and those of its users as one. A user's request is served by the user's own; only when these
 * are used up, and the request may fall back, by the gateway's.
 */
export function withOwnCredentials(gateways: Side, users: Side): Side {
  const ownFirst = async (
    source: CredentialSource & { type: "user" },
    want: Want,
    until: Until,
  ): Promise<Result<Lease, PoolEmpty>> => {
    const own = await users.pool.acquire(source, want, until);
    if (own.ok || !source.fallback || !isUsedUp(own.failure)) return own;
    return await gateways.pool.acquire({ type: "pool" }, want, until);
  };
  const sideOf = ({ owner }: Credential): Side => (owner === undefined ? gateways : users);
  return {
    pool: {
      acquire: (source, want, until) =>
        source.type === "user"
          ? ownFirst(source, want, until)
          : gateways.pool.acquire(source, want, until),
    },
    tokens: {
      access: (credential, options, until) =>
        sideOf(credential).tokens.access(credential, options, until),
    },
  };
}

function isUsedUp({ reason, states }: PoolEmpty): boolean {
  const resting = Object.keys(states).filter((state) => state !== "disabled");
  return reason === "none-ready" && resting.join() === "exhausted";
}
