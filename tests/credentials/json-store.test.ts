import { afterAll, describe, expect, test } from "bun:test";
import {
  chmod,
  lstat,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Credential } from "../../src/credentials/credential.ts";
import type { Files } from "../../src/credentials/files.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { CredentialStore } from "../../src/credentials/store.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime } from "../support/runtime.ts";
import {
  at,
  context,
  FILE,
  idcRecord,
  memoryFiles,
  memoryStore,
  MINUTE,
  NOW,
  socialRecord,
  token,
} from "./samples.ts";

const { runtime } = createTestRuntime({ now: NOW });
const renewal = {
  accessToken: new Secret("new-access"),
  refreshToken: new Secret(token("new")),
  expiresAt: NOW + 60 * MINUTE,
};
const newTokens = {
  accessToken: "new-access",
  refreshToken: token("new"),
  expiresAt: at(NOW + 60 * MINUTE),
};

async function listed(store: CredentialStore): Promise<Credential[]> {
  const list = await store.list();
  if (!list.ok) throw new Error(list.failure.message);
  return list.value.credentials;
}

async function only(store: CredentialStore): Promise<Credential> {
  const [first] = await listed(store);
  if (first === undefined) throw new Error("the store is empty");
  return first;
}

function fileStore(text: string) {
  const memory = memoryFiles({ [FILE]: text });
  return {
    ...memory,
    store: createJsonStore({ path: FILE, context, runtime, files: memory.files }),
  };
}

describe("list", () => {
  test("reads one object as well as a list, with or without a byte order mark", async () => {
    const record = JSON.stringify(socialRecord());
    for (const text of [record, `[${record}]`, `\uFEFF${record}`]) {
      expect(await listed(fileStore(text).store)).toMatchObject([
        { authMethod: "social", persistent: true },
      ]);
    }
  });

  test("gives an empty list for a file that does not exist, and says so", async () => {
    const { files } = memoryFiles({});
    const store = createJsonStore({ path: FILE, context, runtime, files });
    expect(await store.list()).toEqual({
      ok: true,
      value: { credentials: [], rejected: [], missing: true },
    });
  });

  test("an empty list is not a missing file", async () => {
    expect(await fileStore("[]").store.list()).toMatchObject({ value: { missing: false } });
  });

  test("leaves out a record that can't be used and tells its place; the others serve", async () => {
    const { store } = memoryStore([socialRecord(), { ...idcRecord(), region: "evil" }, 5], runtime);
    expect(await store.list()).toMatchObject({
      value: {
        credentials: [{ authMethod: "social" }],
        rejected: [{ path: "[1].region" }, { path: "[2]" }],
      },
    });
  });

  test("tells line, column and reason of a broken file without quoting it", async () => {
    const result = await fileStore('[\n  {"accessToken": SECRET}\n]').store.list();
    expect(result).toEqual({
      ok: false,
      failure: {
        kind: "broken",
        file: FILE,
        line: 2,
        column: 19,
        message: "a value is expected here",
      },
    });
  });

  test.each(["5", '"text"', "null", "true"])("%s is a broken file", async (text) => {
    expect(await fileStore(text).store.list()).toMatchObject({
      failure: { kind: "broken", line: 1 },
    });
  });

  test("tells the system's code of a file that can't be read", async () => {
    const { store } = memoryStore([], runtime, () => {
      throw Object.assign(new Error("/secret/path"), { code: "EACCES" });
    });
    expect(await store.list()).toEqual({
      ok: false,
      failure: { kind: "io", file: FILE, message: "EACCES" },
    });
  });

  test("ids are unique, given or not", async () => {
    const same = idcRecord("a");
    const { store } = memoryStore(
      [{ ...same, id: "a" }, { ...same, id: "a" }, same, same, { ...same, id: "a-2" }],
      runtime,
    );
    const ids = (await listed(store)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(5);
    expect(ids.slice(0, 2)).toEqual(["a", "a-2"]);
  });
});

describe("put", () => {
  test("changes one record of a list and nothing else", async () => {
    const other = { ...idcRecord("other"), note: "keep", nested: { deep: [1, null] } };
    const record = { ...socialRecord(), note: "keep", priority: 2, machineId: "b".repeat(64) };
    const { store, records } = memoryStore([other, record, "junk"], runtime);
    const [, credential] = await listed(store);
    const stored = await store.put(credential!, renewal);
    expect(records()).toEqual([other, { ...record, ...newTokens }, "junk"]);
    expect(stored).toMatchObject({ ok: true, value: { id: credential!.id, persistent: true } });
    const again = (await listed(store))[1];
    expect(again?.version).toBe(stored.ok ? stored.value.version : "");
    expect(again?.id).toBe(credential!.id);
  });

  test("keeps a single object a single object", async () => {
    const record = socialRecord();
    const { store, records } = memoryStore(record, runtime);
    const credential = await only(store);
    await store.put(credential, renewal);
    expect(records()).toEqual({ ...record, ...newTokens, machineId: credential.machineId });
  });

  test("keeps what somebody edited meanwhile, wherever the record is by then", async () => {
    const { store, records, edit } = memoryStore([socialRecord()], runtime);
    const credential = await only(store);
    edit([idcRecord("added"), { ...socialRecord(), priority: 9, label: "edited" }]);
    expect((await store.put(credential, renewal)).ok).toBe(true);
    expect(records()).toMatchObject([
      idcRecord("added"),
      { ...newTokens, priority: 9, label: "edited" },
    ]);
  });

  test("finds the record by its log-in when its id was edited, and keeps the id it is known by", async () => {
    const { store, records, edit } = memoryStore([socialRecord()], runtime);
    const credential = await only(store);
    edit([{ ...socialRecord(), id: "named" }]);
    expect(await store.put(credential, renewal)).toMatchObject({ value: { id: credential.id } });
    expect(records()).toMatchObject([{ ...newTokens, id: "named" }]);
  });

  test("does not touch a record whose log-in was replaced", async () => {
    const { store, content, edit } = memoryStore([{ ...socialRecord(), id: "a" }], runtime);
    const credential = await only(store);
    edit([{ ...socialRecord("relogin"), id: "a" }]);
    const before = content.get(FILE);
    const result = await store.put(credential, renewal);
    expect(result).toEqual({ ok: false, failure: { kind: "conflict" } });
    expect(content.get(FILE)).toBe(before);
  });

  test("does not bring back a record, or a file, that was removed", async () => {
    const { store, content, edit } = memoryStore([socialRecord()], runtime);
    const credential = await only(store);
    edit([idcRecord()]);
    expect(await store.put(credential, renewal)).toEqual({ ok: false, failure: { kind: "gone" } });
    content.delete(FILE);
    expect(await store.put(credential, renewal)).toEqual({ ok: false, failure: { kind: "gone" } });
    expect([...content.keys()]).toEqual([]);
  });

  test("never writes to a file that it can't read", async () => {
    const { store, content, steps } = memoryStore([socialRecord()], runtime);
    const credential = await only(store);
    content.set(FILE, "[{");
    expect(await store.put(credential, renewal)).toMatchObject({ failure: { kind: "broken" } });
    expect(content.get(FILE)).toBe("[{");
    expect(steps).not.toContain("create");
  });

  test("syncs the new file, then replaces the old one, then syncs the folder", async () => {
    const { store, steps } = memoryStore([socialRecord()], runtime);
    const credential = await only(store);
    steps.length = 0;
    await store.put(credential, renewal);
    expect(steps).toEqual(["realPath", "read", "create", "rename", "syncFolder"]);
  });

  test("writes run one at a time, so that none is lost", async () => {
    let running = 0;
    let most = 0;
    const records = Array.from({ length: 20 }, (_, index) => ({
      ...idcRecord(`n${index}`),
      id: `${index}`,
    }));
    const memory = memoryStore(records, runtime, async (step) => {
      if (step === "realPath") most = Math.max(most, ++running);
      await Promise.resolve();
      if (step === "syncFolder") running -= 1;
    });
    const credentials = await listed(memory.store);
    await Promise.all(
      credentials.map(async (credential) => {
        const accessToken = new Secret(`new-${credential.id}`);
        await memory.store.put(credential, { accessToken, expiresAt: NOW });
      }),
    );
    expect(most).toBe(1);
    expect(memory.records()).toMatchObject(
      records.map(({ id }) => ({ id, accessToken: `new-${id}` })),
    );
  });

  test.each(["realPath", "create", "rename", "syncFolder"] as const)(
    "a failing %s is told, leaves no draft and does not block the next write",
    async (failing) => {
      let broken = true;
      const memory = memoryStore([socialRecord()], runtime, (step) => {
        if (broken && step === failing) throw Object.assign(new Error("full"), { code: "ENOSPC" });
      });
      const credential = await only(memory.store);
      const result = await memory.store.put(credential, renewal);
      expect(result).toEqual({ ok: false, failure: { kind: "io", file: FILE, message: "ENOSPC" } });
      expect([...memory.content.keys()]).toEqual([FILE]);
      broken = false;
      expect((await memory.store.put(await only(memory.store), renewal)).ok).toBe(true);
    },
  );

  test.each(["read", "realPath", "create", "rename", "syncFolder"] as const)(
    "a crash at %s leaves the old file or the new one, whole",
    async (last) => {
      let dead = false;
      const die = (step: keyof Files): void => {
        if (armed && step === last) dead = true;
        if (dead) throw Object.assign(new Error("killed"), { code: "EIO" });
      };
      let armed = false;
      const memory = memoryStore([socialRecord()], runtime, die);
      const credential = await only(memory.store);
      armed = true;
      await memory.store.put(credential, renewal);
      const [record] = memory.records() as Record<string, unknown>[];
      const { machineId: _, ...tokens } = record ?? {};
      const renamed = last === "syncFolder";
      expect(tokens).toEqual(renamed ? { ...socialRecord(), ...newTokens } : socialRecord());
    },
  );
});

describe("on a real disk", () => {
  const folders: string[] = [];
  afterAll(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });
  async function onDisk(text: string) {
    const folder = await mkdtemp(join(tmpdir(), "credentials-"));
    folders.push(folder);
    const path = join(folder, "credentials.json");
    await writeFile(path, text, { mode: 0o644 });
    await chmod(path, 0o644);
    return { folder, path, store: createJsonStore({ path, context, runtime }) };
  }

  test("a file that others may read is theirs no more once it is written, and no draft stays", async () => {
    const { folder, path, store } = await onDisk(JSON.stringify([socialRecord()]));
    expect((await store.put(await only(store), renewal)).ok).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject([newTokens]);
    expect((await readdir(folder)).toSorted()).toEqual([
      ".credentials.json.lock",
      "credentials.json",
    ]);
  });

  test("a link stays a link, and what it points to is written", async () => {
    const { folder, path } = await onDisk(JSON.stringify(socialRecord()));
    const link = join(folder, "link.json");
    await symlink("credentials.json", link);
    const store = createJsonStore({ path: link, context, runtime });
    expect((await store.put(await only(store), renewal)).ok).toBe(true);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject(newTokens);
  });

  test("a draft of that name that somebody laid there is not written through", async () => {
    const { folder, path } = await onDisk(JSON.stringify([socialRecord()]));
    const trap = join(folder, ".credentials.json.trap.tmp");
    await writeFile(join(folder, "victim"), "untouched");
    await symlink("victim", trap);
    const store = createJsonStore({
      path,
      context,
      runtime: { ...runtime, randomUUID: () => "trap" },
    });
    expect(await store.put(await only(store), renewal)).toMatchObject({
      failure: { kind: "io", message: "EEXIST" },
    });
    expect(await readFile(join(folder, "victim"), "utf8")).toBe("untouched");
  });

  test("a folder in the file's place is told, not thrown", async () => {
    const { folder } = await onDisk("[]");
    const store = createJsonStore({ path: folder, context, runtime });
    expect(await store.list()).toMatchObject({ failure: { kind: "io", message: "EISDIR" } });
  });
});
