import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { hasSameRefreshToken, isSameAccount, newLogin } from "./account.ts";
import {
  type Credential,
  type CredentialContext,
  hasTruncatedToken,
  parseCredential,
} from "./credential.ts";
import { diskFiles, type Files } from "./files.ts";
import { createJsonFile } from "./json-file.ts";
import { type Link, linkedRecord, linkOf, type LoginSources } from "./login-source.ts";
import {
  changedRecord,
  type CredentialFault,
  isRecord,
  type JsonRecord,
  renewedRecord,
} from "./record.ts";
import type { Added, CredentialStore, EditFault, PutFault, StoreFault } from "./store.ts";

type Entry = { index: number; credential: Credential };

/**
 * `credentials.json`: one object or an array of objects. Each write takes a lock that all processes respect, reads the
 * file anew, changes its records and replaces it in one step, so that a crash leaves the old file or the new one. A file
 * that can't be understood is never written to. A record may say where another program keeps its log-in (`source`, see
 * `Link`): tokens are then read from there and written back there.
 */
export function createJsonStore(deps: {
  path: string;
  context: CredentialContext;
  runtime: Pick<Runtime, "randomUUID" | "sleep">;
  /** Without them a record that points to another program's log-in can't be used. */
  sources?: LoginSources;
  files?: Files;
}): CredentialStore {
  const { path, context, runtime, sources, files = diskFiles } = deps;
  const file = createJsonFile({ path, runtime, files });

  /** The record with what stands elsewhere put in. */
  const whole = async (record: unknown, link: Link | undefined) => {
    if (link === undefined) return ok(record);
    if (sources === undefined) return fail({ path: "source", message: "can't be used here" });
    const login = await sources[link.source].read(link.path);
    return login.ok ? ok(linkedRecord(record, link, login.value)) : login;
  };

  const credentialOf = async (record: unknown): Promise<Result<Credential, CredentialFault>> => {
    const link = linkOf(record);
    const read = await whole(record, link);
    if (!read.ok) return read;
    const parsed = parseCredential(read.value, context);
    if (!parsed.ok) return parsed;
    // The owner of a hidden refresh token renews it; we can only use what it gets.
    const hidden = link !== undefined && hasTruncatedToken(parsed.value);
    const login = hidden ? undefined : parsed.value.login;
    return ok({ ...parsed.value, login, persistent: true, source: link?.source });
  };

  const entriesOf = async (
    records: readonly unknown[],
  ): Promise<{ entries: Entry[]; rejected: CredentialFault[] }> => {
    const entries: Entry[] = [];
    const rejected: CredentialFault[] = [];
    for (const [index, record] of records.entries()) {
      const parsed = await credentialOf(record);
      if (!parsed.ok) {
        const { path: field, message } = parsed.failure;
        rejected.push({ path: `[${index}]${field === "" ? "" : `.${field}`}`, message });
        continue;
      }
      const id = unused(parsed.value.id, entries);
      entries.push({ index, credential: { ...parsed.value, id } });
    }
    return { entries, rejected };
  };

  /** A record of the file with changes; it stays the credential that it was. */
  const changed = async (record: unknown, previous: Credential, changes: JsonRecord) => {
    if (!isRecord(record)) throw new Error("a credential's record is not an object");
    const { id, machineId } = previous;
    const stays =
      linkOf(record) !== undefined && linkOf(changedRecord(record, changes)) !== undefined;
    // The other program may log in as somebody else at any time: what was found out of one account is not kept there.
    const { profileArn: _, ...lasting } = changes;
    const draft = changedRecord(record, stays ? lasting : changes);
    const parsed = await credentialOf(draft);
    if (!parsed.ok) return parsed;
    const same = parsed.value.id === id && parsed.value.machineId === machineId;
    return ok({
      record: same ? draft : changedRecord(draft, { id, machineId }),
      credential: { ...parsed.value, id, machineId },
    });
  };

  return {
    async list() {
      const records = await file.read();
      if (!records.ok) return records;
      const { entries, rejected } = await entriesOf(records.value ?? []);
      const credentials = entries.map(({ credential }) => credential);
      return ok({ credentials, rejected, missing: records.value === undefined });
    },

    async put(previous, renewal) {
      return await file.change<Credential, PutFault>(async (records) => {
        const { entries } = await entriesOf(records);
        const entry =
          entries.find(({ credential }) => credential.id === previous.id) ??
          entries.find(({ credential }) => credential.version === previous.version);
        if (entry === undefined) return fail({ kind: "gone" });
        const { index, credential } = entry;
        if (credential.version !== previous.version) return fail({ kind: "conflict" });
        const record = records[index];
        const link = linkOf(record);
        const stored = (renewed: unknown) => {
          const parsed = parseCredential(renewed, context);
          if (parsed.ok) {
            const { source } = credential;
            return { ...parsed.value, id: previous.id, persistent: true, source };
          }
          throw new Error(`a renewed record is not readable: ${parsed.failure.path}`);
        };
        if (link === undefined || sources === undefined) {
          const renewed = renewedRecord(record, renewal, previous.machineId);
          return ok({ records: records.with(index, renewed), value: stored(renewed) });
        }
        const written = await sources[link.source].write(link.path, renewal, (login) => {
          const now = parseCredential(linkedRecord(record, link, login), context);
          return now.ok && now.value.version === previous.version;
        });
        if (!written.ok) return written;
        return ok({ value: stored(linkedRecord(record, link, written.value)) });
      });
    },

    async update(id, changes) {
      return await file.change<Credential, EditFault>(async (records) => {
        const { entries } = await entriesOf(records);
        const entry = entries.find(({ credential }) => credential.id === id);
        if (entry === undefined) return fail({ kind: "gone" });
        const next = await changed(records[entry.index], entry.credential, changes);
        if (!next.ok) return fail({ kind: "unusable", fault: next.failure });
        const { record, credential } = next.value;
        return ok({ records: records.with(entry.index, record), value: credential });
      });
    },

    async add(added, { dryRun = false, keepNewer = false } = {}) {
      return await file.change<Added[], StoreFault>(async (before) => {
        const records = [...before];
        const { entries } = await entriesOf(records);
        const outcomes: Added[] = [];
        for (const record of added) {
          const parsed = await credentialOf(record);
          if (!parsed.ok) {
            outcomes.push({ outcome: "refused", fault: parsed.failure });
            continue;
          }
          const entry = entries.find(({ credential }) => isSameAccount(credential, parsed.value));
          if (entry === undefined) {
            const credential = { ...parsed.value, id: unused(parsed.value.id, entries) };
            const { id, machineId } = credential;
            entries.push({ index: records.length, credential });
            // What both are derived from by default does not last.
            records.push(changedRecord(record, { id, machineId }));
            outcomes.push({ outcome: "added", credential });
          } else if (isCurrent(entry.credential, parsed.value, keepNewer)) {
            outcomes.push({ outcome: "unchanged", credential: entry.credential });
          } else {
            const { index } = entry;
            const next = await changed(records[index], entry.credential, newLogin(record));
            if (!next.ok) throw new Error("a log-in became unreadable by moving");
            records[index] = next.value.record;
            entry.credential = next.value.credential;
            outcomes.push({ outcome: "updated", credential: entry.credential });
          }
        }
        const wrote = outcomes.some(({ outcome }) => outcome === "added" || outcome === "updated");
        return ok({ ...(wrote && !dryRun && { records }), value: outcomes });
      });
    },

    async remove(id) {
      return await file.change<undefined, EditFault>(async (records) => {
        const { entries } = await entriesOf(records);
        const entry = entries.find(({ credential }) => credential.id === id);
        if (entry === undefined) return fail({ kind: "gone" });
        return ok({ records: records.toSpliced(entry.index, 1), value: undefined });
      });
    },
  };
}

/** Whether the log-in that is there may stay, when `other` of the same account is to be added. */
function isCurrent(present: Credential, other: Credential, keepNewer: boolean): boolean {
  if (present.source !== other.source) return false;
  if (present.version === other.version) return true;
  // One that does not say when it ends is news only if its refresh token is.
  const unknown = hasSameRefreshToken(present, other) ? 0 : Number.POSITIVE_INFINITY;
  return keepNewer && (present.expiresAt ?? 0) >= (other.expiresAt ?? unknown);
}

function unused(id: string, entries: readonly Entry[]): string {
  const taken = new Set(entries.map(({ credential }) => credential.id));
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? id : `${id}-${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}
