import { describe, expect, test } from "bun:test";
import { parseCredential } from "../../src/credentials/credential.ts";
import type { Failure } from "../../src/conversation/failure.ts";
import type { PoolEmpty } from "../../src/credentials/pool.ts";
import { moreHopeful, poolFailure, tokenFailure } from "../../src/gateway/failures.ts";

const NOW = Date.UTC(2026, 0, 15);
const parsed = parseCredential(
  { kiroApiKey: "ksk_x" },
  {
    defaultRegion: "us-east-1",
    regions: ["us-east-1"],
    profileArns: { builderId: "arn:b", social: "arn:s" },
  },
);
if (!parsed.ok) throw new Error(parsed.failure.message);
const inline = { type: "inline", credential: parsed.value } as const;

function failure(empty: PoolEmpty, source: { type: "pool" } | typeof inline = { type: "pool" }) {
  return poolFailure(empty, { source, model: "claude-opus-4-6", now: NOW });
}

describe("poolFailure", () => {
  test.each<{ name: string; empty: PoolEmpty; kind: string; says: string; retryAfterMs?: number }>([
    {
      name: "no credentials at all",
      empty: { reason: "no-credentials", states: {} },
      kind: "unavailable",
      says: "no Kiro credentials",
    },
    {
      name: "a model that no account may use",
      empty: { reason: "model-not-offered", states: { ready: 2 } },
      kind: "model-not-found",
      says: "claude-opus-4-6",
    },
    {
      name: "a full queue",
      empty: { reason: "queue-full", states: { ready: 1 } },
      kind: "rate-limited",
      says: "busy",
      retryAfterMs: 5_000,
    },
    {
      name: "too long in the queue",
      empty: { reason: "queue-timeout", states: { ready: 1 } },
      kind: "unavailable",
      says: "busy",
      retryAfterMs: 5_000,
    },
    {
      name: "all used up",
      empty: { reason: "none-ready", states: { exhausted: 2 }, readyAt: NOW + 7_000 },
      kind: "quota",
      says: "2 exhausted",
      retryAfterMs: 7_000,
    },
    {
      name: "all at rest",
      empty: { reason: "none-ready", states: { cooling: 1 }, readyAt: NOW + 7_000 },
      kind: "rate-limited",
      says: "1 cooling",
      retryAfterMs: 7_000,
    },
    {
      name: "each for another reason",
      empty: { reason: "none-ready", states: { cooling: 1, suspended: 1 }, readyAt: NOW - 1 },
      kind: "unavailable",
      says: "1 cooling, 1 suspended",
      retryAfterMs: 0,
    },
  ])("$name", ({ empty, kind, says, retryAfterMs }) => {
    const told = failure(empty);
    expect(told.kind).toBe(kind as typeof told.kind);
    expect(told.message).toContain(says);
    expect(told.retryAfterMs).toBe(retryAfterMs as number);
  });

  test.each([
    { state: "suspended", kind: "permission" },
    { state: "needs-login", kind: "authentication" },
    { state: "exhausted", kind: "quota" },
    { state: "cooling", kind: "rate-limited" },
  ])("a client's own credential that is $state is the client's own affair", ({ state, kind }) => {
    const told = failure({ reason: "none-ready", states: { [state]: 1 } }, inline);
    expect(told.kind).toBe(kind as typeof told.kind);
  });

  test("a client can't make the message longer than it is worth", () => {
    const told = poolFailure(
      { reason: "model-not-offered", states: {} },
      { source: { type: "pool" }, model: "x".repeat(99_999), now: NOW },
    );
    expect(told.message.length).toBeLessThan(400);
  });
});

const busy: Failure = { kind: "rate-limited", message: "busy" };
const locked: Failure = { kind: "permission", message: "locked" };

test("a token that can't be renewed just now is worth another try, later if the service says when", () => {
  const later = { kind: "transient", message: "x", retryAfterMs: 3_000 } as const;
  const source = { type: "pool" } as const;
  expect(tokenFailure(later, source)).toMatchObject({ kind: "unavailable", retryAfterMs: 3_000 });
  const soon = tokenFailure({ kind: "transient", message: "x" }, source);
  expect(soon).not.toHaveProperty("retryAfterMs");
});

test("of two failures the one that waiting may cure counts, of equal ones the later", () => {
  expect(moreHopeful(undefined, locked)).toBe(locked);
  expect(moreHopeful(busy, locked)).toBe(busy);
  expect(moreHopeful(locked, busy)).toBe(busy);
  const again: Failure = { kind: "rate-limited", message: "again" };
  expect(moreHopeful(busy, again)).toBe(again);
});
