import { describe, expect, test } from "bun:test";
import { configKeys, configSchema, renderConfigTable } from "../../src/config/schema.ts";
import { Secret } from "../../src/secret.ts";

describe("configSchema", () => {
  test("an empty file gives the defaults", () => {
    expect(configSchema.parse({})).toEqual({
      host: "127.0.0.1",
      port: 13_000,
      regions: ["us-east-1"],
      activationOutagePolicy: "known",
      userQuotaFallback: "pool",
      authFailuresPerMinute: 60,
      clientCredentialsPerMinute: 120,
      trustProxy: [],
      allowClientCredentials: true,
      corsOrigins: ["*"],
      logLevel: "info",
      maxBodyBytes: 33_554_432,
      rotation: "priority",
      maxConcurrentPerCredential: 0,
      queueLength: 256,
      queueTimeoutMs: 60_000,
      reusePort: false,
      shutdownGraceMs: 30_000,
      remoteImages: false,
      modelAliases: {},
      attributionLine: "remove",
      cachePoints: false,
      leakedToolCalls: "mark",
      upstream: {},
      ledgerRetentionDays: 90,
      userLimits: {},
      limits: {
        bodyTimeoutMs: 300_000,
        stalledTimeoutMs: 120_000,
        headersTimeoutMs: 60_000,
        firstEventTimeoutMs: 120_000,
        idleTimeoutMs: 300_000,
        totalTimeoutMs: 720_000,
      },
      capture: {
        credentials: [],
        users: [],
        all: false,
        maxFiles: 100,
        maxFileBytes: 4_194_304,
        maxTotalBytes: 104_857_600,
      },
    });
  });

  test("keys become secrets, without the blanks around them", () => {
    const { apiKey } = configSchema.parse({ apiKey: " abc \n" });
    expect(apiKey).toBeInstanceOf(Secret);
    expect(apiKey?.reveal()).toBe("abc");
  });

  test("a proxy's password is a secret", () => {
    const { proxyUrl } = configSchema.parse({ proxyUrl: "http://me:pw@proxy.example:8080/" });
    expect(proxyUrl).toBeInstanceOf(Secret);
    expect(proxyUrl?.reveal()).toBe("http://me:pw@proxy.example:8080");
  });

  test.each([
    ["http://127.0.0.1:9000", "http://127.0.0.1:9000"],
    ["http://localhost:9000/", "http://localhost:9000"],
    ["https://q.{region}.example.com", "https://q.{region}.example.com"],
    ["https://gate.example/kiro/{region}/", "https://gate.example/kiro/{region}"],
  ])("a base URL %s is kept as %s", (apiUrl, kept) => {
    expect(configSchema.parse({ upstream: { apiUrl } }).upstream.apiUrl).toBe(kept);
  });

  test.each([
    ["upstream.apiUrl", { upstream: { apiUrl: "q.example.com" } }],
    ["upstream.apiUrl", { upstream: { apiUrl: "ftp://q.example.com" } }],
    ["upstream.apiUrl", { upstream: { apiUrl: "https://{host}.example.com" } }],
    ["upstream.apiUrl", { upstream: { apiUrl: "https://q.example.com/?a=1" } }],
    ["upstream.apiUrl", { upstream: { apiUrl: "https://me:pw@q.example.com" } }],
    ["port", { port: "13000" }],
    ["port", { port: 65_536 }],
    ["port", { port: 1.5 }],
    ["host", { host: "127.0.0.1:80/x" }],
    ["regions.1", { regions: ["us-east-1", "x.evil.example/#"] }],
    ["regions", { regions: [] }],
    ["corsOrigins", { corsOrigins: 7 }],
    ["kiroVersion", { kiroVersion: "1\r\nx: y" }],
    ["corsOrigins.0", { corsOrigins: ["https://a.example/"] }],
    ["corsOrigins.0", { corsOrigins: ["file://"] }],
    ["apiKey", { apiKey: "act-123" }],
    ["apiKey", { apiKey: "creds-abc" }],
    ["apiKey", { apiKey: "two words" }],
    ["apiKey", { apiKey: "ключ" }],
    ["proxyUrl", { proxyUrl: "socks4://proxy.example" }],
    ["proxyUrl", { proxyUrl: "" }],
    ["limits.idleTimeoutMs", { limits: { idleTimeoutMs: 0 } }],
    ["modelAliases.fast", { modelAliases: { fast: 1 } }],
  ])("%s is refused in %j", (path, config) => {
    const parsed = configSchema.safeParse(config);
    expect(parsed.error?.issues.map((issue) => issue.path.join("."))).toEqual([path]);
  });

  test("an IPv6 host loses its brackets", () => {
    expect(configSchema.parse({ host: "[::1]" }).host).toBe("::1");
  });

  test("origins are a star or a list", () => {
    expect(configSchema.parse({ corsOrigins: "*" }).corsOrigins).toEqual(["*"]);
    const list = ["https://a.example", "http://localhost:5173"];
    expect(configSchema.parse({ corsOrigins: list }).corsOrigins).toEqual(list);
  });
});

describe("configKeys", () => {
  test("documents every key of the schema", () => {
    const paths = Object.entries(configSchema.shape).flatMap(([name, field]) => {
      const inner = "unwrap" in field ? field.unwrap() : field;
      return "shape" in inner
        ? Object.keys(inner.shape).map((below) => `${name}.${below}`)
        : [name];
    });
    expect(configKeys.map(({ key }) => key).toSorted()).toEqual(paths.toSorted());
    expect(configKeys.every(({ description }) => description.endsWith("."))).toBe(true);
  });

  test("every documented default is the real one", () => {
    const defaults: unknown = configSchema.parse({});
    for (const { key, default: documented } of configKeys) {
      const value = key
        .split(".")
        .reduce((at, step) => (at instanceof Object ? Reflect.get(at, step) : undefined), defaults);
      const json = documented.match(/^`(.*)`$/)?.[1];
      if (value !== undefined) expect(`${key}=${json}`).toBe(`${key}=${JSON.stringify(value)}`);
    }
  });

  test("only scalars can be set from the environment", () => {
    const env = Object.fromEntries(configKeys.map((one) => [one.key, one.env]));
    expect(env["upstream.apiUrl"]).toBe("KIRO_PROXY_UPSTREAM_API_URL");
    expect(env["maxBodyBytes"]).toBe("KIRO_PROXY_MAX_BODY_BYTES");
    expect([env["regions"], env["corsOrigins"], env["modelAliases"]]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("what is a key or may hold a password is secret", () => {
    const secrets = configKeys.filter(({ secret }) => secret).map(({ key }) => key);
    expect(secrets).toEqual(["apiKey", "adminApiKey", "proxyUrl"]);
  });
});

describe("renderConfigTable", () => {
  test("has a row of five cells for every key", () => {
    const rows = renderConfigTable().split("\n");
    expect(rows).toHaveLength(configKeys.length + 2);
    expect(rows.every((row) => row.split("|").length === 7)).toBe(true);
    expect(rows).toContain(
      "| `port` | number | `13000` | `KIRO_PROXY_PORT` | Port to listen on; 0 takes any free one. |",
    );
  });
});
