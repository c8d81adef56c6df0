import { describe, expect, test } from "bun:test";
import { checkExposure, isLoopback } from "../../src/config/exposure.ts";
import { configSchema } from "../../src/config/schema.ts";

const GOOD = "3f1c9a0b7e5d24681f0a3c5e7b9d1f204862a4c6e8f01357";

function check(file: object) {
  return checkExposure(configSchema.parse(file));
}

describe("isLoopback", () => {
  test.each(["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "::1"])("%s is", (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  test.each([
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "1270.0.0.1",
    "0",
  ])("%s is not", (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});

describe("checkExposure", () => {
  test("a server for this machine may go without a key, with a warning", () => {
    expect(check({})).toEqual({
      ok: true,
      value: ["no apiKey is set: every program on this machine can use the gateway"],
    });
    const limited = check({ corsOrigins: [] });
    expect(limited.ok && limited.value.join()).not.toContain("web page");
  });

  test("a server for this machine may have any key", () => {
    expect(check({ apiKey: "123456" })).toEqual({ ok: true, value: [] });
  });

  test("a server for others starts with a good key", () => {
    expect(check({ host: "0.0.0.0", apiKey: GOOD, adminApiKey: GOOD })).toEqual({
      ok: true,
      value: [],
    });
  });

  test("a server for others is refused without a key, and the answer says how to make one", () => {
    const result = check({ host: "0.0.0.0" });
    expect(result).toEqual({
      ok: false,
      failure:
        "host 0.0.0.0 can be reached from other machines and there is no apiKey: make one with `openssl rand -hex 24` and set it as apiKey, or listen on 127.0.0.1",
    });
  });

  test.each([
    "123456",
    "sk-123456",
    "changeme",
    "CHANGE-ME",
    "kiro",
    "admin",
    "admin123",
    "password",
    "your-api-key",
    "your-api-key-1",
    "your-secret-token",
    "sk-your-secret-key",
    "sk-kiro-rs-qazWSXedcRFV123456",
    "sk-kiro-rs-change-me",
    "sk-kiro-rs-default-api-key-change-me",
    "my-super-secret-password-123",
  ])("a server for others is refused with the sample key %s, which is not repeated", (apiKey) => {
    const result = check({ host: "::", apiKey });
    expect(result.ok).toBe(false);
    if (!result.ok) {
      expect(result.failure).toContain("apiKey is a sample that everybody knows");
      expect(result.failure).toContain("openssl rand -hex 24");
      if (apiKey !== "kiro") expect(result.failure).not.toContain(apiKey);
    }
  });

  test("a sample as the admin key is refused too", () => {
    const result = check({ host: "0.0.0.0", apiKey: GOOD, adminApiKey: "admin" });
    expect(!result.ok && result.failure).toContain("set it as adminApiKey");
  });

  test("a short key is a warning, so that a running server survives its upgrade", () => {
    const result = check({ host: "0.0.0.0", apiKey: "Kx9-f2Lq" });
    expect(result.ok && result.value).toEqual([
      "apiKey has only 8 characters and host 0.0.0.0 can be reached from other machines: make one with `openssl rand -hex 24` and set it as apiKey",
    ]);
  });
});
