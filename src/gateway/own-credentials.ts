import type { Credential } from "../credentials/credential.ts";
import type { Pool, PoolEmpty } from "../credentials/pool.ts";
import type { Tokens } from "../credentials/tokens.ts";

type Side = { pool: Pick<Pool, "acquire">; tokens: Tokens };

/**
 * The gateway's credentials and those of its users as one. A user's request is served by the user's own; only when these
 * are used up, and the request may fall back, by the gateway's.
 */
export function withOwnCredentials(gateways: Side, users: Side): Side {
  const sideOf = ({ owner }: Credential): Side => (owner === undefined ? gateways : users);
  return {
    pool: {
      async acquire(source, want, signal) {
        if (source.type !== "user") return await gateways.pool.acquire(source, want, signal);
        const own = await users.pool.acquire(source, want, signal);
        if (own.ok || !source.fallback || !isUsedUp(own.failure)) return own;
        return await gateways.pool.acquire({ type: "pool" }, want, signal);
      },
    },
    tokens: {
      access: async (credential, options, signal) =>
        await sideOf(credential).tokens.access(credential, options, signal),
    },
  };
}

function isUsedUp({ reason, states }: PoolEmpty): boolean {
  const resting = Object.keys(states).filter((state) => state !== "disabled");
  return reason === "none-ready" && resting.join() === "exhausted";
}
