import {
  type Credential,
  type CredentialContext,
  parseCredential,
} from "../credentials/credential.ts";
import { changedRecord, isRecord, type JsonRecord, renewedRecord } from "../credentials/record.ts";
import type { CredentialFault } from "../credentials/record.ts";
import type { AccountStore, EditFault, PutFault } from "../credentials/store.ts";
import { fail, ok } from "../result.ts";
import { credentialsOf, userOf } from "./user-record.ts";
import type { UsersFile } from "./users.ts";

type Entry = { key: string; index: number; credential: Credential };

/** The log-ins of the users' own, each `owner`'s alone. New tokens are written back into the user's record. */
export function createUserCredentials(deps: {
  file: UsersFile;
  context: CredentialContext;
}): AccountStore {
  const { file, context } = deps;

  const entriesOf = (root: JsonRecord): { entries: Entry[]; rejected: CredentialFault[] } => {
    const entries: Entry[] = [];
    const rejected: CredentialFault[] = [];
    const ids = new Set<string>();
    for (const [key, record] of Object.entries(root)) {
      const { id: owner } = userOf(key, record);
      for (const [index, own] of credentialsOf(record).entries()) {
        const id = index === 0 ? owner : `${owner}-${index + 1}`;
        const parsed = parseCredential(own, context);
        if (!parsed.ok || ids.has(id)) {
          const fault = parsed.ok ? { path: "", message: "is another user's id" } : parsed.failure;
          const path = ["credentials", fault.path].filter(Boolean).join(".");
          rejected.push({ path: `${owner}.${path}`, message: fault.message });
          continue;
        }
        ids.add(id);
        entries.push({ key, index, credential: { ...parsed.value, id, owner, persistent: true } });
      }
    }
    return { entries, rejected };
  };

  return {
    async list() {
      const root = await file.read();
      if (!root.ok) return root;
      const { entries, rejected } = entriesOf(root.value ?? {});
      const credentials = entries.map(({ credential }) => credential);
      // Nobody needs to have users.
      return ok({ credentials, rejected, missing: false });
    },

    async put(previous, renewal) {
      return await file.change<Credential, PutFault>(async (root = {}) => {
        const entry = entriesOf(root).entries.find(
          ({ credential }) => credential.id === previous.id,
        );
        if (entry === undefined) return fail({ kind: "gone" });
        if (entry.credential.version !== previous.version) {
          return fail({ kind: "conflict" });
        }
        const own = renewedRecord(ownRecord(root, entry), renewal, previous.machineId);
        const stored = parseCredential(own, context);
        if (!stored.ok) throw new Error(`a renewed record is not readable: ${stored.failure.path}`);
        const { id, owner } = entry.credential;
        const value = { ...stored.value, id, owner, persistent: true };
        return ok({ root: replaced(root, entry, own), value });
      });
    },

    async update(id, changes) {
      return await file.change<Credential, EditFault>(async (root = {}) => {
        const entry = entriesOf(root).entries.find(({ credential }) => credential.id === id);
        if (entry === undefined) return fail({ kind: "gone" });
        const own = changedRecord(ownRecord(root, entry), changes);
        const parsed = parseCredential(own, context);
        if (!parsed.ok) return fail({ kind: "unusable", fault: parsed.failure });
        const value = { ...parsed.value, id, owner: entry.credential.owner, persistent: true };
        return ok({ root: replaced(root, entry, own), value });
      });
    },
  };
}

/** The file with another log-in in an entry's place. */
function replaced(root: JsonRecord, { key, index }: Entry, own: JsonRecord): JsonRecord {
  const record = root[key];
  if (!isRecord(record)) throw new Error("a user's record is not an object");
  const { credentials } = record;
  const next = Array.isArray(credentials) ? credentials.with(index, own) : own;
  return Object.fromEntries(
    Object.entries(root).map(([name, value]) =>
      name === key ? [name, { ...record, credentials: next }] : [name, value],
    ),
  );
}

function ownRecord(root: JsonRecord, { key, index }: Entry): JsonRecord {
  const own = credentialsOf(root[key])[index];
  if (!isRecord(own)) throw new Error("a user's credential is not an object");
  return own;
}
