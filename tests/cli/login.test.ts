import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { listenForRedirect } from "../../src/cli/redirect.ts";
import { startKiro } from "../emulator/kiro.ts";
import { createWorld, type World } from "./world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  kiro.logins.pendingPolls = 0;
  kiro.logins.consent = "agrees";
  kiro.logins.polls.length = 0;
  world = await createWorld(kiro);
});
afterEach(async () => {
  expect(world.printed()).not.toMatch(/EMULATEDEMULATED|CANARY/);
  await world.end();
});

/** What a person's browser does: it follows the page's redirect to this machine. */
async function browse(url: string): Promise<void> {
  const page = await fetch(url, { redirect: "manual" });
  await fetch(page.headers.get("location") ?? "");
}

/** First everybody else's requests, which must not count. */
async function browseAmongStrangers(url: string): Promise<void> {
  const page = await fetch(url, { redirect: "manual" });
  const back = new URL(page.headers.get("location") ?? "");
  for (const path of [
    "/",
    "/oauth/callback",
    "/oauth/callback?state=x&code=y",
    `/other${back.search}`,
  ]) {
    expect((await fetch(back.origin + path)).status).toBe(404);
  }
  await fetch(back);
}

/** It comes back with a code that is not its own. */
async function browseAmiss(url: string): Promise<void> {
  const page = await fetch(url, { redirect: "manual" });
  const back = new URL(page.headers.get("location") ?? "");
  back.searchParams.set("code", "another");
  await fetch(back);
}

function addressIn(line: string): string | undefined {
  return /^ {2}(http\S+)$/.exec(line)?.[1];
}

describe("by device code", () => {
  test("without a terminal: a page, a code, and the credential is there and works", async () => {
    kiro.logins.pendingPolls = 1;
    const { code, out } = await world.run("login");
    expect(code).toBe(0);
    expect(out).toContain("https://device.example/start?user_code=ABCD-EFGH");
    expect(out).toContain("ABCD-EFGH");
    expect(out).toContain("Logged in as user@example.com.");
    expect(await world.saved()).toMatchObject([
      {
        authMethod: "idc",
        provider: "BuilderId",
        email: "user@example.com",
        region: "us-east-1",
        id: expect.stringMatching(/^[0-9a-f]{12}$/),
      },
    ]);
    expect(await world.run("credentials test")).toMatchObject({ code: 0 });
  });

  test("again with the same account replaces the log-in as a whole, and nothing else", async () => {
    await world.run("login");
    const [first] = (await world.saved()) as Record<string, unknown>[];
    const edited = { ...first, priority: 5, profileArn: "arn:aws:x:us-east-1:1:profile/OLD" };
    await world.write("credentials.json", edited);
    const { out } = await world.run("login");
    expect(out).toContain(`Updated credential ${String(first?.["id"])}`);
    const saved = (await world.saved()) as Record<string, unknown>;
    expect(saved).toMatchObject({
      id: first?.["id"],
      priority: 5,
      machineId: first?.["machineId"],
    });
    expect(saved["refreshToken"]).not.toBe(first?.["refreshToken"]);
    expect(saved["clientId"]).not.toBe(first?.["clientId"]);
    expect(saved).not.toHaveProperty("profileArn");
  });

  test("a refusal is told, and leaves nothing behind", async () => {
    kiro.logins.polls.push("access_denied");
    const { code, err } = await world.run("login");
    expect(code).toBe(1);
    expect(err).toContain("access_denied");
    expect(await readdir(world.home)).toEqual(["config.json"]);
  });

  test("an interruption while it waits is told, and leaves nothing behind", async () => {
    kiro.logins.pendingPolls = 1_000;
    const interruption = new AbortController();
    const sees = (line: string): undefined => {
      if (line.startsWith("Waiting")) interruption.abort();
    };
    const { code, err } = await world.run("login", { interruption, sees });
    expect(code).toBe(130);
    expect(err).toBe("Cancelled; nothing was changed.\n");
    expect(await readdir(world.home)).toEqual(["config.json"]);
  });

  test("a company's directory, with its profile", async () => {
    const arn = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/MINE";
    const { code } = await world.run(
      `login -idc -start-url https://company.example/start/ -region eu-north-1 -profile ${arn}`,
    );
    expect(code).toBe(0);
    expect(await world.saved()).toMatchObject([
      {
        provider: "Enterprise",
        startUrl: "https://company.example/start",
        region: "eu-north-1",
        profileArn: arn,
      },
    ]);
    expect(
      kiro.requests.some(({ host, region }) => host === "oidc" && region === "eu-north-1"),
    ).toBe(true);
  });
});

describe("of a company", () => {
  const command = "login -idc -start-url https://company.example/start -region eu-north-1";
  const one = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ONE";
  const two = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/TWO";

  test("finds its profile where it is, and names the others", async () => {
    kiro.management.profiles = () => ({ "eu-central-1": [one, two] });
    const { code, out } = await world.run(command);
    kiro.management.profiles = () => ({});
    expect(code).toBe(0);
    expect(out).toContain(`Uses ${one}`);
    expect(out).toContain(`  ${two}`);
    expect(await world.saved()).toMatchObject([{ profileArn: one, region: "eu-north-1" }]);
  });

  test("without a profile is saved all the same, with a word on it", async () => {
    const { code, err } = await world.run(command);
    expect(code).toBe(0);
    expect(err).toContain("-profile");
    expect(await world.saved()).toMatchObject([{ provider: "Enterprise" }]);
  });
});

describe("when something is in the way", () => {
  test("a service that gives nonsense, in a browser", async () => {
    const { code, err } = await world.run("login", { hasBrowser: true, browse: browseAmiss });
    expect(code).toBe(1);
    expect(err).toContain("invalid_grant");
    expect(await readdir(world.home)).toEqual(["config.json"]);
  });

  test("a place that can't be written to is told, after all", async () => {
    const sees = async (line: string): Promise<undefined> => {
      // Somebody breaks the file while the person is away.
      if (line.startsWith("Waiting")) await world.write("credentials.json", "[{");
    };
    const { code, err } = await world.run("login", { sees });
    expect(code).toBe(1);
    expect(err).toContain("could not be saved");
    expect(await Bun.file(world.credentialsPath).text()).toBe("[{");
  });

  test("all ports of the page are taken", async () => {
    const ports = [3128, 4649, 6588, 8008, 9091, 49153, 50153, 51153, 52153, 53153];
    const taken = ports.map((port) => listenForRedirect([port]));
    const { code, err } = await world.run("login -social google");
    await Promise.all(taken.map(async (one) => await one?.stop()));
    expect(code).toBe(1);
    expect(err).toContain("3128");
  });
});

describe("in a browser", () => {
  test("that opens by itself, the credential is there without a code", async () => {
    const { code } = await world.run("login", { hasBrowser: true, browse });
    expect(code).toBe(0);
    expect(await world.saved()).toMatchObject([{ authMethod: "idc", provider: "BuilderId" }]);
    expect(await world.run("credentials test")).toMatchObject({ code: 0 });
  });

  test("on this machine can be declined", async () => {
    const { out } = await world.run("login -browser=false", { hasBrowser: true, browse });
    expect(out).toContain("ABCD-EFGH");
  });

  test("with a social account: the page's own redirect", async () => {
    const { code } = await world.run("login -social google", { hasBrowser: true, browse });
    expect(code).toBe(0);
    expect(await world.saved()).toMatchObject([{ authMethod: "social", provider: "Github" }]);
  });

  test("on another machine the last address is pasted; a wrong one is told and costs nothing", async () => {
    let tries = 0;
    const sees = async (line: string): Promise<string | undefined> => {
      const url = addressIn(line);
      if (url !== undefined) return "http://127.0.0.1:3128/oauth/callback?code=x&state=of-another";
      if (!line.startsWith("That is not the address")) return undefined;
      tries += 1;
      const shown =
        addressIn(
          world
            .printed()
            .split("\n")
            .find((one) => addressIn(one)) ?? "",
        ) ?? "";
      const page = await fetch(shown, { redirect: "manual" });
      return page.headers.get("location") ?? undefined;
    };
    const { code } = await world.run("login -social github", { sees });
    expect({ code, tries }).toEqual({ code: 0, tries: 1 });
    expect(await world.saved()).toMatchObject([{ authMethod: "social" }]);
  });

  test("nobody else's request ends the log-in", async () => {
    expect(
      (await world.run("login -browser", { hasBrowser: true, browse: browseAmongStrangers })).code,
    ).toBe(0);
  });

  test("a refusal on the page is told, and leaves nothing behind", async () => {
    kiro.logins.consent = "refuses";
    const { code, err } = await world.run("login -social google", { hasBrowser: true, browse });
    expect(code).toBe(1);
    expect(err).toContain("access_denied");
    expect(await readdir(world.home)).toEqual(["config.json"]);
  });

  test("an interruption frees the port and leaves nothing behind", async () => {
    const interruption = new AbortController();
    let address: string | undefined;
    const sees = (line: string): undefined => {
      address ??= addressIn(line);
      if (line.includes("Ctrl-C")) interruption.abort();
    };
    const { code } = await world.run("login -social google", { interruption, sees });
    expect(code).toBe(130);
    const back = new URL(address ?? "").searchParams.get("redirect_uri") ?? "";
    expect(await fetch(back).catch(() => "closed")).toBe("closed");
    expect(await readdir(world.home)).toEqual(["config.json"]);
  });
});

describe("for a credential that is there", () => {
  test("-id logs in as it was logged in before, and keeps its id", async () => {
    await world.write("credentials.json", [
      {
        id: "work",
        authMethod: "social",
        provider: "Github",
        refreshToken: `old${"x".repeat(100)}`,
        note: 1,
      },
      { id: "bid", authMethod: "idc", accessToken: "t", clientId: "c" },
    ]);
    expect((await world.run("login -id work", { hasBrowser: true, browse })).code).toBe(0);
    expect((await world.run("login -id bid")).code).toBe(0);
    expect(await world.saved()).toMatchObject([
      { id: "work", authMethod: "social", note: 1 },
      { id: "bid", authMethod: "idc", provider: "BuilderId" },
    ]);
    expect(JSON.stringify(await world.saved())).not.toContain("old");
  });

  test("-id of a key is told before anybody goes to a page, and the key stays", async () => {
    const key = { id: "key", kiroApiKey: "ksk_1" };
    await world.write("credentials.json", [key]);
    const before = kiro.requests.length;
    const { code, err } = await world.run("login -id key");
    expect(code).toBe(1);
    expect(err).toContain("api-key");
    expect(kiro.requests.length).toBe(before);
    expect(await world.saved()).toEqual([key]);
  });

  test("-id of none is told before anybody goes to a page", async () => {
    const { code, err } = await world.run("login -id nope");
    expect(code).toBe(1);
    expect(err).toContain('no credential "nope"');
  });
});

test.each([
  ["login -social facebook", "google or github"],
  ["login -social google -idc", "two different"],
  ["login -idc", "-start-url"],
  ["login -start-url http://company.example/start", "https"],
  ["login -start-url https://user:CANARY@company.example/start", "https"],
  ["login -start-url nonsense", "https"],
  ["login -region evil.example/", "AWS region"],
  ["login -profile nonsense", "ARN"],
])("%s is refused with a word on what is right, before any call", async (command, says) => {
  const before = kiro.requests.length;
  const { code, err } = await world.run(command);
  expect(code).toBe(1);
  expect(err).toContain(says);
  expect(kiro.requests.length).toBe(before);
});

test("a credentials file that is broken is told before anybody goes to a page, and stays as it is", async () => {
  await world.write("credentials.json", '[{"refreshToken": "CANARY"');
  const before = kiro.requests.length;
  const { code, err } = await world.run("login");
  expect(code).toBe(1);
  expect(err).toContain("line 1, column 27");
  expect(kiro.requests.length).toBe(before);
  expect(await Bun.file(world.credentialsPath).text()).toBe('[{"refreshToken": "CANARY"');
});
