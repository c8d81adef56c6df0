import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { bearerOf } from "../emulator/request.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, prompt } from "./client.ts";

setDefaultTimeout(60_000);
const emulators: KiroEmulator[] = [];
afterAll(stopGateways);
afterAll(async () => await Promise.all(emulators.map(async (one) => await one.stop())));

function emulator(): KiroEmulator {
  const kiro = startKiro();
  emulators.push(kiro);
  return kiro;
}

/** The bearer tokens of the chat requests so far. */
function spent(kiro: KiroEmulator): (string | undefined)[] {
  return kiro.chats().map(bearerOf);
}

async function reload(gateway: Gateway, key = gateway.apiKey) {
  const response = await fetch(`${gateway.url}/api/admin/reload-credentials`, {
    method: "POST",
    headers: { "x-api-key": key },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function savedStates(gateway: Gateway): Promise<Record<string, { type: string }>> {
  const path = join(dirname(gateway.credentialsPath), "credential-states.json");
  return JSON.parse(await readFile(path, "utf8").catch(() => "{}"));
}

describe("two credentials", () => {
  test("of which one is used up: the client sees one 200, and that one is asked no more, after kill -9 neither", async () => {
    const kiro = emulator();
    const credentials = ["a", "b"].map((id) => kiro.accounts.credential("social", { id }));
    const gateway = await startGateway({ kiro, credentials });
    kiro.script(scenarios["monthly quota"]);
    for (let request = 0; request < 4; request++) {
      expect((await ask(gateway, prompt(`Request ${request}`))).status).toBe(200);
    }
    const [first, ...others] = spent(kiro);
    expect(others).toHaveLength(4);
    expect(new Set(others).size).toBe(1);
    expect(others).not.toContain(first);

    while ((await savedStates(gateway))["a"]?.type !== "exhausted") await Bun.sleep(10);
    gateway.process.kill("SIGKILL");
    await gateway.process.exited;
    const again = await startGateway({ kiro, args: ["-credentials", gateway.credentialsPath] });
    expect((await ask(again, prompt("After the kill"))).status).toBe(200);
    expect(spent(kiro).at(-1)).toBe(others[0] as string);
  });

  test("of which one is suspended: it gets no call until the operator says so", async () => {
    const kiro = emulator();
    const credentials = ["a", "b"].map((id) => kiro.accounts.credential("social", { id }));
    const gateway = await startGateway({ kiro, credentials });
    kiro.script(scenarios.suspended);
    for (let request = 0; request < 3; request++) {
      expect((await ask(gateway, prompt(`Request ${request}`))).status).toBe(200);
    }
    const [locked, other] = spent(kiro);
    expect(spent(kiro)).toEqual([locked, other, other, other]);
    const line = await gateway.logged(({ event }) => event === "credential-state");
    expect(line).toMatchObject({ level: "error", credential: "a", to: "suspended" });

    while ((await savedStates(gateway))["a"]?.type !== "suspended") await Bun.sleep(10);
    await writeFile(join(dirname(gateway.credentialsPath), "credential-states.json"), "{}");
    await gateway.logged(
      ({ event, cause }) => event === "credential-state" && cause === "operator",
    );
    expect((await ask(gateway, prompt("Again"))).status).toBe(200);
    expect(spent(kiro).at(-1)).toBe(locked as string);
  });
});

test("three hundred requests on an ended token cause exactly one refresh", async () => {
  const kiro = emulator();
  const gateway = await startGateway({
    kiro,
    credentials: kiro.accounts.credential("social", { expired: true }),
    config: { maxConcurrentPerCredential: 0 },
  });
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, request) => await ask(gateway, prompt(`R ${request}`))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(kiro.requests.filter(({ path }) => path === "/refreshToken")).toHaveLength(1);
});

test("an ended token is renewed before anybody asks", async () => {
  const kiro = emulator();
  const credentials = kiro.accounts.credential("social", { expired: true });
  await startGateway({ kiro, credentials });
  await until(() => kiro.requests.some(({ path }) => path === "/refreshToken"));
});

describe("a change of credentials.json", () => {
  test("is taken over by itself, by SIGHUP, and when the admin API is told to", async () => {
    const kiro = emulator();
    const gateway = await startGateway({ kiro, credentials: "[]" });
    const path = gateway.credentialsPath;
    expect((await ask(gateway, prompt("Nobody"))).status).toBe(503);
    const records: object[] = [];
    const add = async (): Promise<void> => {
      records.push(kiro.accounts.credential("social", { id: `c${records.length}` }));
      await writeFile(path, JSON.stringify(records));
    };
    const reloaded = async (credentials: number): Promise<void> =>
      void (await gateway.logged(
        (line) => line.event === "credentials-reloaded" && line["credentials"] === credentials,
      ));
    await add();
    await reloaded(1);
    expect((await ask(gateway, prompt("Somebody"))).status).toBe(200);
    await add();
    gateway.process.kill("SIGHUP");
    await reloaded(2);
    await add();
    expect((await reload(gateway)).status).toBe(200);
    await reloaded(3);
    expect(await reload(gateway)).toEqual({
      status: 200,
      body: { success: true, message: "3 credentials (0 added, 0 changed, 0 removed)" },
    });
  });

  test("that broke the file is refused with the place, and the pool goes on", async () => {
    const kiro = emulator();
    const gateway = await startGateway({ kiro });
    await writeFile(gateway.credentialsPath, '[\n  {"id": "a",}\n]');
    expect(await reload(gateway)).toEqual({
      status: 400,
      body: { error: expect.stringContaining("credentials.json, line 2, column 14") },
    });
    expect(await gateway.logged(({ event }) => event === "credentials-unreadable")).toMatchObject({
      level: "error",
      line: 2,
    });
    expect((await ask(gateway, prompt("Still there"))).status).toBe(200);
    expect(await readFile(gateway.credentialsPath, "utf8")).toBe('[\n  {"id": "a",}\n]');
  });

  test("is nothing that a stranger can ask for", async () => {
    const gateway = await startGateway({
      kiro: emulator(),
      config: { adminApiKey: "sk-of-the-admin-12345" },
    });
    expect(await reload(gateway)).toMatchObject({
      status: 401,
      body: { error: expect.anything() },
    });
    expect((await reload(gateway, "sk-of-the-admin-12345")).status).toBe(200);
  });
});
