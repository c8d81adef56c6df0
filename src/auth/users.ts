import type { Files } from "../credentials/files.ts";
import { diskFiles } from "../credentials/files.ts";
import { createJsonDocument, type JsonDocument } from "../credentials/json-file.ts";
import { isRecord, type JsonRecord } from "../credentials/record.ts";
import type { StoreFault } from "../credentials/store.ts";
import { ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { canonicalCode, type User, userOf } from "./user-record.ts";

/** What becomes of a record: another one, under another key if `code` says so; null removes it. */
export type UserEdit = { record: JsonRecord | null; code?: string };

/** The users, from memory. What is written has reached the disk, and those who listen, when the call resolves. */
export type Users = {
  /** Codes are found in any spelling: with and without `act-`, in any case. The empty one is nobody's. */
  find(code: string): User | undefined;
  byId(id: string): User | undefined;
  list(): User[];
  /**
   * Changes the records of these codes in one write, or none of them where one edit fails. Several processes may write at
   * the same time; `edit` is given the record as it is by then.
   */
  change<F>(
    codes: readonly string[],
    edit: (record: JsonRecord | undefined) => Result<UserEdit, F>,
  ): Promise<Result<undefined, F | StoreFault>>;
  /** Takes over what the file holds by now; gives how many users that are. A broken file changes nothing. */
  reload(): Promise<Result<number, StoreFault>>;
  /** Calls back whenever the users have changed, and waits for what that starts. */
  onChange(listener: () => void | Promise<void>): void;
};

export type UsersFile = JsonDocument<JsonRecord>;

/** `user_credentials.json`: an object from activation code to record. Unknown fields are kept. */
export function createUsersFile(deps: {
  path: string;
  runtime: Pick<Runtime, "randomUUID" | "sleep">;
  files?: Files;
}): UsersFile {
  return createJsonDocument(
    { ...deps, files: deps.files ?? diskFiles },
    { accepts: isRecord, expected: "must be an object from activation code to user" },
  );
}

/** Fails where the file is there and can't be understood. */
export async function createUsers(deps: {
  file: UsersFile;
  log: Pick<Log, "info" | "error">;
}): Promise<Result<Users, StoreFault>> {
  const { file, log } = deps;
  const listeners: (() => void | Promise<void>)[] = [];
  let changes = 0;
  let seen = "{}";
  let told = "";
  let users: User[] = [];
  let byCode = new Map<string, User>();
  let byId = new Map<string, User>();

  const takeOver = async (root: JsonRecord): Promise<void> => {
    const text = JSON.stringify(root);
    if (text === seen) return;
    seen = text;
    const ids = new Set<string>();
    users = Object.entries(root).map(([key, record]) => {
      const user = userOf(key, record);
      // Two with one id would spend each other's log-ins and limits.
      if (ids.has(user.id)) return { fault: "user_id: is another user's", ...user };
      ids.add(user.id);
      return user;
    });
    // Of two spellings of one code the first in the file counts.
    byCode = new Map(users.toReversed().map((user) => [canonicalCode(user.code.reveal()), user]));
    byId = new Map(users.toReversed().map((user) => [user.id, user]));
    for (const { id, fault } of users) {
      if (fault !== undefined) log.error("user-rejected", { user: id, fault });
    }
    await Promise.all(listeners.map(async (listener) => await listener()));
  };

  const reload = async (): Promise<Result<number, StoreFault>> => {
    const changesBefore = changes;
    const read = await file.read();
    // What was read may be older than what we have written meanwhile.
    if (changes !== changesBefore) return await reload();
    if (!read.ok) {
      const fault = JSON.stringify(read.failure);
      if (fault !== told) log.error("users-unreadable", { ...read.failure });
      told = fault;
      return read;
    }
    told = "";
    const before = seen;
    await takeOver(read.value ?? {});
    if (seen !== before) log.info("users-loaded", { users: users.length });
    return ok(users.length);
  };

  const first = await reload();
  if (!first.ok) return first;
  return ok({
    find(code) {
      const canonical = canonicalCode(code);
      return canonical === "" ? undefined : byCode.get(canonical);
    },
    byId: (id) => byId.get(id),
    list: () => users,
    async change(codes, edit) {
      let after: JsonRecord | undefined;
      const changed = await file.change(async (root = {}) => {
        const keys = Map.groupBy(Object.keys(root), canonicalCode);
        const entries = new Map(Object.entries(root).map((entry) => [entry[0], [entry]]));
        for (const code of codes) {
          const [key = code, ...others] = keys.get(canonicalCode(code)) ?? [];
          const record = entries.get(key)?.[0]?.[1];
          const edited = edit(isRecord(record) ? record : undefined);
          if (!edited.ok) return edited;
          const { code: newKey = key, record: next } = edited.value;
          // The record takes the old one's place in the file's order.
          entries.set(key, next === null ? [] : [[newKey, next]]);
          // A code that is taken away must not live on in another spelling.
          if (next === null || newKey !== key) for (const other of others) entries.delete(other);
        }
        after = Object.fromEntries([...entries.values()].flat());
        return ok({ root: after, value: undefined });
      });
      if (changed.ok && after !== undefined) {
        changes += 1;
        await takeOver(after);
      }
      return changed;
    },
    reload,
    onChange: (listener) => void listeners.push(listener),
  });
}
