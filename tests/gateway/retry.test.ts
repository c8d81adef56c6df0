import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type AccountState, READY, settle } from "../../src/credentials/state.ts";
import { decide, type History, retryPolicy, verdictOn } from "../../src/gateway/retry.ts";
import type { KiroFault, KiroFaultKind } from "../../src/kiro/failure.ts";

const fresh: History = {
  attempts: 1,
  withCredential: 1,
  refreshed: false,
  rerendered: false,
  emptyReplies: 0,
};
const NOW = Date.UTC(2026, 10, 22, 12);
const world = { now: NOW, random: 0 };

function fault(kind: KiroFaultKind, retryAfterMs?: number): KiroFault {
  return {
    kind,
    failure: { kind: "upstream", message: kind },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function decided(kind: KiroFaultKind, history: Partial<History> = {}, retryAfterMs?: number) {
  return decide(fault(kind, retryAfterMs), { ...fresh, ...history }, retryPolicy, world);
}

function wait(attempts: number, random: number): unknown {
  const history = { ...fresh, attempts };
  return decide(fault("unavailable"), history, retryPolicy, { now: NOW, random }).step;
}

describe("decide", () => {
  test.each([
    { kind: "rejected", verdict: "unchanged", step: { type: "answer" } },
    { kind: "malformed", verdict: "unchanged", step: { type: "rerender", how: "conservative" } },
    {
      kind: "reasoning-rejected",
      verdict: "unchanged",
      step: { type: "rerender", how: "drop-reasoning" },
    },
    {
      kind: "conversation-rejected",
      verdict: "unchanged",
      step: { type: "rerender", how: "new-conversation" },
    },
    { kind: "model-unavailable", verdict: "unchanged", step: { type: "next" } },
    { kind: "token-refused", verdict: "unchanged", step: { type: "refresh" } },
    { kind: "forbidden", verdict: "refused", step: { type: "next" } },
    { kind: "suspended", verdict: "suspended", step: { type: "next" } },
    { kind: "suspicious", verdict: "suspicious", step: { type: "next" } },
    { kind: "quota", verdict: "exhausted", step: { type: "next" } },
    { kind: "daily-quota", verdict: "cooling", step: { type: "next" } },
    { kind: "throttled", verdict: "cooling", step: { type: "next", orAgainMs: 200 } },
    { kind: "capacity", verdict: "unchanged", step: { type: "again", waitMs: 200 } },
    { kind: "empty-reply", verdict: "unchanged", step: { type: "next", orAgainMs: 0 } },
    { kind: "unavailable", verdict: "unchanged", step: { type: "again", waitMs: 200 } },
  ] as const)("the first fault of kind $kind", ({ kind, verdict, step }) => {
    const decision = decided(kind);
    expect(decision.verdict.type).toBe(verdict);
    expect(decision.step).toEqual(step);
  });

  test("what was tried once in another form is answered the second time", () => {
    for (const kind of ["malformed", "reasoning-rejected", "conversation-rejected"] as const) {
      expect(decided(kind, { rerendered: true }).step).toEqual({ type: "answer" });
    }
  });

  test("a token that is refused after its refresh counts against the credential", () => {
    const { verdict, step } = decided("token-refused", { refreshed: true });
    expect(verdict).toEqual({ type: "refused" });
    expect(step).toEqual({ type: "next" });
  });

  test("an outage goes to the next credential after three attempts and never changes a state", () => {
    expect(decided("unavailable", { attempts: 3, withCredential: 3 })).toEqual({
      verdict: { type: "unchanged" },
      step: { type: "next" },
    });
  });

  test("missing capacity is answered after three attempts, since it is missing for everybody", () => {
    const { step } = decided("capacity", { attempts: 3, withCredential: 3 });
    expect(step).toEqual({ type: "answer" });
  });

  test("a short Retry-After is waited for and a long one rests the credential", () => {
    expect(decided("throttled", {}, 1_500).step).toEqual({ type: "next", orAgainMs: 1_500 });
    const long = decided("throttled", {}, 60_000);
    expect(long.step).toEqual({ type: "next" });
    expect(long.verdict).toEqual({ type: "cooling", forMs: 60_000 });
  });

  test("a Retry-After of an outage is honoured, or is a reason to go elsewhere", () => {
    expect(decided("unavailable", {}, 1_500).step).toEqual({ type: "again", waitMs: 1_500 });
    expect(decided("unavailable", {}, 60_000).step).toEqual({ type: "next" });
    expect(decided("capacity", {}, 1_500).step).toEqual({ type: "again", waitMs: 1_500 });
    expect(decided("capacity", {}, 60_000).step).toEqual({ type: "answer" });
  });

  test("an empty reply is tried once more and then answered", () => {
    expect(decided("empty-reply", { emptyReplies: 1 }).step).toEqual({ type: "answer" });
  });

  test("a used-up plan rests until the month ends, a used-up day until midnight UTC", () => {
    expect(decided("quota").verdict).toEqual({ type: "exhausted", until: Date.UTC(2026, 11, 1) });
    const day = { type: "cooling", forMs: 12 * 3_600_000 } as const;
    expect(decided("daily-quota").verdict).toEqual(day);
  });

  test("suspicious activity rests the credential for half an hour", () => {
    expect(decided("suspicious").verdict).toEqual({ type: "suspicious", forMs: 1_800_000 });
  });

  test("the ninth attempt of a request is the last, whatever the fault", () => {
    for (const kind of ["quota", "unavailable", "throttled", "token-refused"] as const) {
      expect(decided(kind, { attempts: 9 }).step).toEqual({ type: "answer" });
    }
  });

  test("waits double from 200 ms to 2 s with up to a quarter more", () => {
    expect(wait(2, 0)).toEqual({ type: "again", waitMs: 400 });
    expect(wait(3, 0)).toEqual({ type: "again", waitMs: 800 });
    expect(wait(8, 0)).toEqual({ type: "again", waitMs: 2_000 });
    expect(wait(8, 0.999)).toEqual({ type: "again", waitMs: 2_499.5 });
  });
});

test("ten thousand failures of clients, of capacity and of the network change no credential's state", () => {
  const kinds = [
    "rejected",
    "malformed",
    "reasoning-rejected",
    "conversation-rejected",
    "model-unavailable",
    "capacity",
    "unavailable",
    "empty-reply",
  ] as const;
  const one = fc.record({
    kind: fc.constantFrom<KiroFaultKind>(...kinds),
    retryAfterMs: fc.option(fc.nat(99_000), { nil: undefined }),
    attempts: fc.integer({ min: 1, max: 12 }),
    withCredential: fc.integer({ min: 1, max: 4 }),
    refreshed: fc.boolean(),
    rerendered: fc.boolean(),
    emptyReplies: fc.nat(3),
  });
  const starts: AccountState[] = [READY, { type: "ready", refusals: 2 }];
  for (const start of starts) {
    let state = start;
    fc.assert(
      fc.property(one, ({ kind, retryAfterMs, ...history }) => {
        const { verdict } = decide(fault(kind, retryAfterMs), history, retryPolicy, world);
        state = settle(state, verdict, NOW);
        expect(state).toEqual(start);
      }),
      { numRuns: 10_000 },
    );
  }
});

test("whatever comes after the commit point has the verdict that it would have had before", () => {
  expect(verdictOn(fault("suspended"), retryPolicy, NOW)).toEqual({ type: "suspended" });
  expect(verdictOn(fault("token-refused"), retryPolicy, NOW)).toEqual({ type: "refused" });
  expect(verdictOn(fault("unavailable"), retryPolicy, NOW)).toEqual({ type: "unchanged" });
});
