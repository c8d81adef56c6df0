import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
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

const CACHE = ".aws/sso/cache";
const TOKEN = `${CACHE}/kiro-auth-token.json`;

type Tokens = Record<string, unknown>;

function account(kind: "social" | "idc"): Tokens {
  return { ...kiro.accounts.credential(kind) };
}

/** The IDE's two files, for an account whose token has ended. */
async function ideLogin(): Promise<Tokens> {
  const all = { ...kiro.accounts.credential("idc", { expired: true }) } as Tokens;
  const { clientId, clientSecret, ...token } = all;
  await world.write(TOKEN, { ...token, authMethod: "IdC", clientIdHash: "0f1e2d" });
  await world.write(`${CACHE}/0f1e2d.json`, { clientId, clientSecret });
  return all;
}

async function cliLogin(place = ".local/share/kiro-cli/data.sqlite3"): Promise<string> {
  const path = join(world.home, place);
  await mkdir(dirname(path), { recursive: true });
  const { accessToken, refreshToken, expiresAt } = account("social");
  const token = { access_token: accessToken, refresh_token: refreshToken, expires_at: expiresAt };
  const db = new Database(path);
  db.run("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)");
  db.query("INSERT INTO auth_kv VALUES (?, ?)").run("kirocli:social:token", JSON.stringify(token));
  db.close();
  return path;
}

describe("from this machine", () => {
  test("everything that is there is taken over, and works", async () => {
    const ide = await ideLogin();
    await cliLogin();
    const env = {
      KIRO_AUTH_TOKEN: JSON.stringify([
        { auth: "Social", refreshToken: account("social")["refreshToken"] },
      ]),
    };
    const { code, out } = await world.run("import", { env });
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out.match(/^added/gm)).toHaveLength(3);
    expect(await world.saved()).toMatchObject([
      { clientId: ide["clientId"], refreshToken: ide["refreshToken"] },
      { authMethod: "social" },
      { auth: "Social" },
    ]);
    expect((await world.run("credentials test")).out.match(/works/g)).toHaveLength(3);
  });

  test("again changes nothing", async () => {
    await ideLogin();
    await cliLogin();
    await world.run("import");
    const before = await world.saved();
    const { code, out } = await world.run("import");
    expect(code).toBe(0);
    expect(out.match(/^unchanged/gm)).toHaveLength(2);
    expect(await world.saved()).toEqual(before);
  });

  test("nothing there is told, with where was looked, and makes no file", async () => {
    const { code, out, err } = await world.run("import");
    expect(code).toBe(1);
    expect(out).toContain("kiro-auth-token.json does not exist");
    expect(err).toContain("kiro-proxy login");
    expect(await world.saved()).toBeUndefined();
  });

  test("the environment may name a file", async () => {
    const path = await world.write("auth.json", [
      { auth: "Social", refreshToken: account("social")["refreshToken"] },
    ]);
    expect((await world.run("import", { env: { KIRO_AUTH_TOKEN: path } })).code).toBe(0);
    expect(await world.saved()).toHaveLength(1);
  });

  test("a dry run tells what would happen and does none of it", async () => {
    await ideLogin();
    const { code, out } = await world.run("import -kiro-ide -dry-run");
    expect(code).toBe(0);
    expect(out).toContain("added      Kiro IDE");
    expect(out).toContain("dry run");
    expect(await world.saved()).toBeUndefined();
  });
});

describe("shared in place", () => {
  test("the IDE's tokens are renewed where they are, and nothing is copied", async () => {
    const before = await ideLogin();
    expect((await world.run("import -kiro-ide -link")).code).toBe(0);
    const [link] = (await world.saved()) as Tokens[];
    expect(link).toEqual({ id: "kiro-ide", source: "kiro-ide", machineId: link?.["machineId"] });
    expect((await world.run("credentials test kiro-ide")).out).toContain("works");
    const after = await Bun.file(join(world.home, TOKEN)).json();
    expect(after["refreshToken"]).not.toBe(before["refreshToken"]);
    expect(after).toMatchObject({ clientIdHash: "0f1e2d", authMethod: "IdC" });
    expect(after).not.toHaveProperty("clientSecret");
    expect(await world.saved()).toEqual([link]);
  });

  test("what the IDE has renewed itself is used without a refresh of ours", async () => {
    await ideLogin();
    await world.run("import -kiro-ide -link");
    const { clientId, clientSecret, ...fresh } = account("idc");
    await world.write(TOKEN, { ...fresh, authMethod: "IdC", clientIdHash: "0f1e2d" });
    await world.write(`${CACHE}/0f1e2d.json`, { clientId, clientSecret });
    const before = kiro.requests.length;
    expect((await world.run("credentials test")).out).toContain("works");
    expect(kiro.requests.slice(before).map(({ path }) => path.split("?")[0])).toEqual([
      "/getUsageLimits",
    ]);
  });

  test("kiro-cli's database, wherever it is", async () => {
    const path = await cliLogin("elsewhere/data.sqlite3");
    expect((await world.run(`import ${path} -link`)).code).toBe(0);
    expect(await world.saved()).toMatchObject([{ source: "kiro-cli", path }]);
    expect((await world.run("credentials test")).out).toContain("works");
  });

  test("a file that nobody else keeps can't be shared", async () => {
    const path = await world.write("list.json", [account("social")]);
    const { code, err } = await world.run(`import ${path} -link`);
    expect(code).toBe(1);
    expect(err).toContain("-link");
  });
});

describe("from a file", () => {
  test("accounts of the manager, with a word on each; good ones come in though others are bad", async () => {
    const { refreshToken, clientId, clientSecret } = account("idc");
    const login = { refreshToken, clientId, clientSecret, region: "us-east-1", authMethod: "IdC" };
    const path = await world.write("accounts.json", {
      version: "1.8.3",
      accounts: [
        { email: "a@x.example", idp: "BuilderId", credentials: login },
        {
          email: "b@x.example",
          credentials: { refreshToken: "aorCANARY...CANARY", authMethod: "social" },
        },
        { email: "c@x.example", authMethod: "IdC", refreshToken: account("idc")["refreshToken"] },
        "CANARY",
      ],
    });
    const { code, out } = await world.run(`import ${path}`);
    expect(code).toBe(1);
    expect(out.split("\n").slice(0, 4)).toEqual([
      expect.stringMatching(/^added {6}accounts\[0\]: [0-9a-f]{12} \(idc, a@x\.example\)$/),
      expect.stringMatching(/^refused {4}accounts\[1\]: refreshToken: is shortened/),
      expect.stringMatching(/^refused {4}accounts\[2\]: refreshToken: .*registration/),
      expect.stringMatching(/^refused {4}accounts\[3\]: must be a JSON object$/),
    ]);
    expect(await world.saved()).toMatchObject([{ email: "a@x.example" }]);
    expect((await world.run("credentials test")).code).toBe(0);
  });

  test("the IDE's file in another place brings its registration along", async () => {
    await ideLogin();
    expect((await world.run(`import ${join(world.home, TOKEN)}`)).code).toBe(0);
    expect(await world.saved()).toMatchObject([{ clientSecret: expect.any(String) }]);
  });

  test.each([
    { name: "cut off", text: '[{"refreshToken": "CANARY', says: "line 1, column 19" },
    { name: "empty", text: "", says: "ends too early" },
    { name: "an empty list", text: "[]", says: "no log-in in it" },
    { name: "binary", text: "\u0000\u0001\u0002", says: "column 1" },
  ])("a file that is $name changes nothing", async ({ text, says }) => {
    await world.write("credentials.json", [account("social")]);
    const before = await Bun.file(world.credentialsPath).text();
    const path = await world.write("import.json", text);
    const { code, err } = await world.run(`import ${path}`);
    expect(code).toBe(1);
    expect(err).toContain(says);
    expect(await Bun.file(world.credentialsPath).text()).toBe(before);
  });

  test("a file that is not there, or a folder, is told", async () => {
    expect((await world.run(`import ${world.home}/none.json`)).err).toContain("does not exist");
    expect((await world.run(`import ${world.home}`)).err).toContain("EISDIR");
  });

  test("into a credentials file that is broken nothing is imported", async () => {
    await world.write("credentials.json", "[{");
    const path = await world.write("import.json", [account("social")]);
    const { code, err } = await world.run(`import ${path}`);
    expect(code).toBe(1);
    expect(err).toContain("Nothing was imported");
    expect(await Bun.file(world.credentialsPath).text()).toBe("[{");
  });
});
