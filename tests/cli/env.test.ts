import { afterAll, afterEach, beforeEach, expect, test } from "bun:test";
import { startKiro } from "../emulator/kiro.ts";
import { createWorld, type World } from "./world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  world = await createWorld(kiro);
});
afterEach(async () => await world.end());

const KEY = `a'b"c$d\\e\`f`;

test.each([
  ["sh", ["sh", "-c"], "printf %s"],
  ["fish", ["fish", "--no-config", "-c"], "printf %s"],
])("%s sets what was meant, whatever is in a key", async (shell, command, print) => {
  if (Bun.which(shell) === null) return;
  const { out } = await world.run(`env -shell ${shell} -url https://k.example -key ${KEY}`);
  const script = `${out}${print} "$OPENAI_BASE_URL $ANTHROPIC_AUTH_TOKEN"`;
  const child = Bun.spawnSync([...command, script], { env: { PATH: process.env["PATH"] } });
  expect(child.stdout.toString()).toBe(`https://k.example/v1 ${KEY}`);
});

test("the address and the key are those of the configuration", async () => {
  const config = await world.write("c.json", { port: 8080, host: "::", apiKey: "the-key-here" });
  const { code, out } = await world.run(`env -config ${config}`);
  expect(code).toBe(0);
  expect(out).toContain("export ANTHROPIC_BASE_URL='http://[::1]:8080'\n");
  expect(out).toContain("export OPENAI_API_KEY='the-key-here'\n");
});

test.each([
  [{ host: "::1" }, "http://[::1]:13000'"],
  [{ host: "10.0.0.5" }, "http://10.0.0.5:13000'"],
  [{ tls: { cert: "a", key: "b" } }, "https://127.0.0.1:13000'"],
])("%j is reached at %s", async (config, url) => {
  const path = await world.write("c.json", config);
  expect((await world.run(`env -config ${path}`)).out).toContain(url);
});

test("a configuration that is broken is told", async () => {
  const config = await world.write("c.json", { port: "x" });
  const { code, err } = await world.run(`env -config ${config}`);
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("port: expected") });
});
