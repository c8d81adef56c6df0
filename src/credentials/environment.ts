import { fail, ok } from "../result.ts";
import { type CredentialContext, parseCredential } from "./credential.ts";
import type { CredentialStore } from "./store.ts";

const ID = "KIRO_API_KEY";

/** A store with one more credential in it: the API key from `KIRO_API_KEY`. It is used first and never written. */
export function withApiKey(
  store: CredentialStore,
  apiKey: string,
  context: CredentialContext,
): CredentialStore {
  return {
    ...store,
    update: async (id, changes) =>
      id === ID ? fail({ kind: "read-only" }) : await store.update(id, changes),
    remove: async (id) => (id === ID ? fail({ kind: "read-only" }) : await store.remove(id)),
    async list() {
      const listed = await store.list();
      if (!listed.ok) return listed;
      const { credentials, rejected } = listed.value;
      const parsed = parseCredential({ id: ID, kiroApiKey: apiKey }, context);
      return parsed.ok
        ? ok({ credentials: [parsed.value, ...credentials], rejected, missing: false })
        : ok({
            ...listed.value,
            rejected: [...rejected, { path: ID, message: parsed.failure.message }],
          });
    },
  };
}
