import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { refusal } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { createWorld, type World } from "./world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  world = await createWorld(kiro);
});
afterEach(async () => {
  expect(world.printed()).not.toMatch(/EMULATEDEMULATED|CANARY/);
  await world.end();
});

function account(kind: "social" | "idc" | "api-key", more: object = {}): object {
  return { ...kiro.accounts.credential(kind), ...more };
}

describe("list", () => {
  test("is a table with a line for each, and says what can't be used", async () => {
    await world.write("credentials.json", [
      account("social", { id: "a", email: "dev@example.com", priority: 1 }),
      account("idc", { id: "b", disabled: true }),
      account("api-key", { id: "c" }),
      { id: "d", refreshToken: "CANARY...CANARY" },
      { id: "e", region: "CANARY" },
    ]);
    const { code, out, err } = await world.run("credentials list");
    expect(code).toBe(1);
    const rows = out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows).toEqual([
      ["ID", "ACCOUNT", "METHOD", "PRIORITY", "STATE", "TOKEN"],
      ["a", "dev@example.com", "social", "1", "enabled", "60 min"],
      ["b", "idc", "0", "disabled", "60 min"],
      ["c", "api-key", "0", "enabled", "key"],
      ["d", "social", "0", "enabled", "shortened"],
    ]);
    expect(err).toContain("unusable: [4].region");
  });

  test("shows what a server has found out, as long as it holds", async () => {
    await world.write("credentials.json", [
      account("api-key", { id: "a" }),
      account("api-key", { id: "b" }),
      account("api-key", { id: "c" }),
      account("social", { id: "d" }),
    ]);
    await world.write("credential-states.json", {
      a: { type: "suspended", login: "x" },
      b: { type: "cooling", until: "2999-01-01T00:00:00.000Z", refusals: 0, login: "x" },
      c: { type: "cooling", until: "2001-01-01T00:00:00.000Z", refusals: 0, login: "x" },
      d: { type: "needs-login", login: "of another log-in" },
    });
    const { out } = await world.run("credentials -json");
    const states = JSON.parse(out).credentials.map(({ state }: { state: string }) => state);
    expect(states).toEqual([
      "suspended",
      "cooling until 2999-01-01T00:00:00.000Z",
      "enabled",
      "enabled",
    ]);
  });

  test("as JSON is for programs", async () => {
    await world.write(
      "credentials.json",
      account("social", { id: "a", proxyUrl: "http://u:CANARY@proxy.example:8080" }),
    );
    const { code, out } = await world.run("credentials -json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      credentials: [
        { id: "a", state: "enabled", renewable: true, proxy: "http://proxy.example:8080" },
      ],
      rejected: [],
    });
  });

  test("of nothing says how to get one", async () => {
    const { code, err } = await world.run("credentials list");
    expect(code).toBe(0);
    expect(err).toContain("kiro-proxy login");
  });

  test("has the key of the environment, which can't be changed", async () => {
    const env = { KIRO_API_KEY: "ksk_CANARY" };
    expect((await world.run("credentials list", { env })).out).toContain("KIRO_API_KEY");
    const { code, err } = await world.run("credentials remove KIRO_API_KEY", { env });
    expect(code).toBe(1);
    expect(err).toContain("environment");
  });

  test("of a file that is broken names the place", async () => {
    await world.write("credentials.json", '[{"refreshToken": "CANARY');
    const { code, err } = await world.run("credentials list");
    expect(code).toBe(1);
    expect(err).toContain("line 1, column 19");
  });
});

describe("show", () => {
  test("tells all but the secrets, also by the beginning of an id", async () => {
    await world.write("credentials.json", [
      account("idc", { id: "alpha", startUrl: "https://company.example/start" }),
      account("social", { id: "beta" }),
    ]);
    const { code, out } = await world.run("credentials show al");
    expect(code).toBe(0);
    expect(out).toContain("https://company.example/start");
    expect(out).toContain("us-east-1");
    expect(JSON.parse((await world.run("credentials show beta -json")).out)).toMatchObject({
      id: "beta",
    });
  });

  test.each(["show nope", "show a", "test nope", "remove nope", "enable nope", "disable nope"])(
    "%s: no such id, or more than one, is told with the ids that there are",
    async (command) => {
      await world.write("credentials.json", [
        account("social", { id: "a1" }),
        account("social", { id: "a2" }),
      ]);
      const { code, err } = await world.run(`credentials ${command}`);
      expect(code).toBe(1);
      expect(err).toContain("a1, a2");
    },
  );
});

describe("enable, disable and remove", () => {
  test("change one record and nothing else", async () => {
    const [a, b] = [account("social", { id: "a", note: 1 }), account("idc", { id: "b" })];
    await world.write("credentials.json", [a, b]);
    expect((await world.run("credentials disable a")).out).toBe("Disabled a.\n");
    expect(await world.saved()).toEqual([{ ...a, disabled: true }, b]);
    expect((await world.run("credentials enable a")).out).toBe("Enabled a.\n");
    expect(await world.saved()).toEqual([a, b]);
    expect((await world.run("credentials remove a")).out).toBe("Removed a.\n");
    expect(await world.saved()).toEqual([b]);
  });

  test("enabling forgets what a server remembers of the account, and of no other", async () => {
    await world.write("credentials.json", [account("social", { id: "a" })]);
    const path = await world.write("credential-states.json", {
      a: { type: "suspended", login: "x" },
      b: { type: "needs-login", login: "y" },
    });
    expect((await world.run("credentials enable a")).code).toBe(0);
    expect(await Bun.file(path).json()).toEqual({ b: { type: "needs-login", login: "y" } });
  });

  test("states that can't be read are told, and stay", async () => {
    await world.write("credentials.json", [account("social", { id: "a" })]);
    const path = await world.write("credential-states.json", "{");
    const { code, err } = await world.run("credentials enable a");
    expect(code).toBe(1);
    expect(err).toContain("credential-states.json");
    expect(await Bun.file(path).text()).toBe("{");
  });
});

describe("test", () => {
  test("renews a token that has ended, saves it, and says that it works", async () => {
    const expired = kiro.accounts.credential("social", { id: "a", expired: true });
    await world.write("credentials.json", [expired]);
    const { code, out } = await world.run("credentials test a");
    expect(code).toBe(0);
    expect(out).toMatch(/^a: works; 37\.42 of 50 used, KIRO PRO/);
    expect(await world.saved()).not.toMatchObject([expired]);
    expect(await world.run("credentials test")).toMatchObject({ code: 0 });
  });

  test("says in one line what is wrong with each, and what to do", async () => {
    const dead = kiro.accounts.credential("idc", { id: "dead", expired: true });
    kiro.accounts.revokeRefresh();
    const refused = account("api-key", { id: "refused", kiroApiKey: "ksk_unknown" });
    await world.write("credentials.json", [dead, refused, account("social", { id: "fine" })]);
    const { code, out } = await world.run("credentials test");
    expect(code).toBe(1);
    const [first, second, third] = out.split("\n");
    expect(first).toContain("dead: needs a new log-in");
    expect(first).toContain("kiro-proxy login -id dead");
    expect(second).toContain("refused: its token is not accepted");
    expect(third).toContain("fine: works");
    expect(await world.saved()).toMatchObject([dead, refused, {}]);
  });

  test("a log-in service that is down is not the account's fault", async () => {
    await world.write(
      "credentials.json",
      kiro.accounts.credential("social", { id: "a", expired: true }),
    );
    kiro.scriptRefresh(refusal(503, "<html>CANARY"));
    const { code, out } = await world.run("credentials test");
    expect(code).toBe(1);
    expect(out).toContain("try again later");
  });

  test("as JSON has a verdict for each", async () => {
    await world.write("credentials.json", [account("social", { id: "a" })]);
    expect(JSON.parse((await world.run("credentials test -json")).out)).toMatchObject([
      { id: "a", ok: true, quota: { used: 37.42, limit: 50, plan: "KIRO PRO" } },
    ]);
  });

  test("can be interrupted", async () => {
    await world.write("credentials.json", [account("social", { id: "a" })]);
    const interruption = new AbortController();
    interruption.abort();
    expect(await world.run("credentials test", { interruption })).toMatchObject({
      code: 130,
      out: "",
    });
  });

  test("without credentials there is nothing to test", async () => {
    expect(await world.run("credentials test")).toMatchObject({ code: 1 });
  });
});

test("quota tells what is left, and when it is full again", async () => {
  await world.write("credentials.json", [account("social", { id: "a" })]);
  const { code, out } = await world.run("credentials quota a");
  expect(code).toBe(0);
  expect(out).toMatch(/^a: 37\.42 of 50 used, KIRO PRO, full again on \d{4}-\d\d-\d\d\n$/);
});

test("looking changes nothing on the disk", async () => {
  await world.write("credentials.json", account("social", { id: "a" }));
  const before = await Bun.file(join(world.home, "credentials.json")).text();
  for (const command of ["list", "show a", "quota", "test"])
    await world.run(`credentials ${command}`);
  expect(await Bun.file(world.credentialsPath).text()).toBe(before);
  expect((await readdir(world.home)).toSorted()).toEqual(["config.json", "credentials.json"]);
});
