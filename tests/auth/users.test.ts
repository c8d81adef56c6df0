import { describe, expect, test } from "bun:test";
import { createUserCredentials } from "../../src/auth/user-credentials.ts";
import { idOf } from "../../src/auth/user-record.ts";
import { createUsers, createUsersFile } from "../../src/auth/users.ts";
import type { AccountStore } from "../../src/credentials/store.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import { context, memoryFiles, NOW, recordingLog, socialRecord } from "../credentials/samples.ts";
import { createTestRuntime } from "../support/runtime.ts";

const PATH = "/data/user_credentials.json";

async function world(content: unknown, before?: Parameters<typeof memoryFiles>[1]) {
  const { runtime } = createTestRuntime({ now: NOW });
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const memory = memoryFiles(content === undefined ? {} : { [PATH]: text }, before);
  const file = createUsersFile({ path: PATH, runtime, files: memory.files });
  const { log, lines } = recordingLog();
  const created = await createUsers({ file, log });
  const store = createUserCredentials({ file, context });
  const saved = (): unknown => JSON.parse(memory.content.get(PATH) ?? "null");
  const edit = (next: unknown): void => void memory.content.set(PATH, JSON.stringify(next));
  return { ...memory, created, store, lines, saved, edit };
}

async function loaded(content: unknown) {
  const all = await world(content);
  if (!all.created.ok) throw new Error("the file is broken");
  return { ...all, users: all.created.value };
}

describe("users", () => {
  test.each(["act-user001", "USER001", "act-USER001"])(
    "the key %s is found in every spelling",
    async (key) => {
      const { users } = await loaded({ [key]: { user_name: "Ann" } });
      for (const code of ["act-user001", "user001", "USER001", "act-USER001", "ACT-User001"]) {
        expect(users.find(code)?.name).toBe("Ann");
      }
      expect(users.find("user0011")).toBeUndefined();
    },
  );

  test("a key without a code lets nobody in", async () => {
    const { users } = await loaded({ "": { user_name: "Nobody" }, "act-": {} });
    for (const code of ["", " ", "act-"]) expect(users.find(code)).toBeUndefined();
  });

  test("a change keeps numbers that are too long to count with", async () => {
    const { users, content } = await loaded(
      '{"a": {"chat": 123456789012345678, "n": [-98765432109876543210, 1.5]}}',
    );
    await users.change(["a"], (record = {}) => ok({ record: { ...record, user_name: "Ann" } }));
    const saved = content.get(PATH)?.replaceAll(/\s/g, "");
    expect(saved).toBe(
      '{"a":{"chat":123456789012345678,"n":[-98765432109876543210,1.5],"user_name":"Ann"}}',
    );
  });

  test("a change has reached those who listen when it is done", async () => {
    const { users } = await loaded({});
    let heard = false;
    users.onChange(async () => {
      await Promise.resolve();
      heard = true;
    });
    await users.change(["b"], () => ok({ record: {} }));
    expect(heard).toBe(true);
  });

  test("no file is no users, and a broken one stops the start with its place", async () => {
    expect((await loaded(undefined)).users.list()).toEqual([]);
    const { created } = await world('{"a": {}\n "b"');
    expect(created).toMatchObject({ ok: false, failure: { kind: "broken", file: PATH, line: 2 } });
    expect((await world([])).created).toMatchObject({ ok: false, failure: { kind: "broken" } });
  });

  test("a file that breaks later changes nothing and is said once", async () => {
    const { users, content, lines } = await loaded({ a: { user_name: "Ann" } });
    content.set(PATH, "{");
    expect((await users.reload()).ok).toBe(false);
    await users.reload();
    expect(users.find("a")?.name).toBe("Ann");
    expect(lines.filter(({ event }) => event === "users-unreadable")).toHaveLength(1);
    expect((await users.change(["b"], () => ok({ record: {} }))).ok).toBe(false);
    expect(content.get(PATH)).toBe("{");
  });

  test("of two with one id only the first can be used", async () => {
    const { users } = await loaded({ a: { user_id: "x" }, b: { user_id: "x" }, c: {} });
    expect(users.list().map(({ fault }) => fault)).toEqual([
      undefined,
      "user_id: is another user's",
      undefined,
    ]);
    expect(users.byId("x")?.code.reveal()).toBe("a");
  });

  test("a change keeps all that it does not mean: order, unknown fields, other users", async () => {
    const before = {
      "act-one": { activation_code: "one", extra: { deep: [1, null] }, credentials: null },
      TWO: { activation_code: "two", user_name: "Bob", later: true },
      "act-THREE": { activation_code: "three" },
    };
    const { users, saved } = await loaded(before);
    const done = await users.change(["two"], (record) =>
      ok({ record: { ...record, user_name: "Eve" } }),
    );
    expect(done.ok).toBe(true);
    const after = { ...before, TWO: { ...before.TWO, user_name: "Eve" } };
    expect(JSON.stringify(saved())).toBe(JSON.stringify(after));
    expect(users.find("TWO")?.name).toBe("Eve");
  });

  test("a user can be added, removed and given another code in its place", async () => {
    const { users, saved } = await loaded({ a: { user_name: "A" }, b: { user_name: "B" } });
    await users.change(["act-c"], (record) => ok({ record: { ...record, user_name: "C" } }));
    await users.change(["A"], () => ok({ record: null }));
    const id = users.find("b")?.id;
    await users.change(["b"], (record) =>
      ok({ code: "act-new", record: { ...record, user_id: id } }),
    );
    expect(saved()).toEqual({
      "act-new": { user_name: "B", user_id: id },
      "act-c": { user_name: "C" },
    });
    expect(users.find("b")).toBeUndefined();
    expect(users.find("new")?.id).toBe(id);
    expect(users.byId(String(id))?.name).toBe("B");
  });

  test("an edit that fails writes nothing", async () => {
    const { users, saved, steps } = await loaded({ a: {} });
    steps.length = 0;
    expect(await users.change(["a"], () => fail("no"))).toEqual({ ok: false, failure: "no" });
    expect(steps).not.toContain("create");
    expect(saved()).toEqual({ a: {} });
  });

  test("two hundred changes at once lose nothing", async () => {
    const { users, saved } = await loaded({});
    const add = async (number: number) =>
      await users.change([`u${number}`], () => ok({ record: { user_name: String(number) } }));
    await Promise.all(Array.from({ length: 200 }, async (_, number) => await add(number)));
    expect(Object.keys(saved() as object)).toHaveLength(200);
    expect(users.list()).toHaveLength(200);
  });

  test("a record that can't be used is named by its id, never by its code", async () => {
    const { lines } = await loaded({ "act-secret-code": { limits: { credits_per_day: -1 } } });
    expect(lines).toMatchObject([
      { event: "user-rejected", user: idOf("secret-code") },
      { event: "users-loaded" },
    ]);
    expect(JSON.stringify(lines).toLowerCase()).not.toContain("secret-code");
    expect(String(lines[0]?.["fault"])).toStartWith("limits.credits_per_day: ");
  });

  test.each([
    ["2026-02-30", "expires_date"],
    ["30.06.2026", "expires_date"],
  ])("the date %s is a fault", async (date, field) => {
    const { users } = await loaded({ a: { expires_date: date } });
    expect(users.find("a")?.fault).toStartWith(field);
  });

  test("an unknown limit is a fault, since a misspelt one would be none", async () => {
    const { users } = await loaded({ a: { limits: { credit_per_day: 5 } } });
    expect(users.find("a")?.fault).toContain("credits_per_day");
  });

  test("those who listen hear of changes, and of nothing else", async () => {
    const { users, edit } = await loaded({ a: {} });
    let heard = 0;
    users.onChange(() => void (heard += 1));
    await users.reload();
    expect(heard).toBe(0);
    edit({ a: { user_name: "x" } });
    await users.reload();
    expect(heard).toBe(1);
  });
});

async function only(store: AccountStore) {
  const listed = await store.list();
  if (!listed.ok) throw new Error(listed.failure.message);
  return listed.value;
}

describe("users' own credentials", () => {
  const renewal = {
    accessToken: new Secret("new-access"),
    refreshToken: new Secret("n".repeat(120)),
    expiresAt: NOW + 3_600_000,
  };

  test("each is its user's alone, whatever the record says", async () => {
    const { store } = await loaded({
      "act-a": { credentials: { ...socialRecord("a"), id: "1", owner: "user-b" } },
      "act-b": { credentials: [socialRecord("b"), socialRecord("bb")] },
      "act-c": { credentials: {} },
      "act-d": {},
    });
    const { credentials } = await only(store);
    expect(credentials.map(({ id, owner }) => ({ id, owner }))).toEqual([
      { id: idOf("a"), owner: idOf("a") },
      { id: idOf("b"), owner: idOf("b") },
      { id: `${idOf("b")}-2`, owner: idOf("b") },
    ]);
  });

  test("a renewal is written into the record and nowhere else", async () => {
    const before = {
      "act-a": { user_name: "A", note: 1, credentials: [socialRecord("a"), socialRecord("aa")] },
      "act-b": { credentials: socialRecord("b") },
    };
    const { store, saved } = await loaded(before);
    const { credentials } = await only(store);
    const second = credentials[1];
    if (second === undefined) throw new Error("no second credential");
    const stored = await store.put(second, renewal);
    expect(stored).toMatchObject({ ok: true, value: { id: second.id, owner: second.owner } });
    const after = structuredClone(before);
    Object.assign(after["act-a"].credentials[1]!, {
      accessToken: "new-access",
      refreshToken: "n".repeat(120),
      expiresAt: new Date(NOW + 3_600_000).toISOString(),
      machineId: second.machineId,
    });
    expect(saved()).toEqual(after);
    expect(await store.put(second, renewal)).toMatchObject({ failure: { kind: "conflict" } });
  });

  test("one that can't be used is told by the user's id", async () => {
    const { store } = await loaded({ "act-a": { credentials: { region: "evil/#" } } });
    const { rejected } = await only(store);
    expect(rejected[0]?.path).toBe(`${idOf("a")}.credentials.region`);
  });

  test("one of a user that has gone is gone", async () => {
    const { store, edit } = await loaded({ a: { credentials: socialRecord("a") } });
    const { credentials } = await only(store);
    edit({});
    expect(await store.put(credentials[0]!, renewal)).toMatchObject({ failure: { kind: "gone" } });
    expect(await store.update(credentials[0]!.id, {})).toMatchObject({ failure: { kind: "gone" } });
  });
});
