import { expect, test } from "bun:test";
import type { Failure } from "../../src/conversation/failure.ts";
import { moreHopeful, tokenFailure } from "../../src/gateway/failures.ts";

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
