import { describe, expect, test } from "bun:test";
import { socialRecord } from "../../credentials/samples.ts";
import { adminWorld } from "./world.ts";

const PATH = "/user-credentials";
const own = socialRecord("own");
const ada = {
  activation_code: "act-user001",
  user_name: "Ada",
  credentials: own,
  expires_date: "2026-03-01",
  created_at: "2025-01-01T00:00:00Z",
  updated_at: "2025-01-02T00:00:00Z",
  extra: { kept: [1] },
};
const records = {
  "act-user001": ada,
  USER002: { user_name: "Bob", credentials: {} },
  "act-USER003": { activation_code: "act-USER003", credentials: null, disabled: true },
};

const world = async (users: unknown = records) => await adminWorld([], {}, users ?? undefined);

describe("the six calls of the Go build", () => {
  test("list the users, byte for byte", async () => {
    const { call } = await world();
    expect((await call("GET", PATH)).text).toBe(
      '[{"activation_code":"act-user001","user_name":"Ada","has_credentials":true,"expires_at":"2026-03-01","created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-02T00:00:00Z"},' +
        '{"activation_code":"USER002","user_name":"Bob","has_credentials":false,"expires_at":"","created_at":"","updated_at":""},' +
        '{"activation_code":"act-USER003","user_name":"","has_credentials":false,"expires_at":"","created_at":"","updated_at":""}]',
    );
    const nobody = await world(null);
    expect((await nobody.call("GET", PATH)).text).toBe("[]");
  });

  test.each(["act-user001", "user001", "USER001", "ACT-User001"])("find %s", async (code) => {
    const { call } = await world();
    expect((await call("GET", `${PATH}/${code}`)).text).toBe(
      '{"activation_code":"act-user001","has_credentials":true,"expires_at":"2026-03-01"}',
    );
  });

  test.each(["nobody", "__proto__", "constructor", "act-", "%2e%2e"])(
    "have no %s",
    async (code) => {
      const { call } = await world();
      const { status, body } = await call("GET", `${PATH}/${code}`);
      expect([status, body]).toEqual([404, { error: expect.any(String) }]);
    },
  );

  test("count", async () => {
    const { call } = await world();
    expect((await call("GET", `${PATH}/stats`)).text).toBe(
      '{"total_users":3,"with_credentials":1,"disabled":1,"expired":0}',
    );
  });

  test("make a user", async () => {
    const { call, savedUsers, users } = await world(null);
    const { text } = await call("POST", PATH, {
      activation_code: "act-new",
      user_name: "Cy",
      credentials: own,
      whatever: 1,
    });
    expect(text).toBe('{"success":true,"message":"User credentials saved"}');
    expect(savedUsers()).toEqual({
      "act-new": {
        activation_code: "act-new",
        user_name: "Cy",
        credentials: own,
        created_at: "2026-01-15T12:00:00.000Z",
        updated_at: "2026-01-15T12:00:00.000Z",
      },
    });
    expect(users.find("NEW")?.name).toBe("Cy");
  });

  test("change a user and lose nothing of the record, whatever the spelling", async () => {
    const { call, savedUsers } = await world();
    await call("POST", PATH, { activation_code: "USER001", user_name: "Ada L." });
    await call("POST", PATH, { activation_code: "act-user002", credentials: own });
    expect(savedUsers()).toEqual({
      ...records,
      "act-user001": { ...ada, user_name: "Ada L.", updated_at: "2026-01-15T12:00:00.000Z" },
      USER002: {
        user_name: "Bob",
        credentials: own,
        updated_at: "2026-01-15T12:00:00.000Z",
      },
    });
  });

  test.each([
    { body: "{", says: "not valid JSON" },
    { body: {}, says: "activation_code: is missing" },
    { body: { activation_code: null }, says: "activation_code: is missing" },
    { body: { activation_code: " " }, says: "activation_code: must be" },
    { body: { activation_code: "act-" }, says: "activation_code: must have something" },
    { body: { activation_code: "act-a\nb" }, says: "activation_code: must be" },
    { body: { activation_code: "act-ü" }, says: "activation_code: must be" },
    { body: { activation_code: "act-x", user_name: 1 }, says: "user_name: " },
    { body: { activation_code: "act-x", credentials: "x" }, says: "credentials: " },
    {
      body: { activation_code: "act-x", credentials: { refreshToken: "a b CANARY" } },
      says: "credentials.refreshToken: must be visible ASCII",
    },
    {
      body: { activation_code: "act-x", credentials: { ...own, region: "x.evil.tld/#" } },
      says: "credentials.region: must be an AWS region",
    },
  ])("refuse $body", async ({ body, says }) => {
    const { call, savedUsers } = await world();
    const answer = await call("POST", PATH, body);
    expect([answer.status, answer.body]).toEqual([400, { error: expect.stringContaining(says) }]);
    expect(answer.text).not.toContain("CANARY");
    expect(savedUsers()).toEqual(records);
  });

  test("remove a user; one that nobody has is no error", async () => {
    const { call, savedUsers } = await world();
    for (const code of ["user001", "nobody", "__proto__"]) {
      expect((await call("DELETE", `${PATH}/${code}`)).text).toBe(
        '{"success":true,"message":"User credentials deleted"}',
      );
    }
    const { "act-user001": _, ...rest } = records;
    expect(savedUsers()).toEqual(rest);
  });

  test("make another user of a code that was somebody's before", async () => {
    const { call, users } = await world();
    const before = users.find("USER002");
    await call("POST", "/users/USER002/rotate");
    await call("POST", PATH, { activation_code: "act-user002", user_name: "Eve" });
    expect(users.byId(before?.id ?? "")?.name).toBe("Bob");
    const eve = users.find("user002");
    expect(eve).toMatchObject({ name: "Eve", id: expect.stringMatching(/^user-[0-9a-f]{10}$/) });
    expect(eve?.id).not.toBe(before?.id as string);
    expect(eve?.fault).toBeUndefined();
  });

  test("200 side by side lose nothing", async () => {
    const { call, savedUsers } = await world({});
    const codes = Array.from({ length: 200 }, (_, at) => `act-u${at}`);
    const answers = await Promise.all(
      codes.map(
        async (code) => await call("POST", PATH, { activation_code: code, user_name: code }),
      ),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(Object.keys(savedUsers() as object).toSorted()).toEqual(codes.toSorted());
  });

  test("never write to a file that can't be understood", async () => {
    const { call, memory } = await world();
    memory.content.set("/data/user_credentials.json", "{");
    for (const [method, path, body] of [
      ["POST", PATH, { activation_code: "act-x" }],
      ["DELETE", `${PATH}/user001`],
    ] as const) {
      expect((await call(method, path, body)).status).toBe(500);
    }
    expect(memory.content.get("/data/user_credentials.json")).toBe("{");
  });
});
