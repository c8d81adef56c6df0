import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "./binary.ts";
import { prompt } from "./client.ts";

const home = await mkdtemp(join(tmpdir(), "kiro-proxy-first-steps-"));
afterAll(async () => await rm(home, { recursive: true }));
const config = join(home, "config.json");

async function start(...args: string[]) {
  return Bun.spawn([await binary(), ...args, "-config", config], {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "", HOME: home, TMPDIR: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test("a configuration made by init serves those who have its key, which setup and env hand on", async () => {
  const init = await start("init", "-port", "0");
  expect(await init.exited).toBe(0);
  const { apiKey } = await Bun.file(config).json();
  expect(await init.stdout.text()).toContain(apiKey);

  const setup = await start("setup", "claude-code", "-write");
  expect(await setup.exited).toBe(0);
  const { env } = await Bun.file(join(home, ".claude/settings.json")).json();
  expect(env.ANTHROPIC_AUTH_TOKEN).toBe(apiKey);
  expect(await (await start("env")).stdout.text()).toContain(apiKey);

  const server = await start("--demo");
  try {
    const url = await addressOf(server.stderr);
    const ask = async (key: string): Promise<number> => {
      const headers = { "content-type": "application/json", "x-api-key": key };
      const body = JSON.stringify(prompt("Hi"));
      const answer = await fetch(`${url}/v1/messages`, { method: "POST", headers, body });
      await answer.text();
      return answer.status;
    };
    expect(await ask("another")).toBe(401);
    expect(await ask(apiKey)).toBe(200);
  } finally {
    server.kill("SIGKILL");
    await server.exited;
  }
});

async function addressOf(log: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of log.values({ preventCancel: true })) {
    text += decoder.decode(bytes, { stream: true });
    const line = text.split("\n").find((one) => one.includes('"event":"listening"'));
    if (line !== undefined && text.includes("\n")) return JSON.parse(line).url;
  }
  throw new Error(`it ended with:\n${text}`);
}
