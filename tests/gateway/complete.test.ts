import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../src/conversation/conversation.ts";
import { forEachBatch, type ReplyEvent } from "../../src/conversation/reply.ts";
import type { CredentialSource, Lease, Pool, Want } from "../../src/credentials/pool.ts";
import { parseCredential } from "../../src/credentials/credential.ts";
import type { RefreshFault } from "../../src/credentials/refresh.ts";
import type { Verdict } from "../../src/credentials/state.ts";
import type { GatewayDeps } from "../../src/gateway/attempt.ts";
import { createGateway } from "../../src/gateway/complete.ts";
import { retryPolicy } from "../../src/gateway/retry.ts";
import type { Attempt, Batch } from "../../src/kiro/client.ts";
import type { KiroFault, KiroFaultKind } from "../../src/kiro/failure.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { fail, ok } from "../../src/result.ts";
import type { Runtime } from "../../src/runtime.ts";
import { Secret } from "../../src/secret.ts";
import type { AttemptAccount } from "../../src/telemetry/account.ts";
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
  options: {
    credentials?: string[];
    tokens?: RefreshFault;
    /** Records: API keys unless told. */
    record?: (id: string) => object;
    source?: CredentialSource;
    totalMs?: number;
    /** What `acquire` waits for. */
    queue?: Promise<void>;
    /** Called ahead of every call of the upstream. */
    before?: (attempt: Attempt, runtime: Runtime) => void | Promise<void>;
    /** Further parts of the gateway. */
    deps?: Partial<GatewayDeps>;
  } = {},
) {
  const { runtime, advance, pending } = createTestRuntime();
  const attempts: Attempt[] = [];
  const verdicts: string[] = [];
  const refusedTokens: (string | undefined)[] = [];
  const closed: number[] = [];
  const lines: string[] = [];
  const wants: Want[] = [];
  const withdrawn = new Set<string>();
  const held: string[] = [];
  const ids = options.credentials ?? ["a"];
  const record = options.record ?? ((id) => ({ kiroApiKey: `ksk_${id}` }));

  const pool: Pick<Pool, "acquire"> = {
    async acquire(_source, want, { signal }) {
      // The set goes on growing.
      wants.push({ ...want, tried: new Set(want.tried) });
      if (options.queue !== undefined) {
        const left = Promise.withResolvers<never>();
        signal.addEventListener("abort", () => left.reject(signal.reason), { once: true });
        await Promise.race([options.queue, left.promise]);
      }
      const id = ids.find((one) => !want.tried.has(one));
      if (id === undefined) {
        const reason = ids.length === 0 ? "no-credentials" : "all-tried";
        return fail({ reason, states: { ready: ids.length } });
      }
      const parsed = parseCredential(
        { id, ...record(id) },
        {
          defaultRegion: "us-east-1",
          regions: ["us-east-1"],
          profileArns: { builderId: "arn:b", social: "arn:s" },
        },
      );
      if (!parsed.ok) throw new Error(parsed.failure.message);
      held.push(id);
      const lease: Lease = {
        credential: parsed.value,
        usable: () => !withdrawn.has(id),
        settle: (verdict: Verdict) => void verdicts.push(`${id}: ${verdict.type}`),
        release() {
          const at = held.indexOf(id);
          if (at !== -1) held.splice(at, 1);
        },
      };
      return ok(lease);
    },
  };

  const told: { attempts: AttemptAccount[]; notices: string[] } = { attempts: [], notices: [] };
  const gateway = createGateway({
    ...options.deps,
    pool,
    runtime,
    profile: () => defaultProfile,
    policy: { ...retryPolicy, totalMs: options.totalMs ?? retryPolicy.totalMs },
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
        await options.before?.(attempt, runtime);
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
    wants,
    withdrawn,
    /** The ids of leases that are out. */
    held,
    complete: async (over: Partial<Conversation> = {}) =>
      await gateway.complete({
        conversation: { ...conversation, ...over },
        source: options.source ?? { type: "pool" },
        caller: "test",
        promptTokens: 10,
        signal: client.signal,
        onAttempt: (attempt) => void told.attempts.push(attempt),
        onNotice: ({ code }) => void told.notices.push(code),
        log,
      }),
    told,
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

function socialRecord(id: string) {
  return { refreshToken: `${id}-refresh` };
}

describe("complete", () => {
  test("a reply begins with its first visible event and ends with usage and stop", async () => {
    const { complete, verdicts, closed } = world([good]);
    const reply = await complete();
    expect((await events(reply)).map(({ type }) => type)).toEqual(["text", "usage", "stop"]);
    expect(verdicts).toEqual(["a: served"]);
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
      { credentials: ["a", "b"], record: socialRecord },
    );
    await events(await complete());
    expect(refusedTokens).toEqual([undefined, "a-1", undefined]);
    expect(verdicts).toEqual(["a: refused", "b: served"]);
  });

  test("a refused key that can't be refreshed counts against the credential at once", async () => {
    const { complete, refusedTokens, verdicts } = world([fault("token-refused"), good], {
      credentials: ["a", "b"],
    });
    await events(await complete());
    expect(refusedTokens).toEqual([undefined, undefined]);
    expect(verdicts).toEqual(["a: refused", "b: served"]);
  });

  test("a credential that needs a log-in costs no call", async () => {
    const { complete, attempts, verdicts } = world([good], {
      credentials: ["a", "b"],
      tokens: { kind: "needs-login", message: "x" },
    });
    await events(await complete());
    expect(attempts).toHaveLength(1);
    // That it needs one, the pool has heard from whoever tried to renew its token.
    expect(verdicts).toEqual(["a: unchanged", "b: served"]);
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
    await events(await reply);
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
    const { complete, client, attempts, verdicts, held, advance, pending } = world([
      fault("unavailable"),
    ]);
    const reply = complete();
    await advance(10);
    client.abort();
    expect((await reply).ok).toBe(false);
    expect(attempts).toHaveLength(1);
    expect(verdicts).toEqual([]);
    expect(held).toEqual([]);
    expect(pending()).toBe(0);
  });

  test("a client that has left by the time a reply begins closes it", async () => {
    const { complete, client, closed } = world([good]);
    const begun = complete();
    client.abort();
    expect((await begun).ok).toBe(false);
    expect(closed).toEqual([1]);
  });

  test("no call is made for a client that has left before", async () => {
    const { complete, client, attempts } = world([good]);
    client.abort();
    expect((await complete()).ok).toBe(false);
    expect(attempts).toEqual([]);
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

describe("a lease", () => {
  test("is out for as long as the reply runs", async () => {
    const { complete, held } = world([[{ events: [text] }, ...good]]);
    const reply = await complete();
    if (!reply.ok) throw new Error("failed");
    await reply.value.events.next();
    expect(held).toEqual(["a"]);
    await reply.value.events.return();
    expect(held).toEqual([]);
  });

  test("of a reply that nobody ever begins to read comes back with it", async () => {
    const { complete, held, verdicts } = world([good]);
    const reply = await complete();
    expect(held).toEqual(["a"]);
    if (reply.ok) await reply.value.events.return();
    expect(held).toEqual([]);
    expect(verdicts).toEqual(["a: served"]);
  });

  const kinds: KiroFaultKind[] = [
    "rejected",
    "malformed",
    "reasoning-rejected",
    "conversation-rejected",
    "model-unavailable",
    "token-refused",
    "forbidden",
    "suspended",
    "suspicious",
    "quota",
    "daily-quota",
    "throttled",
    "capacity",
    "unavailable",
    "empty-reply",
  ];
  test.each(kinds)("comes back on every way out after %s", async (kind) => {
    const script = Array.from({ length: 12 }, () => fault(kind));
    for (const record of [socialRecord, undefined]) {
      const { complete, held, advance, pending } = world(script, {
        credentials: ["a", "b"],
        ...(record && { record }),
      });
      const reply = complete();
      await advance(60_000);
      expect((await reply).ok).toBe(false);
      expect(held).toEqual([]);
      expect(pending()).toBe(0);
    }
  });

  test("comes back when something of ours breaks", async () => {
    const { complete, held, pending } = world([good], {
      before() {
        throw new Error("a bug");
      },
    });
    expect(await complete().catch(String)).toContain("a bug");
    expect(held).toEqual([]);
    expect(pending()).toBe(0);
  });

  test("is given back before another is waited for, and kept while none is needed", async () => {
    const { complete, held, wants } = world([fault("quota"), fault("throttled"), good], {
      credentials: ["a", "b", "c"],
      before: ({ number }) => expect(held).toEqual([["", "a", "b", "c"][number] ?? ""]),
    });
    await events(await complete());
    expect(wants.map(({ mayWait }) => mayWait)).toEqual([true, true, false]);
  });

  test("that another request has lost meanwhile is used no more, not even for a retry", async () => {
    const { complete, withdrawn, attempts, verdicts, advance } = world(
      [fault("unavailable"), good],
      { credentials: ["a", "b"], before: () => void withdrawn.add("a") },
    );
    const reply = complete();
    await advance(5_000);
    await events(await reply);
    expect(attempts).toHaveLength(2);
    expect(verdicts).toEqual(["a: unchanged", "b: served"]);
  });

  test("has the verdict of a fault also where nobody waits for the answer any more", async () => {
    const { complete, client, verdicts, held } = world([fault("suspended")], {
      before: () => client.abort(new Error("left")),
    });
    expect((await complete()).ok).toBe(false);
    expect(verdicts).toEqual(["a: suspended"]);
    expect(held).toEqual([]);
  });

  test("has the verdict of a fault that comes after the commit point", async () => {
    const { complete, verdicts } = world([
      [{ events: [text] }, { events: [], fault: fault("suspended") }],
    ]);
    expect((await events(await complete())).at(-1)).toMatchObject({ type: "failed" });
    expect(verdicts[0]).toBe("a: suspended");
  });
});

describe("the request's time", () => {
  test("holds for the wait for a credential", async () => {
    const queue = Promise.withResolvers<void>().promise;
    const { complete, advance, pending } = world([good], { queue, totalMs: 5_000 });
    const reply = complete();
    await advance(5_000);
    expect(await reply).toMatchObject({ ok: false, failure: { kind: "timeout" } });
    expect(pending()).toBe(0);
  });

  test("bounds each attempt by what is left, and no pause is begun that would outlast it", async () => {
    const { complete, attempts, advance } = world(
      Array.from({ length: 9 }, () => fault("unavailable")),
      { totalMs: 1_000, before: async (_, runtime) => await runtime.sleep(300) },
    );
    const reply = complete();
    await advance(10_000);
    expect(await reply).toEqual({
      ok: false,
      failure: { kind: "upstream", message: "unavailable" },
    });
    expect(attempts.map(({ totalMs }) => Math.round((totalMs ?? 0) / 100))).toEqual([10, 5]);
  });

  test("does not end a reply that has begun", async () => {
    const { complete, advance, pending } = world([good], { totalMs: 1_000 });
    const reply = await complete();
    expect(pending()).toBe(0);
    await advance(2_000);
    expect((await events(reply)).at(-1)).toMatchObject({ type: "stop" });
  });

  test("a client that leaves the queue is gone at once", async () => {
    const queue = Promise.withResolvers<void>().promise;
    const { complete, client, pending } = world([good], { queue });
    const reply = complete();
    client.abort(new Error("left"));
    expect((await reply).ok).toBe(false);
    expect(pending()).toBe(0);
  });
});

const turns = (first: string): Conversation["turns"] => [
  { role: "user", parts: [{ type: "text", text: first }] },
];

describe("what a credential is chosen by", () => {
  test("is the model and the conversation, which a sub-agent of the same session is not", async () => {
    const { complete, wants } = world([good, good, good, good]);
    const later: Conversation["turns"] = [
      ...turns("main"),
      { role: "assistant", parts: [{ type: "text", text: "Hi" }] },
      ...turns("more"),
    ];
    await complete({ sessionId: "s", turns: turns("main") });
    await complete({ sessionId: "s", turns: later });
    await complete({ sessionId: "s", turns: turns("sub-agent") });
    await complete({ sessionId: "t", turns: turns("main") });
    const [main, next, agent, other] = wants.map(({ conversation: key }) => key);
    expect(next).toBe(main ?? "");
    expect(new Set([main, agent, other]).size).toBe(3);
    expect(wants[0]?.model).toBe("claude-sonnet-4.5");
  });
});

describe("what is told of a request", () => {
  test("every call, the failed ones with what they have cost", async () => {
    const charged: ReplyEvent = { type: "credits", credits: 0.5 };
    const { complete, told } = world(
      [[{ events: [charged], fault: fault("empty-reply") }], fault("throttled"), good],
      { credentials: ["a", "b", "c"] },
    );
    await events(await complete());
    expect(told.attempts).toMatchObject([
      { fault: "empty-reply", credits: 0.5 },
      { fault: "throttled" },
      {},
    ]);
    expect(told.attempts[2]).not.toHaveProperty("fault");
  });

  test.each([0, 1])(
    "where batch %p can't be taken, the lease is given back and nobody waits for the rest",
    async (bad) => {
      const { complete, held, closed } = world([
        [{ events: [text] }, { events: [text] }, { events: [stop] }],
      ]);
      const reply = await complete();
      if (!reply.ok) throw new Error(reply.failure.kind);
      let at = 0;
      const taking = forEachBatch(reply.value.events, () => {
        if (at++ === bad) throw new Error("a bug");
        return true;
      });
      expect(await taking.catch(String)).toBe("Error: a bug");
      expect(held).toEqual([]);
      expect(closed).toEqual([1]);
      // The client leaves when all is over.
      expect(await reply.value.events.return()).toMatchObject({ done: true });
    },
  );

  test("a fault after the beginning is told when the reply ends", async () => {
    const { complete, told } = world([
      [{ events: [text] }, { events: [], fault: fault("unavailable") }],
    ]);
    const reply = await complete();
    expect(told.attempts).toEqual([]);
    await events(reply);
    expect(told.attempts).toMatchObject([{ credential: "a", fault: "unavailable" }]);
  });

  const tool = { name: "Bash", description: "", schema: { type: "object" } };
  const written = '<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>\n';
  test.each(["mark", "convert"] as const)(
    "a call that is written as text, with leakedToolCalls %s",
    async (leakedToolCalls) => {
      const { complete, told, lines } = world(
        [[{ events: [{ type: "text", text: written }] }, { events: [stop] }]],
        { deps: { leakedToolCalls } },
      );
      const all = await events(await complete({ tools: [tool] }));
      const called = all.filter(({ type }) => type === "tool-call");
      expect(called).toHaveLength(leakedToolCalls === "convert" ? 1 : 0);
      expect(told.notices).toEqual([
        leakedToolCalls === "convert" ? "tool-call-converted-from-text" : "tool-call-left-in-text",
      ]);
      expect(lines.join("")).toContain("tool-call-in-text");
      expect(lines.join("")).not.toContain("parameter");
    },
  );

  test("what the service says of the prompt's size is put right, and the call is offered to be kept", async () => {
    const kept: number[] = [];
    const estimate: ReplyEvent = {
      type: "usage",
      usage: { inputTokens: 5_000 },
      source: "estimate",
    };
    const { complete } = world([[{ events: [text, estimate] }, { events: [stop] }]], {
      deps: {
        calibration: {
          correct: (_model, promptTokens) => promptTokens + 7,
        },
        record({ attempt }) {
          kept.push(attempt);
          return undefined;
        },
      },
    });
    const all = await events(await complete());
    expect(kept).toEqual([1]);
    const usage = all.find((event) => event.type === "usage");
    expect(usage?.usage.inputTokens).toBeLessThan(20);
  });
});
