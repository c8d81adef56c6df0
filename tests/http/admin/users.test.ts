import { describe, expect, test } from "bun:test";
import { socialRecord } from "../../credentials/samples.ts";
import { adminWorld } from "./world.ts";

const SECRET_CODE = "act-0123-4567-89AB-CDEF-GHJK";
const records = {
  "act-ada": {
    activation_code: "act-ada",
    user_id: "ada",
    user_name: "Ada Lovelace",
    credentials: socialRecord("own"),
    expires_date: "2026-01-14",
    limits: { credits_per_day: 5 },
    extra: "kept",
  },
  [SECRET_CODE]: { user_name: "Bob", credentials: {} },
  "act-broken": { user_name: "Cy", limits: { credits_per_day: "many" } },
};

const world = async (users: unknown = records) => await adminWorld([], {}, users);

describe("users", () => {
  test("are shown without their code and without a token", async () => {
    const { call } = await world();
    const { body, text } = await call("GET", "/users");
    expect(body).toMatchObject({
      total: 3,
      users: [
        {
          id: "ada",
          name: "Ada Lovelace",
          code_hint: "…",
          expires_date: "2026-01-14",
          expired: true,
          limits: { credits_per_day: 5 },
          has_credentials: true,
          problem: null,
        },
        { name: "Bob", code_hint: "…GHJK", expired: false, limits: {}, has_credentials: false },
        { name: "Cy", problem: expect.stringContaining("limits.credits_per_day") },
      ],
    });
    expect(text).not.toMatch(/act-|x{20}|-access/);
  });

  test.each([
    ["q=LOVE", ["Ada Lovelace"]],
    ["q=89ab", ["Bob"]],
    ["q=user-", ["Bob", "Cy"]],
    ["limit=1&offset=1", ["Bob"]],
    ["offset=9", []],
    ["q=%00", []],
  ])("are found by %s", async (query, names) => {
    const { call } = await world();
    const { body } = await call("GET", `/users?${query}`);
    expect(body.users.map(({ name }: { name: string }) => name)).toEqual(names);
  });

  test("are found by id and by code in any spelling", async () => {
    const { call } = await world();
    for (const user of ["ada", "act-ada", "ADA"]) {
      expect((await call("GET", `/users/${user}`)).body).toMatchObject({ id: "ada" });
    }
  });

  test("get a code that nobody can guess, once", async () => {
    const { call, users } = await world({});
    const { status, body } = await call("POST", "/users", {
      name: "Dee",
      expires_date: "2026-12-31",
      limits: { requests_per_minute: 10, models: ["claude-haiku-4-5"] },
    });
    expect(status).toBe(200);
    expect(body.code).toMatch(/^act-([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}$/);
    expect(users.find(body.code)).toMatchObject({
      name: "Dee",
      limits: { requestsPerMinute: 10, models: ["claude-haiku-4-5"] },
    });
    expect((await call("GET", `/users/${body.user.id}`)).text).not.toContain(body.code);
    const codes = await Promise.all(
      Array.from(
        { length: 200 },
        async () => (await call("POST", "/users", { name: "x" })).body.code,
      ),
    );
    expect(new Set(codes).size).toBe(200);
    expect(users.list()).toHaveLength(201);
  });

  test("are changed member by member, and the record keeps all else", async () => {
    const { call, savedUsers } = await world();
    const updated_at = "2026-01-15T12:00:00.000Z";
    const answer = await call("PATCH", "/users/ada", { limits: { tokens_per_day: 1 } });
    expect(answer.body).toMatchObject({ limits: { tokens_per_day: 1 }, expired: true });
    await call("PATCH", "/users/ada", { expires_date: null, disabled: true, name: "Ada" });
    const { expires_date: _, ...rest } = records["act-ada"];
    expect(savedUsers()).toEqual({
      ...records,
      "act-ada": {
        ...rest,
        user_name: "Ada",
        disabled: true,
        limits: { tokens_per_day: 1 },
        updated_at,
      },
    });
    await call("PATCH", "/users/ada", { disabled: false, limits: null });
    const { limits: __, ...bare } = rest;
    expect(savedUsers()).toEqual({
      ...records,
      "act-ada": { ...bare, user_name: "Ada", updated_at },
    });
  });

  test("whose record was broken get in again when it is mended", async () => {
    const { call } = await world();
    const user = await call("PATCH", "/users/broken", { limits: { credits_per_day: 1 } });
    expect(user.body).toMatchObject({ name: "Cy", problem: null });
  });

  test.each([
    { body: {}, says: "body: is empty; known are name, disabled, expires_date, limits" },
    { body: { expires: "2026-01-01" }, says: 'has no "expires"' },
    { body: { expires_date: "2026-02-30" }, says: "expires_date: must be a day" },
    { body: { expires_date: "01.02.2026" }, says: "expires_date: must be a day" },
    { body: { limits: { credits_per_day: -1 } }, says: "limits.credits_per_day: Too small" },
    { body: { limits: { requests_per_minute: 1.5 } }, says: "limits.requests_per_minute: " },
    { body: { limits: { creditsPerDay: 1 } }, says: 'limits: has no "creditsPerDay"' },
    { body: { limits: { credits_per_day: Number.NaN } }, says: "limits.credits_per_day: " },
    { body: '{"limits": {"__proto__": 1}}', says: 'limits: has no "__proto__"' },
    { body: { name: "a\nb" }, says: "name: must be up to 200 characters" },
    { body: { disabled: "yes" }, says: "disabled: Invalid input: expected boolean" },
  ])("are not changed by $body", async ({ body, says }) => {
    const { call, savedUsers } = await world();
    const answer = await call("PATCH", "/users/ada", body);
    expect([answer.status, answer.body]).toEqual([400, { error: expect.stringContaining(says) }]);
    expect(savedUsers()).toEqual(records);
  });

  test("get another last day together, or none of them does", async () => {
    const { call, savedUsers, memory } = await world();
    const missing = await call("POST", "/users/expiry", {
      users: ["ada", "nobody", SECRET_CODE],
      expires_date: "2026-12-31",
    });
    expect([missing.status, missing.body]).toEqual([
      404,
      { error: "There is no such user: users[1]. Nothing was changed." },
    ]);
    expect(savedUsers()).toEqual(records);

    const writes = memory.steps.filter((step) => step === "rename").length;
    const { body } = await call("POST", "/users/expiry", {
      users: ["ada", "act-ADA", SECRET_CODE],
      expires_date: "2026-12-31",
    });
    expect(body).toEqual({ changed: 2 });
    expect(memory.steps.filter((step) => step === "rename").length).toBe(writes + 1);
    expect(savedUsers()).toMatchObject({
      "act-ada": { expires_date: "2026-12-31", extra: "kept" },
      [SECRET_CODE]: { expires_date: "2026-12-31" },
    });
    const many = { users: Array.from({ length: 1_001 }, () => "ada"), expires_date: null };
    expect((await call("POST", "/users/expiry", many)).status).toBe(400);
  });

  test("get another code, keep everything else, and the old code is worth nothing", async () => {
    const { call, users, savedUsers } = await world();
    const bob = users.find(SECRET_CODE);
    const { body } = await call("POST", `/users/${bob?.id}/rotate`);
    expect(body.user).toMatchObject({ id: bob?.id, name: "Bob" });
    expect(users.find(SECRET_CODE)).toBeUndefined();
    expect(users.find(body.code)?.id).toBe(bob?.id as string);
    // In its old place, for people who read the file.
    expect(Object.keys(savedUsers() as object)).toEqual(["act-ada", body.code, "act-broken"]);
  });

  test.each(["DELETE", "rotate"])("don't live on in another spelling after %s", async (what) => {
    const { call, users } = await world({ "act-ada": { user_id: "ada" }, ADA: {}, "act-x": {} });
    if (what === "DELETE") await call("DELETE", "/users/ada");
    else await call("POST", "/users/ada/rotate");
    expect(users.find("ada")).toBeUndefined();
    expect(users.find("x")).toBeDefined();
  });

  test("are removed", async () => {
    const { call, savedUsers } = await world();
    expect((await call("DELETE", "/users/ada")).body).toEqual({ removed: "ada" });
    const { "act-ada": _, ...rest } = records;
    expect(savedUsers()).toEqual(rest);
  });

  test.each([
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["POST", "/rotate"],
  ])("that are not there can't be meant by %s %s", async (method, action) => {
    const { call, savedUsers } = await world();
    const body = method === "PATCH" ? { name: "x" } : undefined;
    for (const user of ["nobody", "__proto__", "act-", "%00"]) {
      expect((await call(method, `/users/${user}${action}`, body)).status).toBe(404);
    }
    expect(savedUsers()).toEqual(records);
  });

  test("that somebody else has removed meanwhile are not brought back", async () => {
    const { call, memory, savedUsers } = await world();
    memory.content.set("/data/user_credentials.json", "{}");
    expect((await call("PATCH", "/users/ada", { name: "x" })).status).toBe(404);
    expect((await call("DELETE", "/users/ada")).status).toBe(404);
    expect(savedUsers()).toEqual({});
  });
});
