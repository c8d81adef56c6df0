import { afterAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stream, trailer, words } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { type Answer, ask, post, prompt } from "./client.ts";

setDefaultTimeout(60_000);

const headers = { "x-api-key": "act-one" };
const kiro = startKiro();
const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-limits-"));
afterAll(stopGateways);
afterAll(async () => {
  await kiro.stop();
  await rm(folder, { recursive: true, force: true });
});

let databasePath = "";
beforeEach(() => {
  databasePath = join(folder, `${crypto.randomUUID()}.db`);
});

/** With one user of these limits, whose code is `act-one`. */
async function start(limits: object, config: object = {}): Promise<Gateway> {
  return await startGateway({
    kiro,
    config: { databasePath, maxConcurrentPerCredential: 0, ...config },
    files: {
      "user_credentials.json": JSON.stringify({ "act-one": { user_id: "one", limits } }),
    },
  });
}

async function asOne(gateway: Gateway, more: object = {}): Promise<Answer> {
  return await ask(gateway, prompt("Hi", more), { headers });
}

/** What the user has spent by the ledger. */
async function spent(): Promise<{ requests: number; metered: number; estimated: number }> {
  const sql = new SQL({ adapter: "sqlite", filename: databasePath, readonly: true });
  try {
    const [sums] = await sql<{ requests: number; metered: number; estimated: number }[]>`
      SELECT count(*) AS requests, coalesce(sum(credits), 0) AS metered,
        coalesce(sum(estimated_credits), 0) AS estimated
      FROM requests WHERE user_id = 'one'`;
    return sums!;
  } finally {
    await sql.close();
  }
}

function costs(credits: number) {
  return stream([...words("Hello there."), ...trailer(1, credits)], { everyMs: 5 });
}

test("200 requests at once, each of about 1 credit, stay within 10", async () => {
  let served = 0;
  kiro.otherwise(() => costs(0.8 + ((served++ * 7) % 11) / 25));
  const own = await start({ credits_per_day: 10 });
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, at) => await asOne(own, { stream: at % 2 === 0 })),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  const refused = answers.find(({ status }) => status === 429);
  expect(refused?.text).toContain("creditsPerDay");
  expect(refused?.text).toContain("T00:00:00Z");
  expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
  own.process.kill("SIGTERM");
  await own.process.exited;
  const { requests, metered } = await spent();
  expect(requests).toBe(200);
  expect(metered).toBeGreaterThanOrEqual(9);
  expect(metered).toBeLessThanOrEqual(10 + 1.2);
});

test("what was spent and what was under way outlives kill -9", async () => {
  kiro.otherwise(costs(1));
  const own = await start({ credits_per_day: 10 });
  for (let n = 0; n < 5; n++) expect((await asOne(own)).status).toBe(200);
  // What is not written yet counts as estimated.
  while ((await spent()).requests < 5) await Bun.sleep(20);
  const chats = kiro.chats().length;
  const silent = stream(words("Hello"), { ending: [{ type: "silence" }] });
  kiro.script(silent, silent, silent);
  const running = [1, 2, 3].map(
    async () => await post(own, prompt("Hi", { stream: true }), { headers }).catch(() => undefined),
  );
  await until(() => kiro.chats().length === chats + 3);
  own.process.kill("SIGKILL");
  await own.process.exited;
  await Promise.all(running);

  const next = await start({ credits_per_day: 10 });
  const statuses: number[] = [];
  while (!statuses.includes(429)) statuses.push((await asOne(next)).status);
  // Five of one credit each were spent, three such were under way.
  expect(statuses).toEqual([200, 200, 429]);
});

test("a client that leaves before the price is told pays what others have paid", async () => {
  kiro.otherwise(costs(4));
  const own = await start({ credits_per_day: 10 });
  expect((await asOne(own)).status).toBe(200);
  kiro.script(stream(words("Hello there."), { ending: [{ type: "silence" }] }));
  const leaving = new AbortController();
  await post(own, prompt("Hi", { stream: true }), { headers, signal: leaving.signal });
  leaving.abort();
  await own.logged(({ outcome }) => outcome === "cancelled");
  own.process.kill("SIGTERM");
  await own.process.exited;
  expect(await spent()).toEqual({ requests: 2, metered: 4, estimated: 4 });
});

test("a model counts by all of its names, and the gateway's own key has no limits", async () => {
  kiro.otherwise(costs(1));
  const modelAliases = { fast: "claude-haiku-4-5" };
  const own = await start({ models: ["fast"] }, { modelAliases });
  for (const model of ["fast", "claude-haiku-4-5-20251001", "haiku"]) {
    expect((await asOne(own, { model })).status).toBe(200);
  }
  const refused = await asOne(own, { model: "claude-sonnet-4-5" });
  expect(refused.status).toBe(403);
  expect(refused.text).toContain("You may not use the model claude-sonnet-4-5");
  expect((await ask(own, prompt("Hi"))).status).toBe(200);
});

test("userLimits hold for users that have none of their own", async () => {
  kiro.otherwise(costs(1));
  const own = await start({}, { userLimits: { requestsPerMinute: 2 } });
  const answers = [await asOne(own), await asOne(own), await asOne(own)];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  const seconds = Number(answers[2]?.headers.get("retry-after"));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
});
