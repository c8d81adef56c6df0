import { describe, expect, test } from "bun:test";
import { adminRoutes } from "../../src/http/admin.ts";
import { fail, ok, type Result } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";

const KEY = "sk-admin-0123456789";

function world(outcome: Result<string, string> = ok("2 credentials"), key = new Secret(KEY)) {
  let reloads = 0;
  const admin = adminRoutes({
    key,
    credentials: async () => [],
    async reloadCredentials() {
      reloads += 1;
      return outcome;
    },
  });
  const post = async (headers: Record<string, string> = {}) => {
    const response = await admin.request("/reload-credentials", { method: "POST", headers });
    return { status: response.status, body: await response.json() };
  };
  return { admin, post, reloads: () => reloads };
}

describe("POST /api/admin/reload-credentials", () => {
  test.each([
    { name: "x-api-key", headers: { "x-api-key": KEY } },
    { name: "a bearer token", headers: { authorization: `Bearer ${KEY}` } },
  ])("with $name reloads", async ({ headers }) => {
    const { post } = world();
    expect(await post(headers)).toEqual({
      status: 200,
      body: { success: true, message: "2 credentials" },
    });
  });

  test.each([
    { name: "no key", headers: {} },
    { name: "an empty key", headers: { "x-api-key": " " } },
    { name: "a wrong key", headers: { "x-api-key": `${KEY}x` } },
    { name: "a key in another scheme", headers: { authorization: `Basic ${KEY}` } },
    { name: "the key in the query's place", headers: { "x-key": KEY } },
  ])("with $name does nothing", async ({ headers }) => {
    const { post, reloads } = world();
    expect(await post(headers)).toEqual({ status: 401, body: { error: "Invalid admin key." } });
    expect(reloads()).toBe(0);
  });

  test("tells why it could not", async () => {
    const { post } = world(fail("/x/credentials.json, line 3, column 1: a comma is expected here"));
    expect(await post({ "x-api-key": KEY })).toEqual({
      status: 400,
      body: { error: "/x/credentials.json, line 3, column 1: a comma is expected here" },
    });
  });

  test("is closed where no key is configured, also to one who sends none", async () => {
    const admin = adminRoutes({
      key: undefined,
      reloadCredentials: async () => ok(""),
      credentials: async () => [],
    });
    const response = await admin.request("/reload-credentials", { method: "POST" });
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ error: expect.stringContaining("adminApiKey") });
  });
});

describe("GET /api/admin/credentials", () => {
  test("with the key lists them, without it says nothing", async () => {
    const { admin } = world();
    const listed = await admin.request("/credentials", { headers: { "x-api-key": KEY } });
    expect(listed.status).toBe(200);
    expect(await listed.json()).toEqual({ credentials: [] });
    expect((await admin.request("/credentials")).status).toBe(401);
  });
});
