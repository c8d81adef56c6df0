import { describe, expect, test } from "bun:test";
import { idcRecord, OWN_ARN, socialRecord, token } from "../../credentials/samples.ts";
import { adminWorld } from "./world.ts";

const SECRETS = /-access|x{20}|client-secret|ksk_|@|111122223333/;
const a = { ...socialRecord("a"), id: "a", email: "CANARY@example.com" };
const b = { ...idcRecord("b"), id: "b" };

describe("credentials", () => {
  test("are listed and shown without a token, an address or a whole ARN", async () => {
    const { call } = await adminWorld([a, b, { id: "k", kiroApiKey: "ksk_secret" }]);
    const listed = await call("GET", "/credentials");
    expect(listed.body.credentials).toMatchObject([
      { id: "a", auth_method: "social", provider: "Google", profile_arn: expect.any(String) },
      { id: "b", auth_method: "idc", auth_region: "eu-west-1", renewable: true },
      { id: "k", auth_method: "api-key", renewable: false, expires_at: null },
    ]);
    const shown = await call("GET", "/credentials/a");
    expect(shown.body).toEqual(listed.body.credentials[0]);
    expect(listed.text).not.toMatch(SECRETS);
    expect(listed.text).not.toContain(OWN_ARN);
  });

  test("are added from what import takes, and used at once", async () => {
    const { call, pool, memory } = await adminWorld([a]);
    const dry = await call("POST", "/credentials?dry_run=true", b);
    expect(dry.body).toEqual({ results: [{ place: "", outcome: "added", id: "b" }] });
    expect(memory.records()).toEqual([a]);

    const account = { id: "x", email: "e@example.com", credentials: idcRecord("c") };
    const { status, body, text } = await call("POST", "/credentials", {
      version: "1.5.0",
      accounts: [account, { credentials: { accessToken: "CANARY" } }],
    });
    expect(status).toBe(200);
    expect(body.results).toEqual([
      { place: "accounts[0]", outcome: "added", id: expect.any(String) },
      {
        place: "accounts[1]",
        outcome: "refused",
        problem: expect.stringContaining("refreshToken"),
      },
    ]);
    expect(text).not.toMatch(SECRETS);
    expect(pool.list().map(({ credential }) => credential.id)).toEqual(["a", body.results[0].id]);
  });

  test.each([
    { name: "nothing to log in with", body: { id: "x" }, says: "refreshToken: is missing" },
    { name: "an empty list", body: [], says: "no log-in" },
    { name: "a text", body: '"x"', says: "body: must be an object" },
    { name: "a list of anything", body: [1, null], says: "[1]" },
    { name: "a region that is none", body: { ...b, region: "x.evil/#" }, says: "region" },
    {
      name: "a link into the server's files",
      body: { ...socialRecord("c"), source: "kiro-ide", path: "/etc/passwd" },
      says: "source: can't be set from here",
    },
    {
      name: "a prototype",
      body: `{"__proto__": {"refreshToken": "${token("c")}"}}`,
      says: "refreshToken: is missing",
    },
  ])("with $name are refused, and nothing is written", async ({ body, says }) => {
    const { call, memory } = await adminWorld([a]);
    const { status, body: answer } = await call("POST", "/credentials", body);
    expect([status, answer]).toEqual([400, { error: expect.stringContaining(says) }]);
    expect(memory.records()).toEqual([a]);
  });

  test("are disabled, enabled and moved in the file, which keeps all else", async () => {
    const { call, memory } = await adminWorld([{ ...a, note: "mine" }, b]);
    expect((await call("POST", "/credentials/a/disable")).body.state).toBe("disabled");
    expect(memory.records()).toEqual([{ ...a, note: "mine", disabled: true }, b]);
    expect((await call("PATCH", "/credentials/a", { priority: 3 })).body.priority).toBe(3);
    expect((await call("POST", "/credentials/a/enable")).body.state).toBe("ready");
    expect(memory.records()).toEqual([{ ...a, note: "mine", priority: 3 }, b]);
  });

  test("50 changes side by side lose none", async () => {
    const records = Array.from({ length: 50 }, (_, at) => ({
      ...idcRecord(`n${at}`),
      id: `n${at}`,
    }));
    const { call, memory } = await adminWorld(records);
    const answers = await Promise.all(
      records.map(
        async ({ id }, at) => await call("PATCH", `/credentials/${id}`, { priority: at }),
      ),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(memory.records()).toEqual(records.map((record, priority) => ({ ...record, priority })));
  });

  test.each(["reset", "enable"])(
    "are ready again after %s, whatever was found out",
    async (word) => {
      const { call, judge } = await adminWorld([a, b]);
      judge("a", { type: "suspended" });
      expect((await call("GET", "/credentials/a")).body.state).toBe("suspended");
      expect((await call("POST", `/credentials/a/${word}`)).body.state).toBe("ready");
    },
  );

  test("are gone when removed, also beside a record that can't be read", async () => {
    const { call, pool, memory } = await adminWorld([a, b, { id: "broken" }]);
    expect((await call("DELETE", "/credentials/a")).body).toEqual({ removed: "a" });
    expect(memory.records()).toEqual([b, { id: "broken" }]);
    expect(pool.current("a")).toBeUndefined();
    expect((await call("GET", "/credentials/a")).status).toBe(404);
  });

  test("are tested: what is wrong is said, and a quota that could not be read is a failure", async () => {
    const { call, answers } = await adminWorld([a]);
    answers.fault = { type: "no-token", fault: { kind: "needs-login", message: "refused" } };
    const works = { works: false, problem: expect.stringContaining("kiro-proxy login -id a") };
    expect((await call("POST", "/credentials/a/test")).body).toMatchObject(works);
    expect((await call("POST", "/credentials/a/quota")).status).toBe(502);

    answers.fault = undefined;
    const tested = await call("POST", "/credentials/a/test");
    expect(tested.body).toMatchObject({ works: true, problem: null, credential: { id: "a" } });
    expect(tested.text).not.toMatch(SECRETS);
    const { status, body } = await call("POST", "/credentials/a/quota");
    expect([status, body.quota]).toMatchObject([200, { limit: 50, stale: false }]);

    answers.fault = { type: "no-token", fault: { kind: "transient", message: "down" } };
    expect((await call("POST", "/credentials/a/test")).body.works).toBe(false);
    const failed = await call("POST", "/credentials/a/quota");
    expect([failed.status, failed.body]).toEqual([502, { error: expect.stringContaining("down") }]);
  });

  test.each([
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["POST", "/enable"],
    ["POST", "/disable"],
    ["POST", "/reset"],
    ["POST", "/test"],
    ["POST", "/quota"],
  ])("that are not there can't be meant by %s %s", async (method, action) => {
    const { call } = await adminWorld([a]);
    const body = method === "PATCH" ? { priority: 1 } : undefined;
    for (const id of ["x", "__proto__", "%00", "..%2Fa", encodeURIComponent("ü".repeat(500))]) {
      const answer = await call(method, `/credentials/${id}${action}`, body);
      expect([answer.status, answer.body]).toEqual([404, { error: expect.any(String) }]);
    }
  });

  test("in a file that can't be understood stay as they are", async () => {
    const { call, memory, pool } = await adminWorld([a]);
    memory.content.set("/data/credentials.json", "[{");
    for (const [method, path, body] of [
      ["DELETE", "/credentials/a"],
      ["POST", "/credentials/a/disable"],
      ["POST", "/credentials", b],
    ] as const) {
      const answer = await call(method, path, body);
      expect([answer.status, answer.body]).toEqual([
        500,
        { error: expect.stringContaining("line 1") },
      ]);
    }
    expect(pool.current("a")).toBeDefined();
    expect(memory.content.get("/data/credentials.json")).toBe("[{");
  });
});
