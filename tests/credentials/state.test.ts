import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type AccountState,
  outlivesRestart,
  READY,
  settle,
  stateAt,
  type Verdict,
  withNewLogin,
  withQuota,
} from "../../src/credentials/state.ts";
import { MINUTE, NOW } from "./samples.ts";

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const time = fc.integer({ min: NOW - 10 * HOUR, max: NOW + 10 * HOUR });
const anyState: fc.Arbitrary<AccountState> = fc.oneof(
  fc.record({ type: fc.constant("ready" as const), refusals: fc.nat(9) }),
  fc.record({ type: fc.constant("cooling" as const), until: time, refusals: fc.nat(9) }),
  fc.record({ type: fc.constant("exhausted" as const), since: time, until: time }),
  fc.constantFrom({ type: "needs-login" as const }, { type: "suspended" as const }),
);
const anyVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constantFrom<Verdict>(
    { type: "served" },
    { type: "unchanged" },
    { type: "refused" },
    { type: "suspended" },
    { type: "needs-login" },
  ),
  fc.record({
    type: fc.constantFrom("cooling" as const, "suspicious" as const),
    forMs: fc.nat(10 * HOUR),
  }),
  fc.record({ type: fc.constant("exhausted" as const), until: time }),
);

describe("settle", () => {
  const cooling = { type: "cooling", until: NOW + HOUR, refusals: 1 } as const;
  const exhausted = { type: "exhausted", since: NOW, until: NOW + HOUR } as const;
  const login = { type: "needs-login" } as const;
  const suspended = { type: "suspended" } as const;
  const refused = { type: "ready", refusals: 2 } as const;
  test.each<{ name: string; state: AccountState; verdict: Verdict; next: AccountState }>([
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
      name: "suspicion rests it as well",
      state: READY,
      verdict: { type: "suspicious", forMs: HOUR },
      next: { type: "cooling", until: NOW + HOUR, refusals: 0 },
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
      name: "a second refusal does not touch the end that was learned from the quota",
      state: exhausted,
      verdict: { type: "exhausted", until: NOW + 2 * HOUR },
      next: exhausted,
    },
    {
      name: "no plan is used up for longer than a year",
      state: READY,
      verdict: { type: "exhausted", until: 1e18 },
      next: { type: "exhausted", since: NOW, until: NOW + 366 * DAY },
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
    let state: AccountState = READY;
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

describe("withQuota", () => {
  const exhausted = { type: "exhausted", since: NOW, until: NOW + 20 * DAY } as const;

  test("sets the end of a used-up plan to its own reset, earlier or later", () => {
    for (const resetAt of [NOW + DAY, NOW + 40 * DAY]) {
      const next = withQuota(exhausted, { remaining: 0, resetAt }, NOW);
      expect(next).toEqual({ ...exhausted, until: resetAt });
    }
  });

  test("believes no reset that is over, or years away, or not a number", () => {
    for (const resetAt of [NOW - 1, NOW, NOW + 400 * DAY, Number.NaN, 0, undefined]) {
      expect(withQuota(exhausted, { remaining: 0, resetAt }, NOW)).toEqual(exhausted);
    }
  });

  test("brings back what has something left, but not within an hour of the refusal", () => {
    const soon = withQuota(exhausted, { remaining: 5 }, NOW + MINUTE);
    expect(soon).toEqual({ ...exhausted, until: NOW + HOUR });
    expect(stateAt(soon, NOW + HOUR)).toEqual(READY);
    expect(withQuota(exhausted, { remaining: 5 }, NOW + HOUR)).toEqual(READY);
  });

  test("brings back at once what has something left with another log-in", () => {
    const other = withNewLogin(exhausted);
    expect(stateAt(other, NOW)).toEqual(other);
    expect(withQuota(other, { remaining: 0 }, NOW)).toEqual(other);
    expect(withQuota(other, { remaining: 5 }, NOW)).toEqual(READY);
  });

  test("changes no other state, whatever it says", () => {
    fc.assert(
      fc.property(anyState, fc.double(), time, (state, remaining, resetAt) => {
        fc.pre(state.type !== "exhausted");
        expect(withQuota(state, { remaining, resetAt }, NOW)).toEqual(stateAt(state, NOW));
      }),
    );
  });
});

describe("withNewLogin", () => {
  test("ends what only a log-in can end, and nothing else", () => {
    expect(withNewLogin({ type: "needs-login" })).toEqual(READY);
    expect(withNewLogin({ type: "suspended" })).toEqual({ type: "suspended" });
    const cooling = { type: "cooling", until: NOW + HOUR, refusals: 0 } as const;
    expect(withNewLogin(cooling)).toEqual(cooling);
  });
});

const cooling = (forMs: number): AccountState => ({
  type: "cooling",
  until: NOW + forMs,
  refusals: 0,
});

test("a restart may forget what is ready and short rests, and nothing else", () => {
  expect(outlivesRestart(READY, NOW)).toBe(false);
  expect(outlivesRestart(cooling(2 * MINUTE), NOW)).toBe(false);
  expect(outlivesRestart(cooling(2 * MINUTE + 1), NOW)).toBe(true);
  expect(outlivesRestart({ type: "exhausted", since: 0, until: NOW + 1 }, NOW)).toBe(true);
  expect(outlivesRestart({ type: "needs-login" }, NOW)).toBe(true);
  expect(outlivesRestart({ type: "suspended" }, NOW)).toBe(true);
});
