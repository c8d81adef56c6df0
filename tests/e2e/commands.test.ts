import { afterAll, afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startKiro } from "../emulator/kiro.ts";
import { prompt } from "./client.ts";

// From source: what is compiled is the same, and this needs no build.
const main = join(import.meta.dir, "../../src/main.ts");
setDefaultTimeout(60_000);
const kiro = startKiro();
afterAll(async () => await kiro.stop());
let folder: string;
beforeEach(async () => {
  kiro.logins.pendingPolls = 0;
  folder = await mkdtemp(join(tmpdir(), "kiro-proxy-commands-"));
  await Bun.write(
    config(),
    JSON.stringify({ port: 0, apiKey: "the-key-of-this-test", upstream: kiro.upstream }),
  );
});
afterEach(async () => await rm(folder, { recursive: true }));

function config(): string {
  return join(folder, "config.json");
}

function credentialsPath(): string {
  return join(folder, "credentials.json");
}

function start(...words: string[]) {
  return Bun.spawn(
    [process.execPath, main, ...words, "-config", config(), "-credentials", credentialsPath()],
    {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: folder,
        TMPDIR: folder,
        // Bun keeps what it has made of the sources there.
        BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
      },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
}

async function ended({ stdout, stderr, exited }: ReturnType<typeof start>) {
  const [out, err, code] = await Promise.all([stdout.text(), stderr.text(), exited]);
  expect(out + err).not.toMatch(/EMULATEDEMULATED|CANARY/);
  return { out, err, code };
}

/** Reads lines until one fits; the rest stays to be read. */
async function lineOf(stream: ReadableStream<Uint8Array>, fits: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream.values({ preventCancel: true })) {
    text += decoder.decode(bytes, { stream: true });
    const line = text
      .split("\n")
      .slice(0, -1)
      .find((one) => fits.test(one));
    if (line !== undefined) return line;
  }
  throw new Error(`it ended with:\n${text}`);
}

test("a log-in without a terminal and a browser, then a test of it", async () => {
  expect(await ended(start("login"))).toMatchObject({ code: 0, err: "" });
  const { code, out } = await ended(start("credentials", "test"));
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("works") });
});

test("a log-in that is interrupted by Ctrl-C ends at once and leaves nothing behind", async () => {
  kiro.logins.pendingPolls = 1_000;
  const login = start("login");
  await lineOf(login.stdout, /^Waiting/);
  login.kill("SIGINT");
  expect(await login.exited).toBe(130);
  expect(await login.stderr.text()).toBe("Cancelled; nothing was changed.\n");
  expect(await readdir(folder)).toEqual(["config.json"]);
});

test("the address that the browser ended at can be piped in", async () => {
  const login = start("login", "-social", "google");
  const url = (await lineOf(login.stdout, /^ {2}http/)).trim();
  const page = await fetch(url, { redirect: "manual" });
  void login.stdin.write(`${page.headers.get("location")}\n`);
  await login.stdin.end();
  expect(await login.exited).toBe(0);
  expect(await Bun.file(credentialsPath()).json()).toMatchObject([{ authMethod: "social" }]);
});

test("a wrong command line says what to type, with exit code 2", async () => {
  const { code, err } = await ended(start("credentials", "lits"));
  expect(code).toBe(2);
  expect(err).toContain("did you mean list?");
});

test("credentials can be changed while the server uses them", async () => {
  const [a, b] = [
    kiro.accounts.credential("social", { id: "a" }),
    kiro.accounts.credential("social", { id: "b", priority: 1, expired: true }),
  ] as { accessToken: string }[];
  await Bun.write(credentialsPath(), JSON.stringify([a, b]));
  const server = start("serve");
  const { url } = JSON.parse(await lineOf(server.stderr, /"event":"listening"/));
  const headers = { "x-api-key": "the-key-of-this-test", "content-type": "application/json" };
  const chat = async (): Promise<string> => {
    const body = JSON.stringify(prompt("Hi"));
    const answer = await fetch(`${url}/v1/messages`, { method: "POST", headers, body });
    expect(answer.status).toBe(200);
    await answer.text();
    return String(kiro.chats().at(-1)?.headers["authorization"]);
  };
  expect(await chat()).toBe(`Bearer ${a?.accessToken}`);

  expect((await ended(start("credentials", "disable", "a"))).code).toBe(0);
  await fetch(`${url}/api/admin/reload-credentials`, { method: "POST", headers });
  // The other one's token has ended: the server writes its file as well.
  expect(await chat()).not.toContain(String(a?.accessToken));
  expect((await ended(start("credentials", "enable", "a"))).code).toBe(0);
  expect((await ended(start("credentials", "remove", "b"))).code).toBe(0);
  await fetch(`${url}/api/admin/reload-credentials`, { method: "POST", headers });
  expect(await chat()).toBe(`Bearer ${a?.accessToken}`);
  expect(await Bun.file(credentialsPath()).json()).toEqual([a]);
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
});
