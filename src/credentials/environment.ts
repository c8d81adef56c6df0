import { ok } from "../result.ts";
import { type CredentialContext, parseCredential } from "./credential.ts";
import type { CredentialStore } from "./store.ts";

/** A store with one more credential in it: the API key from `KIRO_API_KEY`. It is used first and never written. */
export function withApiKey(
  store: CredentialStore,
  apiKey: string,
  context: CredentialContext,
): CredentialStore {
  return {
    put: async (previous, renewal) => await store.put(previous, renewal),
    async list() {
      const listed = await store.list();
      if (!listed.ok) return listed;
      const { credentials, rejected } = listed.value;
      const parsed = parseCredential({ id: "KIRO_API_KEY", kiroApiKey: apiKey }, context);
      return parsed.ok
        ? ok({ credentials: [parsed.value, ...credentials], rejected, missing: false })
        : ok({
            ...listed.value,
            rejected: [...rejected, { path: "KIRO_API_KEY", message: parsed.failure.message }],
          });
    },
  };
}
