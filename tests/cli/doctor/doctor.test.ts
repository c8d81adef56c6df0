import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, readdir } from "node:fs/promises";
import type { Finding } from "../../../src/cli/doctor/finding.ts";
import { startKiro } from "../../emulator/kiro.ts";
import { usageLimits } from "../../emulator/management.ts";
import { createWorld, type World } from "../world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  kiro.requests.length = 0;
  kiro.management.limits = () => usageLimits();
  world = await createWorld(kiro);
  await configure({});
});
afterEach(async () => {
  expect(world.printed()).not.toMatch(/EMULATEDEMULATED|CANARY/);
  await world.end();
});

async function configure(more: object): Promise<void> {
  const path = await world.write("config.json", {
    port: 0,
    apiKey: "CANARY-of-the-gateway",
    upstream: kiro.upstream,
    ...more,
  });
  await chmod(path, 0o600);
}

async function save(...records: object[]): Promise<void> {
  await chmod(await world.write("credentials.json", records), 0o600);
}

async function examine(env?: Record<string, string>) {
  const { code, out } = await world.run("doctor -json", { ...(env && { env }) });
  const { findings, ok } = JSON.parse(out) as { findings: Finding[]; ok: boolean };
  expect(ok).toBe(code === 0);
  // Whoever is told of something wrong is told why it matters and what to do.
  for (const { status, why, next } of findings) {
    if (status !== "ok") expect([why, next]).toEqual([expect.any(String), expect.any(String)]);
  }
  return {
    code,
    wrong: findings.filter(({ status }) => status !== "ok"),
    of: (check: string) => findings.filter((one) => one.check === check),
  };
}

const account = kiro.accounts;

test("of a gateway that is well: all is well, and neither credits nor log-ins are used", async () => {
  await save(account.credential("social", { id: "a" }), account.credential("api-key", { id: "k" }));
  const { code, wrong, of } = await examine();
  expect({ code, wrong }).toEqual({ code: 0, wrong: [] });
  expect(of("account a")[0]?.found).toMatch(/^works; .* token good for 60 min$/);
  expect(of("account k")[0]?.found).toMatch(/^works; /);
  expect(of("network").map(({ found }) => found)).toEqual([
    expect.stringMatching(/answers in \d+ ms/),
    expect.stringMatching(/answers in \d+ ms/),
  ]);
  expect(kiro.requests.map(({ path }) => path.split("?")[0])).toEqual([
    "/getUsageLimits",
    "/getUsageLimits",
  ]);
  expect(await readdir(world.home)).not.toContainEqual(expect.stringContaining(".tmp"));
});

test("as text it has a line for each check, and at the end how many are wrong", async () => {
  await configure({ apiKey: undefined });
  await save(account.credential("social", { id: "a" }));
  const { code, out } = await world.run("doctor");
  expect(code).toBe(0);
  expect(out).toMatch(/^ok {4}configuration: /m);
  expect(out).toMatch(/^warn {2}configuration: no apiKey is set/m);
  expect(out).toMatch(/^ {6}→ /m);
  expect(out).toEndWith("\n0 failures, 1 warning.\n");
});

describe("the configuration", () => {
  test("that does not start is told, each problem with its key", async () => {
    await configure({ port: "x", rotation: "y" });
    const { code, wrong } = await examine();
    expect(code).toBe(1);
    expect(wrong.map(({ found }) => found)).toEqual([
      expect.stringContaining("port: expected"),
      expect.stringContaining("rotation: expected"),
    ]);
  });

  test("that would let strangers in fails", async () => {
    await configure({ host: "0.0.0.0", apiKey: undefined });
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of("configuration")[0]?.found).toContain("can be reached from other machines");
  });

  test("with a key that nobody knows is told", async () => {
    await configure({ apikeys: 1 });
    expect((await examine()).wrong[0]?.found).toContain("apikeys");
  });
});

describe("files", () => {
  test("that others can read are told, with the command for it", async () => {
    await save(account.credential("social"));
    await chmod(world.credentialsPath, 0o644);
    expect((await examine()).of("credentials file")).toMatchObject([
      { status: "warning", next: `chmod 600 ${world.credentialsPath}` },
    ]);
  });

  test("credentials in a folder that can't be written fail", async () => {
    // Not even root can make a file there.
    const { code, out } = await world.run("doctor -json -credentials /proc/credentials.json");
    expect(code).toBe(1);
    expect(JSON.parse(out).findings).toContainEqual(
      expect.objectContaining({ check: "folder", status: "failure" }),
    );
  });

  test("a database that is none fails", async () => {
    await world.write("kiro-proxy.db", "CANARY, not a database, and long enough to be read as one");
    expect((await examine()).of("database")).toMatchObject([{ status: "failure" }]);
  });

  test("credentials that are not JSON are told with the place", async () => {
    await world.write("credentials.json", '[{"refreshToken": "CANARY');
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of("credentials")[0]?.found).toContain("line 1, column 19");
  });
});

describe("users", () => {
  test("are counted; one whose record can't be used is named by what is no code", async () => {
    await world.write("user_credentials.json", {
      "act-CANARY1": { user_name: "Ann", user_id: "ann", credentials: null },
      "act-CANARY2": { user_name: "Bob", user_id: "bob", disabled: "CANARY" },
      "act-CANARY3": { user_name: "Cid", user_id: "cid", credentials: { region: "CANARY" } },
    });
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of("users")).toMatchObject([
      { status: "ok", found: expect.stringMatching(/^3 in /) },
      { status: "failure", found: expect.stringMatching(/: disabled: /) },
      { status: "failure", found: expect.stringMatching(/^cid\.credentials/) },
    ]);
  });

  test("in a file that is broken fail with the place", async () => {
    await world.write("user_credentials.json", '{"act-CANARY": ');
    expect((await examine()).of("users")).toMatchObject([
      { status: "failure", found: expect.stringContaining("line 1, column 16") },
    ]);
  });
});

describe("accounts", () => {
  test("without a credential there is a warning and the way to one", async () => {
    const { code, of } = await examine();
    expect(code).toBe(0);
    expect(of("credentials")).toMatchObject([
      { status: "warning", next: expect.stringContaining("kiro-proxy login") },
    ]);
  });

  test("a token that has ended is not renewed for it", async () => {
    await save(account.credential("social", { id: "a", expired: true }));
    const { code, of } = await examine();
    expect(code).toBe(0);
    expect(of("account a")[0]?.found).toContain("renewed at the next use");
    expect(kiro.requests).toEqual([]);
  });

  test("one with nothing to renew its token with fails", async () => {
    await save({ id: "a", accessToken: "CANARY", expiresAt: "2001-01-01T00:00:00Z" });
    expect((await examine()).of("account a")).toMatchObject([
      { status: "failure", next: "kiro-proxy login -id a" },
    ]);
  });

  test("one whose token was shortened fails, and one that can't be used is named", async () => {
    await save({ id: "a", refreshToken: "CANARY...CANARY" }, { id: "b", region: "CANARY" });
    const { of } = await examine();
    expect(of("account a")[0]?.found).toContain("shortened");
    expect(of("credentials")).toMatchObject([
      { status: "ok" },
      { status: "failure", found: expect.stringContaining("[1].region") },
    ]);
  });

  test("one that a server has found to be locked is left alone", async () => {
    await save(account.credential("api-key", { id: "a" }));
    await world.write("credential-states.json", { a: { type: "suspended", login: "x" } });
    const { of } = await examine();
    expect(of("account a")).toMatchObject([
      { status: "failure", found: "Kiro has locked the account" },
    ]);
    expect(kiro.requests).toEqual([]);
  });

  test("one whose plan is used up is a warning, one that is refused a failure", async () => {
    await save(account.credential("api-key", { id: "a" }));
    kiro.management.limits = () => usageLimits({ used: 50, limit: 50 });
    expect((await examine()).of("account a")).toMatchObject([{ status: "warning" }]);
    await save({ id: "a", kiroApiKey: "ksk_CANARY_that_nobody_knows" });
    expect((await examine()).of("account a")).toMatchObject([
      { status: "failure", found: expect.stringContaining("(the service answered 403)") },
    ]);
  });

  test("of many only a few are asked", async () => {
    await save(...Array.from("abcdefgh", (id) => account.credential("api-key", { id })));
    const { code, of } = await examine();
    expect(code).toBe(0);
    expect(kiro.requests).toHaveLength(5);
    expect(of("account h")[0]?.found).toContain("not asked");
  });

  test("a credential that is switched off is not asked", async () => {
    await save({ ...account.credential("api-key", { id: "a" }), disabled: true });
    expect((await examine()).of("account a")).toEqual([]);
  });
});

describe("the network", () => {
  const dead = { ...kiro.upstream, apiUrl: "http://127.0.0.1:1" };

  test("a host that can't be reached fails; the other hosts are still looked at", async () => {
    await configure({ upstream: dead });
    await save(account.credential("social", { id: "a" }));
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of("network")).toMatchObject([
      { status: "failure", found: expect.stringContaining("127.0.0.1:1 (chat for social)") },
      { status: "ok", found: expect.stringContaining("tokens of social log-ins") },
    ]);
    expect(of("account a")).toMatchObject([{ status: "failure" }]);
  });

  test("a name that nobody knows fails", async () => {
    await configure({ upstream: { ...kiro.upstream, apiUrl: "http://nowhere.invalid" } });
    expect((await examine()).of("network")[0]).toMatchObject({
      status: "failure",
      found: expect.stringContaining("can't be resolved"),
    });
  });

  test("the way through a proxy is named without the proxy's password", async () => {
    await save(
      { ...account.credential("api-key", { id: "a" }), proxyUrl: "http://u:CANARY@127.0.0.1:1" },
      account.credential("api-key", { id: "b" }),
    );
    expect((await examine()).of("network")).toMatchObject([
      { status: "failure", found: expect.stringContaining("through 127.0.0.1:1 (chat") },
      { status: "ok" },
    ]);
  });

  test.each([
    [0, "ok"],
    [120_000, "warning"],
    [3_600_000, "failure"],
    [-3_600_000, "failure"],
  ])("a clock that is %d ms wrong: %s", async (wrongMs, status) => {
    const date = new Date(Date.now() + wrongMs).toUTCString();
    using host = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(null, { headers: { date } }),
    });
    await configure({ upstream: { ...kiro.upstream, apiUrl: host.url.href } });
    expect((await examine()).of("clock")).toMatchObject([{ status }]);
  });

  test("the activation server is reached or not", async () => {
    await configure({ activationServerUrl: kiro.url });
    expect((await examine()).of("activation")).toMatchObject([{ status: "ok" }]);
    await configure({ activationServerUrl: "http://127.0.0.1:1" });
    expect((await examine()).of("activation")).toMatchObject([{ status: "failure" }]);
  });
});

describe("the port", () => {
  test("that another program has fails", async () => {
    using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hi") });
    await configure({ port: other.port });
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of("port")).toMatchObject([
      { status: "failure", next: expect.stringContaining(`sport = :${other.port}`) },
    ]);
  });

  test("of an address that this machine has not fails", async () => {
    await configure({ port: 13_000, host: "192.0.2.1" });
    expect((await examine()).of("port")).toMatchObject([{ status: "failure" }]);
  });
});
