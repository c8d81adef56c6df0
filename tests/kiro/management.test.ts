import { describe, expect, test } from "bun:test";
import { createManagement, managementRegions } from "../../src/kiro/management.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";

const access = {
  token: new Secret("tok"),
  apiRegion: "us-east-1",
  machineId: "f".repeat(64),
  profileArn: "arn:aws:codewhisperer:us-east-1:1:profile/X",
};
const limits = {
  usageBreakdownList: [{ resourceType: "CREDIT", usageLimit: 50, currentUsage: 1 }],
};

function world(fetch: ScriptedFetch) {
  const time = createTestRuntime({ fetch });
  return {
    ...time,
    management: createManagement({ runtime: time.runtime, profile: defaultProfile }),
  };
}

function json(body: unknown, status = 200) {
  return Response.json(body, { status });
}

function hostsOf(calls: { url: string }[]): string[] {
  return calls.map(({ url }) => new URL(url).host);
}

const refused = { message: "The bearer token included in the request is invalid." };

describe("a call about an account", () => {
  test("is made as an older editor makes it, and never names a profile", async () => {
    const { management, calls } = world(() => json(limits));
    await management.usageLimits(access, "us-east-1");
    await management.models(access, "us-east-1");
    expect(calls.map(({ url }) => url)).toEqual([
      "https://q.us-east-1.amazonaws.com/getUsageLimits?origin=AI_EDITOR&resourceType=AGENTIC_REQUEST&isEmailRequired=true",
      "https://q.us-east-1.amazonaws.com/ListAvailableModels?origin=AI_EDITOR",
    ]);
    for (const { init } of calls) {
      expect(init.method ?? "GET").toBe("GET");
      expect(init.redirect).toBe("manual");
      const headers = new Headers(init.headers);
      expect(headers.get("authorization")).toBe("Bearer tok");
      expect(headers.get("user-agent")).toEndWith(
        `api/codewhispererruntime#1.0.0 m/N,E KiroIDE-0.9.2-${access.machineId}`,
      );
      expect(headers.get("amz-sdk-request")).toBe("attempt=1; max=1");
      expect(JSON.stringify([...headers])).not.toContain("{");
      expect(headers.has("tokentype")).toBe(false);
    }
  });

  test("says what kind of token it has", async () => {
    const { management, calls } = world(() => json({ profiles: [] }));
    await management.profiles({ ...access, tokenType: "EXTERNAL_IDP" }, "eu-central-1");
    expect(new Headers(calls[0]?.init.headers).get("tokentype")).toBe("EXTERNAL_IDP");
  });

  test("goes through the credential's proxy", async () => {
    const { management, calls } = world(() => json(limits));
    const proxyUrl = new Secret("http://u:p@proxy:8080");
    await management.usageLimits({ ...access, proxyUrl }, "us-east-1");
    expect(calls[0]?.init.proxy).toEqual({ url: "http://u:p@proxy:8080", respectNoProxy: false });
  });

  test.each([
    ["us-east-1", ["us-east-1", "eu-central-1"]],
    ["eu-north-1", ["eu-central-1", "us-east-1"]],
    ["ap-southeast-2", ["us-east-1", "eu-central-1"]],
  ])("of an account that signs in in %s asks %j", async (authRegion, regions) => {
    expect(managementRegions(authRegion, defaultProfile)).toEqual(regions);
    const { management, calls } = world(() => json(refused, 403));
    expect(await management.usageLimits(access, authRegion)).toMatchObject({
      ok: false,
      failure: { kind: "token-refused", status: 403 },
    });
    expect(hostsOf(calls)).toEqual(regions.map((region) => `q.${region}.amazonaws.com`));
  });

  test("asks nobody else where the first region answers", async () => {
    const { management, calls } = world(() => json(limits));
    expect(await management.usageLimits(access, "us-east-1")).toMatchObject({
      ok: true,
      value: { used: 1, limit: 50 },
    });
    expect(calls).toHaveLength(1);
  });

  test.each([
    ["a locked account", json({ message: "", reason: "TEMPORARILY_SUSPENDED" }, 403), "suspended"],
    ["a throttled one", json({ message: "Too many requests" }, 429), "throttled"],
    ["an outage", json({ message: "Internal" }, 500), "unavailable"],
    ["a proxy that refuses", new Response("", { status: 407 }), "unavailable"],
    ["a page instead of JSON", new Response("<html>"), "unavailable"],
    ["an answer without a limit", json({}), "unavailable"],
  ])("does not go on to another region after %s", async (_name, answer, kind) => {
    const { management, calls, pending } = world(() => answer);
    expect(await management.usageLimits(access, "us-east-1")).toMatchObject({
      ok: false,
      failure: { kind },
    });
    expect(calls).toHaveLength(1);
    expect(pending()).toBe(0);
  });

  test("ends after ten seconds of silence", async () => {
    const { management, advance, pending } = world(() => new Promise<Response>(() => {}));
    const asked = management.usageLimits(access, "us-east-1");
    await advance(9_999);
    expect(pending()).toBe(1);
    await advance(1);
    expect(await asked).toMatchObject({ ok: false, failure: { failure: { kind: "timeout" } } });
    expect(pending()).toBe(0);
  });

  test("ends with the caller's signal", async () => {
    const { management, settle, pending } = world(() => new Promise<Response>(() => {}));
    const abort = new AbortController();
    const asked = management.models(access, "us-east-1", abort.signal);
    await settle();
    abort.abort();
    expect((await asked).ok).toBe(false);
    expect(pending()).toBe(0);
  });
});

describe("models", () => {
  test("are read with the limits that are sound, and what is no model is left out", async () => {
    const models = [
      {
        modelId: "auto",
        modelName: "Auto",
        tokenLimits: { maxInputTokens: 200_000, maxOutputTokens: null },
      },
      { modelId: "glm-5", tokenLimits: { maxInputTokens: 128_000, maxOutputTokens: 32_000 } },
      {
        modelId: "odd",
        modelName: "a\nb",
        tokenLimits: { maxInputTokens: -1, maxOutputTokens: 1.5 },
      },
      { modelId: "bare", tokenLimits: null },
      { modelId: "" },
      { modelId: "a\u0000b" },
      { modelId: 7 },
      null,
    ];
    const { management } = world(() => json({ models, nextToken: null }));
    expect(await management.models(access, "us-east-1")).toEqual({
      ok: true,
      value: [
        { id: "auto", displayName: "Auto", window: 200_000 },
        { id: "glm-5", window: 128_000, maxOutput: 32_000 },
        { id: "odd" },
        { id: "bare" },
      ],
    });
  });

  test("are read page by page", async () => {
    const { management, calls } = world((url) =>
      url.includes("nextToken")
        ? json({ models: [{ modelId: "b" }] })
        : json({ models: [{ modelId: "a" }], nextToken: "more & more" }),
    );
    expect(await management.models(access, "us-east-1")).toEqual({
      ok: true,
      value: [{ id: "a" }, { id: "b" }],
    });
    expect(calls[1]?.url).toEndWith("?origin=AI_EDITOR&nextToken=more%20%26%20more");
  });

  test("half a list is none", async () => {
    const { management, calls } = world(() => json({ models: [{ modelId: "a" }], nextToken: "x" }));
    expect((await management.models(access, "us-east-1")).ok).toBe(false);
    expect(calls).toHaveLength(10);
  });
});

describe("profiles", () => {
  test("are asked for in AWS's JSON protocol, in the region that is named", async () => {
    const arn = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/OWN";
    const profiles = [{ arn: " " }, { profileName: "x" }, null, { arn: "not an arn" }, { arn }];
    const { management, calls } = world(() => json({ profiles }));
    expect(await management.profiles(access, "eu-central-1")).toEqual({ ok: true, value: [arn] });
    expect(calls[0]?.url).toBe("https://q.eu-central-1.amazonaws.com/");
    expect(calls[0]?.init).toMatchObject({ method: "POST", body: '{"maxResults":10}' });
    const headers = new Headers(calls[0]?.init.headers);
    expect(headers.get("content-type")).toBe("application/x-amz-json-1.0");
    expect(headers.get("x-amz-target")).toBe("AmazonCodeWhispererService.ListAvailableProfiles");
  });

  test("an empty list is an answer, no list is none", async () => {
    const { management } = world(() => json({ profiles: [] }));
    expect(await management.profiles(access, "us-east-1")).toEqual({ ok: true, value: [] });
    const other = world(() => json({}));
    expect((await other.management.profiles(access, "us-east-1")).ok).toBe(false);
  });
});
