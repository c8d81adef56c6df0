import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "bun:test";
import { createJournal } from "../../src/credentials/journal.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { Renewal } from "../../src/credentials/record.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { at, context, NOW, recordingLog, socialRecord, token } from "./samples.ts";

const root = await mkdtemp(join(tmpdir(), "kiro-proxy-journal-"));
afterAll(async () => await rm(root, { recursive: true, force: true }));

const renewal: Renewal = {
  accessToken: new Secret("new-access"),
  refreshToken: new Secret(token("new")),
  expiresAt: NOW + 3_600_000,
};

async function world() {
  const folder = await mkdtemp(join(root, "x-"));
  const path = join(folder, "credentials.json");
  const write = async (records: unknown): Promise<void> =>
    await writeFile(path, JSON.stringify(records));
  await write([{ ...socialRecord("old"), id: "a" }]);
  const { runtime } = createTestRuntime({ now: NOW });
  const store = createJsonStore({ path, context, runtime });
  const { log, lines } = recordingLog();
  const journal = createJournal({ credentialsPath: path, log });
  const listed = await store.list();
  const credential = listed.ok ? listed.value.credentials[0] : undefined;
  if (credential === undefined) throw new Error("no credential");
  return {
    folder,
    path,
    write,
    store,
    lines,
    journal,
    credential,
    records: async (): Promise<unknown> => JSON.parse(await readFile(path, "utf8")),
    notes: async () => (await readdir(folder)).filter((name) => name.includes("renewed")),
  };
}

describe("the journal", () => {
  test("gives a renewal that a killed process has left to the store, once", async () => {
    const { journal, credential, store, records, notes, lines, folder } = await world();
    journal.note(credential, renewal);
    const [name = ""] = await notes();
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    await journal.recover(store);
    expect(await records()).toMatchObject([
      { accessToken: "new-access", refreshToken: token("new"), expiresAt: at(NOW + 3_600_000) },
    ]);
    expect(lines).toEqual([{ level: "info", event: "renewal-recovered", credential: "a" }]);
    expect(await notes()).toEqual([]);
    await journal.recover(store);
    expect(lines).toHaveLength(1);
  });

  test("is empty once the store has it", async () => {
    const { journal, credential, notes } = await world();
    journal.note(credential, renewal);
    journal.done(credential);
    journal.done(credential);
    expect(await notes()).toEqual([]);
  });

  test("never puts an older log-in over a newer one", async () => {
    const { journal, credential, store, write, records, notes } = await world();
    journal.note(credential, renewal);
    const newer = [{ ...socialRecord("newer"), id: "a" }];
    await write(newer);
    await journal.recover(store);
    expect(await records()).toEqual(newer);
    expect(await notes()).toEqual([]);
  });

  test("keeps what can't be written yet", async () => {
    const { journal, credential, store, path, notes, write, records } = await world();
    const before = await records();
    journal.note(credential, renewal);
    await writeFile(path, "[{");
    await journal.recover(store);
    expect(await notes()).toHaveLength(1);
    await write(before);
    await journal.recover(store);
    expect(await records()).toMatchObject([{ accessToken: "new-access" }]);
  });

  test("keeps what may belong to a record that can't be read just now", async () => {
    const { journal, credential, store, notes, write, records } = await world();
    const before = await records();
    journal.note(credential, renewal);
    await write([{ ...socialRecord("old"), id: "a", region: "nowhere" }]);
    await journal.recover(store);
    await write(before);
    await journal.recover(store);
    expect(await records()).toMatchObject([{ accessToken: "new-access" }]);
    expect(await notes()).toEqual([]);
  });

  test.each([
    { name: "cut off", text: '{"version":"' },
    { name: "something else", text: '{"version":1}' },
    { name: "empty", text: "" },
  ])("throws away a note that is $name", async ({ text }) => {
    const { journal, credential, store, folder, notes, records } = await world();
    const before = await records();
    journal.note(credential, renewal);
    const [name = ""] = await notes();
    await writeFile(join(folder, name), text);
    await journal.recover(store);
    expect(await records()).toEqual(before);
    expect(await notes()).toEqual([]);
  });

  test("leaves the notes of another file alone", async () => {
    const { journal, credential, store, folder, notes } = await world();
    journal.note(credential, renewal);
    const other = createJournal({
      credentialsPath: join(folder, "others.json"),
      log: recordingLog().log,
    });
    await other.recover(store);
    expect(await notes()).toHaveLength(1);
  });

  test("does not stop a renewal where it can't be written", async () => {
    const { credential, folder, notes } = await world();
    const nowhere = createJournal({
      credentialsPath: join(folder, "missing", "credentials.json"),
      log: recordingLog().log,
    });
    nowhere.note(credential, renewal);
    nowhere.done(credential);
    expect(await notes()).toEqual([]);
  });
});
