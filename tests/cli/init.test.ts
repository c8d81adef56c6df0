import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { startKiro } from "../emulator/kiro.ts";
import { createWorld, type World } from "./world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  world = await createWorld(kiro);
});
afterEach(async () => await world.end());

test("a first configuration is for this machine alone, has a key and is nobody else's to read", async () => {
  const path = join(world.home, "new/config.json");
  const { code, out } = await world.run(`init -config ${path}`);
  expect(code).toBe(0);
  const { apiKey, ...rest } = await Bun.file(path).json();
  expect(rest).toEqual({ host: "127.0.0.1", port: 13_000 });
  expect(apiKey).toMatch(/^sk-kiro-[0-9a-f]{64}$/);
  expect(out.split(apiKey)).toHaveLength(2);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("one for a server listens everywhere and has a key for its operator that is another", async () => {
  const path = join(world.home, "new.json");
  await world.run(`init -server -port 8080 -config ${path}`);
  const { apiKey, adminApiKey, ...rest } = await Bun.file(path).json();
  expect(rest).toEqual({ host: "0.0.0.0", port: 8080 });
  expect(adminApiKey).toMatch(/^sk-kiro-/);
  expect(adminApiKey).not.toBe(apiKey);
});

test("what is there is never overwritten", async () => {
  const path = await world.write("there.json", "{}");
  const { code, err } = await world.run(`init -config ${path}`);
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("there already") });
  expect(await Bun.file(path).text()).toBe("{}");
});

test.each([
  ["init -port 70000", "port: expected"],
  ["init -port abc", "port: expected"],
  ["init -host a/b", "host: expected"],
  ["init -config /proc/none/config.json", "can't be written"],
])("%s is told, and nothing is written", async (command, why) => {
  const path = join(world.home, "new.json");
  const { code, err } = await world.run(
    command.includes("-config") ? command : `${command} -config ${path}`,
  );
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(why) });
  expect(await Bun.file(path).exists()).toBe(false);
});
