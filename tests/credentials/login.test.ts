import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  deviceLogin,
  type DevicePrompt,
  directoryLogin,
  type LoginDeps,
  type LoginOutcome,
  socialLogin,
} from "../../src/credentials/login.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { at, bodyOf, MINUTE, NOW, OWN_ARN, token } from "./samples.ts";

const builderId = { startUrl: defaultProfile.builderIdStartUrl, region: "us-east-1" };
const tokens = { accessToken: "aoa", refreshToken: token("aor"), expiresIn: 3_600 };
const registration = {
  clientId: "client",
  clientSecret: "client-secret",
  clientSecretExpiresAt: NOW / 1000 + 60,
};
const device = {
  deviceCode: "device-code",
  userCode: "ABCD-EFGH",
  verificationUri: "https://device.example/",
  verificationUriComplete: "https://device.example/?code=ABCD-EFGH",
  expiresIn: 600,
  interval: 1,
};

type Reply =
  | [status: number, body: object | string, headers?: Record<string, string>]
  | "unreachable"
  | "hangs";

function pending(error = "authorization_pending"): Reply {
  return [400, { error, error_description: "CANARY" }];
}

/** A world where the calls are answered in this order, by path. */
function world(replies: { register?: Reply; device?: Reply; token?: Reply[] }) {
  const polls = [...(replies.token ?? [])];
  const reply = (url: string): Reply => {
    if (url.endsWith("/client/register")) return replies.register ?? [200, registration];
    if (url.endsWith("/device_authorization")) return replies.device ?? [200, device];
    return polls.shift() ?? [500, "no more"];
  };
  const clock = createTestRuntime({
    now: NOW,
    fetch(url) {
      const answer = reply(url);
      if (answer === "unreachable")
        throw Object.assign(new Error("CANARY"), { code: "ECONNREFUSED" });
      if (answer === "hangs") return new Promise<Response>(() => {});
      const [status, body, headers] = answer;
      return new Response(typeof body === "string" ? body : JSON.stringify(body), {
        status,
        ...(headers && { headers }),
      });
    },
  });
  const abort = new AbortController();
  const deps: LoginDeps = {
    runtime: clock.runtime,
    settings: defaultProfile,
    signal: abort.signal,
  };
  const bodies = (): Record<string, unknown>[] =>
    clock.calls.map(({ init }) => JSON.parse(bodyOf(init)));
  return { ...clock, abort, deps, bodies };
}

function start({ deps }: ReturnType<typeof world>, directory = builderId) {
  const prompts: DevicePrompt[] = [];
  let outcome: LoginOutcome | undefined;
  const ended = deviceLogin(directory, (prompt) => prompts.push(prompt), deps).then((result) => {
    outcome = result;
    return result;
  });
  return { prompts, ended, outcome: () => outcome };
}

describe("a log-in by device code", () => {
  test("shows the page and the code, waits for the person, and gives a whole record", async () => {
    const w = world({ token: [pending(), pending(), [200, tokens]] });
    const login = start(w);
    await w.advance(0);
    expect(login.prompts).toEqual([
      { url: device.verificationUriComplete, code: "ABCD-EFGH", expiresInS: 600 },
    ]);
    await w.advance(2_000);
    expect(login.outcome()).toBeUndefined();
    await w.advance(1_000);
    expect(await login.ended).toEqual({
      ok: true,
      value: {
        authMethod: "idc",
        provider: "BuilderId",
        accessToken: "aoa",
        refreshToken: token("aor"),
        expiresAt: at(NOW + 3_000 + 60 * MINUTE),
        clientId: "client",
        clientSecret: "client-secret",
        clientSecretExpiresAt: at(NOW + MINUTE),
        region: "us-east-1",
        startUrl: builderId.startUrl,
      },
    });
    expect(w.pending()).toBe(0);
    const [register, authorize, poll] = w.bodies();
    expect(register).toMatchObject({
      clientName: "kiro-proxy",
      clientType: "public",
      scopes: expect.arrayContaining(["codewhisperer:conversations"]),
      grantTypes: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
      issuerUrl: builderId.startUrl,
    });
    expect(authorize).toEqual({
      clientId: "client",
      clientSecret: "client-secret",
      startUrl: builderId.startUrl,
    });
    expect(poll).toEqual({
      clientId: "client",
      clientSecret: "client-secret",
      grantType: "urn:ietf:params:oauth:grant-type:device_code",
      deviceCode: "device-code",
    });
  });

  test("a company's directory is asked in its own region", async () => {
    const w = world({ token: [[200, tokens]] });
    const company = { startUrl: "https://company.example/start", region: "eu-central-1" };
    const login = start(w, company);
    await w.advance(1_000);
    expect(await login.ended).toMatchObject({ value: { provider: "Enterprise", ...company } });
    const hosts = w.calls.map(({ url }) => new URL(url).host);
    expect(new Set(hosts)).toEqual(new Set(["oidc.eu-central-1.amazonaws.com"]));
  });

  test("asks less often when it is told to slow down", async () => {
    const w = world({ token: [pending("slow_down"), pending(), [200, tokens]] });
    const login = start(w);
    await w.advance(1_000 + 6_000 - 1);
    expect(w.calls).toHaveLength(3);
    await w.advance(1);
    expect(w.calls).toHaveLength(4);
    await w.advance(6_000);
    expect((await login.ended).ok).toBe(true);
  });

  test.each([
    { name: "without an interval every five seconds", interval: undefined, ms: 5_000 },
    { name: "an interval of nothing is a second", interval: 0, ms: 5_000 },
    { name: "an interval below a second is one", interval: 0.01, ms: 1_000 },
    { name: "an interval that is no number", interval: "soon", ms: 5_000 },
  ])("$name", async ({ interval, ms }) => {
    const w = world({ device: [200, { ...device, interval }], token: [[200, tokens]] });
    const login = start(w);
    await w.advance(ms - 1);
    expect(w.calls).toHaveLength(2);
    await w.advance(1);
    expect((await login.ended).ok).toBe(true);
  });

  test.each<{ name: string; replies: Reply[] }>([
    {
      name: "an outage",
      replies: ["unreachable", [503, "<html>"], [429, {}], [500, { error: "server_error" }]],
    },
    {
      name: "AWS's own names for errors",
      replies: [[400, {}, { "x-amzn-errortype": "AuthorizationPendingException:http://x" }]],
    },
  ])("goes on through $name", async ({ replies }) => {
    const w = world({ token: [...replies, [200, tokens]] });
    const login = start(w);
    await w.advance(1_000 * (replies.length + 1));
    expect((await login.ended).ok).toBe(true);
  });

  test.each<{ name: string; reply: Reply; says: string }>([
    { name: "a refusal", reply: pending("access_denied"), says: "access_denied. Somebody" },
    { name: "an ended code", reply: pending("expired_token"), says: "expired" },
    {
      name: "AWS's exception for it",
      reply: [400, {}, { "x-amzn-errortype": "ExpiredTokenException" }],
      says: "expired",
    },
    { name: "a code that is none", reply: pending("invalid_grant"), says: "invalid_grant" },
    { name: "a page of a proxy", reply: [403, "<html>CANARY"], says: "403" },
    {
      name: "a reply without tokens",
      reply: [200, { accessToken: "two words" }],
      says: "unreadable",
    },
    {
      name: "a reply without a refresh token",
      reply: [200, { accessToken: "aoa" }],
      says: "no refresh token",
    },
  ])("$name ends it, with a reason and no word of the service's", async ({ reply, says }) => {
    const w = world({ token: [reply, [200, tokens]] });
    const login = start(w);
    await w.advance(1_000);
    const outcome = await login.ended;
    expect(outcome).toMatchObject({ ok: false, failure: { kind: "failed" } });
    expect(JSON.stringify(outcome)).toContain(says);
    expect(JSON.stringify(outcome)).not.toContain("CANARY");
    expect(w.pending()).toBe(0);
  });

  test("gives up when the code has ended, though the service only says to wait", async () => {
    const w = world({
      device: [200, { ...device, expiresIn: 3 }],
      token: Array.from({ length: 9 }, () => pending()),
    });
    const login = start(w);
    await w.advance(10_000);
    expect(JSON.stringify(await login.ended)).toContain("expired");
    expect(w.calls).toHaveLength(2 + 3);
  });

  test.each<{ name: string; replies: Parameters<typeof world>[0] }>([
    { name: "no registration", replies: { register: [400, { error: "invalid_client_metadata" }] } },
    { name: "an unreadable registration", replies: { register: [200, "<html>"] } },
    { name: "no way to register", replies: { register: "unreachable" } },
    { name: "no device code", replies: { device: [400, { error: "invalid_request" }] } },
    {
      name: "a page that is none",
      replies: { device: [200, { ...device, verificationUri: "javascript:x" }] },
    },
    {
      name: "a code with control characters",
      replies: { device: [200, { ...device, userCode: "\u001b[2J" }] },
    },
  ])("$name shows nothing and ends it", async ({ replies }) => {
    const w = world(replies);
    const login = start(w);
    await w.advance(0);
    expect(await login.ended).toMatchObject({ ok: false, failure: { kind: "failed" } });
    expect(login.prompts).toEqual([]);
  });

  test.each<{ name: string; replies: Parameters<typeof world>[0]; afterMs: number }>([
    { name: "the registration", replies: { register: "hangs" }, afterMs: 0 },
    { name: "the device code", replies: { device: "hangs" }, afterMs: 0 },
    { name: "the person", replies: {}, afterMs: 500 },
    { name: "the answer to a poll", replies: { token: ["hangs"] }, afterMs: 1_000 },
  ])("can be cancelled at once while it waits for $name", async ({ replies, afterMs }) => {
    const w = world(replies);
    const login = start(w);
    await w.advance(afterMs);
    w.abort.abort();
    await w.settle();
    expect(login.outcome()).toMatchObject({ ok: false, failure: { kind: "cancelled" } });
    expect(w.pending()).toBe(0);
  });

  test("every call goes through the proxy", async () => {
    const w = world({ token: [[200, tokens]] });
    w.deps.proxyUrl = new Secret("http://proxy.example:8080");
    const login = start(w);
    await w.advance(1_000);
    await login.ended;
    expect(w.calls).toHaveLength(3);
    for (const { init } of w.calls)
      expect(init.proxy).toMatchObject({ url: "http://proxy.example:8080" });
  });
});

function cameBack(address: string, query: Record<string, string>): URL {
  return new URL(`${address}?${new URLSearchParams(query).toString()}`);
}

describe("a log-in in the browser", () => {
  const redirectUri = "http://127.0.0.1:5000/oauth/callback";
  const company = { startUrl: "https://company.example/start", region: "eu-central-1" };

  test("of a directory sends the code with the verifier of its challenge", async () => {
    const w = world({ token: [[200, tokens]] });
    const begun = await directoryLogin(company, redirectUri, w.deps);
    if (!begun.ok) throw new Error(begun.failure.message);
    const url = new URL(begun.value.url);
    expect(url.origin + url.pathname).toBe("https://oidc.eu-central-1.amazonaws.com/authorize");
    const asked = Object.fromEntries(url.searchParams);
    expect(asked).toMatchObject({
      response_type: "code",
      client_id: "client",
      redirect_uri: redirectUri,
      state: begun.value.state,
      code_challenge_method: "S256",
      scopes: defaultProfile.login.scopes.join(" "),
    });
    expect(await begun.value.finish(cameBack(redirectUri, { code: "the-code" }))).toMatchObject({
      ok: true,
      value: { authMethod: "idc", provider: "Enterprise", clientId: "client", ...company },
    });
    const [register, exchange] = w.bodies();
    expect(register).toMatchObject({
      grantTypes: ["authorization_code", "refresh_token"],
      redirectUris: [redirectUri],
    });
    expect(exchange).toMatchObject({
      grantType: "authorization_code",
      code: "the-code",
      redirectUri,
    });
    const verifier = String(exchange?.["codeVerifier"]);
    expect(verifier).toMatch(/^[\w.~-]{43,128}$/);
    expect(asked["code_challenge"]).toBe(createHash("sha256").update(verifier).digest("base64url"));
  });

  test.each([
    { option: "google", provider: "Google", query: "?login_option=google" },
    { option: "github", provider: "Github", query: "?login_option=github" },
    { option: "a&b c", provider: "Google", query: "?login_option=a%26b%20c" },
    { option: undefined, provider: "Google", query: "" },
  ])(
    "with $provider names the place that it came back to ($option)",
    async ({ option, provider, query }) => {
      const w = world({ token: [[200, { ...tokens, profileArn: OWN_ARN }]] });
      const begun = socialLogin("Google", "http://127.0.0.1:3128", w.deps);
      const url = new URL(begun.url);
      expect(url.origin + url.pathname).toBe("https://app.kiro.dev/signin");
      expect(Object.fromEntries(url.searchParams)).toMatchObject({
        redirect_uri: "http://127.0.0.1:3128",
        redirect_from: "KiroIDE",
        state: begun.state,
      });
      const back = cameBack("http://127.0.0.1:3128/signin/callback", {
        code: "the-code",
        ...(option !== undefined && { login_option: option }),
      });
      expect(await begun.finish(back)).toMatchObject({
        value: {
          authMethod: "social",
          provider,
          profileArn: OWN_ARN,
          expiresAt: at(NOW + 60 * MINUTE),
        },
      });
      expect(w.calls[0]?.url).toBe("https://prod.us-east-1.auth.desktop.kiro.dev/oauth/token");
      expect(w.bodies()[0]).toMatchObject({
        code: "the-code",
        code_verifier: expect.any(String),
        redirect_uri: `http://127.0.0.1:3128/signin/callback${query}`,
      });
    },
  );

  test("takes the end of the token from wherever the reply says it", async () => {
    const w = world({
      token: [[200, { ...tokens, expiresIn: undefined, expiresAt: at(NOW + MINUTE) }]],
    });
    const begun = socialLogin("Google", "http://127.0.0.1:3128", w.deps);
    const back = cameBack("http://127.0.0.1:3128/oauth/callback", { code: "c" });
    expect(await begun.finish(back)).toMatchObject({ value: { expiresAt: at(NOW + MINUTE) } });
  });

  test.each<{ query: Record<string, string>; says: string }>([
    { query: { error: "access_denied" }, says: "access_denied" },
    { query: { error: "<script>CANARY" }, says: "without a log-in." },
    { query: { code: "" }, says: "without a log-in." },
  ])("that comes back without a code asks for no token ($query)", async ({ query, says }) => {
    const w = world({});
    const begun = socialLogin("Google", "http://127.0.0.1:3128", w.deps);
    const outcome = await begun.finish(cameBack("http://127.0.0.1:3128/oauth/callback", query));
    expect(outcome).toMatchObject({ ok: false, failure: { kind: "failed" } });
    expect(JSON.stringify(outcome)).toContain(says);
    expect(JSON.stringify(outcome)).not.toContain("CANARY");
    expect(w.calls).toEqual([]);
  });

  test("no two have a state or a verifier in common", () => {
    const w = world({});
    const both = [1, 2].map(() => new URL(socialLogin("Github", "http://127.0.0.1:1", w.deps).url));
    for (const name of ["state", "code_challenge"]) {
      expect(new Set(both.map((url) => url.searchParams.get(name))).size).toBe(2);
    }
  });
});
