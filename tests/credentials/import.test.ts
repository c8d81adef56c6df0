import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { findRecords } from "../../src/credentials/import.ts";
import {
  at,
  context,
  entraRecord,
  idcRecord,
  NOW,
  OWN_ARN,
  socialRecord,
  token,
} from "./samples.ts";

function found(root: unknown) {
  const result = findRecords(root, context);
  if (!result.ok) throw new Error(result.failure);
  return result.value;
}

function records(root: unknown): unknown[] {
  return found(root).map(({ record }) => (record.ok ? record.value : record.failure));
}

const login = {
  refreshToken: token("aor"),
  clientId: "client",
  clientSecret: "client-secret",
  region: "us-east-1",
  authMethod: "IdC",
  provider: "BuilderId",
  startUrl: "https://view.awsapps.com/start",
  expiresAt: NOW,
};

describe("what is found", () => {
  test("accounts of the manager with the log-in below them, without its book-keeping", () => {
    const account = {
      id: "5f3c",
      email: "dev@example.com",
      userId: null,
      nickname: "dev",
      idp: "BuilderId",
      machineId: "a".repeat(64),
      status: "active",
      usage: { huge: [1, 2, 3] },
      credentials: { ...login, accessToken: "", csrfToken: "" },
    };
    expect(records({ version: "1.8.3", exportedAt: 1, accounts: [account], groups: [] })).toEqual([
      {
        ...login,
        email: "dev@example.com",
        nickname: "dev",
        machineId: "a".repeat(64),
      },
    ]);
  });

  test("accounts with the log-in on themselves", () => {
    const account = {
      email: "dev@example.com",
      label: "dev",
      usage: {},
      status: "active",
      ...login,
    };
    expect(records({ version: "1.9", accounts: [account] })).toEqual([
      { ...login, email: "dev@example.com", label: "dev" },
    ]);
  });

  test.each([
    {
      name: "an account alone",
      root: { email: "a@x.example", idp: "Google", credentials: { refreshToken: token("a") } },
    },
    {
      name: "a bare list of accounts",
      root: [{ email: "a@x.example", idp: "Google", credentials: { refreshToken: token("a") } }],
    },
  ])("$name", ({ root }) => {
    expect(records(root)).toEqual([
      { email: "a@x.example", provider: "Google", refreshToken: token("a") },
    ]);
  });

  test("another credentials.json, whole, with what is unknown in it", () => {
    const all = [
      { ...socialRecord("a"), id: 7, note: { keep: true } },
      idcRecord("b"),
      entraRecord(),
      { kiroApiKey: "ksk_1", disabled: true },
    ];
    expect(records(all)).toEqual(all);
    expect(records(socialRecord("a"))).toEqual([socialRecord("a")]);
  });

  test("the environment form of kiro2api", () => {
    const all = [
      { auth: "Social", refreshToken: token("a") },
      { auth: "IdC", refreshToken: token("b"), clientId: "c", clientSecret: "s", disabled: true },
    ];
    expect(records(all)).toEqual(all);
  });

  test("each one is called by its place", () => {
    const record = socialRecord("a");
    expect(found([record, record]).map(({ place }) => place)).toEqual(["[0]", "[1]"]);
    expect(found({ accounts: [record] }).map(({ place }) => place)).toEqual(["accounts[0]"]);
    expect(found(record).map(({ place }) => place)).toEqual([""]);
  });
});

describe("what is refused", () => {
  test.each([
    {
      name: "a refresh token that was hidden",
      record: { ...socialRecord(), refreshToken: "aorAAAA...BBBB" },
      path: "refreshToken",
      says: "shortened",
    },
    {
      name: "a refresh token that is too short",
      record: { ...socialRecord(), refreshToken: "aorAAAA" },
      path: "refreshToken",
      says: "shortened",
    },
    {
      name: "a missing registration",
      record: { ...idcRecord(), clientSecret: undefined },
      path: "clientId",
      says: "registration",
    },
    {
      name: "a file of the IDE that is copied alone",
      record: {
        accessToken: "aoa",
        refreshToken: token("a"),
        clientIdHash: "0f1e",
        authMethod: "IdC",
      },
      path: "clientId",
      says: "registration",
    },
    {
      name: "an access token alone",
      record: { accessToken: "aoa", expiresAt: at(NOW) },
      path: "refreshToken",
      says: "would end",
    },
    { name: "nothing in it", record: {}, path: "refreshToken", says: "missing" },
    { name: "no object", record: 5, path: "", says: "object" },
    {
      name: "a token with a line break",
      record: { refreshToken: `${token("a")}\nx: y` },
      path: "refreshToken",
      says: "ASCII",
    },
    {
      name: "a region that is a host",
      record: { ...idcRecord(), region: "evil.example/" },
      path: "region",
      says: "region",
    },
    {
      name: "an endpoint that anybody may have",
      record: { ...entraRecord(), tokenEndpoint: "https://evil.example" },
      path: "tokenEndpoint",
      says: "microsoftonline",
    },
  ])("$name, with the field and the reason; the others are found", ({ record, path, says }) => {
    const [bad, good] = found([record, { ...socialRecord("good"), profileArn: OWN_ARN }]);
    if (bad === undefined || bad.record.ok) throw new Error("it was accepted");
    expect(bad.record.failure.path).toBe(path);
    expect(bad.record.failure.message).toContain(says);
    expect(good?.record.ok).toBe(true);
  });

  test.each([[[]], [{ accounts: [] }]])("%j has no log-in in it", (root) => {
    expect(findRecords(root, context)).toEqual({ ok: false, failure: "there is no log-in in it" });
  });
});

test("nothing that is JSON makes it throw, is changed by it, or has its secrets told", () => {
  const text = fc.constantFrom("CANARY...CANARY", "CANARY two words", "CANARY");
  const json = fc.oneof(
    fc.jsonValue(),
    fc.array(
      fc.dictionary(
        fc.constantFrom(
          "refreshToken",
          "authMethod",
          "credentials",
          "clientId",
          "region",
          "tokenEndpoint",
          "profileArn",
        ),
        fc.oneof(text, fc.jsonValue()),
      ),
    ),
    fc.record({
      accounts: fc.oneof(
        fc.jsonValue(),
        fc.array(
          fc.record({
            credentials: fc.dictionary(fc.constantFrom("refreshToken", "region"), text),
          }),
        ),
      ),
    }),
  );
  fc.assert(
    fc.property(json, (root) => {
      const before = structuredClone(root);
      const result = findRecords(root, context);
      expect(root).toEqual(before);
      const faults = result.ok ? result.value.filter(({ record }) => !record.ok) : [result.failure];
      expect(JSON.stringify(faults)).not.toContain("CANARY");
    }),
  );
});
