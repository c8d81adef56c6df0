import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClientAddress } from "../../src/auth/client-address.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import type { Gateway } from "../../src/gateway/complete.ts";
import { createApp } from "../../src/http/app.ts";
import { ok } from "../../src/result.ts";
import { realRuntime } from "../../src/runtime.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createLedger } from "../../src/usage/ledger.ts";
import { createLimits, type UserLimits } from "../../src/usage/limits.ts";
import { usageDeps } from "./usage.ts";

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-limits-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** The app for one user, on a gateway whose replies cost `credits()` each; undefined where Kiro does not say. */
function world(limits: UserLimits, credits: () => number | undefined) {
  const runtime = realRuntime();
  const log = createLog({ level: "error", format: "json", write: () => undefined, now: () => 0 });
  const path = join(folder, `${crypto.randomUUID()}.db`);
  const ledger = createLedger({ path, retentionDays: 90, runtime, log });
  const gateway: Gateway = {
    async complete({ onAttempt, conversation }) {
      async function* events(): AsyncGenerator<ReplyEvent[], void, undefined> {
        yield [{ type: "text", text: "Hi" }];
        await Bun.sleep(5);
        const cost = credits();
        onAttempt?.({ credential: "c1", ms: 5 });
        const usage = { inputTokens: 3, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 };
        const metered: ReplyEvent[] =
          cost === undefined ? [] : [{ type: "credits", credits: cost }];
        yield [
          { type: "usage", usage, source: "upstream" },
          ...metered,
          { type: "stop", reason: "end-turn" },
        ];
      }
      const head = { model: conversation.model, credentialId: "c1", notices: [], attempts: 1 };
      return ok({ events: events(), ...head });
    },
  };
  const app = createApp({
    ...usageDeps(),
    ledger,
    limits: createLimits({ defaults: {}, ledger, runtime, modelId: (name) => name }),
    gateway,
    runtime,
    log,
    clientAddress: createClientAddress([]),
    authenticate: () =>
      ok({ name: "Ann", source: { type: "pool" }, user: { id: "u1", name: "Ann", limits } }),
    counter: { exact: async () => 3, quick: () => 3, text: (text) => text.length },
    models: { list: () => [], find: () => undefined },
    corsOrigins: [],
    keyless: false,
    body: { maxBytes: 10_000, withinMs: 10_000 },
    headWithinMs: 10_000,
    heartbeatMs: 10_000,
    stalledMs: 10_000,
    closing: new AbortController().signal,
  });
  const ask = async (route: string, body: object): Promise<Response> =>
    await app.request(route, { method: "POST", body: JSON.stringify(body) }, {});
  return { ask, ledger };
}

const messages = [{ role: "user", content: "Hi" }];
const wires = [
  ["/v1/messages", { model: "m", max_tokens: 9, messages }],
  ["/v1/chat/completions", { model: "m", messages }],
  ["/v1/responses", { model: "m", input: "Hi" }],
] as const;

test.each([true, false])(
  "200 requests at once stay within 10 credits (stream: %p)",
  async (stream) => {
    let served = 0;
    const { ask, ledger } = world({ creditsPerDay: 10 }, () => 0.8 + ((served++ * 7) % 11) / 25);
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const [path, body] = wires[n % 3] ?? wires[0];
        const response = await ask(path, { ...body, stream });
        await response.text();
        return response.status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    const { value } = { value: undefined, ...(await ledger.totals({ user: "u1" })) };
    expect(value?.requests).toBe(200);
    expect(value?.failed).toBe(statuses.filter((status) => status === 429).length);
    expect(value?.credits).toBeGreaterThanOrEqual(10);
    expect(value?.credits).toBeLessThanOrEqual(11.2);
    await ledger.close();
  },
);

test.each(wires)("%s says which limit it is, when it ends, and to wait", async (path, body) => {
  const { ask, ledger } = world({ creditsPerDay: 1 }, () => 1.5);
  expect((await ask(path, body)).status).toBe(200);
  const refused = await ask(path, body);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(86_400);
  expect(await refused.json()).toMatchObject({
    error: { message: expect.stringMatching(/1\.5 of your 1 credits a day.*T00:00:00Z/) },
  });
  await ledger.close();
});

test.each(wires)("%s refuses a model that the user may not have, by name", async (path, body) => {
  const { ask, ledger } = world({ models: ["other"] }, () => 1);
  const refused = await ask(path, body);
  expect(refused.status).toBe(403);
  expect(await refused.text()).toContain("You may not use the model m. You may use: other.");
  await ledger.close();
});

test("a reply whose price nobody says counts with what others have cost", async () => {
  const costs = [0.5, undefined, 0];
  const { ask, ledger } = world({ creditsPerDay: 1 }, () => costs.shift());
  const [path, body] = wires[0];
  expect((await ask(path, body)).status).toBe(200);
  expect((await ask(path, body)).status).toBe(200);
  expect((await ask(path, body)).status).toBe(429);
  expect(await ledger.totals({})).toMatchObject({
    value: { credits: 0.5, estimated_credits: 0.5 },
  });
  await ledger.close();
});
