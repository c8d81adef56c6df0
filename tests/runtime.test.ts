import { expect, test } from "bun:test";
import { lookupAddresses, realRuntime } from "../src/runtime.ts";

const runtime = realRuntime();

test("a sleep ends by itself or with the signal's reason", async () => {
  await runtime.sleep(1);
  const abort = new AbortController();
  const sleeping = runtime.sleep(60_000, abort.signal);
  abort.abort(new Error("enough"));
  expect(sleeping).rejects.toThrow("enough");
  expect(runtime.sleep(1, abort.signal)).rejects.toThrow("enough");
});

test("a timer fires once, can be put off and called off", async () => {
  const fired = Promise.withResolvers<string>();
  runtime.timer(60_000, () => fired.resolve("wrong")).cancel();
  const timer = runtime.timer(1, () => fired.resolve("right"));
  timer.refresh();
  expect(await fired.promise).toBe("right");
});

test("clock and chance are the machine's", () => {
  expect(Math.abs(runtime.now() - Date.now())).toBeLessThan(60_000);
  expect(runtime.monotonic()).toBeGreaterThan(0);
  expect(runtime.random()).toBeLessThan(1);
  expect(runtime.randomUUID()).toMatch(/^[0-9a-f-]{36}$/);
});

test("fetch goes to the network", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("here") });
  const response = await runtime.fetch(server.url.href, {});
  expect(await response.text()).toBe("here");
  await server.stop(true);
});

test("a look-up gives the addresses of a name, and an address as it is", async () => {
  expect(await lookupAddresses("127.0.0.1")).toEqual(["127.0.0.1"]);
  expect(await lookupAddresses("::1")).toEqual(["::1"]);
  expect(["127.0.0.1", "::1"]).toContain((await lookupAddresses("localhost"))[0] ?? "");
});
