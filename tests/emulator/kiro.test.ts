import { afterEach, beforeEach, expect, test } from "bun:test";
import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import { stringHeader } from "../../src/eventstream/headers.ts";
import { startKiro } from "./kiro.ts";
import type { KiroEmulator } from "./kiro.ts";
import { says, scenarios } from "./scenarios.ts";
import type { ScenarioName } from "./scenarios.ts";

let kiro: KiroEmulator;
beforeEach(() => {
  kiro = startKiro();
  kiro.accounts.accept("token");
});
afterEach(async () => await kiro.stop());

function chatBody(content = "Hi", more: object = {}): object {
  return {
    conversationState: {
      conversationId: "00000000-0000-4000-8000-000000000000",
      chatTriggerType: "MANUAL",
      currentMessage: {
        userInputMessage: { content, modelId: "claude-sonnet-4.5", origin: "AI_EDITOR", ...more },
      },
    },
    profileArn: "arn:aws:codewhisperer:us-east-1:111122223333:profile/EXAMPLEID",
  };
}

async function chat(options: {
  body?: object;
  token?: string;
  signal?: AbortSignal;
}): Promise<Response> {
  return await fetch(`${kiro.url}/api/us-east-1/generateAssistantResponse`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${options.token ?? "token"}`,
      "content-type": "application/json",
    },
    body: JSON.stringify(options.body ?? chatBody()),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

/** `ended` is `clean`, `reset` or the kind of a frame's fault. */
type Outcome = { kinds: string[]; text: string; ended: string };

/** Reads a stream as the gateway would: what it held, and how it ended. */
async function read(response: Response): Promise<Outcome> {
  const decoder = new FrameDecoder();
  const outcome: Outcome = { kinds: [], text: "", ended: "clean" };
  try {
    for await (const chunk of response.body ?? []) {
      const { frames, fault } = decoder.push(chunk);
      for (const { headers, payload } of frames) {
        const kind = stringHeader(headers, ":event-type") ?? stringHeader(headers, ":message-type");
        outcome.kinds.push(kind ?? "");
        if (kind === "assistantResponseEvent") outcome.text += contentOf(payload);
      }
      if (fault !== undefined) return { ...outcome, ended: fault.kind };
    }
    return { ...outcome, ended: decoder.end()?.kind ?? "clean" };
  } catch {
    return { ...outcome, ended: "reset" };
  }
}

function contentOf(payload: Uint8Array): string {
  const { content }: { content: string } = JSON.parse(Buffer.from(payload).toString());
  return content;
}

const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";

test.each([
  ["text", "clean", GREETING],
  ["split frames", "clean", GREETING],
  ["byte by byte", "clean", "Hello."],
  ["slow", "clean", GREETING],
  ["unknown events", "clean", GREETING],
  ["empty reply", "clean", ""],
  ["cut before the first event", "reset", ""],
  ["cut between frames", "reset", GREETING],
  ["cut in mid frame", "reset", GREETING.slice(0, GREETING.lastIndexOf(" "))],
  ["proper end in mid frame", "truncated", GREETING.slice(0, GREETING.lastIndexOf(" "))],
  ["bad checksum", "message-checksum", "Hello there."],
  ["bad checksum first", "message-checksum", ""],
] satisfies [ScenarioName, string, string][])("plays %p", async (name, ended, text) => {
  kiro.script(scenarios[name]);
  const response = await chat({});
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/vnd.amazon.eventstream");
  expect(await read(response)).toMatchObject({ ended, text });
});

test("sends a tool call under the name that was declared, in fragments that join to its input", async () => {
  kiro.script(scenarios["tool call"]);
  const context = {
    tools: [
      {
        toolSpecification: {
          name: "look",
          description: "Looks.",
          inputSchema: { json: { type: "object", properties: {} } },
        },
      },
    ],
  };
  const body = chatBody("Hi", { userInputMessageContext: context });
  const bytes = await (await chat({ body })).bytes();
  const { frames } = new FrameDecoder().push(bytes);
  const events = frames
    .filter(({ headers }) => stringHeader(headers, ":event-type") === "toolUseEvent")
    .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()));
  expect(events[0]).toEqual({ toolUseId: expect.any(String), name: "look" });
  expect(events.at(-1)).toMatchObject({ stop: true });
  expect(events.map(({ input }) => input ?? "").join("")).toBe('{"path":"notes.txt"}');
  expect(events.length).toBeGreaterThan(3);
});

test.each([
  ["monthly quota", 402, "MONTHLY_REQUEST_COUNT"],
  ["throttled with retry-after", 429, null],
  ["context overflow", 400, "CONTENT_LENGTH_EXCEEDS_THRESHOLD"],
] satisfies [ScenarioName, number, string | null][])(
  "refuses with %p",
  async (name, status, reason) => {
    kiro.script(scenarios[name]);
    const response = await chat({});
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ message: expect.any(String), reason });
  },
);

test("gives the scripted answers in order and then the fallback", async () => {
  kiro.script(scenarios["server error"], says("one"));
  kiro.otherwise((request) => says(`You said ${request.prompt}`));
  expect((await chat({})).status).toBe(500);
  expect((await read(await chat({}))).text).toBe("one");
  expect((await read(await chat({}))).text).toBe("You said Hi");
});

test("a request that breaks the rules is refused, says why, and takes nothing from the script", async () => {
  kiro.script(says("for the next one"));
  const response = await chat({ body: chatBody("") });
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ message: "Improperly formed request.", reason: null });
  expect(kiro.violations()).not.toEqual([]);
  expect((await read(await chat({}))).text).toBe("for the next one");
});

test("a log-in's request without a profile is refused, a key's request with one too", async () => {
  const { profileArn: _, ...bare } = { profileArn: "", ...chatBody() };
  expect((await chat({ body: bare })).status).toBe(400);
  kiro.accounts.accept("key", "api-key");
  const withKey = await fetch(`${kiro.url}/api/us-east-1/generateAssistantResponse`, {
    method: "POST",
    headers: { authorization: "Bearer key", tokentype: "API_KEY" },
    body: JSON.stringify(chatBody()),
  });
  expect(withKey.status).toBe(400);
});

test("believes only tokens that it knows, and keys only as keys", async () => {
  expect((await chat({ token: "stranger" })).status).toBe(403);
  kiro.accounts.accept("key", "api-key");
  expect((await chat({ token: "key" })).status).toBe(403);
  expect(kiro.violations()).toEqual([]);
});

test("a social refresh gives a new pair and kills the old refresh token", async () => {
  const account = record(kiro.accounts.credential("social", { expired: true }));
  expect(Date.parse(account["expiresAt"] ?? "")).toBeLessThan(Date.now());
  const first = await refresh("auth/eu-central-1/refreshToken", {
    refreshToken: account["refreshToken"],
  });
  expect(first.status).toBe(200);
  const { accessToken, refreshToken } = record(await first.json());
  expect((await chat({ token: accessToken ?? "" })).status).toBe(200);
  expect(kiro.requests[0]).toMatchObject({ host: "auth", region: "eu-central-1" });

  const again = await refresh("auth/eu-central-1/refreshToken", {
    refreshToken: account["refreshToken"],
  });
  expect(again.status).toBe(400);
  expect(await again.json()).toMatchObject({ error: "invalid_grant" });
  expect((await refresh("auth/eu-central-1/refreshToken", { refreshToken })).status).toBe(200);
});

test("an OIDC refresh needs the client that the token belongs to", async () => {
  const { clientId, clientSecret, refreshToken } = record(kiro.accounts.credential("idc"));
  const grant = { clientId, refreshToken, grantType: "refresh_token" };
  expect((await refresh("oidc/us-east-1/token", { ...grant, clientSecret: "no" })).status).toBe(
    400,
  );
  expect((await refresh("auth/us-east-1/refreshToken", { refreshToken })).status).toBe(400);
  expect((await refresh("oidc/us-east-1/token", { ...grant, clientSecret })).status).toBe(200);
});

test("revoked access tokens are refused until a refresh has happened", async () => {
  const account = record(kiro.accounts.credential("social"));
  expect((await chat({ token: account["accessToken"] ?? "" })).status).toBe(200);
  kiro.accounts.revokeAccess();
  expect((await chat({ token: account["accessToken"] ?? "" })).status).toBe(403);
  const { refreshToken } = account;
  const renewed = await refresh("auth/us-east-1/refreshToken", { refreshToken });
  const { accessToken } = record(await renewed.json());
  expect((await chat({ token: accessToken ?? "" })).status).toBe(200);
});

test.each(["silence before the head", "silence in mid stream", "endless"] satisfies ScenarioName[])(
  "counts a client that leaves during %p",
  async (name) => {
    kiro.script(scenarios[name]);
    const leaving = new AbortController();
    const answer = chat({ signal: leaving.signal }).then(read, () => undefined);
    await until(() => kiro.connections.open === 1);
    leaving.abort();
    await until(() => kiro.connections.open === 0);
    expect(kiro.connections).toEqual({ open: 0, left: 1, peak: 1 });
    await answer;
  },
);

test("a connection that is cut before the head gives no response at all", async () => {
  kiro.script(scenarios["cut before the head"]);
  const outcome = await chat({}).catch((error: unknown) => error);
  expect(outcome).toMatchObject({ code: "ECONNRESET" });
});

test("the head of a silent stream arrives before any event", async () => {
  kiro.script(scenarios["silence before the first event"]);
  const leaving = new AbortController();
  const response = await chat({ signal: leaving.signal });
  expect(response.status).toBe(200);
  leaving.abort();
});

test("finished answers are not counted as left", async () => {
  await read(await chat({}));
  expect(kiro.connections).toEqual({ open: 0, left: 0, peak: 1 });
});

test("tells limits and models, but not to somebody who names a profile", async () => {
  expect(await (await get("getUsageLimits?origin=AI_EDITOR")).json()).toMatchObject({
    usageBreakdownList: [{ usageLimit: 50 }],
  });
  const models = await (await get("ListAvailableModels?origin=AI_EDITOR")).json();
  expect(models).toMatchObject({ defaultModel: { modelId: "auto" } });
  expect((await get("getUsageLimits?profileArn=arn")).status).toBe(400);
  expect((await get("getUsageLimits", { "user-agent": "KiroIDE-0.11.107-" })).status).toBe(400);
});

test("a company's account has profiles, and can chat with those in their region alone", async () => {
  kiro.management.profiles = () => ({ "us-east-1": ["arn:own"] });
  const target = { "x-amz-target": "AmazonCodeWhispererService.ListAvailableProfiles" };
  expect(await (await get("", target, "POST")).json()).toMatchObject({
    profiles: [{ arn: "arn:own" }],
  });
  expect((await get("", {}, "POST")).status).toBe(404);
  expect((await chat({})).status).toBe(403);
  kiro.management.outage = scenarios.throttled;
  expect((await get("", target, "POST")).status).toBe(429);
});

async function get(path: string, headers: object = {}, method = "GET"): Promise<Response> {
  return await fetch(`${kiro.url}/api/us-east-1/${path}`, {
    method,
    headers: { authorization: "Bearer token", "user-agent": "KiroIDE-0.9.2-", ...headers },
  });
}

async function refresh(path: string, body: object): Promise<Response> {
  return await fetch(`${kiro.url}/${path}`, { method: "POST", body: JSON.stringify(body) });
}

function record(value: unknown): Record<string, string | undefined> {
  return value as Record<string, string | undefined>;
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await Bun.sleep(1);
}
