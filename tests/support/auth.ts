import { createAddressLimit } from "../../src/auth/address-limit.ts";
import { type AuthenticateOptions, createAuthenticate } from "../../src/auth/authenticate.ts";
import { createClientAddress } from "../../src/auth/client-address.ts";
import type { CallerDeps } from "../../src/http/caller.ts";
import { fail } from "../../src/result.ts";
import { createTestRuntime } from "./runtime.ts";

/** A gateway without users that takes no credentials from clients, but for what `options` says. */
export function authOptions(options: Partial<AuthenticateOptions> = {}): AuthenticateOptions {
  const { runtime } = createTestRuntime();
  return {
    allowClientCredentials: false,
    parseInline: () => fail("no"),
    users: { find: () => undefined },
    activationOutagePolicy: "known",
    fallback: true,
    failures: createAddressLimit(0, runtime),
    clientCredentials: createAddressLimit(0, runtime),
    runtime,
    ...options,
  };
}

export function callerDeps(options: Partial<AuthenticateOptions> = {}): CallerDeps {
  return {
    authenticate: createAuthenticate(authOptions(options)),
    clientAddress: createClientAddress([]),
  };
}
