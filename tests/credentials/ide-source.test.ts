import { describe, expect, test } from "bun:test";
import type { Files } from "../../src/credentials/files.ts";
import { createIdeSource } from "../../src/credentials/ide-source.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { LoginSource } from "../../src/credentials/login-source.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime } from "../support/runtime.ts";
import {
  at,
  context,
  FILE,
  memoryFiles,
  MINUTE,
  NOW,
  OWN_ARN,
  socialRecord,
  token,
} from "./samples.ts";

const { runtime } = createTestRuntime({ now: NOW });
const CACHE = "/home/me/.aws/sso/cache";
const TOKEN = `${CACHE}/kiro-auth-token.json`;
const HASH = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";

const social = { ...socialRecord(), extra: { of: "the IDE" } };
const idc = {
  accessToken: "aoa",
  refreshToken: token("aor"),
  expiresAt: "2026-01-15T12:00:00.079944400+00:00",
  clientIdHash: HASH,
  authMethod: "IdC",
  provider: "BuilderId",
  region: "us-east-1",
};
const registration = {
  clientId: "client",
  clientSecret: "client-secret",
  expiresAt: at(NOW + 9e9),
};
const renewal = {
  accessToken: new Secret("renewed"),
  refreshToken: new Secret(token("renewed")),
  expiresAt: NOW + 60 * MINUTE,
};

function ide(content: Record<string, unknown>, before?: (step: keyof Files, path: string) => void) {
  const texts = Object.entries(content).map(([path, value]) => [
    path,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const memory = memoryFiles(Object.fromEntries(texts), before);
  const source = createIdeSource({ home: "/home/me", files: memory.files, runtime });
  const none: LoginSource = {
    read: async () => ({ ok: false, failure: { path: "source", message: "none" } }),
    write: async () => ({ ok: false, failure: { kind: "gone" } }),
  };
  const store = createJsonStore({
    path: FILE,
    context,
    runtime,
    files: memory.files,
    sources: { "kiro-ide": source, "kiro-cli": none },
  });
  const json = (path: string): unknown => JSON.parse(memory.content.get(path) ?? "null");
  return { ...memory, source, store, json };
}

async function only(store: ReturnType<typeof ide>["store"]) {
  const listed = await store.list();
  const [credential] = listed.ok ? listed.value.credentials : [];
  if (credential === undefined) throw new Error(JSON.stringify(listed));
  return credential;
}

describe("read", () => {
  test("a social log-in is the file itself", async () => {
    expect(await ide({ [TOKEN]: social }).source.read(undefined)).toEqual({
      ok: true,
      value: social,
    });
  });

  test("the registration is taken from the file that the hash names", async () => {
    const other = { clientId: "other", clientSecret: "other" };
    const { source } = ide({
      [TOKEN]: idc,
      [`${CACHE}/${HASH}.json`]: registration,
      [`${CACHE}/other.json`]: other,
    });
    expect(await source.read(undefined)).toMatchObject({
      value: { ...idc, clientId: "client", clientSecret: "client-secret" },
    });
  });

  test("without a hash the only registration beside it is the one", async () => {
    const { clientIdHash: _, ...hashless } = idc;
    const files = {
      [TOKEN]: hashless,
      [`${CACHE}/a.json`]: registration,
      [`${CACHE}/b.json`]: "[",
    };
    expect(await ide(files).source.read(undefined)).toMatchObject({
      value: { clientId: "client" },
    });
    const two = { ...files, [`${CACHE}/c.json`]: { clientId: "c", clientSecret: "c" } };
    expect(await ide(two).source.read(undefined)).not.toHaveProperty("value.clientId");
  });

  test.each(["../../../etc/secret", "a/b", "", "..", "a b", "%2e%2e", 5, { a: 1 }])(
    "the hash %j never leads out of the folder",
    async (clientIdHash) => {
      const { source, content } = ide({ [TOKEN]: { ...idc, clientIdHash } });
      const asked: string[] = [];
      const read = createIdeSource({
        home: "/home/me",
        runtime,
        files: {
          ...memoryFiles(Object.fromEntries(content)).files,
          read: async (path) => {
            asked.push(path);
            return content.get(path) ?? "{}";
          },
        },
      });
      expect(await source.read(undefined)).not.toHaveProperty("value.clientSecret");
      await read.read(undefined);
      expect(asked).toEqual([TOKEN]);
    },
  );

  test.each([
    { name: "no file", content: {}, message: `${TOKEN} does not exist` },
    {
      name: "a broken file",
      content: { [TOKEN]: '{"accessToken": "SECRET"' },
      message: "line 1, column 25",
    },
    { name: "a list", content: { [TOKEN]: [] }, message: "must be a JSON object" },
  ])("$name is told without a word of what is in it", async ({ content, message }) => {
    const read = await ide(content).source.read(undefined);
    expect(read).toMatchObject({ ok: false, failure: { path: "source" } });
    expect(JSON.stringify(read)).toContain(message);
    expect(JSON.stringify(read)).not.toContain("SECRET");
  });

  test("a folder that can't be looked through has no registration to offer", async () => {
    const { clientIdHash: _, ...hashless } = idc;
    const { files } = memoryFiles({ [TOKEN]: JSON.stringify(hashless) });
    const denied = Object.assign(new Error("no"), { code: "EACCES" });
    const source = createIdeSource({
      home: "/home/me",
      runtime,
      files: { ...files, list: async () => await Promise.reject(denied) },
    });
    expect(await source.read(undefined)).toMatchObject({ ok: true, value: hashless });
  });

  test("~/ is the home of the user", async () => {
    const { source } = ide({ "/home/me/copy.json": social });
    expect(await source.read("~/copy.json")).toMatchObject({ ok: true, value: social });
  });
});

describe("a record that points to the IDE", () => {
  const link = { source: "kiro-ide", priority: 3, proxyUrl: "direct" };

  test("is a credential with the log-in of the IDE, and with what it says itself", async () => {
    const { store } = ide({ [FILE]: link, [TOKEN]: idc, [`${CACHE}/${HASH}.json`]: registration });
    expect(await only(store)).toMatchObject({
      id: "kiro-ide",
      source: "kiro-ide",
      authMethod: "idc",
      priority: 3,
      persistent: true,
      login: { type: "idc", clientId: "client" },
    });
  });

  test("stays the same credential when the IDE has renewed the tokens", async () => {
    const world = ide({ [FILE]: link, [TOKEN]: social });
    const before = await only(world.store);
    world.content.set(TOKEN, JSON.stringify({ ...socialRecord("rotated"), profileArn: null }));
    const after = await only(world.store);
    expect(after).toMatchObject({ id: before.id, machineId: before.machineId });
    expect(after.version).not.toBe(before.version);
    expect(after.accessToken?.equals("rotated-access")).toBe(true);
  });

  test("renewed tokens go back into the file of the IDE, which keeps all else", async () => {
    const world = ide({ [FILE]: link, [TOKEN]: idc, [`${CACHE}/${HASH}.json`]: registration });
    const stored = await world.store.put(await only(world.store), renewal);
    expect(world.json(TOKEN)).toEqual({
      ...idc,
      accessToken: "renewed",
      refreshToken: token("renewed"),
      expiresAt: at(renewal.expiresAt),
    });
    expect(world.json(FILE)).toEqual(link);
    expect(world.json(`${CACHE}/${HASH}.json`)).toEqual(registration);
    const again = await only(world.store);
    expect(stored).toMatchObject({ ok: true, value: { id: "kiro-ide", source: "kiro-ide" } });
    expect(stored.ok && stored.value.version).toBe(again.version);
  });

  test("what the IDE has written meanwhile is never overwritten", async () => {
    const world = ide({ [FILE]: link, [TOKEN]: social });
    const before = await only(world.store);
    const newer = { ...social, refreshToken: token("of-the-IDE") };
    world.content.set(TOKEN, JSON.stringify(newer));
    expect(await world.store.put(before, renewal)).toEqual({
      ok: false,
      failure: { kind: "conflict" },
    });
    expect(world.json(TOKEN)).toEqual(newer);
  });

  test.each(["checkWritable", "create", "rename"] as const)(
    "a failing %s leaves the file of the IDE as it was, and is told",
    async (failing) => {
      const world = ide({ [FILE]: link, [TOKEN]: social }, (step) => {
        if (step === failing) throw Object.assign(new Error("no"), { code: "EACCES" });
      });
      expect(await world.store.put(await only(world.store), renewal)).toEqual({
        ok: false,
        failure: { kind: "io", file: TOKEN, message: "EACCES" },
      });
      expect(world.json(TOKEN)).toEqual(social);
      expect([...world.content.keys()].toSorted()).toEqual([FILE, TOKEN].toSorted());
    },
  );

  test("its own fields can be changed, and it can be taken out; the IDE notices nothing", async () => {
    const world = ide({ [FILE]: link, [TOKEN]: social });
    await world.store.update("kiro-ide", { disabled: true });
    expect(world.json(FILE)).toEqual({ ...link, disabled: true });
    expect(await only(world.store)).toMatchObject({ disabled: true });
    await world.store.remove("kiro-ide");
    expect(world.json(FILE)).toEqual([]);
    expect(world.json(TOKEN)).toEqual(social);
  });

  test("a refresh token that the IDE hides is never sent; its access token serves", async () => {
    const hidden = { ...social, refreshToken: "aorAAAA...BBBB" };
    expect(await only(ide({ [FILE]: link, [TOKEN]: hidden }).store)).toMatchObject({
      login: undefined,
      authMethod: "social",
    });
  });

  test("a profile that was found for its account is not kept: the account may be another tomorrow", async () => {
    const world = ide({ [FILE]: link, [TOKEN]: { ...social, profileArn: null } });
    const profileArn = OWN_ARN;
    expect(await world.store.update("kiro-ide", { profileArn, priority: 5 })).toMatchObject({
      ok: true,
      value: { priority: 5, profileArn: undefined },
    });
    expect(world.json(FILE)).toEqual({ ...link, priority: 5 });
  });

  test("is unusable while there is no log-in, and the others serve", async () => {
    const world = ide({ [FILE]: [link, { id: "mine", ...socialRecord("mine") }] });
    expect(await world.store.list()).toMatchObject({
      value: {
        credentials: [{ id: "mine" }],
        rejected: [{ path: "[0].source", message: `${TOKEN} does not exist` }],
      },
    });
  });

  test("of a client is none: no client can have a file of this machine read", async () => {
    const { files } = memoryFiles({
      [FILE]: JSON.stringify([link]),
      [TOKEN]: JSON.stringify(social),
    });
    const store = createJsonStore({ path: FILE, context, runtime, files });
    expect(await store.list()).toMatchObject({ value: { credentials: [] } });
  });

  test("added again takes the place of a copy, and a copy the place of it", async () => {
    const world = ide({ [FILE]: [{ id: "copy", ...social }], [TOKEN]: social });
    expect(await world.store.add([{ source: "kiro-ide" }])).toMatchObject({
      value: [{ outcome: "updated", credential: { id: "copy", source: "kiro-ide" } }],
    });
    expect(world.json(FILE)).toMatchObject([{ id: "copy", source: "kiro-ide" }]);
    expect(JSON.stringify(world.json(FILE))).not.toContain("refreshToken");
    expect(await world.store.add([{ source: "kiro-ide" }])).toMatchObject({
      value: [{ outcome: "unchanged" }],
    });
    await world.store.add([social]);
    expect(world.json(FILE)).toMatchObject([{ id: "copy", refreshToken: social.refreshToken }]);
    expect(world.json(FILE)).not.toHaveProperty("0.source");
  });
});
