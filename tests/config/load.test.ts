import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import {
  type ConfigProblem,
  describeProblem,
  type LoadInput,
  loadConfig,
  readTextFile,
} from "../../src/config/load.ts";
import { fail, ok } from "../../src/result.ts";

/** Loads with `file` as the contents of whatever path is asked for; undefined for a missing file. */
async function load(file: unknown, input: Partial<LoadInput> = {}) {
  const text = typeof file === "string" || file === undefined ? file : JSON.stringify(file);
  return await loadConfig({
    flags: {},
    env: {},
    platform: "linux",
    home: "/home/me",
    readFile: async () => (text === undefined ? fail({ kind: "missing" }) : ok(text)),
    ...input,
  });
}

async function loaded(file: unknown, input: Partial<LoadInput> = {}) {
  const result = await load(file, input);
  if (!result.ok) throw new Error(result.failure.map(describeProblem).join("\n"));
  return result.value;
}

async function problems(file: unknown, input: Partial<LoadInput> = {}): Promise<ConfigProblem[]> {
  const result = await load(file, input);
  return result.ok ? [] : result.failure;
}

/** A disk on which nothing is but empty files below a path. */
function only(prefix: string): LoadInput["readFile"] {
  return async (path) => (path.startsWith(prefix) ? ok("{}") : fail({ kind: "missing" }));
}

describe("where the files are", () => {
  test.each([
    ["linux", "/opt/kiro-proxy"],
    ["darwin", "/home/me/.kiro-proxy"],
    ["win32", "/home/me/.kiro-proxy"],
  ])("on %s they are in %s", async (platform, directory) => {
    const { path, credentialsPath, config } = await loaded({}, { platform });
    expect(path).toBe(`${directory}/config.json`);
    expect(credentialsPath).toBe(`${directory}/credentials.json`);
    expect(config.userCredentialsPath).toBe(`${directory}/user_credentials.json`);
  });

  test("on linux they are the user's own where the Go build's folder has neither", async () => {
    const { path } = await loaded({}, { platform: "linux", readFile: only("/home/me/") });
    expect(path).toBe("/home/me/.kiro-proxy/config.json");
  });

  test("on linux credentials alone are enough for the Go build's folder", async () => {
    const readFile = only("/opt/kiro-proxy/credentials.json");
    const { credentialsPath } = await loaded({}, { platform: "linux", readFile });
    expect(credentialsPath).toBe("/opt/kiro-proxy/credentials.json");
  });

  test("flags name other ones, and the users' file follows the config file", async () => {
    const flags = { config: "/etc/kp/c.json", credentials: "/var/creds.json" };
    const { path, credentialsPath, config } = await loaded({}, { flags });
    expect(path).toBe("/etc/kp/c.json");
    expect(credentialsPath).toBe("/var/creds.json");
    expect(config.userCredentialsPath).toBe("/etc/kp/user_credentials.json");
  });

  test("the users' file is where the config says", async () => {
    const { config } = await loaded({ userCredentialsPath: "users/all.json" });
    expect(config.userCredentialsPath).toBe("users/all.json");
  });
});

describe("a file that is not there", () => {
  test("is a warning and the defaults where nobody asked for it", async () => {
    const { config, warnings } = await loaded(undefined);
    expect(config.port).toBe(13_000);
    expect(warnings).toEqual([
      "/home/me/.kiro-proxy/config.json does not exist; the defaults apply",
    ]);
  });

  test("is a problem where a flag names it", async () => {
    expect(await problems(undefined, { flags: { config: "/x.json" } })).toEqual([
      { kind: "file", path: "/x.json", message: "does not exist" },
    ]);
  });

  test("is a problem where it is there but can't be read", async () => {
    const input: Partial<LoadInput> = {
      readFile: async () => fail({ kind: "unreadable", reason: "EACCES" }),
    };
    expect((await problems({}, input)).map(describeProblem)).toEqual([
      "/opt/kiro-proxy/config.json can't be read: EACCES",
    ]);
  });
});

describe("a file that is not a configuration", () => {
  test("broken JSON is named with line and column, without quoting what may be a key", async () => {
    const found = await problems('{\n  "apiKey": s3cret-value\n}');
    expect(found.map(describeProblem)).toEqual([
      "/opt/kiro-proxy/config.json is not valid JSON at line 2, column 13: a value is expected here",
    ]);
  });

  test.each(["[]", "null", '"x"', "7"])("%s is refused", async (text) => {
    expect((await problems(text)).map(describeProblem)).toEqual([
      "/opt/kiro-proxy/config.json must hold a JSON object",
    ]);
  });

  test("a byte order mark is no fault", async () => {
    expect((await loaded('\uFEFF{"port": 1}')).config.port).toBe(1);
  });
});

describe("validation", () => {
  test("names every wrong value, with what is expected", async () => {
    const found = await problems({
      port: "13000",
      regions: ["us-east-1", 7],
      limits: { idleTimeoutMs: -1 },
      upstream: "http://localhost",
      logLevel: "verbose",
    });
    expect(found.map(describeProblem)).toEqual([
      'port: expected a whole number from 0 to 65535, got "13000"',
      'regions.1: expected a list of AWS regions, such as ["us-east-1"], got 7',
      'logLevel: expected "debug", "info", "warn" or "error", got "verbose"',
      'upstream: expected an object, got "http://localhost"',
      "limits.idleTimeoutMs: expected milliseconds, a whole number from 1 to 86400000, got -1",
    ]);
  });

  test("never shows a secret, nor a password in a URL", async () => {
    const found = await problems({
      apiKey: 12_345_678,
      adminApiKey: { hunter2: "hunter2" },
      activationServerUrl: "https://me:hunter2@example.com",
    });
    expect(found.map((one) => (one.kind === "value" ? one.key : ""))).toEqual([
      "apiKey",
      "adminApiKey",
      "activationServerUrl",
    ]);
    expect(JSON.stringify(found)).not.toMatch(/hunter2|12345678/);
  });

  test("also names what another source overrides", async () => {
    const found = await problems({ port: "x" }, { flags: { port: "8080" } });
    expect(found.map(describeProblem)).toEqual([
      'port: expected a whole number from 0 to 65535, got "x"',
    ]);
  });

  test("a long value is cut", async () => {
    const [found] = await problems({ host: "/".repeat(10_000) });
    expect(found && describeProblem(found).length).toBeLessThan(160);
  });

  test("no value of any key makes it throw, and a refusal always has a reason", async () => {
    const names = fc.constantFrom(
      "host",
      "port",
      "apiKey",
      "regions",
      "limits",
      "upstream",
      "modelAliases",
      "corsOrigins",
      "__proto__",
      "constructor",
      "toString",
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, fc.jsonValue()), async (file) => {
        const result = await load(file);
        if (!result.ok) expect(result.failure.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe("what is not a key", () => {
  test("is a warning with a suggestion, and the server starts", async () => {
    const { warnings } = await loaded({ prot: 1, limits: { idelTimeoutMs: 5 }, theme: "dark" });
    expect(warnings).toEqual([
      '/opt/kiro-proxy/config.json: unknown key "prot"; did you mean port?',
      '/opt/kiro-proxy/config.json: unknown key "limits.idelTimeoutMs"; did you mean limits.idleTimeoutMs?',
      '/opt/kiro-proxy/config.json: unknown key "theme"',
    ]);
  });

  test("its value is never shown", async () => {
    const { warnings } = await loaded({ apiKeys: "hunter2" });
    expect(warnings.join()).toContain("did you mean apiKey?");
    expect(warnings.join()).not.toContain("hunter2");
  });

  test("is found out among the variables where it is nearly one", async () => {
    const env = { KIRO_PROXY_PROT: "1", KIRO_PROXY_VERSION: "1", PATH: "/bin" };
    expect((await loaded({}, { env })).warnings).toEqual([
      "unknown variable KIRO_PROXY_PROT; did you mean KIRO_PROXY_PORT?",
    ]);
  });
});

describe("the Go build's habits", () => {
  test("the case of a key does not matter, the exact one wins", async () => {
    const { config, warnings } = await loaded({ PORT: 1, ApiKey: "abc", regions: ["eu-west-1"] });
    expect([config.port, config.apiKey?.reveal(), warnings]).toEqual([1, "abc", []]);
    expect((await loaded({ port: 2, PORT: 1 })).config.port).toBe(2);
    expect((await loaded({ PORT: 1, port: 2 })).config.port).toBe(2);
  });

  test("null and an empty text are as good as absent", async () => {
    const { config } = await loaded({
      apiKey: "",
      host: null,
      activationServerUrl: "",
      limits: { idleTimeoutMs: null },
    });
    expect(config.apiKey).toBeUndefined();
    expect(config.activationServerUrl).toBeUndefined();
    expect(config.host).toBe("127.0.0.1");
    expect(config.limits.idleTimeoutMs).toBe(300_000);
  });
});

describe("precedence", () => {
  const env = { KIRO_PROXY_PORT: "2", KIRO_PROXY_HOST: "localhost", KIRO_PROXY_LOG_LEVEL: "warn" };

  test("a flag beats a variable beats the file beats the default", async () => {
    const file = { port: 3, host: "::1", logLevel: "debug", maxBodyBytes: 2048 };
    const { config } = await loaded(file, { flags: { port: "1" }, env });
    expect([config.port, config.host, config.logLevel, config.maxBodyBytes]).toEqual([
      1,
      "localhost",
      "warn",
      2048,
    ]);
  });

  test("a variable of a section leaves its neighbours in the file alone", async () => {
    const { config } = await loaded(
      { upstream: { apiUrl: "http://a", authUrl: "http://b" } },
      { env: { KIRO_PROXY_UPSTREAM_API_URL: "http://c" } },
    );
    expect(config.upstream).toEqual({ apiUrl: "http://c", authUrl: "http://b" });
  });

  test("numbers, switches and secrets are read from variables", async () => {
    const { config } = await loaded(
      {},
      {
        env: {
          KIRO_PROXY_ALLOW_CLIENT_CREDENTIALS: "false",
          KIRO_PROXY_LIMITS_TOTAL_TIMEOUT_MS: "5",
          KIRO_PROXY_API_KEY: "from-the-environment",
        },
      },
    );
    expect(config.allowClientCredentials).toBe(false);
    expect(config.limits.totalTimeoutMs).toBe(5);
    expect(config.apiKey?.reveal()).toBe("from-the-environment");
  });

  test("an empty variable counts as unset, an empty flag does not", async () => {
    expect((await loaded({ port: 3 }, { env: { KIRO_PROXY_PORT: "" } })).config.port).toBe(3);
    expect((await problems({ port: 3 }, { flags: { port: "" } })).map(describeProblem)).toEqual([
      '-port: expected a whole number from 0 to 65535, got ""',
    ]);
  });

  test.each(["1e3", "0x10", " 1", "1.0", "-1", "99999999999999999999"])(
    "%j is no port, and the message names the variable",
    async (KIRO_PROXY_PORT) => {
      const [found] = await problems({}, { env: { KIRO_PROXY_PORT } });
      expect(found && describeProblem(found)).toBe(
        `KIRO_PROXY_PORT: expected a whole number from 0 to 65535, got ${JSON.stringify(KIRO_PROXY_PORT)}`,
      );
    },
  );

  test("a wrong flag is named as one types it", async () => {
    const found = await problems({}, { flags: { logLevel: "loud", host: "a b" } });
    expect(found.map(describeProblem)).toEqual([
      '-host: expected a host name or an IP address, got "a b"',
      '-log-level: expected "debug", "info", "warn" or "error", got "loud"',
    ]);
  });
});

describe("readTextFile", () => {
  test("tells a missing file from an unreadable one", async () => {
    const directory = await mkdtemp(join(tmpdir(), "config-"));
    try {
      await writeFile(join(directory, "a.json"), "{}");
      expect(await readTextFile(join(directory, "a.json"))).toEqual(ok("{}"));
      expect(await readTextFile(join(directory, "b.json"))).toEqual(fail({ kind: "missing" }));
      expect(await readTextFile(directory)).toEqual(fail({ kind: "unreadable", reason: "EISDIR" }));
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
