import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { offered, usageLimits } from "../emulator/management.ts";
import { bearerOf } from "../emulator/request.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { startHttpProxy, type TestProxy } from "../support/proxies.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, prompt, readAll } from "./client.ts";

setDefaultTimeout(60_000);
afterAll(stopGateways);

const opened: { stop(): unknown }[] = [];
afterEach(async () => {
  await stopGateways();
  for (const one of opened.splice(0)) await one.stop();
});

function kept<T extends { stop(): unknown }>(one: T): T {
  opened.push(one);
  return one;
}

const OWN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/OWN";

function keyOf(record: object | undefined): string {
  return String(Object(record).kiroApiKey);
}

/** Until the gateway knows the models of as many accounts. */
async function surveyed(gateway: Gateway, accounts = 1): Promise<void> {
  await until(() => gateway.logs.some((line) => line["accounts"] === accounts));
}

async function listed(gateway: Gateway): Promise<string[]> {
  const headers = { "x-api-key": gateway.apiKey };
  const { json } = await readAll(await fetch(`${gateway.url}/v1/models`, { headers }));
  return (json as { data: { id: string }[] }).data.map(({ id }) => id);
}

/** Hosts that nothing but the proxy can reach: a call past it would find nobody. */
const unreachable = {
  apiUrl: "http://kiro.invalid/api/{region}",
  authUrl: "http://kiro.invalid/auth/{region}",
  oidcUrl: "http://kiro.invalid/oidc/{region}",
};

async function proxyTo(kiro: KiroEmulator, status?: number): Promise<TestProxy> {
  return kept(await startHttpProxy(Number(new URL(kiro.url).port), status));
}

test.each(["its own", "the config's"])(
  "every call of a credential goes through %s proxy",
  async (whose) => {
    const kiro = kept(startKiro());
    const proxy = await proxyTo(kiro);
    const proxyUrl = `http://me:canary@127.0.0.1:${proxy.port}`;
    const record = { ...kiro.accounts.credential("idc", { expired: true }), profileArn: undefined };
    const gateway = await startGateway({
      kiro,
      config: { upstream: unreachable, ...(whose === "its own" ? {} : { proxyUrl }) },
      credentials: {
        ...record,
        region: "eu-north-1",
        ...(whose === "its own" ? { proxyUrl } : {}),
      },
      // What would take the calls past it, and elsewhere.
      env: { NO_PROXY: "*", HTTP_PROXY: "http://127.0.0.1:1" },
    });
    kiro.management.profiles = () => ({ "eu-central-1": [OWN] });
    expect((await ask(gateway, prompt("hello"))).status).toBe(200);
    await surveyed(gateway);
    const paths = proxy.seen.map((line) => line.split(" ").slice(0, 2).join(" "));
    expect(new Set(paths.map((path) => path.split("?")[0]))).toEqual(
      new Set([
        "POST http://kiro.invalid/oidc/eu-north-1/token",
        "POST http://kiro.invalid/api/eu-central-1/",
        "POST http://kiro.invalid/api/eu-central-1/generateAssistantResponse",
        "GET http://kiro.invalid/api/eu-central-1/getUsageLimits",
        "GET http://kiro.invalid/api/eu-central-1/ListAvailableModels",
      ]),
    );
    expect(proxy.seen.every((line) => line.endsWith(" me:canary"))).toBe(true);
    expect(proxy.seen).toHaveLength(kiro.requests.length);
    expect(gateway.output()).not.toContain("canary");
  },
);

test("direct goes past every proxy there is", async () => {
  const kiro = kept(startKiro());
  const gateway = await startGateway({
    kiro,
    config: { proxyUrl: "http://127.0.0.1:1" },
    credentials: { ...kiro.accounts.credential("social"), proxyUrl: "direct" },
    env: { HTTP_PROXY: "http://127.0.0.1:1" },
  });
  expect((await ask(gateway, prompt("hello"))).status).toBe(200);
});

test.each([
  ["is not there", undefined],
  ["wants another password", 407],
])("a proxy that %s is nobody's credential's fault", async (_name, status) => {
  const kiro = kept(startKiro());
  const proxy = await proxyTo(kiro, status);
  if (status === undefined) proxy.stop();
  const gateway = await startGateway({
    kiro,
    credentials: {
      ...kiro.accounts.credential("social", { id: "c1" }),
      proxyUrl: `http://me:canary@127.0.0.1:${proxy.port}`,
    },
  });
  const { status: told, text } = await ask(gateway, prompt("hello"));
  expect(told).toBeGreaterThanOrEqual(500);
  expect(kiro.requests).toEqual([]);
  expect(gateway.logs.filter(({ event }) => event === "credential-state")).toEqual([]);
  expect(gateway.output() + text).not.toContain("canary");
});

test("a company's account finds its profile, keeps it and is called in its region alone", async () => {
  const kiro = kept(startKiro());
  kiro.management.profiles = () => ({ "eu-central-1": [OWN] });
  const record = { ...kiro.accounts.credential("idc", { id: "c1" }), profileArn: undefined };
  const gateway = await startGateway({ kiro, credentials: [{ ...record, region: "eu-north-1" }] });
  const answers = await Promise.all(
    Array.from({ length: 5 }, async () => await ask(gateway, prompt("hello"))),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(kiro.chats().map(({ region }) => region)).toEqual(Array(5).fill("eu-central-1"));
  expect(kiro.chats()[0]?.body).toMatchObject({ profileArn: OWN });
  expect(kiro.requests.filter(({ path }) => path === "/")).toHaveLength(1);
  expect(await Bun.file(gateway.credentialsPath).json()).toMatchObject([
    { id: "c1", profileArn: OWN, region: "eu-north-1" },
  ]);
});

test("models are listed as the accounts have them, and go to an account that has them", async () => {
  const kiro = kept(startKiro());
  const [first, second] = ["c1", "c2"].map((id) => kiro.accounts.credential("api-key", { id }));
  kiro.management.models = (token) =>
    token === keyOf(second)
      ? [offered("auto", 1), offered("glm-5", 128_000)]
      : [offered("claude-sonnet-4.5", 200_000)];
  const gateway = await startGateway({ kiro, credentials: [first, second] as object });
  await surveyed(gateway, 2);
  const ids = await listed(gateway);
  expect(ids).toHaveLength(9);
  expect(ids.at(-1)).toBe("glm-5");

  for (const [model, record] of [
    ["glm-5", second],
    ["claude-sonnet-4-5", first],
  ] as const) {
    expect((await ask(gateway, prompt("hello", { model }))).status).toBe(200);
    expect(bearerOf(kiro.chats().at(-1)!)).toBe(keyOf(record));
  }
  const nobody = await ask(gateway, prompt("hello", { model: "claude-opus-4-6" }));
  expect(nobody.status).toBe(404);
  expect(nobody.json).toMatchObject({ error: { type: "not_found_error" } });
  expect(nobody.text).toContain("claude-opus-4-6");
  expect(kiro.chats()).toHaveLength(2);
});

test("a free account whose list is not known gets no opus", async () => {
  const kiro = kept(startKiro());
  kiro.management.limits = () => usageLimits({ plan: "KIRO FREE" });
  const gateway = await startGateway({ kiro });
  await until(() => gateway.logs.some((line) => line["event"] === "models-known"));
  expect((await ask(gateway, prompt("hello", { model: "claude-opus-4-6" }))).status).toBe(404);
  expect((await ask(gateway, prompt("hello"))).status).toBe(200);
});

test("models are listed without an account and without a service", async () => {
  const kiro = kept(startKiro());
  kiro.management.outage = scenarios["server error"];
  for (const credentials of [null, kiro.accounts.credential("social")]) {
    const gateway = await startGateway({ kiro, credentials });
    expect(await listed(gateway)).toHaveLength(8);
  }
});

test("a used-up account rests until the day that its quota names", async () => {
  const kiro = kept(startKiro());
  const resetAt = Math.floor(Date.now() / 1000) * 1000 + 3 * 86_400_000;
  kiro.management.limits = () => usageLimits({ used: 50, resetAt });
  const credentials = ["c1", "c2"].map((id) => kiro.accounts.credential("api-key", { id }));
  const gateway = await startGateway({ kiro, credentials });
  await surveyed(gateway, 2);
  kiro.script(scenarios["monthly quota"]);
  expect((await ask(gateway, prompt("hello"))).status).toBe(200);
  // It had been read seconds ago, so that is what counts.
  const states = join(gateway.folder, "credential-states.json");
  const end = new Date(resetAt).toISOString();
  await until(() => existsSync(states) && readFileSync(states, "utf8").includes(end));
  expect(await Bun.file(states).json()).toMatchObject({ c1: { type: "exhausted", until: end } });
});

test("the operator sees states and quotas through the admin API, with the key alone", async () => {
  const kiro = kept(startKiro());
  kiro.management.limits = () => usageLimits({ used: 37.4219, plan: "KIRO PRO" });
  const gateway = await startGateway({ kiro, credentials: kiro.accounts.credential("api-key") });
  const url = `${gateway.url}/api/admin/credentials`;
  expect((await fetch(url)).status).toBe(401);
  const response = await fetch(url, { headers: { "x-api-key": gateway.apiKey } });
  const text = await response.text();
  expect(JSON.parse(text)).toMatchObject({
    credentials: [{ state: "ready", quota: { plan: "KIRO PRO", used: 37.42, stale: false } }],
  });
  expect(text).not.toMatch(/EMULATED|@/);
});
