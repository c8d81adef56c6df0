import type { Authenticate, Caller } from "../auth/authenticate.ts";
import { claimOf } from "../auth/claim.ts";
import type { ClientAddress } from "../auth/client-address.ts";
import type { Failure } from "../conversation/failure.ts";
import type { Result } from "../result.ts";
import type { Exchange } from "./env.ts";

export type CallerDeps = { authenticate: Authenticate; clientAddress: ClientAddress };

/** Who sent a request. */
export function callerOf(
  exchange: Omit<Exchange, "id">,
  { authenticate, clientAddress }: CallerDeps,
): Result<Caller, Failure> | Promise<Result<Caller, Failure>> {
  const { headers } = exchange.request;
  return authenticate(claimOf(headers), {
    address: () => addressOf(exchange, clientAddress),
    machineId: headers.get("x-machine-id")?.trim().slice(0, MACHINE_ID_MAX) ?? "",
  });
}

const MACHINE_ID_MAX = 200;

/** The client's address, behind the proxies that are trusted. */
export function addressOf(
  { request, server }: Omit<Exchange, "id">,
  clientAddress: ClientAddress,
): string {
  const socket = server?.requestIP(request)?.address ?? "unknown";
  return clientAddress(socket, request.headers.get("x-forwarded-for"));
}
