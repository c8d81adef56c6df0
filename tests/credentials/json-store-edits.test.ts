import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { Added } from "../../src/credentials/store.ts";
import type { Result } from "../../src/result.ts";
import { realRuntime } from "../../src/runtime.ts";
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
  OWN_ARN,
  socialRecord,
  token,
} from "./samples.ts";

const { runtime } = createTestRuntime({ now: NOW });

function valueOf<T>(result: Result<T, { kind: string }>): T {
  if (!result.ok) throw new Error(result.failure.kind);
  return result.value;
}

function outcomes(added: Result<Added[], { kind: string }>): string[] {
  return valueOf(added).map(({ outcome }) => outcome);
}

async function ids(store: ReturnType<typeof createJsonStore>): Promise<string[]> {
  return valueOf(await store.list()).credentials.map(({ id }) => id);
}

describe("update", () => {
  test("changes and removes fields of one record, in its own spelling, and no other", async () => {
    const record = { id: "a", refresh_token: token("aor"), disabled: true, note: { keep: [1] } };
    const { store, records } = memoryStore([idcRecord("other"), record], runtime);
    const updated = await store.update("a", {
      refreshToken: token("new"),
      disabled: undefined,
      profileArn: OWN_ARN,
    });
    expect(updated).toMatchObject({ ok: true, value: { id: "a", disabled: false } });
    expect(records()).toMatchObject([
      idcRecord("other"),
      { id: "a", refresh_token: token("new"), note: { keep: [1] }, profileArn: OWN_ARN },
    ]);
    expect(JSON.stringify(records())).not.toContain("disabled");
    expect(JSON.stringify(records())).not.toContain('refreshToken":"new');
  });

  test("keeps the id and the machine id of a record that were derived from what changes", async () => {
    const { store, records } = memoryStore([idcRecord("a")], runtime);
    const [id = ""] = await ids(store);
    const { machineId } = valueOf(await store.list()).credentials[0]!;
    await store.update(id, { clientId: "another", refreshToken: token("another") });
    expect(await ids(store)).toEqual([id]);
    expect(records()).toMatchObject([{ id, machineId, clientId: "another" }]);
  });

  test("a change of no consequence for the id adds none", async () => {
    const { store, records } = memoryStore([idcRecord("a")], runtime);
    const [id = ""] = await ids(store);
    await store.update(id, { priority: 3 });
    expect(records()).toEqual([{ ...idcRecord("a"), priority: 3 }]);
  });

  test("does not write what could not be read again", async () => {
    const { store, records } = memoryStore([{ id: "a", ...socialRecord() }], runtime);
    expect(await store.update("a", { apiRegion: "evil.example/" })).toMatchObject({
      ok: false,
      failure: { kind: "unusable", fault: { path: "apiRegion" } },
    });
    expect(await store.update("b", { priority: 1 })).toMatchObject({ failure: { kind: "gone" } });
    expect(records()).toEqual([{ id: "a", ...socialRecord() }]);
  });
});

describe("add", () => {
  test("makes the file, its folder and a list, of mode 0600", async () => {
    const folder = await scratch();
    const path = join(folder, "deep", "credentials.json");
    const store = createJsonStore({ path, context, runtime: realRuntime() });
    expect(outcomes(await store.add([socialRecord()]))).toEqual(["added"]);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject([socialRecord()]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, "deep"))).mode & 0o777).toBe(0o700);
  });

  test("a file of one object becomes a list when there is a second, and keeps the first as it was", async () => {
    const first = { ...socialRecord(), note: "mine" };
    const { store, records } = memoryStore(first, runtime);
    const [before] = await ids(store);
    await store.add([idcRecord("b")]);
    expect(records()).toMatchObject([first, idcRecord("b")]);
    expect((await ids(store))[0]).toBe(before);
    const [, second = ""] = await ids(store);
    await store.remove(second);
    expect(records()).toEqual([first]);
  });

  test("a record gets the id it has for good, and none twice", async () => {
    const { store, records } = memoryStore([], runtime);
    await store.add([
      { ...idcRecord("a"), id: "x" },
      { ...idcRecord("b"), id: "x" },
    ]);
    expect(await ids(store)).toEqual(["x", "x-2"]);
    expect(records()).toMatchObject([
      { id: "x", machineId: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { id: "x-2" },
    ]);
  });

  test("a new log-in of the same account takes the place of the old one as a whole", async () => {
    const old = {
      ...idcRecord("old"),
      id: "a",
      email: "Dev@Example.com",
      profileArn: OWN_ARN,
      tokenEndpoint: null,
      startUrl: "https://old.example/start",
      priority: 4,
      proxyUrl: "direct",
      note: "keep",
    };
    const { store, records } = memoryStore([old], runtime);
    const fresh = { ...idcRecord("new", NOW - MINUTE), email: "dev@example.com" };
    expect(outcomes(await store.add([fresh]))).toEqual(["updated"]);
    const [record] = records() as Record<string, unknown>[];
    expect(record).toMatchObject({
      ...fresh,
      id: "a",
      priority: 4,
      proxyUrl: "direct",
      note: "keep",
    });
    expect(record).not.toHaveProperty("profileArn");
    expect(record).not.toHaveProperty("startUrl");
  });

  test.each([
    { name: "another address", email: "other@example.com" },
    { name: "no address", email: undefined },
  ])("$name is another account", async ({ email }) => {
    const { store } = memoryStore([{ ...idcRecord("a"), email: "dev@example.com" }], runtime);
    expect(outcomes(await store.add([{ ...idcRecord("b"), email }]))).toEqual(["added"]);
  });

  test("the same address with another method is another account", async () => {
    const { store } = memoryStore([{ ...idcRecord("a"), email: "dev@example.com" }], runtime);
    const social = { ...socialRecord("b"), email: "dev@example.com" };
    expect(outcomes(await store.add([social]))).toEqual(["added"]);
  });

  test("of two known users the ids decide, not the addresses", async () => {
    const here = { ...idcRecord("a"), userId: "u1", email: "shared@example.com" };
    const { store } = memoryStore([here], runtime);
    const other = { ...idcRecord("b"), userId: "u2", email: "shared@example.com" };
    const same = { ...idcRecord("c"), userId: "u1", email: "renamed@example.com" };
    expect(outcomes(await store.add([other, same]))).toEqual(["added", "updated"]);
  });

  test("the same log-in again changes nothing and writes nothing", async () => {
    const memory = memoryStore([socialRecord()], runtime);
    memory.steps.length = 0;
    expect(outcomes(await memory.store.add([socialRecord(), socialRecord()]))).toEqual([
      "unchanged",
      "unchanged",
    ]);
    expect(memory.steps).not.toContain("create");
  });

  test("with keepNewer an older log-in of an account stays out", async () => {
    const here = { ...idcRecord("a", NOW), email: "dev@example.com" };
    const { store, records } = memoryStore([here], runtime);
    const older = { ...idcRecord("b", NOW - MINUTE), email: "dev@example.com" };
    const newer = { ...idcRecord("c", NOW + MINUTE), email: "dev@example.com" };
    const options = { keepNewer: true };
    expect(outcomes(await store.add([older], options))).toEqual(["unchanged"]);
    expect(outcomes(await store.add([newer], options))).toEqual(["updated"]);
    expect(records()).toMatchObject([newer]);
  });

  test("with keepNewer a bare refresh token is news only if it is another one", async () => {
    const { store, records } = memoryStore([{ ...socialRecord("a"), userId: "u" }], runtime);
    const options = { keepNewer: true };
    const bare = { refreshToken: token("a") };
    expect(outcomes(await store.add([bare], options))).toEqual(["unchanged"]);
    const other = { refreshToken: token("b"), userId: "u" };
    expect(outcomes(await store.add([other], options))).toEqual(["updated"]);
    expect(records()).toMatchObject([other]);
  });

  test("a record that can't be used is refused, and the others are added", async () => {
    const { store, records } = memoryStore([], runtime);
    const bad = { ...idcRecord("b"), region: "x/y" };
    const added = await store.add([socialRecord(), bad, {}]);
    expect(outcomes(added)).toEqual(["added", "refused", "refused"]);
    expect(records()).toHaveLength(1);
  });

  test("a dry run tells the same and writes nothing", async () => {
    const memory = memoryStore([socialRecord()], runtime);
    memory.steps.length = 0;
    const records = [idcRecord("b"), socialRecord()];
    const told = outcomes(await memory.store.add(records, { dryRun: true }));
    expect(memory.steps).not.toContain("create");
    expect(told).toEqual(outcomes(await memory.store.add(records)));
  });

  test("never writes to a file that it can't read", async () => {
    const { files, content } = memoryFiles({ [FILE]: "[{" });
    const store = createJsonStore({ path: FILE, context, runtime, files });
    for (const edit of [
      store.add([socialRecord()]),
      store.remove("a"),
      store.update("a", { priority: 1 }),
    ]) {
      expect(await edit).toMatchObject({ ok: false, failure: { kind: "broken", line: 1 } });
    }
    expect(content.get(FILE)).toBe("[{");
  });

  test("whatever is added in whatever order, ids stay unique and no record is lost", async () => {
    const record = fc.record({
      refreshToken: fc.constantFrom("a", "b", "c").map(token),
      id: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
      email: fc.option(fc.constantFrom("a@x.example", "b@x.example"), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(record, { maxLength: 3 }), { maxLength: 4 }),
        async (rounds) => {
          const { store } = memoryStore([], runtime);
          for (const round of rounds) {
            const before = await ids(store);
            const added = valueOf(await store.add(round));
            const after = await ids(store);
            expect(after.slice(0, before.length)).toEqual(before);
            expect(new Set(after).size).toBe(after.length);
            const count = added.filter(({ outcome }) => outcome === "added").length;
            expect(after.length).toBe(before.length + count);
            for (const one of added) {
              if (one.outcome !== "refused") expect(after).toContain(one.credential.id);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("remove", () => {
  test("takes out that record and no other", async () => {
    const { store, records } = memoryStore(
      [{ id: "a", ...socialRecord() }, "junk", idcRecord("b")],
      runtime,
    );
    expect((await store.remove("a")).ok).toBe(true);
    expect(records()).toEqual(["junk", idcRecord("b")]);
    expect(await store.remove("a")).toEqual({ ok: false, failure: { kind: "gone" } });
  });

  test("the last one leaves an empty list, not an empty file", async () => {
    const { store, records } = memoryStore({ id: "a", ...socialRecord() }, runtime);
    await store.remove("a");
    expect(records()).toEqual([]);
  });
});

describe("the lock", () => {
  test("a change waits for whoever holds it, and gives up in the end", async () => {
    const clock = createTestRuntime({ now: NOW });
    const memory = memoryStore([{ id: "a", ...socialRecord() }], clock.runtime);
    const held = await memory.files.lock("/data/.credentials.json.lock");
    const waiting = memory.store.update("a", { priority: 1 });
    await clock.advance(1_000);
    held?.();
    await clock.advance(20);
    expect((await waiting).ok).toBe(true);

    await memory.files.lock("/data/.credentials.json.lock");
    const vain = memory.store.update("a", { priority: 2 });
    await clock.advance(11_000);
    expect(await vain).toMatchObject({ failure: { kind: "io", message: "ELOCKED" } });
    expect(memory.records()).toMatchObject([{ priority: 1 }]);
  });

  test("is released when a change fails", async () => {
    let broken = true;
    const memory = memoryStore([{ id: "a", ...socialRecord() }], runtime, (step) => {
      if (broken && step === "create") throw Object.assign(new Error("full"), { code: "ENOSPC" });
    });
    expect((await memory.store.update("a", { priority: 1 })).ok).toBe(false);
    broken = false;
    expect((await memory.store.update("a", { priority: 1 })).ok).toBe(true);
  });

  test("two processes that write at the same time lose nothing of each other", async () => {
    const path = join(await scratch(), "credentials.json");
    const each = 25;
    const records = ["one", "two"].map((id) => ({ ...idcRecord(id), id, count: 0 }));
    await writeFile(path, JSON.stringify(records));
    const child = (id: string) =>
      Bun.spawn([process.execPath, "-e", writer(path, id, each)], {
        cwd: join(import.meta.dir, "../.."),
        stdio: ["ignore", "inherit", "inherit"],
      });
    const codes = await Promise.all(["one", "two"].map(async (id) => await child(id).exited));
    expect(codes).toEqual([0, 0]);
    const after: Record<string, unknown>[] = JSON.parse(await readFile(path, "utf8"));
    expect(after.slice(0, 2)).toMatchObject([
      { id: "one", accessToken: `one-${each - 1}`, priority: each - 1 },
      { id: "two", accessToken: `two-${each - 1}`, priority: each - 1 },
    ]);
    expect(after.map((record) => String(record["id"])).toSorted()).toEqual(
      [
        "one",
        "two",
        ...["one", "two"].flatMap((id) => Array.from({ length: each }, (_, n) => `${id}-new-${n}`)),
      ].toSorted(),
    );
  });

  test("a process that dies with the lock does not keep it", async () => {
    const path = join(await scratch(), "credentials.json");
    await writeFile(path, JSON.stringify([{ ...socialRecord(), id: "a" }]));
    const code = `
      import { diskFiles } from "./src/credentials/files.ts";
      await diskFiles.lock(${JSON.stringify(join(path, "../.credentials.json.lock"))});
      console.log("locked");
      await Bun.sleep(60_000);`;
    const child = Bun.spawn([process.execPath, "-e", code], {
      cwd: join(import.meta.dir, "../.."),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const reader = child.stdout.getReader();
    await reader.read();
    const store = createJsonStore({ path, context, runtime: realRuntime() });
    const waiting = store.update("a", { priority: 7 });
    child.kill("SIGKILL");
    expect(await waiting).toMatchObject({ ok: true, value: { priority: 7 } });
  });
});

/** A program that renews one credential again and again, and adds others between. */
function writer(path: string, id: string, times: number): string {
  return `
    import { createJsonStore } from "./src/credentials/json-store.ts";
    import { realRuntime } from "./src/runtime.ts";
    import { Secret } from "./src/secret.ts";
    const context = ${JSON.stringify(context)};
    const store = createJsonStore({ path: ${JSON.stringify(path)}, context, runtime: realRuntime() });
    const must = (result) => { if (!result.ok) { console.error(result.failure); process.exit(1); } return result.value; };
    for (let n = 0; n < ${times}; n++) {
      const own = must(await store.list()).credentials.find(({ id }) => id === "${id}");
      must(await store.put(own, { accessToken: new Secret("${id}-" + n), expiresAt: ${NOW} }));
      must(await store.update("${id}", { priority: n }));
      must(await store.add([{ id: "${id}-new-" + n, kiroApiKey: "ksk_${id}_" + n }]));
    }`;
}

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});
async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "credentials-"));
  folders.push(folder);
  return folder;
}

test("put and update of one record, in any order, both last", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.integer(), async (putFirst, priority) => {
      const { store, records } = memoryStore([{ id: "a", ...socialRecord() }], runtime);
      const [credential] = valueOf(await store.list()).credentials;
      const renewal = { accessToken: new Secret("renewed"), expiresAt: NOW + MINUTE };
      const edits = [
        async () => await store.put(credential!, renewal),
        async () => await store.update("a", { priority }),
      ];
      await Promise.all((putFirst ? edits : edits.toReversed()).map(async (edit) => await edit()));
      expect(records()).toMatchObject([
        { accessToken: "renewed", expiresAt: at(NOW + MINUTE), priority },
      ]);
    }),
    { numRuns: 20 },
  );
});
