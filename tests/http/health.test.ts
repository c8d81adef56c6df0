import { expect, test } from "bun:test";
import { healthRoutes } from "../../src/http/health.ts";
import { Secret } from "../../src/secret.ts";
import { usageDeps } from "./usage.ts";

type Health = Parameters<typeof usageDeps>[0];

async function get(path: string, more: Health = {}, headers: Record<string, string> = {}) {
  return await healthRoutes(usageDeps(more).health).request(path, { headers });
}

test("the process lives, whatever it can do", async () => {
  const { status } = await get("/healthz", { credentials: () => ({}) });
  expect(status).toBe(200);
});

test.each<[string, Health, number, string]>([
  ["one credential is ready", { credentials: () => ({ ready: 1, cooling: 2 }) }, 200, "ready"],
  ["none is", { credentials: () => ({ cooling: 2 }) }, 503, "not-ready"],
  ["there is none", { credentials: () => ({}) }, 503, "not-ready"],
  ["the server stops", { stopping: () => true }, 503, "stopping"],
])("readiness where %s", async (_, more, status, said) => {
  const response = await get("/readyz", more);
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({
    status: said,
    ledger: { pending: 0, lag_ms: 0, failing: false },
  });
});

async function read(metricsFor: Secret | "everybody" | undefined, headers = {}): Promise<number> {
  return (await get("/metrics", { metricsFor }, headers)).status;
}

test("the metrics are for everybody, for those with the key, or for nobody", async () => {
  const key = new Secret("admin-key");
  expect(await read("everybody")).toBe(200);
  expect(await read(key)).toBe(401);
  expect(await read(key, { "x-api-key": "admin-kex" })).toBe(401);
  expect(await read(key, { "x-api-key": "admin-key" })).toBe(200);
  expect(await read(key, { authorization: "Bearer admin-key" })).toBe(200);
  expect(await read(undefined, { "x-api-key": "admin-key" })).toBe(401);
});
