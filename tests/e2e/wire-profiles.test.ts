import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { refusal } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { runBinary, startGateway, stopGateways } from "./binary.ts";
import { ask, prompt } from "./client.ts";

const kiro = startKiro();
const other = startKiro();
beforeEach(() => {
  kiro.otherwise(scenarios.text);
  other.otherwise(scenarios.text);
});
afterAll(stopGateways);
afterAll(async () => void (await Promise.all([kiro.stop(), other.stop()])));

function profile(over: object): string {
  return JSON.stringify({ version: "7", ...over });
}

function agentOf(one: { headers: Record<string, string> } | undefined): string {
  return one?.headers["user-agent"] ?? "";
}

describe("wire profiles", () => {
  test("a credential's own decides over its calls, and the log says which are there", async () => {
    const mine = profile({ versions: { kiro: "9.9.9" }, fillers: { userEmpty: "Go on" } });
    const gateway = await startGateway({
      kiro,
      credentials: { ...kiro.accounts.credential("social"), wireProfile: "mine" },
      files: { "profiles/mine.json": mine },
    });
    expect(gateway.logs).toContainEqual(
      expect.objectContaining({ event: "wire-profiles", inForce: "built-in", known: "mine 7" }),
    );
    await ask(gateway, prompt(""));
    const sent = kiro.chats().at(-1);
    expect(agentOf(sent)).toContain("KiroIDE-9.9.9-");
    expect(JSON.stringify(sent?.body)).toContain('"content":"Go on"');
    await gateway.stop();
  });

  test("the configuration's is taken over when it changes, unless it is broken", async () => {
    const gateway = await startGateway({
      kiro,
      config: { wireProfile: "all" },
      files: { "profiles/all.json": profile({ versions: { kiro: "1.1.1" } }) },
    });
    const file = join(gateway.folder, "profiles/all.json");
    const seen = async (): Promise<string> => {
      await ask(gateway, prompt("Hi"));
      return agentOf(kiro.chats().at(-1));
    };
    expect(await seen()).toContain("KiroIDE-1.1.1-");
    await Bun.write(file, profile({ versions: { kiro: "broken", kir: "1" } }));
    const fault = await gateway.logged(({ event }) => event === "wire-profile-broken");
    expect(fault).toMatchObject({ level: "error", fault: "versions: no such key: kir", kept: "7" });
    expect(await seen()).toContain("KiroIDE-1.1.1-");
    await Bun.write(file, JSON.stringify({ version: "8", versions: { kiro: "2.2.2" } }));
    await gateway.logged(({ inForce }) => inForce === "all 8");
    expect(await seen()).toContain("KiroIDE-2.2.2-");
    await gateway.stop();
  });

  test.each([
    ["is not there", {}, "profiles/all.json: does not exist"],
    [
      "can't be used",
      { "profiles/all.json": profile({ origin: 5 }) },
      "profiles/all.json: origin: ",
    ],
  ])("a start whose configuration names one that %s is refused", async (_, files, message) => {
    const { code, stderr } = await runBinary({ kiro, config: { wireProfile: "all" }, files });
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe("hosts", () => {
  const MOVED = refusal(404, { __type: "UnknownOperationException" });

  test("where one does not know the call any more, the next is asked and remembered", async () => {
    const gateway = await withFallback();
    kiro.script(MOVED);
    const before = [kiro.chats().length, other.chats().length];
    expect((await ask(gateway, prompt("Hi"))).status).toBe(200);
    expect((await ask(gateway, prompt("Hi"))).status).toBe(200);
    const after = [kiro.chats().length, other.chats().length];
    expect(after.map((calls, index) => calls - (before[index] ?? 0))).toEqual([1, 2]);
    await gateway.stop();
  });

  test("where one refuses a token that can't be renewed, the next is asked", async () => {
    const gateway = await withFallback("api-key");
    kiro.script(scenarios["token refused"]);
    const before = other.chats().length;
    expect((await ask(gateway, prompt("Hi"))).status).toBe(200);
    expect(other.chats().length - before).toBe(1);
    await gateway.stop();
  });

  test.each(["suspended", "suspicious", "monthly quota"] as const)(
    "%s is the service's last word: no other host is asked",
    async (name) => {
      const gateway = await withFallback();
      const before = other.chats().length;
      kiro.script(scenarios[name]);
      expect((await ask(gateway, prompt("Hi"))).status).toBeGreaterThanOrEqual(400);
      expect(other.chats()).toHaveLength(before);
      await gateway.stop();
    },
  );
});

/** A gateway whose profile knows the other emulator as well, which knows the account, too. */
async function withFallback(kind: "social" | "api-key" = "social") {
  const credential = kiro.accounts.credential(kind);
  const { accessToken, kiroApiKey } = credential as Record<string, string>;
  other.accounts.accept(accessToken ?? kiroApiKey ?? "", kind);
  return await startGateway({
    kiro,
    credentials: credential,
    config: { wireProfile: "all" },
    files: { "profiles/all.json": profile({ hosts: { apiFallbacks: [other.upstream.apiUrl] } }) },
  });
}
