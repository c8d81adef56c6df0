import {
  afterAll,
  afterEach,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type ActivationServer, startActivationServer } from "../emulator/activation.ts";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { bearerOf } from "../emulator/request.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";
import { type Answer, prompt, readAll } from "./client.ts";

setDefaultTimeout(60_000);
let kiro: KiroEmulator;
let activation: ActivationServer;
beforeEach(() => {
  kiro = startKiro();
  activation = startActivationServer([
    { code: "GOOD-1" },
    { code: "GOOD-2", machineId: "m1" },
    { code: "OFF", active: false },
    { code: "SPENT", tunnelDays: 0 },
    { code: "OLD", activatedAt: "2020-01-01T00:00:00Z", tunnelDays: 30 },
  ]);
});
afterEach(async () => {
  await stopGateways();
  await Promise.all([kiro.stop(), activation.stop()]);
});
afterAll(stopGateways);

function secretOf(record: object): string {
  return String(Object(record).accessToken ?? Object(record).kiroApiKey);
}

async function start(users: object | undefined, config: object = {}, credentials?: object | null) {
  return await startGateway({
    kiro,
    config: { ...config },
    ...(credentials === undefined ? {} : { credentials }),
    files: users === undefined ? {} : { "user_credentials.json": JSON.stringify(users) },
  });
}

async function as(
  gateway: Gateway,
  key: string,
  { headers = {}, path = "/v1/messages" }: { headers?: Record<string, string>; path?: string } = {},
): Promise<Answer> {
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/json", ...headers },
    body: JSON.stringify(prompt("Hi")),
  });
  return await readAll(response);
}

function activated() {
  return { activationServerUrl: activation.url };
}

function spent(): (string | undefined)[] {
  return kiro.chats().map((request) => bearerOf(request));
}

describe("users", () => {
  test("a code spends its own credential or the pool's, and is found in every spelling", async () => {
    const own = kiro.accounts.credential("social");
    const pooled = kiro.accounts.credential("social");
    const gateway = await start(
      { "act-one": { user_name: "One", credentials: own }, TWO: { user_name: "Two" } },
      {},
      pooled,
    );
    expect((await as(gateway, "act-ONE")).status).toBe(200);
    expect((await as(gateway, "act-two")).status).toBe(200);
    expect((await as(gateway, gateway.apiKey)).status).toBe(200);
    expect(spent()).toEqual([own, pooled, pooled].map(secretOf));
    const unknown = await as(gateway, "act-three");
    expect(unknown.status).toBe(401);
    expect(unknown.json).toMatchObject({ type: "error", error: { type: "authentication_error" } });
    expect(gateway.output()).not.toMatch(/act-one|act-two|three/i);
  });

  test("an own token is renewed and written back before it is used", async () => {
    const own = kiro.accounts.credential("social", { expired: true });
    const gateway = await start({ "act-one": { note: 7, credentials: own } }, {}, null);
    expect((await as(gateway, "act-one")).status).toBe(200);
    const path = join(gateway.folder, "user_credentials.json");
    const saved = JSON.parse(readFileSync(path, "utf8"));
    expect(saved["act-one"].note).toBe(7);
    expect(saved["act-one"].credentials.accessToken).toBe(String(spent()[0]));
    expect(saved["act-one"].credentials.refreshToken).not.toBe(Object(own).refreshToken);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test.each(["pool", "reject"])(
    "a used-up plan of one's own, with userQuotaFallback %s",
    async (how) => {
      const own = kiro.accounts.credential("social");
      const other = kiro.accounts.credential("social");
      const pooled = kiro.accounts.credential("social");
      const users = { "act-one": { credentials: own }, "act-two": { credentials: other } };
      const gateway = await start(users, { userQuotaFallback: how }, pooled);
      kiro.script(scenarios["monthly quota"]);
      const first = await as(gateway, "act-one");
      const second = await as(gateway, "act-one");
      expect([first.status, second.status]).toEqual(how === "pool" ? [200, 200] : [402, 402]);
      const expected = how === "pool" ? [own, pooled, pooled] : [own];
      expect(spent()).toEqual(expected.map(secretOf));
      if (how === "reject") expect(JSON.stringify(second.json)).toContain("your own");
    },
  );

  test("one user's dead log-in is that user's affair", async () => {
    const own = kiro.accounts.credential("social", { expired: true });
    kiro.accounts.revokeRefresh();
    const pooled = kiro.accounts.credential("social");
    const gateway = await start({ "act-one": { credentials: own } }, {}, pooled);
    const answer = await as(gateway, "act-one");
    expect(answer.status).toBe(503);
    expect(JSON.stringify(answer.json)).toContain("your own Kiro credential");
    expect(kiro.chats()).toEqual([]);
    expect((await as(gateway, gateway.apiKey)).status).toBe(200);
  });

  test("what somebody writes into the file counts within seconds; what breaks it does not", async () => {
    const gateway = await start({ "act-one": {} });
    const path = join(gateway.folder, "user_credentials.json");
    await Bun.write(path, "{ broken");
    await gateway.logged(({ event }) => event === "users-unreadable");
    expect((await as(gateway, "act-one")).status).toBe(200);
    await Bun.write(
      path,
      JSON.stringify({ "act-new": {}, "act-one": { expires_date: "2020-12-31" } }),
    );
    await gateway.logged(({ event, users }) => event === "users-loaded" && users === 2);
    expect((await as(gateway, "act-new")).status).toBe(200);
    const expired = await as(gateway, "act-one", { path: "/v1/chat/completions" });
    expect(expired.status).toBe(403);
    expect(expired.json).toMatchObject({ error: { type: "authentication_error" } });
  });
});

describe("activation", () => {
  test("the server's word counts, and is asked for once", async () => {
    const gateway = await start(undefined, activated());
    const headers = { "x-machine-id": "m1" };
    expect((await as(gateway, "act-good-1")).status).toBe(200);
    expect((await as(gateway, "act-good-1")).status).toBe(200);
    expect((await as(gateway, "act-good-2", { headers })).status).toBe(200);
    expect(activation.checks).toEqual([
      { code: "GOOD-1", machineId: "" },
      { code: "GOOD-2", machineId: "m1" },
    ]);
    for (const [code, says] of [
      ["nobody", "does not exist"],
      ["good-2", "another device"],
      ["off", "not activated"],
      ["spent", "no days left"],
      ["old", "has expired"],
    ] as const) {
      const refused = await as(gateway, `act-${code}`);
      expect(refused.status).toBe(403);
      expect(refused.json).toMatchObject({
        type: "error",
        error: { type: "authentication_error" },
      });
      expect(JSON.stringify(refused.json)).toContain(says);
    }
  });

  test("while it is down known codes pass, also after a kill and a restart; strangers do not", async () => {
    const gateway = await start({ "act-local": {} }, activated());
    expect((await as(gateway, "act-good-1")).status).toBe(200);
    const known = join(gateway.folder, "known-activation-codes.json");
    while (!(await Bun.file(known).exists())) await Bun.sleep(10);
    const saved = readFileSync(known, "utf8");
    expect(saved).not.toMatch(/good/i);
    gateway.process.kill("SIGKILL");
    await gateway.process.exited;

    activation.otherwise(() => new Response("<html>", { status: 502 }));
    const again = await startGateway({
      kiro,
      config: activated(),
      files: { "known-activation-codes.json": saved, "user_credentials.json": '{"act-local": {}}' },
    });
    expect((await as(again, "act-good-1")).status).toBe(200);
    expect((await as(again, "act-local")).status).toBe(200);
    const stranger = await as(again, "act-good-2", { headers: { "x-machine-id": "m1" } });
    expect(stranger.status).toBe(503);
    expect(stranger.headers.get("retry-after")).toBe("30");
    const asked = activation.checks.length;
    expect((await as(again, "act-good-1")).status).toBe(200);
    expect(activation.checks).toHaveLength(asked);
  });
});

describe("addresses", () => {
  test("who guesses is told to wait; behind a trusted proxy that is the client, not the proxy", async () => {
    const config = { authFailuresPerMinute: 3, trustProxy: ["127.0.0.1"] };
    const gateway = await start({ "act-one": {} }, config);
    const guess = async (address: string) =>
      await as(gateway, "wrong", { headers: { "x-forwarded-for": address } });
    const statuses: number[] = [];
    for (let round = 0; round < 5; round += 1) statuses.push((await guess("203.0.113.1")).status);
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    const limited = await guess("203.0.113.1");
    expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(limited.json).toMatchObject({ error: { type: "rate_limit_error" } });
    expect((await guess("203.0.113.2")).status).toBe(401);
    const headers = { "x-forwarded-for": "203.0.113.1" };
    expect((await as(gateway, gateway.apiKey, { headers })).status).toBe(200);
    expect((await as(gateway, "act-one", { headers })).status).toBe(200);
  });

  test("a header that nobody vouches for is not believed", async () => {
    const gateway = await start(undefined, { authFailuresPerMinute: 1 });
    const guess = async (address: string) =>
      (await as(gateway, "wrong", { headers: { "x-forwarded-for": address } })).status;
    expect(await guess("203.0.113.1")).toBe(401);
    expect(await guess("203.0.113.2")).toBe(429);
  });
});
