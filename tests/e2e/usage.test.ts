import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SQL } from "bun";
import { parse } from "csv-parse/sync";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stream, trailer, words } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, type Run, runBinary, startGateway, stopGateways, until } from "./binary.ts";
import { ask, follow, post, prompt } from "./client.ts";

const kiro = startKiro();
const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-usage-"));
afterAll(stopGateways);
afterAll(async () => {
  await kiro.stop();
  await rm(folder, { recursive: true, force: true });
});

let databasePath = "";
beforeEach(() => {
  databasePath = join(folder, `${crypto.randomUUID()}.db`);
  kiro.otherwise(scenarios.text);
});

async function start(more: object = {}): Promise<Gateway> {
  return await startGateway({ kiro, config: { databasePath, ...more } });
}

type Row = Record<string, string | number | null>;

/** The rows that are on the disk now. */
async function rows(): Promise<Row[]> {
  const sql = new SQL({ adapter: "sqlite", filename: databasePath, readonly: true });
  try {
    return [...(await sql<Row[]>`SELECT * FROM requests ORDER BY id`)];
  } finally {
    await sql.close();
  }
}

async function rowsOnceThereAre(count: number): Promise<Row[]> {
  for (;;) {
    // The database is made a moment after the start.
    const found = await rows().catch(() => []);
    if (found.length >= count) return found;
    await Bun.sleep(20);
  }
}

/** The samples of `/metrics`, by name and labels as they are written. */
async function metrics(gateway: Gateway): Promise<Map<string, number>> {
  const response = await fetch(`${gateway.url}/metrics`);
  expect(response.status).toBe(200);
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of (await response.text()).split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) types.set(type[1]!, type[2]!);
    if (line === "" || line.startsWith("#")) continue;
    const sample = /^(([a-z_]+)(?:\{(?:[a-z]+="[^"\\\n]*",?)+\})?) (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, key, name, value] = sample;
    expect(types.has(name!.replace(/_(bucket|sum|count)$/, "")) || types.has(name!)).toBe(true);
    expect(Number.isFinite(Number(value))).toBe(true);
    samples.set(key!, Number(value));
  }
  return samples;
}

async function run(...args: string[]): Promise<Run> {
  return await runBinary({ config: { databasePath }, args: ["usage", ...args] });
}

describe("the ledger", () => {
  test("has a row for every answer of a mixed load, across kill -9 and a new start", async () => {
    const first = await start();
    const signal = new AbortController();
    kiro.script(scenarios.endless);
    const left = follow(await post(first, prompt("Hi", { stream: true }), signal));
    await until(() => left.text.includes("again"));
    signal.abort();
    await left.ended;
    const asked = [
      await ask(first, prompt("Hi", { stream: true })),
      await ask(first, prompt("Hi")),
      await ask(first, "{"),
      await ask(first, prompt("Hi"), { headers: { "x-api-key": "wrong" } }),
      await ask(first, prompt("Hi"), { path: "/v1/chat/completions" }),
      await ask(first, { model: "gpt", input: "Hi" }, { path: "/v1/responses" }),
    ];
    kiro.script(scenarios["server error"]);
    asked.push(await ask(first, prompt("Hi")));
    kiro.script(scenarios["exception late"]);
    asked.push(await ask(first, prompt("Hi", { stream: true })));
    const before = await rowsOnceThereAre(asked.length + 1);
    expect(before).toHaveLength(asked.length + 1);
    first.process.kill("SIGKILL");
    await first.process.exited;

    const second = await start();
    asked.push(await ask(second, prompt("Hi")));
    second.process.kill("SIGTERM");
    await second.process.exited;
    const all = await rows();
    expect(all.map(({ status, outcome }) => `${status} ${outcome}`)).toEqual([
      "499 cancelled",
      ...asked.map(({ status, text }) => {
        const broken = text.includes("event: error");
        return `${status} ${status === 200 && !broken ? "complete" : "failed"}`;
      }),
    ]);
    expect(all.slice(1).map((row) => row["request_id"])).toEqual(
      asked.map(({ requestId }) => requestId),
    );
    expect(all[2]).toMatchObject({
      caller: "api-key",
      wire: "messages",
      stream: 0,
      model: "claude-sonnet-4-5",
      upstream_model: "claude-sonnet-4.5",
      credits: 0.0731,
      attempts: 1,
    });
    expect(all[4]).toMatchObject({ status: 401, caller: null, failure: "authentication" });
    // One fault, and the answer on the second try.
    expect(all[7]).toMatchObject({ status: 200, attempts: 2 });
    expect(String(all[7]?.["chain"])).toContain('"fault":"unavailable"');
    if (process.platform !== "win32") {
      expect((await stat(databasePath)).mode & 0o777).toBe(0o600);
    }
    expect(JSON.stringify(all)).not.toContain("EMULATED");
  });

  test("counts what failed attempts have cost", async () => {
    const own = await start();
    kiro.script(stream(trailer(1, 0.5)), stream([...words("Hi"), ...trailer(1, 0.25)]));
    await ask(own, prompt("Hi"));
    expect(await rowsOnceThereAre(1)).toMatchObject([{ credits: 0.75, attempts: 2 }]);
  });

  test("that can't be written stops no answer, and is told", async () => {
    databasePath = join(folder, "a-file", "kiro-proxy.db");
    await Bun.write(join(folder, "a-file"), "");
    const own = await start();
    expect((await ask(own, prompt("Hi"))).status).toBe(200);
    expect(await own.logged(({ event }) => event === "ledger-failing")).toMatchObject({
      level: "error",
    });
    const ready = await fetch(`${own.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ledger: { failing: true, pending: 1 } });
    const samples = await metrics(own);
    expect(samples.get("kiro_proxy_ledger_failed_writes_total")).toBeGreaterThan(0);
    expect(samples.get("kiro_proxy_ledger_pending_rows")).toBe(1);
  });

  test("is exported as CSV and JSON while the server runs", async () => {
    const own = await start();
    await ask(own, prompt("Hi"));
    await ask(own, prompt("Hi", { model: '=cmd|"x",\n' }));
    await rowsOnceThereAre(2);
    const byModel = await run("-by", "model", "-format", "json");
    expect(JSON.parse(byModel.stdout)).toContainEqual(
      expect.objectContaining({ model: "claude-sonnet-4.5", requests: 1, credits: 0.0731 }),
    );
    const exported = await run("-by", "request", "-format", "csv");
    const records: Row[] = parse(exported.stdout, { columns: true });
    expect(records).toHaveLength(2);
    expect(records[0]).toMatchObject({ model: `'=cmd|"x",\n`, status: "200" });
    expect(JSON.parse(String(records[1]?.["chain"]))).toMatchObject([{ ms: expect.any(Number) }]);
    expect((await run()).stdout).toStartWith("DAY ");
  });
});

describe("monitoring", () => {
  test("the metrics count requests, and nothing is in flight at the end", async () => {
    const own = await start();
    kiro.script(scenarios.slow);
    const reading = follow(await post(own, prompt("Hi", { stream: true })));
    await until(() => reading.text.includes("Hello"));
    const during = await metrics(own);
    expect(during.get("kiro_proxy_requests_in_flight")).toBe(1);
    expect(during.get("kiro_proxy_streams_open")).toBe(1);
    await reading.ended;
    const signal = new AbortController();
    kiro.script(scenarios.endless);
    const left = follow(await post(own, prompt("Hi", { stream: true }), signal));
    await until(() => left.text.includes("again"));
    signal.abort();
    await own.logged(({ outcome }) => outcome === "cancelled");
    await ask(own, prompt("Hi", { model: "a-model-of-my-own" }));
    await ask(own, prompt("Hi"), { headers: { "x-api-key": "wrong" } });
    const samples = await metrics(own);
    const count = (labels: string) =>
      samples.get(`kiro_proxy_requests_total{protocol="messages",${labels}}`);
    expect(count('status="200",outcome="complete"')).toBe(2);
    expect(count('status="499",outcome="cancelled"')).toBe(1);
    expect(count('status="401",outcome="failed"')).toBe(1);
    expect(samples.get("kiro_proxy_requests_in_flight")).toBe(0);
    expect(samples.get("kiro_proxy_streams_open")).toBe(0);
    expect(samples.get("kiro_proxy_leases")).toBe(0);
    expect(samples.get('kiro_proxy_credentials{state="ready"}')).toBe(1);
    expect(samples.get('kiro_proxy_credits_total{model="other"}')).toBe(0.0731);
    const overhead = "kiro_proxy_gateway_overhead_seconds";
    expect(samples.get(`${overhead}_count{protocol="messages"}`)).toBe(4);
    expect(samples.get(`${overhead}_bucket{le="0.25",protocol="messages"}`)).toBe(4);
    expect(samples.get("kiro_proxy_memory_bytes")).toBeGreaterThan(1e6);
    expect([...samples.keys()].join("\n")).not.toContain("a-model-of-my-own");
  });

  test("away from loopback the metrics need the admin key, unless they are open", async () => {
    const apiKey = crypto.randomUUID() + crypto.randomUUID();
    const closed = await start({ host: "0.0.0.0", apiKey });
    const url = closed.url.replace("0.0.0.0", "127.0.0.1");
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    const headers = { "x-api-key": apiKey };
    expect((await fetch(`${url}/metrics`, { headers })).status).toBe(200);
    const open = await start({ host: "0.0.0.0", apiKey, metricsOpen: true });
    const openUrl = open.url.replace("0.0.0.0", "127.0.0.1");
    expect((await fetch(`${openUrl}/metrics`)).status).toBe(200);
  });

  test("a server is ready while a credential is", async () => {
    const own = await start();
    const ready = await fetch(`${own.url}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: "ready", credentials: { ready: 1 } });
    kiro.script(scenarios.suspended);
    await ask(own, prompt("Hi"));
    const not = await fetch(`${own.url}/readyz`);
    expect(not.status).toBe(503);
    expect(await not.json()).toMatchObject({
      status: "not-ready",
      credentials: { suspended: 1 },
    });
    expect((await fetch(`${own.url}/healthz`)).status).toBe(200);
  });
});
