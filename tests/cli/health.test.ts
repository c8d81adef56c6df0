import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArguments } from "../../src/cli/arguments.ts";
import { health } from "../../src/cli/health.ts";
import { realRuntime } from "../../src/runtime.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-health-"));
afterAll(async () => await rm(folder, { recursive: true }));

/** Runs the command as it is typed, in a home with this configuration. */
async function run(command: string, config: object, answer: ScriptedFetch) {
  const path = join(folder, "config.json");
  await Bun.write(path, JSON.stringify(config));
  const parsed = parseArguments([...command.split(" "), "-config", path]);
  if (!parsed.ok || parsed.value.type !== "health") throw new Error("not the command");
  const { runtime, calls, advance } = createTestRuntime({ fetch: answer });
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const place = { env: {}, platform: "linux", home: folder, print: say, complain: say };
  return { code: health(parsed.value, place, runtime), calls, said, advance };
}

const good: ScriptedFetch = () => Response.json({ status: "ok" });

test.each([
  [{ port: 1300 }, "http://127.0.0.1:1300/healthz"],
  [{ port: 1300, host: "0.0.0.0" }, "http://127.0.0.1:1300/healthz"],
  [{ port: 1300, host: "::" }, "http://[::1]:1300/healthz"],
  [{ port: 1300, tls: { cert: "a", key: "b" } }, "https://127.0.0.1:1300/healthz"],
])("with %j it asks %s", async (config, url) => {
  const { code, calls } = await run("health", config, good);
  expect(await code).toBe(0);
  expect(calls.map((call) => call.url)).toEqual([url]);
});

test("flags say where, as they do for the server, and an address says it outright", async () => {
  const byFlag = await run("health -port 7", {}, good);
  expect(await byFlag.code).toBe(0);
  expect(byFlag.calls[0]?.url).toBe("http://127.0.0.1:7/healthz");
  const byUrl = await run("health http://localhost:8/", {}, good);
  expect(await byUrl.code).toBe(0);
  expect(byUrl.calls[0]?.url).toBe("http://localhost:8/healthz");
});

test("-ready asks whether it can serve", async () => {
  const { code, calls } = await run("health -ready", {}, good);
  expect(await code).toBe(0);
  expect(calls.map((call) => call.url)).toEqual(["http://127.0.0.1:13000/readyz"]);
});

test("another status, no answer and a bad configuration are failures, each with its reason", async () => {
  const other = await run("health", {}, () => new Response("", { status: 404 }));
  expect(await other.code).toBe(1);
  expect(other.said.join()).toContain("status 404");
  const silent = await run("health", {}, async () => await new Promise<Response>(() => undefined));
  while (silent.calls.length === 0) await Bun.sleep(1);
  await silent.advance(5_000);
  expect(await silent.code).toBe(1);
  expect(silent.said.join()).toContain("does not answer within 5 s");
  const bad = await run("health", { port: "x" }, good);
  expect(await bad.code).toBe(1);
  expect(bad.said.join()).toContain("port: expected");
});

test("a port where nobody listens is said to be one", async () => {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const place = { env: {}, platform: "linux", home: folder, print: say, complain: say };
  const options = { flags: {}, url: "http://127.0.0.1:1", ready: false };
  expect(await health(options, place, realRuntime())).toBe(1);
  expect(said.join()).toContain("can't be reached");
});
