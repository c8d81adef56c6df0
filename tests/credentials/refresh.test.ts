import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import type { Credential, Login } from "../../src/credentials/credential.ts";
import { refresh } from "../../src/credentials/refresh.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";
import {
  bodyOf,
  entraRecord,
  idcRecord,
  NOW,
  OWN_ARN,
  parsed,
  socialRecord,
  token,
} from "./samples.ts";

function renewable(record: unknown): Credential & { login: Login } {
  const credential = parsed(record);
  if (credential.login === undefined) throw new Error("the record can't be renewed");
  return { ...credential, login: credential.login };
}

async function refreshed(record: unknown, fetch: ScriptedFetch, settings = defaultProfile) {
  const world = createTestRuntime({ now: NOW, fetch });
  const result = await refresh(renewable(record), { runtime: world.runtime, settings });
  expect(world.pending()).toBe(0);
  return { result, calls: world.calls };
}

async function callOf(record: unknown, settings = defaultProfile) {
  const { calls } = await refreshed(record, () => Response.json({ accessToken: "a" }), settings);
  expect(calls).toHaveLength(1);
  const [call] = calls;
  return { url: call!.url, init: call!.init, body: bodyOf(call!.init) };
}

const ok = { accessToken: "new", refreshToken: "newer", expiresIn: 1_800 };

describe("the request", () => {
  test("of a social log-in", async () => {
    const credential = parsed(socialRecord());
    const { url, init, body } = await callOf(socialRecord());
    expect(url).toBe("https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken");
    expect(init).toMatchObject({
      method: "POST",
      redirect: "manual",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/plain, */*",
        "user-agent": `KiroIDE-${defaultProfile.versions.kiro}-${credential.machineId}`,
      },
    });
    expect(JSON.parse(body)).toEqual({ refreshToken: token("aor") });
  });

  test("of an AWS log-in, in the region where it was made", async () => {
    const { url, init, body } = await callOf(idcRecord());
    expect(url).toBe("https://oidc.eu-west-1.amazonaws.com/token");
    expect(init.headers).toMatchObject({
      "content-type": "application/json",
      "x-amz-user-agent": "aws-sdk-js/3.980.0 KiroIDE",
      "amz-sdk-invocation-id": "00000000-0000-4000-8000-000000000001",
      "amz-sdk-request": "attempt=1; max=4",
    });
    expect(Object.values(init.headers ?? {}).join()).not.toMatch(/[{}]/);
    expect(JSON.parse(body)).toEqual({
      clientId: "aor-client",
      clientSecret: "aor-client-secret",
      grantType: "refresh_token",
      refreshToken: token("aor"),
    });
  });

  test("of an outside log-in is a form, and its client has no secret", async () => {
    const record = { ...entraRecord(), refreshToken: "a+b&c=d" };
    const { url, init, body } = await callOf(record);
    expect(url).toBe(record.tokenEndpoint);
    expect(init.headers).toMatchObject({ "content-type": "application/x-www-form-urlencoded" });
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      client_id: "0.A-client",
      grant_type: "refresh_token",
      refresh_token: "a+b&c=d",
      scope: "api://kiro/scope offline_access",
    });
  });

  test("goes to the hosts of the configuration, with their path and without a doubled slash", async () => {
    const hosts = {
      ...defaultProfile.hosts,
      oidc: "http://127.0.0.1:9/oidc/{region}/",
      social: "http://127.0.0.1:9/auth",
    };
    const settings = { ...defaultProfile, hosts };
    expect((await callOf(idcRecord(), settings)).url).toBe(
      "http://127.0.0.1:9/oidc/eu-west-1/token",
    );
    expect((await callOf(socialRecord(), settings)).url).toBe(
      "http://127.0.0.1:9/auth/refreshToken",
    );
  });
});

describe("a good reply", () => {
  test.each([
    {
      name: "social",
      record: socialRecord(),
      reply: { ...ok, profileArn: OWN_ARN },
      profileArn: OWN_ARN,
    },
    {
      name: "idc",
      record: idcRecord(),
      reply: { ...ok, tokenType: "Bearer", idToken: null },
      profileArn: undefined,
    },
    {
      name: "external-idp",
      record: entraRecord(),
      reply: { access_token: "new", refresh_token: "newer", expires_in: 1_800, scope: "x" },
      profileArn: undefined,
    },
  ])("of $name is read whole", async ({ record, reply, profileArn }) => {
    const { result } = await refreshed(record, () => Response.json(reply));
    if (!result.ok) throw new Error(result.failure.message);
    const { accessToken, refreshToken, ...rest } = result.value;
    expect(accessToken.reveal()).toBe("new");
    expect(refreshToken?.reveal()).toBe("newer");
    expect(rest).toEqual({ expiresAt: NOW + 1_800_000, profileArn });
  });

  test.each([
    { name: "absent", reply: { accessToken: "new" } },
    {
      name: "null",
      reply: { accessToken: "new", refreshToken: null, expiresIn: null, profileArn: null },
    },
    {
      name: "empty",
      reply: { accessToken: "new", refreshToken: "", expiresIn: "", profileArn: "" },
    },
    {
      name: "nonsense",
      reply: { accessToken: "new", refreshToken: 5, expiresIn: -1, profileArn: "x" },
    },
    {
      name: "beyond reason",
      reply: { accessToken: "new", refreshToken: "a b", expiresIn: 1e300, profileArn: [] },
    },
  ])("may have everything but the access token $name", async ({ reply }) => {
    const { result } = await refreshed(idcRecord(), () => Response.json(reply));
    expect(result).toMatchObject({
      ok: true,
      value: { refreshToken: undefined, expiresAt: NOW + 3_600_000, profileArn: undefined },
    });
  });

  test("may say its lifetime as text", async () => {
    const reply = { access_token: "new", expires_in: "600" };
    const { result } = await refreshed(entraRecord(), () => Response.json(reply));
    expect(result).toMatchObject({ value: { expiresAt: NOW + 600_000 } });
  });
});

function error(status: number, code?: string, headers = {}) {
  return () => Response.json({ error: code, error_description: "SECRET" }, { status, headers });
}

describe("a bad reply", () => {
  test.each([
    {
      name: "invalid_grant",
      record: idcRecord(),
      answer: error(400, "invalid_grant"),
      kind: "needs-login",
    },
    {
      name: "invalid_client",
      record: idcRecord(),
      answer: error(401, "invalid_client"),
      kind: "needs-login",
    },
    {
      name: "unauthorized_client",
      record: idcRecord(),
      answer: error(400, "unauthorized_client"),
      kind: "needs-login",
    },
    {
      name: "access_denied",
      record: idcRecord(),
      answer: error(400, "access_denied"),
      kind: "needs-login",
    },
    {
      name: "expired_token",
      record: idcRecord(),
      answer: error(400, "expired_token"),
      kind: "needs-login",
    },
    {
      name: "AWS's name in a header",
      record: idcRecord(),
      answer: () =>
        new Response("{}", {
          status: 400,
          headers: { "x-amzn-errortype": "a#InvalidGrantException:http://x" },
        }),
      kind: "needs-login",
    },
    {
      name: "unsupported_grant_type",
      record: idcRecord(),
      answer: error(400, "unsupported_grant_type"),
      kind: "transient",
    },
    {
      name: "invalid_scope",
      record: idcRecord(),
      answer: error(400, "invalid_scope"),
      kind: "transient",
    },
    {
      name: "invalid_request",
      record: idcRecord(),
      answer: error(400, "invalid_request"),
      kind: "transient",
    },
    {
      name: "authorization_pending",
      record: idcRecord(),
      answer: error(400, "authorization_pending"),
      kind: "transient",
    },
    { name: "slow_down", record: idcRecord(), answer: error(400, "slow_down"), kind: "transient" },
    {
      name: "server_error",
      record: idcRecord(),
      answer: error(500, "server_error"),
      kind: "transient",
    },
    {
      name: "an outage that claims a bad grant",
      record: idcRecord(),
      answer: error(503, "invalid_grant"),
      kind: "transient",
    },
    { name: "429", record: idcRecord(), answer: error(429, "invalid_grant"), kind: "transient" },
    {
      name: "an AWS 401 without a code",
      record: idcRecord(),
      answer: error(401),
      kind: "transient",
    },
    { name: "403", record: socialRecord(), answer: error(403), kind: "transient" },
    { name: "a social 401", record: socialRecord(), answer: error(401), kind: "needs-login" },
    {
      name: "a social bad grant",
      record: socialRecord(),
      answer: error(400, "invalid_grant"),
      kind: "needs-login",
    },
    {
      name: "a social 400 about something else",
      record: socialRecord(),
      answer: error(400),
      kind: "transient",
    },
    {
      name: "an outside bad grant",
      record: entraRecord(),
      answer: error(400, "invalid_grant"),
      kind: "needs-login",
    },
    {
      name: "an outside demand to sign in",
      record: entraRecord(),
      answer: error(400, "interaction_required"),
      kind: "needs-login",
    },
    {
      name: "an outside 401 without a code",
      record: entraRecord(),
      answer: error(401),
      kind: "transient",
    },
    {
      name: "a redirect",
      record: socialRecord(),
      answer: () => new Response(null, { status: 307, headers: { location: "https://evil.test" } }),
      kind: "transient",
    },
    {
      name: "a page of a proxy",
      record: socialRecord(),
      answer: () => new Response("<html>SECRET", { status: 502 }),
      kind: "transient",
    },
    {
      name: "a good status with a page",
      record: socialRecord(),
      answer: () => new Response("<html>SECRET"),
      kind: "transient",
    },
    {
      name: "a good status without a token",
      record: socialRecord(),
      answer: () => Response.json({ refreshToken: "SECRET" }),
      kind: "transient",
    },
    {
      name: "a token that can't be sent",
      record: socialRecord(),
      answer: () => Response.json({ accessToken: "SECRET\r\nx" }),
      kind: "transient",
    },
    {
      name: "an outside reply in the wrong case",
      record: entraRecord(),
      answer: () => Response.json({ accessToken: "SECRET" }),
      kind: "transient",
    },
    { name: "null", record: socialRecord(), answer: () => Response.json(null), kind: "transient" },
    {
      name: "no connection",
      record: socialRecord(),
      answer: () => Promise.reject(Object.assign(new Error("SECRET"), { code: "ECONNREFUSED" })),
      kind: "transient",
    },
  ])("$name: $kind", async ({ record, answer, kind }) => {
    const { result } = await refreshed(record, answer);
    if (result.ok) throw new Error("it was taken for good");
    expect(result.failure.kind as string).toBe(kind);
    expect(result.failure.message).not.toContain("SECRET");
    expect(result.failure.message).toContain(":");
  });

  test.each([
    { header: "7", retryAfterMs: 7_000 },
    { header: new Date(NOW + 90_000).toUTCString(), retryAfterMs: 90_000 },
    { header: new Date(NOW - 90_000).toUTCString(), retryAfterMs: undefined },
    { header: "soon", retryAfterMs: undefined },
    { header: "-5", retryAfterMs: undefined },
  ])("Retry-After: $header", async ({ header, retryAfterMs }) => {
    const { result } = await refreshed(
      idcRecord(),
      error(429, "slow_down", { "retry-after": header }),
    );
    expect(result.ok ? undefined : result.failure.retryAfterMs).toBe(retryAfterMs as number);
  });

  test("names the status and the code for the log", async () => {
    const { result } = await refreshed(idcRecord(), error(400, "invalid_grant"));
    expect(result).toMatchObject({
      failure: { message: "AWS's log-in service: it answered 400 invalid_grant" },
    });
  });

  test("does not repeat a code that is no word", async () => {
    const { result } = await refreshed(idcRecord(), error(400, "SECRET is not a code"));
    expect(JSON.stringify(result)).not.toContain("SECRET");
  });
});

describe("silence", () => {
  test.each([
    { name: "before the answer", fetch: async () => await new Promise<Response>(() => {}) },
    {
      name: "inside its body",
      fetch: async (_url: string, init: BunFetchRequestInit) => {
        const body = new ReadableStream({
          start: (controller) =>
            init.signal?.addEventListener("abort", () => controller.error(init.signal?.reason)),
        });
        return new Response(body);
      },
    },
  ])("$name ends after 20 s, as something that may pass", async ({ fetch }) => {
    const { runtime, advance, pending } = createTestRuntime({ now: NOW, fetch });
    let result: Awaited<ReturnType<typeof refresh>> | undefined;
    void refresh(renewable(idcRecord()), { runtime, settings: defaultProfile }).then((value) => {
      result = value;
    });
    await advance(19_999);
    expect(result).toBeUndefined();
    await advance(1);
    expect(result).toMatchObject({
      failure: { kind: "transient", message: expect.stringContaining("20 s") },
    });
    expect(pending()).toBe(0);
  });
});

test("printing a renewal shows no token", async () => {
  const { result } = await refreshed(idcRecord(), () =>
    Response.json({ accessToken: "SECRET", refreshToken: "SECRET" }),
  );
  expect(inspect(result, { depth: 9 }) + JSON.stringify(result)).not.toContain("SECRET");
});
