import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Claim, claimOf } from "../../src/auth/claim.ts";

const CREDENTIAL = { refreshToken: "r?>~", name: "Jürgen 中" };

function claim(headers: Record<string, string>): Claim {
  return claimOf(new Headers(headers));
}

/** The key that was claimed, or the type of another claim. */
function keyOf(headers: Record<string, string>): string {
  const found = claim(headers);
  return found.type === "key" ? found.key.reveal() : found.type;
}

describe("a key", () => {
  test.each([
    ["x-api-key", { "x-api-key": "k" }],
    ["X-API-Key, as headers have no case", { "X-API-Key": "k" }],
    ["Authorization: Bearer", { authorization: "Bearer k" }],
    ["a lower-case scheme", { authorization: "bearer k" }],
    ["an upper-case scheme and blanks to spare", { authorization: "  BEARER \t  k  " }],
    ["api-key", { "api-key": "k" }],
    ["x-api-key before Authorization", { "x-api-key": "k", authorization: "Bearer other" }],
    ["Authorization where x-api-key is empty", { "x-api-key": " ", authorization: "Bearer k" }],
    ["Authorization before api-key", { "api-key": "other", authorization: "Bearer k" }],
  ])("is read from %s", (_, headers) => {
    expect(keyOf(headers)).toBe("k");
  });

  test.each([
    ["nothing", {}],
    ["an empty x-api-key", { "x-api-key": "" }],
    ["a bearer without a token", { authorization: "Bearer" }],
    ["a bearer with blanks for a token", { authorization: "Bearer   " }],
    ["another scheme", { authorization: "Basic azpr" }],
    ["a scheme that only begins alike", { authorization: "BearerX k" }],
    ["no scheme at all", { authorization: "sk-123" }],
    ["an empty X-Kiro-Credentials", { "x-kiro-credentials": "" }],
  ])("is not seen in %s", (_, headers) => {
    expect(claim(headers)).toEqual({ type: "none" });
  });

  test("is a secret that no print shows", () => {
    expect(JSON.stringify(claim({ "x-api-key": "hunter2" }))).not.toContain("hunter2");
    expect(Bun.inspect(claim({ "x-api-key": "hunter2" }))).not.toContain("hunter2");
  });
});

describe("an activation code", () => {
  test("is given as it came, without its prefix", () => {
    expect(claim({ "x-api-key": "act-User001" })).toEqual({ type: "activation", code: "User001" });
    expect(claim({ authorization: "Bearer act-4ZJ6-X" })).toEqual({
      type: "activation",
      code: "4ZJ6-X",
    });
  });
});

describe("a credential in X-Kiro-Credentials", () => {
  test("comes before any key", () => {
    const headers = { "x-kiro-credentials": '{"refreshToken":"r"}', "x-api-key": "k" };
    expect(claim(headers)).toEqual({ type: "inline", json: { refreshToken: "r" } });
  });

  test.each(["{", "refreshToken=r", "{'a':1}"])("%j is malformed", (text) => {
    expect(claim({ "x-kiro-credentials": text, "x-api-key": "k" })).toEqual({
      type: "malformed",
      from: "X-Kiro-Credentials",
    });
  });
});

describe("a credential behind creds-", () => {
  const json = JSON.stringify(CREDENTIAL);
  const standard = Buffer.from(json).toString("base64");
  const urlSafe = Buffer.from(json).toString("base64url");

  test.each([
    ["standard", standard],
    ["standard without padding", standard.replace(/=+$/, "")],
    ["URL-safe", urlSafe],
    ["URL-safe with padding", urlSafe.padEnd(standard.length, "=")],
  ])("is read from %s base64", (_, base64) => {
    expect(claim({ "x-api-key": `creds-${base64}` })).toEqual({ type: "inline", json: CREDENTIAL });
    expect(claim({ authorization: `Bearer creds-${base64}` })).toEqual({
      type: "inline",
      json: CREDENTIAL,
    });
  });

  test("the samples do differ in their alphabets", () => {
    expect(standard).toMatch(/[+/].*=$/);
    expect(urlSafe).toMatch(/[-_]/);
  });

  test.each([
    ["nothing", "creds-"],
    ["a character of no alphabet", `creds-${standard.slice(0, 8)}!${standard.slice(8)}`],
    ["base64 of no JSON", `creds-${Buffer.from("hello").toString("base64")}`],
    ["plain JSON", 'creds-{"a":1}'],
    ["padding in the middle", "creds-e30=e30="],
  ])("%s is malformed", (_, key) => {
    expect(claim({ "x-api-key": key })).toEqual({ type: "malformed", from: "creds-" });
  });
});

test("no header makes it throw", () => {
  const names = fc.constantFrom("x-api-key", "authorization", "api-key", "x-kiro-credentials");
  const values = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string().map((text) => `Bearer ${text}`),
    fc.base64String().map((text) => `creds-${text}`),
  );
  fc.assert(
    fc.property(fc.dictionary(names, values), (headers) => {
      const get = (name: string) => headers[name] ?? null;
      expect(["inline", "activation", "key", "malformed", "none"]).toContain(claimOf({ get }).type);
    }),
  );
});

test("a key is read in one pass, however many blanks are in it", () => {
  const key = `a${" ".repeat(300_000)}b`;
  const get = (name: string) => (name === "authorization" ? ` Bearer  ${key} ` : null);
  const found = claimOf({ get });
  expect(found.type === "key" && found.key.reveal()).toBe(key);
});
