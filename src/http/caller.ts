import type { Context } from "hono";
import type { Authenticate, Caller } from "../auth/authenticate.ts";
import { claimOf } from "../auth/claim.ts";
import type { ClientAddress } from "../auth/client-address.ts";
import type { Failure } from "../conversation/failure.ts";
import type { Result } from "../result.ts";
import type { HttpEnv } from "./env.ts";

export type CallerDeps = { authenticate: Authenticate; clientAddress: ClientAddress };

/** Who sent a request. */
export function callerOf(
  c: Context<HttpEnv>,
  { authenticate, clientAddress }: CallerDeps,
): Result<Caller, Failure> | Promise<Result<Caller, Failure>> {
  const { headers } = c.req.raw;
  return authenticate(claimOf(headers), {
    address: () => addressOf(c, clientAddress),
    machineId: headers.get("x-machine-id")?.trim().slice(0, MACHINE_ID_MAX) ?? "",
  });
}

const MACHINE_ID_MAX = 200;

/** The client's address, behind the proxies that are trusted. */
export function addressOf(c: Context<HttpEnv>, clientAddress: ClientAddress): string {
  const socket = c.env.server?.requestIP(c.req.raw)?.address ?? "unknown";
  return clientAddress(socket, c.req.header("x-forwarded-for") ?? null);
}
