import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Candidate,
  type CredentialState,
  pick,
  READY,
  settle,
  stateAt,
  type Verdict,
} from "../../src/credentials/rotation.ts";
import { MINUTE, NOW } from "./samples.ts";

const HOUR = 60 * MINUTE;
const IDS = ["a", "b", "c", "d", "e", "f"];

const time = fc.integer({ min: NOW - 10 * HOUR, max: NOW + 10 * HOUR });
const anyState: fc.Arbitrary<CredentialState> = fc.oneof(
  fc.record({ type: fc.constant("ready" as const), refusals: fc.nat(9) }),
  fc.record({ type: fc.constant("cooling" as const), until: time, refusals: fc.nat(9) }),
  fc.record({ type: fc.constant("exhausted" as const), until: time }),
  fc.constantFrom(
    { type: "needs-login" as const },
    { type: "suspended" as const },
    { type: "disabled" as const },
  ),
);
const anyVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constantFrom<Verdict>(
    { type: "served" },
    { type: "unchanged" },
    { type: "refused" },
    { type: "suspended" },
    { type: "needs-login" },
  ),
  fc.record({ type: fc.constant("cooling" as const), forMs: fc.nat(10 * HOUR) }),
  fc.record({ type: fc.constant("exhausted" as const), until: time }),
);

function ready(id: string, priority = 0): Candidate {
  return { credential: { id, priority }, state: READY };
}

function want(...tried: string[]) {
  return { model: "claude-sonnet-4.5", tried: new Set(tried) };
}

describe("pick", () => {
  test("takes the lowest priority number, and the first among equals", () => {
    const candidates = [ready("c", 1), ready("a"), ready("b")];
    expect(pick(candidates, NOW, want())?.credential.id).toBe("a");
    expect(pick(candidates, NOW, want("a"))?.credential.id).toBe("b");
    expect(pick(candidates, NOW, want("a", "b"))?.credential.id).toBe("c");
    expect(pick(candidates, NOW, want("a", "b", "c"))).toBeUndefined();
  });

  test("takes one back when its rest is over", () => {
    const resting: Candidate = { ...ready("a"), state: { type: "exhausted", until: NOW } };
    expect(pick([resting, ready("b", 1)], NOW - 1, want())?.credential.id).toBe("b");
    expect(pick([resting, ready("b", 1)], NOW, want())?.credential.id).toBe("a");
  });

  test("never takes one that is not ready or was tried, and never misses one that is", () => {
    const candidate = fc.record({
      credential: fc.record({ id: fc.constantFrom(...IDS), priority: fc.integer() }),
      state: anyState,
    });
    const tried = fc.array(fc.constantFrom(...IDS));
    fc.assert(
      fc.property(fc.array(candidate), time, tried, (candidates, now, ids) => {
        const fits = (one: Candidate): boolean =>
          stateAt(one.state, now).type === "ready" && !ids.includes(one.credential.id);
        const picked = pick(candidates, now, want(...ids));
        expect(picked === undefined).toBe(!candidates.some(fits));
        if (picked === undefined) return;
        expect(fits(picked)).toBe(true);
        const best = Math.min(...candidates.filter(fits).map((one) => one.credential.priority));
        expect(picked.credential.priority).toBe(best);
      }),
    );
  });
});

describe("settle", () => {
  const cooling = { type: "cooling", until: NOW + HOUR, refusals: 1 } as const;
  const exhausted = { type: "exhausted", until: NOW + HOUR } as const;
  const login = { type: "needs-login" } as const;
  const suspended = { type: "suspended" } as const;
  const disabled = { type: "disabled" } as const;
  const refused = { type: "ready", refusals: 2 } as const;
  test.each<{ name: string; state: CredentialState; verdict: Verdict; next: CredentialState }>([
    {
      name: "a success forgets refusals",
      state: refused,
      verdict: { type: "served" },
      next: READY,
    },
    {
      name: "a client's error changes nothing",
      state: refused,
      verdict: { type: "unchanged" },
      next: refused,
    },
    {
      name: "one refusal does no harm",
      state: READY,
      verdict: { type: "refused" },
      next: { type: "ready", refusals: 1 },
    },
    {
      name: "the third in a row does",
      state: refused,
      verdict: { type: "refused" },
      next: { type: "cooling", until: NOW + 5 * MINUTE, refusals: 3 },
    },
    {
      name: "throttling rests it",
      state: READY,
      verdict: { type: "cooling", forMs: 5 },
      next: { type: "cooling", until: NOW + 5, refusals: 0 },
    },
    {
      name: "a longer rest counts",
      state: cooling,
      verdict: { type: "cooling", forMs: 2 * HOUR },
      next: { ...cooling, until: NOW + 2 * HOUR },
    },
    {
      name: "a shorter one does not",
      state: cooling,
      verdict: { type: "cooling", forMs: 1 },
      next: cooling,
    },
    {
      name: "a late success does not end a rest",
      state: cooling,
      verdict: { type: "served" },
      next: cooling,
    },
    {
      name: "a late refusal does not prolong it",
      state: cooling,
      verdict: { type: "refused" },
      next: cooling,
    },
    {
      name: "a rest longer than a day is cut",
      state: READY,
      verdict: { type: "cooling", forMs: 1e15 },
      next: { type: "cooling", until: NOW + 24 * HOUR, refusals: 0 },
    },
    {
      name: "a used-up plan outweighs a rest",
      state: cooling,
      verdict: exhausted,
      next: exhausted,
    },
    {
      name: "but not the other way round",
      state: exhausted,
      verdict: { type: "cooling", forMs: 9 * HOUR },
      next: exhausted,
    },
    {
      name: "a later reset counts",
      state: exhausted,
      verdict: { type: "exhausted", until: NOW + 2 * HOUR },
      next: { type: "exhausted", until: NOW + 2 * HOUR },
    },
    {
      name: "a late success does not refill a plan",
      state: exhausted,
      verdict: { type: "served" },
      next: exhausted,
    },
    {
      name: "a lost log-in outweighs a used-up plan",
      state: exhausted,
      verdict: login,
      next: login,
    },
    {
      name: "a late success does not bring a log-in back",
      state: login,
      verdict: { type: "served" },
      next: login,
    },
    {
      name: "a suspension outweighs a lost log-in",
      state: login,
      verdict: suspended,
      next: suspended,
    },
    { name: "and stays", state: suspended, verdict: login, next: suspended },
    {
      name: "also after a late success",
      state: suspended,
      verdict: { type: "served" },
      next: suspended,
    },
    {
      name: "what the operator disabled stays so",
      state: disabled,
      verdict: suspended,
      next: disabled,
    },
    {
      name: "a rest that is over is",
      state: { ...cooling, until: NOW },
      verdict: { type: "unchanged" },
      next: { type: "ready", refusals: 1 },
    },
    {
      name: "a new month refills the plan",
      state: { ...exhausted, until: NOW },
      verdict: { type: "unchanged" },
      next: READY,
    },
  ])("$name", ({ state, verdict, next }) => {
    expect(settle(state, verdict, NOW)).toEqual(next);
  });

  test("an account that goes on refusing is asked ever more rarely, at least once an hour", () => {
    let now = NOW;
    let state: CredentialState = READY;
    const rests: number[] = [];
    for (let asked = 0; asked < 9; asked++) {
      state = settle(state, { type: "refused" }, now);
      if (state.type !== "cooling") continue;
      rests.push((state.until - now) / MINUTE);
      now = state.until;
    }
    expect(rests).toEqual([5, 10, 20, 40, 60, 60, 60]);
    expect(settle(state, { type: "served" }, now)).toEqual(READY);
  });

  test("what is not about the credential leaves any state as it is, however often it comes", () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(settle(state, { type: "unchanged" }, NOW)).toEqual(stateAt(state, NOW));
      }),
    );
  });

  test("no verdict brings a credential back before its time", () => {
    fc.assert(
      fc.property(anyState, anyVerdict, time, (state, verdict, now) => {
        fc.pre(stateAt(state, now).type !== "ready");
        const next = settle(state, verdict, now);
        expect(next.type).not.toBe("ready");
        if (state.type === next.type && "until" in state && "until" in next) {
          expect(next.until).toBeGreaterThanOrEqual(state.until);
        }
      }),
    );
  });
});
