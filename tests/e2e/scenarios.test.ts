import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { startKiro } from "../emulator/kiro.ts";
import { bearerOf, chatRequestOf, type RecordedRequest } from "../emulator/request.ts";
import { type Scenario, type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";
import { type Answer, ask, prompt } from "./client.ts";

/** The tests run side by side, so what Kiro answers goes by the prompt; the last answer of a plan is repeated. */
const plans = new Map<string, Scenario[]>();
const kiro = startKiro();
kiro.otherwise((request) => {
  const plan = plans.get(request.prompt) ?? [];
  const scenario = (plan.length > 1 ? plan.shift() : plan[0]) ?? scenarios["server error"];
  return typeof scenario === "function" ? scenario(request) : scenario;
});
let shared: Gateway;
/** With the least of patience, for the scenarios of silence. */
let impatient: Gateway;
// Twenty tests at a time, some with a process of their own, on whatever machine this is.
setDefaultTimeout(60_000);
beforeAll(async () => {
  shared = await startGateway({ kiro });
  impatient = await startGateway({
    kiro,
    config: { limits: { headersTimeoutMs: 500, firstEventTimeoutMs: 500, idleTimeoutMs: 500 } },
  });
});
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

async function askPlanned(
  gateway: Gateway,
  name: string,
  plan: Scenario[],
  more: object = {},
): Promise<Answer & { calls: RecordedRequest[] }> {
  plans.set(name, plan);
  const answer = await ask(gateway, prompt(name, more));
  return { ...answer, calls: callsFor(name) };
}

function callsFor(name: string): RecordedRequest[] {
  return kiro.chats().filter(({ body }) => chatRequestOf(body).prompt === name);
}

function refreshesWith(token: unknown): RecordedRequest[] {
  return kiro.requests.filter(
    ({ path, body }) => path === "/refreshToken" && Bun.deepEquals(body, { refreshToken: token }),
  );
}

/** A reset throws away what the reader has not taken yet, so a busy reader gets more time before it. */
function unhurried(scenario: Scenario): Scenario {
  if (typeof scenario === "function" || scenario.steps.at(-1)?.type !== "cut") return scenario;
  const steps = scenario.steps.map((step) => (step.type === "wait" ? { ...step, ms: 500 } : step));
  return { ...scenario, steps };
}

/** What a client or a log must never see, whatever the scenario, and what Kiro itself said in this one. */
function secretsOf(scenario: Scenario): (string | RegExp)[] {
  const always = [/arn:aws/, /EMULATED/, /d-0000000000/, /@example\.com/, /not for the client/];
  if (typeof scenario === "function") return always;
  const sent = scenario.steps.map((step) =>
    step.type === "bytes" ? Buffer.from(step.bytes).toString("latin1") : "",
  );
  const words = Array.from(
    sent.join("").matchAll(/"message":"([^"]+)"|<title>([^<]+)|(The stream failed)/g),
    ([, message, title, error]) => message ?? title ?? error ?? "",
  );
  return [...always, ...words];
}

type State = "exhausted" | "cooling" | "suspended";
type Expected =
  /** The reply's stop reason. */
  | { stop: string; calls?: number }
  | {
      /** Of a reply in one piece, and of a stream that has not begun. */
      status: number;
      type: string;
      calls?: number;
      /** Output has come before: a stream ends with an error event and a cut connection. */
      late?: boolean;
      /** Where the credential is not as ready as before. */
      state?: State;
      refreshes?: number;
    };

const END: Expected = { stop: "end_turn" };
const BROKEN: Expected = { status: 502, type: "api_error", calls: 3 };
const BROKEN_LATE: Expected = { status: 502, type: "api_error", late: true };
const CROWDED: Expected = { status: 529, type: "overloaded_error", calls: 3 };
const SUSPENDED: Expected = { status: 403, type: "permission_error", state: "suspended" };

const table: Record<ScenarioName, Expected> = {
  text: END,
  "text with token counts": END,
  "text without trailer": END,
  "thinking in tags": END,
  "reasoning with signature": END,
  "redacted reasoning": END,
  "tool call": { stop: "tool_use" },
  "two tool calls": { stop: "tool_use" },
  "tool call without input": { stop: "tool_use" },
  "tool call with its input as an object": { stop: "tool_use" },
  "tool call that never finishes": { stop: "max_tokens" },
  echo: END,
  "unknown events": END,
  "full window": { stop: "model_context_window_exceeded" },
  slow: END,
  "split frames": END,
  "byte by byte": END,
  endless: { stop: "max_tokens" },
  "silence before the head": { status: 504, type: "timeout_error", calls: 3 },
  "silence before the first event": { status: 504, type: "timeout_error", calls: 3 },
  "silence in mid stream": { status: 504, type: "timeout_error", late: true },
  "empty reply": { status: 400, type: "invalid_request_error", calls: 2 },
  "trailer only": { status: 400, type: "invalid_request_error", calls: 2 },
  "cut before the head": BROKEN,
  "cut before the first event": BROKEN,
  "cut in mid frame": BROKEN_LATE,
  "cut between frames": BROKEN_LATE,
  "proper end in mid frame": BROKEN_LATE,
  "bad checksum": BROKEN_LATE,
  "bad checksum first": BROKEN,
  "exception first": CROWDED,
  "exception late": BROKEN_LATE,
  "error first": BROKEN,
  "error late": BROKEN_LATE,
  "monthly quota": { status: 402, type: "billing_error", state: "exhausted" },
  "daily quota": { status: 429, type: "rate_limit_error", state: "cooling" },
  "token refused": { status: 503, type: "overloaded_error", calls: 2, refreshes: 1 },
  suspended: SUSPENDED,
  "suspended by reason": SUSPENDED,
  throttled: { status: 429, type: "rate_limit_error", calls: 3, state: "cooling" },
  "throttled with retry-after": {
    status: 429,
    type: "rate_limit_error",
    calls: 3,
    state: "cooling",
  },
  suspicious: { status: 429, type: "rate_limit_error", state: "cooling" },
  "server error": BROKEN,
  "service unavailable": CROWDED,
  "no capacity": CROWDED,
  "high load": CROWDED,
  "context overflow": { status: 400, type: "invalid_request_error" },
  "unknown model": { status: 404, type: "not_found_error" },
  "improperly formed": { status: 400, type: "invalid_request_error", calls: 2 },
  "bad thinking signature": { status: 400, type: "invalid_request_error", calls: 2 },
  "HTML from a proxy": BROKEN,
};

/** How the next request is answered when the only credential is in this state. */
const STATUS_OF: Record<State, number> = { exhausted: 402, cooling: 429, suspended: 503 };

const rows = Object.entries(table).flatMap(([name, expected]) =>
  [true, false].map((stream) => ({
    name: name as ScenarioName,
    mode: stream ? "stream" : "JSON",
    stream,
    expected,
  })),
);

describe("every way in which Kiro answers", () => {
  test.concurrent.each(rows)("$name, $mode", async ({ name, mode, stream, expected }) => {
    const scenario = unhurried(scenarios[name]);
    // What changes the credential must not meet the other tests.
    const own = "status" in expected && (expected.state ?? expected.refreshes) !== undefined;
    const credential = kiro.accounts.credential("social");
    const gateway = own
      ? await startGateway({ kiro, credentials: credential })
      : name.startsWith("silence")
        ? impatient
        : shared;
    const id = `${name} as ${mode}`;
    const answer = await askPlanned(gateway, id, [scenario], {
      stream,
      max_tokens: name === "endless" ? 20 : 2_000,
      tools: [{ name: "read_file", input_schema: { type: "object" } }],
    });

    const line = await gateway.logged(
      ({ event, request }) => event === "request" && request === answer.requestId,
    );
    expect(answer.calls).toHaveLength(expected.calls ?? 1);
    if ("stop" in expected) {
      expect(answer.status).toBe(200);
      expect(answer.cut).toBe(false);
      expect(line["outcome"]).toBe("complete");
      const stopped = { stop_reason: expected.stop };
      if (stream) {
        expect(answer.events.at(-1)?.event).toBe("message_stop");
        expect(answer.events.at(-2)?.data).toMatchObject({ delta: stopped });
      } else {
        expect(answer.json).toMatchObject(stopped);
      }
    } else if (stream && expected.late === true) {
      expect(answer.status).toBe(200);
      expect(answer.events.at(-1)?.data).toMatchObject({ error: { type: expected.type } });
      expect(answer.events.map(({ event }) => event)).not.toContain("message_stop");
      expect(answer.cut).toBe(true);
      expect(line["outcome"]).toBe("failed");
    } else {
      expect(answer.status).toBe(expected.status);
      expect(answer.json).toMatchObject({
        type: "error",
        error: { type: expected.type, message: expect.any(String) },
        request_id: answer.requestId,
      });
      expect(answer.cut).toBe(false);
      expect(line["outcome"]).toBe("failed");
    }

    const lines = gateway.logs.filter(({ request }) => request === answer.requestId);
    const log = own ? gateway.output() : JSON.stringify(lines);
    for (const secret of secretsOf(scenario)) {
      expect(answer.text).not.toMatch(secret);
      expect(log).not.toMatch(secret);
    }
    expect([...answer.headers.keys()].filter((header) => header.startsWith("x-amz"))).toEqual([]);

    const state = "status" in expected ? expected.state : undefined;
    const after = await askPlanned(gateway, `after ${id}`, [scenarios.text]);
    expect(after.status).toBe(state === undefined ? 200 : STATUS_OF[state]);
    expect(after.calls).toHaveLength(state === undefined ? 1 : 0);
    if (own) {
      const moves = gateway.logs.filter(({ event }) => event === "credential-state");
      expect(moves.map(({ to }) => to)).toEqual(state === undefined ? [] : [state]);
      expect(refreshesWith(tokensOf(credential).refreshToken)).toHaveLength(
        expected.refreshes ?? 0,
      );
      await gateway.stop();
    }
  });
});

type TokenRecord = { accessToken: string; refreshToken: string; [name: string]: unknown };

/** A record of credentials.json as the emulator makes it for a log-in. */
function tokensOf(credential: object): TokenRecord {
  return credential as TokenRecord;
}

async function withTwo(
  run: (gateway: Gateway, tokens: [string, string]) => Promise<void>,
): Promise<void> {
  const first = kiro.accounts.credential("social", { id: "first", priority: 0 });
  const second = kiro.accounts.credential("social", { id: "second", priority: 1 });
  const gateway = await startGateway({ kiro, credentials: [second, first] });
  await run(gateway, [tokensOf(first).accessToken, tokensOf(second).accessToken]);
  await gateway.stop();
}

describe("with two credentials", () => {
  test("an account without quota is passed over, and not asked again", async () => {
    await withTwo(async (gateway, [first, second]) => {
      const answer = await askPlanned(gateway, "402", [scenarios["monthly quota"], scenarios.text]);
      expect(answer.status).toBe(200);
      expect(answer.calls.map(bearerOf)).toEqual([first, second]);
      const later = await askPlanned(gateway, "402, later", [scenarios.text]);
      expect(later.calls.map(bearerOf)).toEqual([second]);
    });
  });

  test("a suspended account is passed over, and never asked again", async () => {
    await withTwo(async (gateway, [first, second]) => {
      const answer = await askPlanned(gateway, "403", [scenarios.suspended, scenarios.text]);
      expect(answer.status).toBe(200);
      expect(answer.calls.map(bearerOf)).toEqual([first, second]);
      for (const again of ["one", "two", "three"]) {
        const later = await askPlanned(gateway, `403, ${again}`, [scenarios.text]);
        expect(later.calls.map(bearerOf)).toEqual([second]);
      }
      expect(gateway.logs).toContainEqual(
        expect.objectContaining({ level: "error", credential: "first", to: "suspended" }),
      );
    });
  });

  test("A-41: only when the quota of all accounts is used up the client hears of it", async () => {
    await withTwo(async (gateway, tokens) => {
      const answer = await askPlanned(gateway, "402 twice", [scenarios["monthly quota"]]);
      expect(answer.calls.map(bearerOf)).toEqual(tokens);
      expect(answer.status).toBe(402);
      expect(answer.json).toMatchObject({ error: { type: "billing_error" } });
      expect(answer.headers.get("x-should-retry")).toBe("false");
    });
  });

  test("an empty reply is tried once more, with the other credential", async () => {
    await withTwo(async (gateway, tokens) => {
      const answer = await askPlanned(gateway, "empty", [scenarios["empty reply"], scenarios.text]);
      expect(answer.status).toBe(200);
      expect(answer.calls.map(bearerOf)).toEqual(tokens);
    });
  });

  test("a throttled account rests and the other serves at once", async () => {
    await withTwo(async (gateway, tokens) => {
      const answer = await askPlanned(gateway, "429", [scenarios.throttled, scenarios.text]);
      expect(answer.status).toBe(200);
      expect(answer.calls.map(bearerOf)).toEqual(tokens);
    });
  });

  test("a log-in that can't be renewed any more gives way to the other", async () => {
    const dead = { ...kiro.accounts.credential("social", { id: "dead", expired: true }) };
    const second = kiro.accounts.credential("social", { id: "second", priority: 1 });
    const refreshToken = "dead".repeat(40);
    const gateway = await startGateway({ kiro, credentials: [{ ...dead, refreshToken }, second] });
    for (const name of ["dead log-in", "dead log-in, later"]) {
      const answer = await askPlanned(gateway, name, [scenarios.text]);
      expect(answer.status).toBe(200);
      expect(answer.calls.map(bearerOf)).toEqual([tokensOf(second).accessToken]);
    }
    expect(gateway.output()).not.toContain(refreshToken);
    await gateway.stop();
  });
});

describe("tokens", () => {
  test.each(["social", "idc"] as const)(
    "an expired %s token is renewed before the call, and is on disk before it is used",
    async (kind) => {
      const old = { ...kiro.accounts.credential(kind, { expired: true }), note: { kept: [1] } };
      const gateway = await startGateway({ kiro, credentials: [old] });
      const onDisk: unknown[] = [];
      const answer = await askPlanned(gateway, `expired ${kind}`, [
        () => {
          onDisk.push(...JSON.parse(readFileSync(gateway.credentialsPath, "utf8")));
          return scenarios.text;
        },
      ]);
      expect(answer.status).toBe(200);
      const used = answer.calls.map(bearerOf);
      expect(used).not.toContain(tokensOf(old).accessToken);
      expect(onDisk).toEqual([
        {
          ...old,
          accessToken: used[0],
          refreshToken: expect.not.stringContaining(tokensOf(old).refreshToken),
          expiresAt: expect.any(String),
          machineId: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      ]);
      const [record] = onDisk as [TokenRecord];
      expect(Date.parse(String(record["expiresAt"]))).toBeGreaterThan(Date.now());
      expect(statSync(gateway.credentialsPath).mode & 0o777).toBe(0o600);
      await gateway.stop();
    },
  );

  test("a refused token is renewed exactly once, and then the call succeeds", async () => {
    const old = tokensOf(kiro.accounts.credential("social"));
    const gateway = await startGateway({ kiro, credentials: old });
    const plan = [scenarios["token refused"], scenarios.text];
    const answer = await askPlanned(gateway, "refused once", plan);
    expect(answer.status).toBe(200);
    const [first, second] = answer.calls.map(bearerOf);
    expect(first).toBe(old.accessToken);
    expect(refreshesWith(old.refreshToken)).toHaveLength(1);
    const stored = JSON.parse(readFileSync(gateway.credentialsPath, "utf8"));
    expect(stored.accessToken).toBe(second);
    await gateway.stop();
  });

  test("ten requests that meet a refused token share one renewal", async () => {
    const old = tokensOf(kiro.accounts.credential("social"));
    const gateway = await startGateway({ kiro, credentials: old });
    kiro.accounts.revokeAccess(old.accessToken);
    const answers = await Promise.all(
      Array.from(
        { length: 10 },
        async (_, index) => await askPlanned(gateway, `together ${index}`, [scenarios.text]),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(refreshesWith(old.refreshToken)).toHaveLength(1);
    await gateway.stop();
  });

  test("the token of a client's own credential that Kiro refuses is a 401, not an outage", async () => {
    const inline = kiro.accounts.credential("api-key");
    plans.set("inline", [scenarios["token refused"]]);
    const answer = await ask(shared, prompt("inline"), {
      headers: { "x-kiro-credentials": JSON.stringify(inline) },
    });
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({ error: { type: "authentication_error" } });
    expect(answer.headers.get("x-should-retry")).toBe("false");
  });
});
