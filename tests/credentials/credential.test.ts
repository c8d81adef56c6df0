import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import * as fc from "fast-check";
import {
  apiRegionOf,
  authRegionOf,
  hasTruncatedToken,
  parseCredential,
  renewed,
} from "../../src/credentials/credential.ts";
import { instantOf, renewedRecord } from "../../src/credentials/record.ts";
import { Secret } from "../../src/secret.ts";
import {
  context,
  entraRecord,
  idcRecord,
  MINUTE,
  NOW,
  OWN_ARN,
  parsed,
  socialRecord,
  token,
} from "./samples.ts";

const { builderId, social } = context.profileArns;
const UNKNOWN_ARN = "arn:aws:codewhisperer:ap-south-1:111122223333:profile/OWN";

function failureOf(record: unknown) {
  const result = parseCredential(record, context);
  if (result.ok) throw new Error("it was accepted");
  return result.failure;
}

describe("the API region", () => {
  test.each([
    {
      name: "apiRegion before all",
      fields: { apiRegion: "ap-south-1", profileArn: OWN_ARN, region: "us-west-2" },
      region: "ap-south-1",
    },
    {
      name: "the profile's region before the plain one",
      fields: { profileArn: OWN_ARN, region: "us-west-2" },
      region: "eu-central-1",
    },
    {
      name: "a profile in a region without the API does not count",
      fields: { profileArn: UNKNOWN_ARN, region: "us-west-2" },
      region: "us-west-2",
    },
    {
      name: "the stand-in for Builder ID does not count",
      fields: { profileArn: builderId, region: "eu-central-1" },
      region: "eu-central-1",
    },
    {
      name: "the ARN that social accounts share does not count",
      fields: { profileArn: social, region: "eu-central-1" },
      region: "eu-central-1",
    },
    {
      name: "a plain region without the API does not count",
      fields: { region: "eu-north-1" },
      region: "us-east-1",
    },
    {
      name: "a plain region that the config lists counts",
      fields: { region: "us-west-2" },
      region: "us-west-2",
    },
    {
      name: "the auth regions do not count",
      fields: { authRegion: "eu-central-1", idcRegion: "eu-central-1" },
      region: "us-east-1",
    },
    { name: "the config's first region at last", fields: {}, region: "us-east-1" },
  ])("$name", ({ fields, region }) => {
    expect(parsed({ refreshToken: token("aor"), ...fields }).apiRegion).toBe(region);
  });

  test("the exported function and a parsed record agree", () => {
    expect(apiRegionOf({ region: "us-west-2" }, context)).toBe("us-west-2");
    expect(authRegionOf({ region: "eu-north-1" }, context)).toBe("eu-north-1");
  });
});

describe("the auth region", () => {
  test.each([
    {
      name: "authRegion before all",
      fields: { authRegion: "eu-north-1", idcRegion: "eu-west-1", region: "us-west-2" },
      region: "eu-north-1",
    },
    {
      name: "idcRegion before the plain one",
      fields: { idcRegion: "eu-west-1", region: "us-west-2" },
      region: "eu-west-1",
    },
    {
      name: "the plain one, wherever it is",
      fields: { region: "ap-south-1", apiRegion: "us-east-1" },
      region: "ap-south-1",
    },
    {
      name: "the config's first region at last, not the API's or the profile's",
      fields: { apiRegion: "eu-central-1", profileArn: OWN_ARN },
      region: "us-east-1",
    },
  ])("$name", ({ fields, region }) => {
    expect(parsed({ refreshToken: token("aor"), ...fields }).authRegion).toBe(region);
  });
});

describe("a region that is none", () => {
  const bad = [
    "x.evil.test/#",
    "us-east-1.evil.test",
    "us-east-1/",
    "us-east-1\nx",
    "us-east-12",
    "US-EAST-1",
    "useast1",
    "us--1",
    "@evil",
    "..",
  ];
  test.each(["region", "authRegion", "idcRegion", "apiRegion"])(
    "%s is refused, even where another one decides, and not repeated",
    (field) => {
      for (const region of bad) {
        const record = { refreshToken: "t", authRegion: "us-east-1", apiRegion: "us-east-1" };
        const failure = failureOf({ ...record, [field]: region });
        expect(failure).toEqual({
          path: field,
          message: "must be an AWS region such as us-east-1",
        });
      }
    },
  );

  test("is refused in the config, too", () => {
    const result = parseCredential(
      { refreshToken: "t" },
      { ...context, defaultRegion: "evil.test/" },
    );
    expect(result).toMatchObject({ ok: false, failure: { path: "regions" } });
  });

  test("government and isolated regions are regions", () => {
    expect(parsed({ refreshToken: "t", region: "us-gov-west-1" }).authRegion).toBe("us-gov-west-1");
  });
});

describe("the log-in method", () => {
  const secrets = { refreshToken: "r", accessToken: "a" };
  const client = { clientId: "c", clientSecret: "s" };
  test.each([
    { name: "social", record: { authMethod: "social" }, method: "social" },
    { name: "Google", record: { authMethod: "Google" }, method: "social" },
    {
      name: "github with client fields",
      record: { authMethod: "github", ...client },
      method: "social",
    },
    { name: "IdC", record: { authMethod: "IdC", ...client }, method: "idc" },
    { name: "kiro2api's spelling", record: { auth: "IdC", ...client }, method: "idc" },
    { name: "idc without a registration", record: { authMethod: "idc" }, method: "idc" },
    { name: "iam", record: { authMethod: "iam" }, method: "idc" },
    { name: "Enterprise", record: { authMethod: "Enterprise" }, method: "idc" },
    { name: "builder-id", record: { authMethod: "builder-id" }, method: "idc" },
    { name: "BuilderId", record: { authMethod: "BuilderId" }, method: "idc" },
    { name: "builder_id", record: { authMethod: "builder_id" }, method: "idc" },
    { name: "nothing, with client fields", record: client, method: "idc" },
    { name: "nothing, with one client field", record: { clientId: "c" }, method: "social" },
    { name: "nothing at all", record: {}, method: "social" },
    { name: "something unknown", record: { authMethod: "carrier-pigeon" }, method: "social" },
    { name: "a name every object has", record: { authMethod: "constructor" }, method: "social" },
    { name: "a key", record: { kiroApiKey: "ksk_1" }, method: "api-key" },
    {
      name: "a key, whatever is written",
      record: { kiroApiKey: "ksk_1", authMethod: "social" },
      method: "api-key",
    },
    { name: "external_idp", record: { authMethod: "external_idp" }, method: "external-idp" },
    { name: "entra-id", record: { authMethod: "entra-id" }, method: "external-idp" },
    { name: "AzureAD", record: { authMethod: "AzureAD" }, method: "external-idp" },
    {
      name: "a token endpoint, whatever is written",
      record: { tokenEndpoint: "https://login.microsoftonline.com/t", authMethod: "idc" },
      method: "external-idp",
    },
  ])("$name", ({ record, method }) => {
    expect(parsed({ ...secrets, ...record }).authMethod as string).toBe(method);
  });
});

describe("what a record is accepted with", () => {
  test("the file of the Go build", () => {
    const credential = parsed({
      accessToken: "aoa",
      refreshToken: token("aor"),
      expiresAt: "2026-02-17T18:58:56+08:00",
      authMethod: "idc",
      clientId: "client",
      clientSecret: "secret",
      region: "us-east-1",
    });
    expect(credential).toMatchObject({
      authMethod: "idc",
      expiresAt: Date.UTC(2026, 1, 17, 10, 58, 56),
      priority: 0,
      disabled: false,
      persistent: false,
      login: { type: "idc", clientId: "client" },
    });
    expect(credential.accessToken?.reveal()).toBe("aoa");
    expect(credential.login?.refreshToken.reveal()).toBe(token("aor"));
  });

  test("every field that the Go build and its kin write", () => {
    const credential = parsed({
      ...idcRecord(),
      id: 7,
      profileArn: OWN_ARN,
      authRegion: "eu-west-1",
      apiRegion: "us-west-2",
      machineId: "A".repeat(64),
      disabled: true,
      priority: 3,
      email: "dev@example.test",
      proxyUrl: "direct",
    });
    expect(credential).toMatchObject({
      id: "7",
      profileArn: OWN_ARN,
      apiRegion: "us-west-2",
      authRegion: "eu-west-1",
      machineId: "a".repeat(64),
      disabled: true,
      priority: 3,
    });
  });

  test("the IDE's file of an AWS log-in, whose registration is elsewhere, serves until its token ends", () => {
    const credential = parsed({
      accessToken: "aoa",
      refreshToken: token("aor"),
      expiresAt: "2026-03-01T10:15:30.000Z",
      clientIdHash: "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
      authMethod: "IdC",
      provider: "BuilderId",
      region: "us-east-1",
    });
    expect(credential.login).toBeUndefined();
    expect(credential.accessToken?.reveal()).toBe("aoa");
  });

  test("the command line's names in snake case", () => {
    const credential = parsed({
      access_token: "aoa",
      refresh_token: "aor",
      expires_at: "2026-03-01T10:15:30Z",
      client_id: "client",
      client_secret: "secret",
      profile_arn: OWN_ARN,
    });
    expect(credential).toMatchObject({
      authMethod: "idc",
      expiresAt: Date.UTC(2026, 2, 1, 10, 15, 30),
      profileArn: OWN_ARN,
    });
  });

  test("an API key, which is its own token and never ends", () => {
    const credential = parsed({ kiroApiKey: "ksk_1", authMethod: "api_key", expiresAt: 1 });
    expect(credential.accessToken?.reveal()).toBe("ksk_1");
    expect(credential).toMatchObject({ authMethod: "api-key", expiresAt: undefined });
    expect(credential.login).toBeUndefined();
  });

  test("scopes as a list or as one text", () => {
    const list = parsed(entraRecord());
    const text = parsed({ ...entraRecord(), scopes: "api://kiro/scope offline_access" });
    for (const { login } of [list, text]) {
      expect(login).toMatchObject({ scope: "api://kiro/scope offline_access" });
    }
  });

  test("nulls and empty texts count as absent, and white space around a token is cut off", () => {
    const credential = parsed({
      refreshToken: " aor\n",
      accessToken: "",
      profileArn: null,
      region: "",
      apiRegion: null,
      machineId: "",
      disabled: null,
      priority: null,
      id: "",
    });
    expect(credential.login?.refreshToken.reveal()).toBe("aor");
    expect(credential).toMatchObject({ accessToken: undefined, apiRegion: "us-east-1" });
    expect(credential.id).not.toBe("");
  });

  test("a shortened or short refresh token, which is only told apart", () => {
    expect(hasTruncatedToken(parsed({ refreshToken: "aor" }))).toBe(true);
    expect(hasTruncatedToken(parsed({ refreshToken: `${token("aor")}...` }))).toBe(true);
    expect(hasTruncatedToken(parsed(socialRecord()))).toBe(false);
    expect(hasTruncatedToken(parsed({ kiroApiKey: "ksk_1" }))).toBe(false);
  });
});

describe("what is refused", () => {
  test.each([
    { name: "null", record: null, path: "" },
    { name: "a list", record: [], path: "" },
    { name: "text", record: "x", path: "" },
    { name: "nothing", record: {}, path: "refreshToken" },
    {
      name: "an account manager's export",
      record: { version: "1", accounts: [] },
      path: "refreshToken",
    },
    {
      name: "idc with neither registration nor token",
      record: { authMethod: "idc", refreshToken: "r" },
      path: "refreshToken",
    },
    {
      name: "an outside log-in without endpoint",
      record: { authMethod: "entra", refreshToken: "r" },
      path: "refreshToken",
    },
    {
      name: "a key's method without the key",
      record: { authMethod: "api_key", accessToken: "a" },
      path: "kiroApiKey",
    },
    { name: "a token that is no text", record: { accessToken: 5 }, path: "accessToken" },
    {
      name: "a token with a line break",
      record: { access_token: "SECRET\r\nx: y" },
      path: "access_token",
    },
    {
      name: "a token with a space",
      record: { refreshToken: "SECRET SECRET" },
      path: "refreshToken",
    },
    {
      name: "a priority that is no number",
      record: { accessToken: "a", priority: "SECRET" },
      path: "priority",
    },
    {
      name: "a switch that is no boolean",
      record: { accessToken: "a", disabled: "SECRET" },
      path: "disabled",
    },
    {
      name: "a profile that is no ARN",
      record: { accessToken: "a", profileArn: "SECRET" },
      path: "profileArn",
    },
    {
      name: "a profile with a line break",
      record: { accessToken: "a", profileArn: "arn:a\r\nSECRET" },
      path: "profileArn",
    },
    { name: "scopes that are no text", record: { accessToken: "a", scopes: [1] }, path: "scopes" },
  ])("$name", ({ record, path }) => {
    const failure = failureOf(record);
    expect(failure.path).toBe(path);
    expect(failure.message).not.toContain("SECRET");
  });

  test.each([
    "http://login.microsoftonline.com/t",
    "https://login.microsoftonline.com.evil.test/t",
    "https://evil.test/.microsoftonline.com",
    "https://evilmicrosoftonline.com/t",
    "https://microsoftonline.com/t",
    "https://login.microsoftonline.com.:443/t",
    "https://login.microsoftonline.com:8443/t",
    "https://user@login.microsoftonline.com/t",
    "https://:pw@login.microsoftonline.com/t",
    "https://user:pw@login.microsoftonline.com/t",
    "https://login.microsoftonline.com@evil.test/t",
    "https://login.microsoftonline.de/t",
    "https://20.190.128.1/t",
    "https://[::1]/.microsoftonline.com",
    "file:///x.microsoftonline.com",
    "login.microsoftonline.com",
  ])("the token endpoint %s", (tokenEndpoint) => {
    expect(failureOf({ ...entraRecord(), tokenEndpoint }).path).toBe("tokenEndpoint");
  });

  test.each(["com", "us", "cn"])("but not Microsoft's endpoint under .%s", (end) => {
    const tokenEndpoint = `https://login.microsoftonline.${end}/t/oauth2/v2.0/token`;
    expect(parsed({ ...entraRecord(), tokenEndpoint }).login).toMatchObject({ tokenEndpoint });
  });
});

describe("instantOf", () => {
  const instant = Date.UTC(2026, 0, 9, 4, 43, 18);
  test.each([
    ["2026-01-09T04:43:18Z", instant],
    ["2026-01-09T04:43:18.079944400+00:00", instant + 79],
    ["2026-01-09T12:43:18.5+08:00", instant + 500],
    ["2026-01-08T23:13:18-0530", instant],
    ["2026-01-09t04:43:18z", instant],
    ["2026-01-09 04:43:18", instant],
    ["2026-01-09T04:43:18.1", instant + 100],
    [" 2026-01-09T04:43:18Z ", instant],
    [instant, instant],
    [instant / 1000, instant],
    [String(instant), instant],
    [String(instant / 1000), instant],
    [1_767_933_798.25, instant + 250],
    [0, undefined],
    [-1, undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    ["", undefined],
    ["soon", undefined],
    ["2026-13-09T04:43:18Z", undefined],
    ["2026-01-09", undefined],
    [null, undefined],
    [undefined, undefined],
    [true, undefined],
    [{}, undefined],
  ])("reads %p", (value, expected) => {
    expect(instantOf(value)).toBe(expected as number);
  });
});

describe("the machine id", () => {
  test("is 64 hex digits and differs from account to account", () => {
    const ids = ["a", "b", "c"].map((name) => parsed(idcRecord(name)).machineId);
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{64}$/);
  });

  test("is not shared by accounts that only share a stand-in ARN", () => {
    const [one, two] = ["a", "b"].map(
      (name) => parsed({ refreshToken: token(name), profileArn: social }).machineId,
    );
    expect(one).not.toBe(two);
  });

  test("of a UUID is its digits twice, and other text is hashed", () => {
    const uuid = "01234567-89AB-cdef-0123-456789abcdef";
    const digits = "0123456789abcdef0123456789abcdef";
    expect(parsed({ ...idcRecord(), machineId: uuid }).machineId).toBe(digits + digits);
    expect(parsed({ ...idcRecord(), machineId: "my box" }).machineId).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    { name: "social", record: { refreshToken: token("r") } },
    { name: "social with a profile", record: socialRecord() },
    { name: "idc", record: idcRecord() },
    { name: "external-idp", record: entraRecord() },
  ])("and the id of $name survive a rotation, in memory and in the record", ({ record }) => {
    const before = parsed(record);
    const renewal = {
      accessToken: new Secret("new"),
      refreshToken: new Secret("newer"),
      expiresAt: NOW,
      profileArn: OWN_ARN,
    };
    const { id, machineId } = before;
    expect(renewed(before, renewal, context)).toMatchObject({ id, machineId });
    expect(parsed(renewedRecord(record, renewal, machineId))).toMatchObject({ id, machineId });
  });
});

describe("the id", () => {
  test.each(["\u0000", "a\nb", "x".repeat(129), "  "])("%p is not taken into the log", (id) => {
    expect(parsed({ ...idcRecord(), id }).id).toMatch(/^[0-9a-f]{12}$/);
  });

  test("is the record's own where it has one", () => {
    expect(parsed({ ...idcRecord(), id: " konto 1 " }).id).toBe("konto 1");
  });
});

describe("renewedRecord", () => {
  const renewal = {
    accessToken: new Secret("new-access"),
    refreshToken: new Secret("new-refresh"),
    expiresAt: NOW + 60 * MINUTE + 250,
  };

  test("changes the tokens and their end, adds the machine id and leaves the rest alone", () => {
    const record = { ...socialRecord(), nested: { a: [1, null] }, label: "mine" };
    const copy = structuredClone(record);
    expect(renewedRecord(record, renewal, "m")).toEqual({
      ...record,
      accessToken: "new-access",
      refreshToken: "new-refresh",
      expiresAt: "2026-01-15T13:00:00.250Z",
      machineId: "m",
    });
    expect(record).toEqual(copy);
  });

  test("keeps the refresh token and the profile where the reply has none", () => {
    const record = socialRecord();
    const { refreshToken: _, ...rest } = renewal;
    expect(renewedRecord(record, rest, "m")).toMatchObject({
      refreshToken: record.refreshToken,
      profileArn: record.profileArn,
    });
  });

  test("writes a profile that the reply names", () => {
    expect(renewedRecord({}, { ...renewal, profileArn: OWN_ARN }, "m")).toMatchObject({
      profileArn: OWN_ARN,
    });
  });

  test("keeps the record's spelling, its form of date and its machine id", () => {
    const snake = {
      access_token: "a",
      refresh_token: "b",
      expires_at: 1_700_000_000,
      machineId: "x",
    };
    expect(renewedRecord(snake, renewal, "m")).toEqual({
      access_token: "new-access",
      refresh_token: "new-refresh",
      expires_at: (NOW + 60 * MINUTE) / 1000,
      machineId: "x",
    });
    const millis = { accessToken: "a", expiresAt: 1_700_000_000_000 };
    expect(renewedRecord(millis, renewal, "m")).toMatchObject({ expiresAt: renewal.expiresAt });
  });
});

describe("renewed", () => {
  test("moves the API to the region of a profile that the reply named", () => {
    const before = parsed({ refreshToken: token("aor") });
    const renewal = { accessToken: new Secret("n"), expiresAt: NOW, profileArn: OWN_ARN };
    expect(before.apiRegion).toBe("us-east-1");
    expect(renewed(before, renewal, context)).toMatchObject({
      profileArn: OWN_ARN,
      apiRegion: "eu-central-1",
      version: before.version,
    });
  });
});

describe("any input", () => {
  const names = [
    ...Object.keys({ ...idcRecord(), ...entraRecord(), ...socialRecord() }),
    "kiroApiKey",
    "machineId",
    "priority",
    "disabled",
    "id",
    "apiRegion",
    "expires_at",
    "__proto__",
  ];
  const record = fc.dictionary(fc.constantFrom(...names), fc.jsonValue(), { maxKeys: 8 });

  test("is parsed or refused without a throw, and not changed", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), record), (input) => {
        const before = JSON.stringify(input);
        const result = parseCredential(input, context);
        expect(JSON.stringify(input)).toBe(before);
        if (!result.ok) expect(result.failure.message).not.toBe("");
      }),
      { numRuns: 500 },
    );
  });

  test("that is accepted can be renewed", () => {
    const base = fc.constantFrom(socialRecord(), idcRecord(), entraRecord());
    fc.assert(
      fc.property(base, record, (known, noise) => {
        const result = parseCredential({ ...noise, ...known }, context);
        if (!result.ok || result.value.login === undefined) return;
        const renewal = { accessToken: new Secret("new"), expiresAt: NOW + 1000 };
        const next = renewed(result.value, renewal, context);
        expect(next.accessToken?.reveal()).toBe("new");
        expect(next.machineId).toBe(result.value.machineId);
      }),
      { numRuns: 300 },
    );
  });
});

test("printing a credential in any way shows no token", () => {
  const records = [
    { ...socialRecord("SECRET") },
    { ...entraRecord("SECRET"), clientId: "c" },
    { ...idcRecord("SECRET"), clientId: "c" },
    { kiroApiKey: "SECRET" },
  ];
  for (const credential of records.map(parsed)) {
    const prints = [
      JSON.stringify(credential),
      inspect(credential, { depth: 9, showHidden: true }),
      Bun.inspect(credential),
      String(credential.raw),
    ];
    expect(prints.join()).not.toContain("SECRET");
  }
});
