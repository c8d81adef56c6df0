import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { type Candidate, pick } from "../../src/credentials/rotation.ts";

function one(id: string, more: Partial<Candidate> & { priority?: number } = {}): Candidate {
  const { priority = 0, ...rest } = more;
  return { credential: { id, priority }, inFlight: 0, lastUse: 0, ...rest };
}

function idOf(candidate: Candidate | undefined): string | undefined {
  return candidate?.credential.id;
}

const candidates = fc.uniqueArray(
  fc.record({
    credential: fc.record({
      id: fc.constantFrom("a", "b", "c", "d", "e", "f"),
      priority: fc.integer(),
    }),
    inFlight: fc.nat(9),
    lastUse: fc.nat(99),
    quota: fc.option(fc.record({ remaining: fc.nat(500) }), { nil: undefined }),
  }),
  { selector: ({ credential }) => credential.id },
);
const bound = fc.option(fc.constantFrom("a", "b", "c", "d", "e", "f", "gone"), { nil: undefined });

describe("by priority", () => {
  test("the lowest number is taken, the first among equals, however busy it is", () => {
    const all = [one("c", { priority: 1 }), one("a", { inFlight: 9 }), one("b")];
    expect(idOf(pick(all, "priority", undefined))).toBe("a");
  });

  test("a conversation stays with its credential among equals only", () => {
    const all = [one("a"), one("b"), one("c", { priority: 1 })];
    expect(idOf(pick(all, "priority", "b"))).toBe("b");
    expect(idOf(pick(all, "priority", "c"))).toBe("a");
  });

  test("somebody of the lowest number is taken wherever there is somebody", () => {
    fc.assert(
      fc.property(candidates, bound, (all, id) => {
        const picked = pick(all, "priority", id);
        expect(picked === undefined).toBe(all.length === 0);
        for (const other of all) {
          expect(picked?.credential.priority).toBeLessThanOrEqual(other.credential.priority);
        }
      }),
    );
  });
});

describe("balanced", () => {
  test.each([
    {
      name: "the least in flight before anything else",
      all: [one("a", { inFlight: 2, quota: { remaining: 99 } }), one("b", { inFlight: 1 })],
      picked: "b",
    },
    {
      name: "then the most left",
      all: [
        one("a", { quota: { remaining: 5 } }),
        one("b", { quota: { remaining: 6 }, lastUse: 9 }),
      ],
      picked: "b",
    },
    {
      name: "what is left counts for nobody if it is unknown of one",
      all: [one("a", { quota: { remaining: 5 }, lastUse: 3 }), one("b", { lastUse: 2 })],
      picked: "b",
    },
    {
      name: "then the one that was idle for longest",
      all: [one("a", { lastUse: 2 }), one("b", { lastUse: 1 })],
      picked: "b",
    },
  ])("$name", ({ all, picked }) => {
    expect(idOf(pick(all, "balanced", undefined))).toBe(picked);
  });

  test("a conversation stays, whatever else would be better", () => {
    const all = [one("a"), one("b", { inFlight: 7, lastUse: 9, priority: 9 })];
    expect(idOf(pick(all, "balanced", "b"))).toBe("b");
  });

  test("nobody has fewer in flight than who is taken for a new conversation", () => {
    fc.assert(
      fc.property(candidates, bound, (all, id) => {
        const picked = pick(all, "balanced", id);
        expect(picked === undefined).toBe(all.length === 0);
        if (picked === undefined) return;
        if (all.some(({ credential }) => credential.id === id)) {
          expect(picked.credential.id).toBe(id as typeof picked.credential.id);
        } else {
          expect(picked.inFlight).toBe(Math.min(...all.map(({ inFlight }) => inFlight)));
        }
      }),
    );
  });
});
