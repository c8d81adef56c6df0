import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../src/conversation/conversation.ts";
import type { ReplyEvent } from "../../src/conversation/reply.ts";
import type { Lease, Pool } from "../../src/credentials/pool.ts";
import { parseCredential } from "../../src/credentials/credential.ts";
import type { RefreshFault } from "../../src/credentials/refresh.ts";
import type { Verdict } from "../../src/credentials/rotation.ts";
import { createGateway } from "../../src/gateway/complete.ts";
import { retryPolicy } from "../../src/gateway/retry.ts";
import type { Attempt, Batch } from "../../src/kiro/client.ts";
import type { KiroFault, KiroFaultKind } from "../../src/kiro/failure.ts";
import { defaultProfile } from "../../src/kiro/profile.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createTestRuntime } from "../support/runtime.ts";

const conversation: Conversation = {
  model: "claude-sonnet-4-5",
  system: "",
  turns: [{ role: "user", parts: [{ type: "text", text: "Hello" }] }],
  tools: [],
  toolChoice: { type: "auto" },
  reasoning: { type: "unset" },
  output: { type: "text" },
  limits: { stopSequences: [], parallelToolCalls: true },
  notices: [],
};

const text: ReplyEvent = { type: "text", text: "Hi" };
const stop: ReplyEvent = { type: "stop", reason: "end-turn" };

function fault(kind: KiroFaultKind, more: Partial<KiroFault> = {}): KiroFault {
  return { kind, failure: { kind: "upstream", message: kind }, ...more };
}

/** What one call of the upstream gives: a refusal, or batches. */
type Scripted = KiroFault | Batch[];

/** A gateway whose credentials and upstream play by a script. */
function world(
  script: Scripted[],
  options: { credentials?: string[]; tokens?: RefreshFault } = {},
) {
  const { runtime, advance, pending } = createTestRuntime();
  const attempts: Attempt[] = [];
  const verdicts: string[] = [];
  const refusedTokens: (string | undefined)[] = [];
  const closed: number[] = [];
  const lines: string[] = [];
  const ids = options.credentials ?? ["a"];

  const pool: Pool = {
    acquire(_source, { tried }) {
      const id = ids.find((one) => !tried.has(one));
      if (id === undefined) {
        const reason = ids.length === 0 ? "no-credentials" : "all-tried";
        return fail({ reason, states: { ready: ids.length } });
      }
      const parsed = parseCredential(
        { id, kiroApiKey: `ksk_${id}` },
        {
          defaultRegion: "us-east-1",
          regions: ["us-east-1"],
          profileArns: { builderId: "arn:b", social: "arn:s" },
        },
      );
      if (!parsed.ok) throw new Error(parsed.failure.message);
      const lease: Lease = {
        credential: parsed.value,
        settle: (verdict: Verdict) => void verdicts.push(`${id}: ${verdict.type}`),
      };
      return ok(lease);
    },
    current: () => undefined,
    replace: () => undefined,
    states: () => ({}),
  };

  const gateway = createGateway({
    pool,
    runtime,
    profile: defaultProfile,
    policy: retryPolicy,
    countText: (content) => content.length,
    tokens: {
      async access(credential, { refused } = {}) {
        refusedTokens.push(refused?.reveal());
        if (options.tokens !== undefined && credential.id === ids[0]) return fail(options.tokens);
        const token = new Secret(`${credential.id}-${refusedTokens.length}`);
        return ok({ token, apiRegion: "us-east-1", machineId: "0" });
      },
    },
    client: {
      async send(attempt) {
        attempts.push(attempt);
        const next = script[attempts.length - 1];
        if (next === undefined) throw new Error("the script is over");
        if (!Array.isArray(next)) return fail(next);
        const number = attempts.length;
        return ok(
          (async function* () {
            try {
              yield* next;
            } finally {
              closed.push(number);
            }
          })(),
        );
      },
    },
  });
  const log = createLog({
    level: "debug",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => 0,
  });
  const client = new AbortController();
  return {
    attempts,
    verdicts,
    refusedTokens,
    closed,
    lines,
    advance,
    pending,
    client,
    complete: async (over: Partial<Conversation> = {}) =>
      await gateway.complete({
        conversation: { ...conversation, ...over },
        source: { type: "pool" },
        caller: "test",
        promptTokens: 10,
        signal: client.signal,
        log,
      }),
  };
}

async function events(reply: Awaited<ReturnType<ReturnType<typeof world>["complete"]>>) {
  if (!reply.ok) throw new Error(`failed: ${reply.failure.message}`);
  return (await Array.fromAsync(reply.value.events)).flat();
}

const good: Batch[] = [{ events: [text] }, { events: [stop] }];

function idOf(body: string | undefined): unknown {
  return JSON.parse(body ?? "{}").conversationState.conversationId;
}

describe("complete", () => {
  test("a reply begins with its first visible event and ends with usage and stop", async () => {
    const { complete, verdicts, closed } = world([good]);
    const reply = await complete();
    expect(verdicts).toEqual(["a: served"]);
    expect((await events(reply)).map(({ type }) => type)).toEqual(["text", "usage", "stop"]);
    expect(closed).toEqual([1]);
  });

  test("a used-up plan moves to the next credential at once", async () => {
    const { complete, verdicts, attempts } = world([fault("quota"), good], {
      credentials: ["a", "b"],
    });
    expect(await events(await complete())).toContainEqual(text);
    expect(verdicts).toEqual(["a: exhausted", "b: served"]);
    expect(attempts.map(({ number }) => number)).toEqual([1, 2]);
  });

  test("a fault as the first event of a stream is retried like a refused call", async () => {
    const broken: Batch[] = [{ events: [], fault: fault("quota") }];
    const { complete, verdicts, closed } = world([broken, good], { credentials: ["a", "b"] });
    expect(await events(await complete())).toContainEqual(text);
    expect(verdicts).toEqual(["a: exhausted", "b: served"]);
    expect(closed).toEqual([1, 2]);
  });

  test("usage alone does not commit: a fault after it is still retried", async () => {
    const usage: ReplyEvent = { type: "usage", usage: { inputTokens: 1 }, source: "upstream" };
    const broken: Batch[] = [{ events: [usage] }, { events: [], fault: fault("quota") }];
    const { complete } = world([broken, good], { credentials: ["a", "b"] });
    expect(await events(await complete())).toContainEqual(text);
  });

  test("after the first visible event a fault is the reply's end and nothing is retried", async () => {
    const broken: Batch[] = [{ events: [text] }, { events: [], fault: fault("unavailable") }];
    const { complete, attempts } = world([broken, good]);
    const all = await events(await complete());
    expect(all).toEqual([
      text,
      { type: "failed", failure: { kind: "upstream", message: "unavailable" } },
    ]);
    expect(attempts).toHaveLength(1);
  });

  test("events and a fault in one batch are delivered both", async () => {
    const { complete } = world([[{ events: [text], fault: fault("unavailable") }]]);
    const all = await events(await complete());
    expect(all.map(({ type }) => type)).toEqual(["text", "failed"]);
  });

  test("a refused token is refreshed once, then the credential is left", async () => {
    const { complete, refusedTokens, verdicts } = world(
      [fault("token-refused"), fault("token-refused"), good],
      { credentials: ["a", "b"] },
    );
    expect((await complete()).ok).toBe(true);
    expect(refusedTokens).toEqual([undefined, "a-1", undefined]);
    expect(verdicts).toEqual(["a: refused", "b: served"]);
  });

  test("a credential that needs a log-in costs no call", async () => {
    const { complete, attempts, verdicts } = world([good], {
      credentials: ["a", "b"],
      tokens: { kind: "needs-login", message: "x" },
    });
    expect((await complete()).ok).toBe(true);
    expect(attempts).toHaveLength(1);
    expect(verdicts).toEqual(["a: needs-login", "b: served"]);
  });

  test("the only credential needing a log-in is the operator's matter, not the caller's key", async () => {
    const { complete } = world([], { tokens: { kind: "needs-login", message: "x" } });
    const reply = await complete();
    expect(reply).toMatchObject({ ok: false, failure: { kind: "unavailable" } });
  });

  test("a request's own fault is answered at once and changes nothing", async () => {
    const { complete, verdicts, attempts } = world([fault("rejected")], {
      credentials: ["a", "b"],
    });
    expect(await complete()).toEqual({
      ok: false,
      failure: { kind: "upstream", message: "rejected" },
    });
    expect(attempts).toHaveLength(1);
    expect(verdicts).toEqual(["a: unchanged"]);
  });

  test("an outage is waited out with growing pauses, three times a credential, nine times in all", async () => {
    const credentials = ["a", "b", "c", "d"];
    const script = Array.from({ length: 12 }, () => fault("unavailable"));
    const { complete, attempts, verdicts, advance, pending } = world(script, { credentials });
    const reply = complete();
    for (let second = 0; second < 40; second += 1) await advance(1_000);
    expect(await reply).toMatchObject({ ok: false });
    expect(attempts).toHaveLength(9);
    expect(verdicts).toEqual(["a: unchanged", "b: unchanged", "c: unchanged"]);
    expect(pending()).toBe(0);
  });

  test("a throttled credential with nobody beside it is asked again after a pause", async () => {
    const { complete, attempts, advance, verdicts } = world([fault("throttled"), good]);
    const reply = complete();
    await advance(1_000);
    expect((await reply).ok).toBe(true);
    expect(attempts).toHaveLength(2);
    expect(verdicts).toEqual(["a: served"]);
  });

  test("a long Retry-After with nobody else is the client's to wait for", async () => {
    const failure = { kind: "rate-limited", message: "slow", retryAfterMs: 60_000 } as const;
    const { complete, verdicts } = world([fault("throttled", { failure, retryAfterMs: 60_000 })]);
    expect(await complete()).toEqual({ ok: false, failure });
    expect(verdicts).toEqual(["a: cooling"]);
  });

  test("of several failures the client gets the one that waiting may cure", async () => {
    const limited = { kind: "rate-limited", message: "slow", retryAfterMs: 9_000 } as const;
    const locked = { kind: "permission", message: "locked" } as const;
    const { complete } = world(
      [
        fault("throttled", { failure: limited, retryAfterMs: 9_000 }),
        fault("suspended", { failure: locked }),
      ],
      { credentials: ["a", "b"] },
    );
    expect(await complete()).toEqual({ ok: false, failure: limited });
  });

  test("a rejected thinking signature is left out once", async () => {
    const turns: Conversation["turns"] = [
      ...conversation.turns,
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "hm", signature: "SIG" },
          { type: "text", text: "Hi" },
        ],
      },
      ...conversation.turns,
    ];
    const { complete, attempts } = world([
      fault("reasoning-rejected"),
      fault("reasoning-rejected"),
    ]);
    expect((await complete({ turns })).ok).toBe(false);
    expect(attempts[0]?.body).toContain("SIG");
    expect(attempts[1]?.body).not.toContain("SIG");
  });

  test("a refused conversation id is replaced once", async () => {
    const { complete, attempts } = world([fault("conversation-rejected"), good]);
    expect((await complete()).ok).toBe(true);
    expect(idOf(attempts[1]?.body)).not.toBe(idOf(attempts[0]?.body));
  });

  test("an empty reply is tried once more, then answered", async () => {
    const { complete, attempts } = world([fault("empty-reply"), fault("empty-reply")]);
    expect((await complete()).ok).toBe(false);
    expect(attempts).toHaveLength(2);
  });

  test("without credentials the failure says so", async () => {
    const { complete } = world([], { credentials: [] });
    const reply = await complete();
    expect(reply).toMatchObject({ ok: false, failure: { kind: "unavailable" } });
    expect(JSON.stringify(reply)).toContain("no Kiro credentials");
  });

  test("max_tokens: 0 is answered without a call", async () => {
    const { complete, attempts } = world([]);
    const all = await events(await complete({ limits: { ...conversation.limits, maxTokens: 0 } }));
    expect(all).toEqual([{ type: "stop", reason: "max-tokens" }]);
    expect(attempts).toHaveLength(0);
  });

  test("a client that leaves during a pause ends the request without a verdict", async () => {
    const { complete, client, attempts, verdicts, advance, pending } = world([
      fault("unavailable"),
    ]);
    const reply = complete();
    await advance(10);
    client.abort();
    expect((await reply).ok).toBe(false);
    expect(attempts).toHaveLength(1);
    expect(verdicts).toEqual(["a: unchanged"]);
    expect(pending()).toBe(0);
  });

  test("a client that has left by the time a reply begins closes it", async () => {
    const { complete, client, closed } = world([good]);
    client.abort();
    expect((await complete()).ok).toBe(false);
    expect(closed).toEqual([1]);
  });

  test("returning a reply early closes the upstream", async () => {
    const { complete, closed } = world([[{ events: [text] }, { events: [text] }, ...good]]);
    const reply = await complete();
    if (!reply.ok) throw new Error("failed");
    await reply.value.events.next();
    await reply.value.events.return();
    expect(closed).toEqual([1]);
  });

  test("a limit that ends the reply closes the upstream", async () => {
    const { complete, closed } = world([[{ events: [text] }, { events: [text] }, ...good]]);
    const limits = { ...conversation.limits, maxTokens: 3 };
    const all = await events(await complete({ limits }));
    expect(all.at(-1)).toEqual({ type: "stop", reason: "max-tokens" });
    expect(closed).toEqual([1]);
  });

  test("the log of failed attempts names the credential and the fault, and no token", async () => {
    const { complete, lines } = world([fault("quota", { status: 402, reason: "X" }), good], {
      credentials: ["a", "b"],
    });
    await complete();
    const line = JSON.parse(lines[0] ?? "{}");
    expect(line).toMatchObject({ event: "attempt-failed", credential: "a", fault: "quota" });
    expect(lines.join("")).not.toContain("ksk_");
  });
});
