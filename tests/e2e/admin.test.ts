import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";
import { ask, prompt } from "./client.ts";

setDefaultTimeout(60_000);
const emulators: KiroEmulator[] = [];
afterAll(stopGateways);
afterAll(async () => await Promise.all(emulators.map(async (one) => await one.stop())));

const KEY = "an-admin-key-that-is-long-enough";

async function start(config: Record<string, unknown> = {}, files: Record<string, string> = {}) {
  const kiro = startKiro();
  emulators.push(kiro);
  const credentials = ["a", "b"].map((id) => kiro.accounts.credential("social", { id }));
  const gateway = await startGateway({
    kiro,
    credentials,
    files,
    config: { adminApiKey: KEY, ...config },
  });
  return { kiro, gateway };
}

async function call(
  { url }: Gateway,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { "x-api-key": KEY },
) {
  const response = await fetch(`${url}/api/admin${path}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it
  const json: any = isJson ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, body: json };
}

describe("an operator", () => {
  test("adds an account to a gateway that runs, tests it, disables, enables and removes it", async () => {
    const { kiro, gateway } = await start();
    const record = kiro.accounts.credential("idc", { id: "c" });
    const added = await call(gateway, "POST", "/credentials", record);
    expect(added.body).toEqual({ results: [{ place: "", outcome: "added", id: "c" }] });
    const tested = await call(gateway, "POST", "/credentials/c/test");
    expect(tested.body).toMatchObject({ works: true, credential: { quota: { limit: 50 } } });

    for (const id of ["a", "b"]) await call(gateway, "POST", `/credentials/${id}/disable`);
    expect((await ask(gateway, prompt("Hello"))).status).toBe(200);
    await call(gateway, "POST", "/credentials/c/disable");
    expect((await ask(gateway, prompt("Hello"))).status).not.toBe(200);
    await call(gateway, "POST", "/credentials/c/enable");
    expect((await ask(gateway, prompt("Hello"))).status).toBe(200);
    expect((await call(gateway, "DELETE", "/credentials/c")).status).toBe(200);
    expect((await ask(gateway, prompt("Hello"))).status).not.toBe(200);
    const file = await readFile(gateway.credentialsPath, "utf8");
    expect(JSON.parse(file).map(({ id }: { id: string }) => id)).toEqual(["a", "b"]);
  });

  test("ends a suspension, which is forgotten across a restart as well", async () => {
    const { kiro, gateway } = await start();
    kiro.script(scenarios.suspended);
    expect((await ask(gateway, prompt("Hello"))).status).toBe(200);
    const suspended = (await call(gateway, "GET", "/credentials")).body.credentials.find(
      ({ state }: { state: string }) => state === "suspended",
    );
    const reset = await call(gateway, "POST", `/credentials/${suspended.id}/reset`);
    expect(reset.body).toMatchObject({ id: suspended.id, state: "ready" });
    gateway.process.kill("SIGTERM");
    await gateway.process.exited;
    const states = await readFile(join(gateway.folder, "credential-states.json"), "utf8");
    expect(JSON.parse(states)).toEqual({});
  });

  test("sees what was spent and why a request took two accounts", async () => {
    const { kiro, gateway } = await start();
    kiro.script(scenarios["monthly quota"]);
    const answer = await ask(gateway, prompt("Hello"));
    expect(answer.status).toBe(200);
    let page = await call(gateway, "GET", "/requests");
    while (page.body.entries.length === 0) {
      await Bun.sleep(10);
      page = await call(gateway, "GET", "/requests");
    }
    const [entry] = page.body.entries;
    expect(entry).toMatchObject({
      protocol: "messages",
      status: 200,
      outcome: "complete",
      attempts: 2,
      chain: [{ fault: "quota" }, { credential: entry.credential }],
    });
    expect(entry.chain[0].credential).not.toBe(entry.credential);
    const usage = await call(gateway, "GET", "/usage?by=credential");
    expect(usage.body.rows).toMatchObject([{ key: entry.credential, requests: 1, failed: 0 }]);
    expect((await call(gateway, "GET", "/usage?to=2020-01-01")).body.total.requests).toBe(0);
  });

  test("lets users in, changes what they may, and shuts them out, all of it at once", async () => {
    const { kiro, gateway } = await start();
    const made = await call(gateway, "POST", "/users", { name: "Ada" });
    const { code, user } = made.body;
    const knock = async (key: string) =>
      (await ask(gateway, prompt("Hello"), { headers: { "x-api-key": key } })).status;
    expect(await knock(code)).toBe(200);
    const path = `/users/${user.id}`;
    const limited = await call(gateway, "PATCH", path, { limits: { requests_per_minute: 1 } });
    expect(limited.body.limits).toEqual({ requests_per_minute: 1 });
    expect([await knock(code), await knock(code)]).toEqual([200, 429]);
    await call(gateway, "PATCH", path, { limits: null });
    expect(await knock(code)).toBe(200);

    const expiry = { users: [code], expires_date: "2020-01-01" };
    expect((await call(gateway, "POST", "/users/expiry", expiry)).body).toEqual({ changed: 1 });
    expect(await knock(code)).toBe(403);
    await call(gateway, "PATCH", path, { expires_date: null });
    expect(await knock(code)).toBe(200);
    await call(gateway, "PATCH", path, { disabled: true });
    expect(await knock(code)).toBe(403);
    await call(gateway, "PATCH", path, { disabled: false });

    const rotated = await call(gateway, "POST", `/users/${code}/rotate`);
    expect(rotated.body.user.id).toBe(user.id);
    expect(await knock(code)).toBe(401);
    expect(await knock(rotated.body.code)).toBe(200);

    // A log-in of the user's own, by the Go build's call.
    const own = kiro.accounts.credential("social", { id: "own" });
    const body = { activation_code: rotated.body.code, credentials: own };
    expect((await call(gateway, "POST", "/user-credentials", body)).body.success).toBe(true);
    expect((await call(gateway, "GET", path)).body).toMatchObject({
      name: "Ada",
      has_credentials: true,
    });
    for (const id of ["a", "b"]) await call(gateway, "POST", `/credentials/${id}/disable`);
    expect(await knock(rotated.body.code)).toBe(200);
    await call(gateway, "DELETE", `/user-credentials/${rotated.body.code}`);
    expect(await knock(rotated.body.code)).toBe(401);

    const file = join(gateway.folder, "user_credentials.json");
    expect(await Bun.file(file).json()).toEqual({});
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
    for (const secret of [code, rotated.body.code, KEY]) {
      expect(gateway.output()).not.toContain(secret.replace(/^act-/, ""));
    }
    const route = "/api/admin/user-credentials/{code}";
    expect(gateway.logs).toContainEqual(expect.objectContaining({ path: route }));
  });

  test("and 199 others change users at the same time, and nothing is lost", async () => {
    const codes = Array.from({ length: 200 }, (_, at) => `act-user${at}`);
    const users = codes.map((code, note) => [code, { user_name: "", note }]);
    const { gateway } = await start(
      {},
      { "user_credentials.json": JSON.stringify(Object.fromEntries(users)) },
    );
    const answers = await Promise.all(
      codes.map(
        async (code, at) => await call(gateway, "PATCH", `/users/${code}`, { name: `n${at}` }),
      ),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const saved = await Bun.file(join(gateway.folder, "user_credentials.json")).json();
    expect(saved).toMatchObject(
      Object.fromEntries(codes.map((code, note) => [code, { user_name: `n${note}`, note }])),
    );
  });

  test("sees the configuration without its secrets", async () => {
    const { gateway } = await start({ proxyUrl: "http://user:CANARY@127.0.0.1:9" });
    const { body, text } = await call(gateway, "GET", "/server");
    expect(body).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      credentials: { ready: 2 },
      config: { adminApiKey: "[secret]", apiKey: "[secret]", proxyUrl: "[secret]" },
    });
    for (const secret of [KEY, gateway.apiKey, "CANARY"]) expect(text).not.toContain(secret);
  });
});

describe("from outside", () => {
  test("only the admin key opens the API, and no page of another host may call it", async () => {
    const { gateway } = await start();
    const foreign = { "x-api-key": gateway.apiKey, origin: "https://evil.example" };
    const refused = await call(gateway, "GET", "/credentials", undefined, foreign);
    expect([refused.status, refused.body]).toEqual([401, { error: "Invalid admin key." }]);
    const preflight = await call(gateway, "OPTIONS", "/credentials", undefined, {
      origin: "https://evil.example",
      "access-control-request-method": "GET",
    });
    const mine = await call(gateway, "GET", "/credentials", undefined, {
      "x-api-key": KEY,
      origin: "https://evil.example",
    });
    for (const { headers } of [refused, preflight, mine]) {
      expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(headers.get("cache-control")).toBe("no-store");
    }
    expect(preflight.status).toBe(401);
  });

  test("wrong keys are limited by address, and the right one passes all the same", async () => {
    const { gateway } = await start({ authFailuresPerMinute: 3 });
    const statuses: number[] = [];
    for (let guess = 0; guess < 5; guess++) {
      const wrong = { authorization: `Bearer guess-${guess}` };
      const { status, headers } = await call(gateway, "GET", "/server", undefined, wrong);
      statuses.push(status);
      if (status === 429) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await call(gateway, "GET", "/server")).status).toBe(200);
  });

  test("the page and the document are there without a key", async () => {
    const { gateway } = await start();
    const page = await call(gateway, "GET", "/docs", undefined, {});
    expect([page.status, page.text.includes("/api/admin/credentials/{id}/test")]).toEqual([
      200,
      true,
    ]);
    const document = await call(gateway, "GET", "/openapi.json", undefined, {});
    expect(document.body).toMatchObject({ openapi: "3.1.0", paths: { "/requests": {} } });
    expect(page.text + document.text).not.toContain(gateway.folder);
  });
});
