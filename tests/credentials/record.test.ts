import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseCredential, parseInlineCredential } from "../../src/credentials/credential.ts";
import { changedRecord, type JsonRecord } from "../../src/credentials/record.ts";
import { context, parsed, socialRecord, token } from "./samples.ts";

describe("changedRecord", () => {
  test("writes a field in the spelling that the record has, and removes every spelling of it", () => {
    const record = { access_token: "a", clientId: null, client_id: "c", other: 1 };
    expect(changedRecord(record, { accessToken: "b", clientId: "d", other: 2, more: 3 })).toEqual({
      access_token: "b",
      clientId: null,
      client_id: "d",
      other: 2,
      more: 3,
    });
    expect(changedRecord(record, { accessToken: undefined, clientId: undefined })).toEqual({
      other: 1,
    });
    expect(record).toEqual({ access_token: "a", clientId: null, client_id: "c", other: 1 });
  });

  test("fields that are not named stay, whatever they are called", () => {
    const names = fc.oneof(
      fc.string(),
      fc.constantFrom("__proto__", "constructor", "toString", "id"),
    );
    fc.assert(
      fc.property(fc.dictionary(names, fc.jsonValue()), (record: JsonRecord) => {
        expect(changedRecord(record, {})).toEqual(record);
        expect(changedRecord(record, { toString: undefined, priority: 1 })["priority"]).toBe(1);
      }),
    );
  });
});

function proxyOf(fields: object): string | undefined {
  return parsed({ ...socialRecord(), ...fields }).proxyUrl?.reveal();
}

describe("proxyUrl", () => {
  test.each([
    { fields: {}, proxy: undefined },
    { fields: { proxyUrl: "" }, proxy: undefined },
    { fields: { proxyUrl: "direct" }, proxy: "direct" },
    { fields: { proxyUrl: "DIRECT" }, proxy: "direct" },
    { fields: { proxyUrl: "http://proxy.example:8080/" }, proxy: "http://proxy.example:8080" },
    { fields: { proxyUrl: "socks5://u:p@10.0.0.1:1080" }, proxy: "socks5://u:p@10.0.0.1:1080" },
    {
      fields: { proxyUrl: "https://proxy.example", proxyUsername: "me@x", proxyPassword: "a:b/c" },
      proxy: "https://me%40x:a%3Ab%2Fc@proxy.example",
    },
    {
      fields: { proxyUrl: "socks5://10.0.0.1:1080", proxyUsername: "u", proxyPassword: "p" },
      proxy: "socks5://u:p@10.0.0.1:1080",
    },
  ])("$fields is $proxy", ({ fields, proxy }) => {
    expect(proxyOf(fields)).toBe(proxy);
  });

  test.each([
    "ftp://h",
    "proxy.example:8080",
    "http://",
    "http://h/path",
    "http://CANARY@h?x=1",
    "none",
  ])("%s is refused without being quoted", (proxyUrl) => {
    const result = parseCredential({ ...socialRecord(), proxyUrl }, context);
    expect(result).toMatchObject({ ok: false, failure: { path: "proxyUrl" } });
    expect(JSON.stringify(result)).not.toContain("CANARY");
  });

  test("of a client's own record counts for nothing, not even when it is wrong", () => {
    for (const proxyUrl of ["http://169.254.169.254", "ftp://x", "direct"]) {
      const result = parseInlineCredential({ ...socialRecord(), proxyUrl }, context);
      expect(result.ok && result.value.proxyUrl).toBeUndefined();
      expect(result.ok && result.value.raw.reveal()).not.toContain("169.254");
    }
    expect(parseInlineCredential(5, context).ok).toBe(false);
  });
});

describe("what is shown of an account", () => {
  test.each([
    {
      fields: {
        email: "dev@example.com",
        idp: "Google",
        user_id: "u1",
        start_url: "https://x.example",
      },
      shown: {
        email: "dev@example.com",
        provider: "Google",
        userId: "u1",
        startUrl: "https://x.example",
      },
    },
    {
      fields: { email: "\u001b[2Jevil", provider: 5, userId: null, startUrl: " " },
      shown: { email: undefined, provider: undefined, userId: undefined, startUrl: undefined },
    },
  ])("$fields", ({ fields, shown }) => {
    expect(parsed({ refreshToken: token("a"), ...fields })).toMatchObject(shown);
  });
});
