import { Database } from "bun:sqlite";
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createCliSource } from "../../src/credentials/cli-source.ts";
import { createIdeSource } from "../../src/credentials/ide-source.ts";
import { diskFiles } from "../../src/credentials/files.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { Credential } from "../../src/credentials/credential.ts";
import { realRuntime } from "../../src/runtime.ts";
import { Secret } from "../../src/secret.ts";
import { at, context, MINUTE, NOW, OWN_ARN, token } from "./samples.ts";

const runtime = realRuntime();
const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "kiro-cli-"));
  folders.push(home);
});

const idcToken = {
  access_token: "aoa",
  refresh_token: token("aor"),
  expires_at: "2026-01-15T12:00:00.123456789Z",
  region: "eu-west-1",
  start_url: "https://company.example/start",
  oauth_flow: "DeviceCode",
  scopes: ["codewhisperer:completions"],
};
const registration = {
  client_id: "client",
  client_secret: "client-secret",
  client_secret_expires_at: "2026-05-30T09:00:00Z",
  region: "eu-west-1",
};
const socialToken = {
  access_token: "social-aoa",
  refresh_token: token("social-aor"),
  expires_at: at(NOW),
  profile_arn: OWN_ARN,
  provider: "google",
};
const renewal = {
  accessToken: new Secret("renewed"),
  refreshToken: new Secret(token("renewed")),
  expiresAt: NOW + 60 * MINUTE,
};

type Rows = Record<string, unknown>;

async function database(
  rows: Rows,
  {
    place = ".local/share/kiro-cli/data.sqlite3",
    state = {},
    wal = false,
  }: {
    place?: string;
    state?: Rows;
    wal?: boolean;
  } = {},
): Promise<string> {
  const path = join(home, place);
  await mkdir(dirname(path), { recursive: true });
  const db = new Database(path);
  if (wal) db.run("PRAGMA journal_mode = WAL");
  for (const [table, content] of [
    ["auth_kv", rows],
    ["state", state],
  ] as const) {
    db.run(`CREATE TABLE ${table} (key TEXT PRIMARY KEY, value TEXT)`);
    for (const [key, value] of Object.entries(content)) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      db.query(`INSERT INTO ${table} VALUES (?, ?)`).run(key, text);
    }
  }
  db.close();
  return path;
}

function rowsOf(path: string): Rows {
  const db = new Database(path, { readonly: true });
  const rows = db.query("SELECT key, value FROM auth_kv").all() as { key: string; value: string }[];
  db.close();
  return Object.fromEntries(rows.map(({ key, value }) => [key, JSON.parse(value)]));
}

function source(platform = "linux") {
  return createCliSource({ home, platform });
}

function storeWith(record: object) {
  const path = join(home, "credentials.json");
  const sources = {
    "kiro-cli": source(),
    "kiro-ide": createIdeSource({ home, files: diskFiles, runtime }),
  };
  return {
    store: createJsonStore({ path, context, runtime, sources }),
    write: async () => await writeFile(path, JSON.stringify([record])),
    text: async () => await Bun.file(path).text(),
  };
}

async function only(store: ReturnType<typeof storeWith>["store"]): Promise<Credential> {
  const listed = await store.list();
  const [credential] = listed.ok ? listed.value.credentials : [];
  if (credential === undefined) throw new Error(JSON.stringify(listed));
  return credential;
}

describe("read", () => {
  test("a log-in of IAM Identity Center has its registration with it", async () => {
    await database({
      "kirocli:odic:token": idcToken,
      "kirocli:odic:device-registration": registration,
    });
    expect(await source().read(undefined)).toMatchObject({
      ok: true,
      value: {
        ...idcToken,
        authMethod: "idc",
        client_id: "client",
        client_secret: "client-secret",
      },
    });
  });

  test("a social log-in comes before it, as in the program itself", async () => {
    await database({
      "codewhisperer:odic:token": idcToken,
      "kirocli:odic:token": idcToken,
      "kirocli:social:token": socialToken,
    });
    expect(await source().read(undefined)).toMatchObject({
      value: { authMethod: "social", access_token: "social-aoa" },
    });
  });

  test("the profile that was chosen there is used", async () => {
    const state = { "api.codewhisperer.profile": { arn: OWN_ARN, profile_name: "p" } };
    await database({ "kirocli:odic:token": idcToken }, { state });
    expect(await source().read(undefined)).toMatchObject({ value: { profile_arn: OWN_ARN } });
  });

  test.each([
    { platform: "linux", place: ".local/share/amazon-q/data.sqlite3" },
    { platform: "darwin", place: "Library/Application Support/kiro-cli/data.sqlite3" },
    { platform: "darwin", place: "Library/Application Support/amazon-q/data.sqlite3" },
  ])("finds $place on $platform", async ({ platform, place }) => {
    await database({ "codewhisperer:odic:token": idcToken }, { place });
    expect(await source(platform).read(undefined)).toMatchObject({ ok: true });
  });

  test.each([
    { name: "no row", rows: {} },
    { name: "a row that is no JSON", rows: { "kirocli:odic:token": "{SECRET" } },
    { name: "a row that is no object", rows: { "kirocli:odic:token": "[1]" } },
  ])("$name is no log-in", async ({ rows }) => {
    await database(rows);
    const read = await source().read(undefined);
    expect(read).toMatchObject({
      ok: false,
      failure: { message: expect.stringMatching(/has no log-in$/) },
    });
    expect(JSON.stringify(read)).not.toContain("SECRET");
  });

  test("no database, an empty one, and a file that is none are told apart", async () => {
    expect(await source().read(undefined)).toMatchObject({
      failure: { message: expect.stringMatching(/data\.sqlite3 does not exist$/) },
    });
    const empty = join(home, "empty.sqlite3");
    await writeFile(empty, "");
    expect(await source().read(empty)).toMatchObject({
      failure: { message: expect.stringMatching(/has no log-in$/) },
    });
    const junk = join(home, "junk.sqlite3");
    await writeFile(junk, "no database at all, but long enough to look like one".repeat(50));
    expect(await source().read(junk)).toMatchObject({
      failure: { message: expect.stringMatching(/can't be read: SQLITE_NOTADB$/) },
    });
  });
});

describe.each([{ wal: false }, { wal: true }])(
  "a record that points to kiro-cli (WAL: $wal)",
  ({ wal }) => {
    const link = { source: "kiro-cli", priority: 2 };

    test("is a credential, and renewed tokens go back under the same key, all else kept", async () => {
      const rows = {
        "kirocli:odic:token": idcToken,
        "kirocli:odic:device-registration": registration,
      };
      const path = await database(rows, { wal });
      const { store, write, text } = storeWith(link);
      await write();
      const before = await only(store);
      expect(before).toMatchObject({
        id: "kiro-cli",
        source: "kiro-cli",
        authRegion: "eu-west-1",
        startUrl: "https://company.example/start",
        login: { type: "idc", clientId: "client" },
      });
      const stored = await store.put(before, renewal);
      expect(rowsOf(path)).toEqual({
        ...rows,
        "kirocli:odic:token": {
          ...idcToken,
          access_token: "renewed",
          refresh_token: token("renewed"),
          expires_at: at(renewal.expiresAt),
        },
      });
      const after = await only(store);
      expect(after).toMatchObject({ id: "kiro-cli", machineId: before.machineId });
      expect(stored.ok && stored.value.version).toBe(after.version);
      expect(await text()).toBe(JSON.stringify([link]));
    });

    test("what the program has written meanwhile is never overwritten", async () => {
      const path = await database({ "kirocli:social:token": socialToken }, { wal });
      const { store, write } = storeWith(link);
      await write();
      const before = await only(store);
      const newer = JSON.stringify({ ...socialToken, refresh_token: token("newer") });
      const db = new Database(path);
      db.query("UPDATE auth_kv SET value = ?").run(newer);
      db.close();
      expect(await store.put(before, renewal)).toEqual({
        ok: false,
        failure: { kind: "conflict" },
      });
      expect(rowsOf(path)).toEqual({ "kirocli:social:token": JSON.parse(newer) });
    });

    test("a database that is busy for long is told, and nothing is written", async () => {
      const path = await database({ "kirocli:social:token": socialToken }, { wal });
      const { store, write } = storeWith(link);
      await write();
      const before = await only(store);
      const db = new Database(path);
      db.run("BEGIN IMMEDIATE");
      expect(await store.put(before, renewal)).toEqual({
        ok: false,
        failure: { kind: "io", file: path, message: "SQLITE_BUSY" },
      });
      db.run("ROLLBACK");
      db.close();
      expect(rowsOf(path)).toEqual({ "kirocli:social:token": socialToken });
    });

    test("a log-out there is told", async () => {
      const path = await database({ "kirocli:social:token": socialToken }, { wal });
      const { store, write } = storeWith(link);
      await write();
      const before = await only(store);
      const db = new Database(path);
      db.run("DELETE FROM auth_kv");
      db.close();
      expect(await store.put(before, renewal)).toEqual({ ok: false, failure: { kind: "gone" } });
      expect(await store.list()).toMatchObject({ value: { rejected: [{ path: "[0].source" }] } });
    });
  },
);
