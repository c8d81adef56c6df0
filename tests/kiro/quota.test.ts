import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { quotaOf } from "../../src/kiro/quota.ts";

const NOW = Date.UTC(2026, 1, 10, 12);
const DAY_S = 86_400;
const FAR = NOW / 1000 + 20 * DAY_S;
const PAST = NOW / 1000 - DAY_S;

const credit = {
  resourceType: "CREDIT",
  currentUsage: 37,
  currentUsageWithPrecision: 37.42,
  usageLimit: 50,
  usageLimitWithPrecision: 50,
};

function of(entry: object, more: object = {}) {
  return quotaOf({ usageBreakdownList: [entry], ...more }, NOW);
}

describe("quotaOf", () => {
  test("a whole answer", () => {
    const reply = {
      daysUntilReset: 12,
      nextDateReset: FAR + 0.5,
      usageBreakdownList: [
        {
          ...credit,
          currentOveragesWithPrecision: 1.5,
          currentOverages: 1,
          overageCap: 10_000,
          freeTrialInfo: {
            freeTrialStatus: "ACTIVE",
            freeTrialExpiry: FAR,
            currentUsageWithPrecision: 120.5,
            currentUsage: 120,
            usageLimit: 500,
          },
          bonuses: [{ status: "active", currentUsage: 0, usageLimit: 100, expiresAt: FAR }],
        },
      ],
      subscriptionInfo: { subscriptionTitle: "KIRO PRO+" },
      overageConfiguration: { overageStatus: "DISABLED" },
      userInfo: { email: "dev@example.com" },
    };
    const quota = quotaOf(reply, NOW);
    expect(quota?.used).toBeCloseTo(157.92, 6);
    expect(quota?.remaining).toBeCloseTo(492.08, 6);
    expect({ ...quota, used: 0, remaining: 0 }).toEqual({
      used: 0,
      limit: 650,
      remaining: 0,
      bonus: { used: 120.5, limit: 600 },
      overage: { enabled: false, used: 1.5, cap: 10_000 },
      plan: "KIRO PRO+",
      resetAt: (FAR + 0.5) * 1000,
      email: "dev@example.com",
    });
  });

  test.each([
    [
      "credits",
      [{ ...credit, resourceType: "VIBE" }, { ...credit, resourceType: "AGENTIC_REQUEST" }, credit],
      2,
    ],
    [
      "requests",
      [
        { ...credit, resourceType: "VIBE" },
        { ...credit, resourceType: "AGENTIC_REQUEST" },
      ],
      1,
    ],
    [
      "the first",
      [
        { ...credit, resourceType: "VIBE" },
        { ...credit, resourceType: "SPEC" },
      ],
      0,
    ],
    [
      "what has a limit",
      [
        { ...credit, usageLimitWithPrecision: null, usageLimit: null },
        { ...credit, resourceType: "SPEC" },
      ],
      1,
    ],
  ])("of several entries %s count", (_name, entries, index) => {
    const numbered = entries.map((entry, n) => ({ ...entry, currentUsageWithPrecision: n + 1 }));
    expect(quotaOf({ usageBreakdownList: numbered }, NOW)?.used).toBe(index + 1);
  });

  test("numbers without decimals will do, and nothing spent may be missing", () => {
    expect(of({ usageLimit: 50, currentUsage: 37 })).toMatchObject({ used: 37, limit: 50 });
    expect(of({ usageLimit: 50 })).toMatchObject({ used: 0, remaining: 50 });
  });

  test.each([
    ["a single breakdown", { usageBreakdown: { ...credit, currentUsageWithPrecision: 3 } }],
    [
      "the older list of limits",
      { limits: [{ type: "AGENTIC_REQUEST", currentUsage: 3, totalUsageLimit: 50 }] },
    ],
  ])("%s is read too", (_name, reply) => {
    expect(quotaOf(reply, NOW)).toMatchObject({ used: 3, limit: 50 });
  });

  test.each([
    ["over", { freeTrialInfo: { freeTrialStatus: "EXPIRED", usageLimit: 500 } }],
    [
      "past its end",
      { freeTrialInfo: { freeTrialStatus: "ACTIVE", freeTrialExpiry: PAST, usageLimit: 500 } },
    ],
    ["of no known status", { freeTrialInfo: { usageLimit: 500 } }],
    ["a used bonus", { bonuses: [{ status: "USED", usageLimit: 500 }, null, "x"] }],
    ["an old bonus", { bonuses: [{ status: "ACTIVE", expiresAt: PAST, usageLimit: 500 }] }],
  ])("an extra that is %s does not count", (_name, extra) => {
    expect(of({ ...credit, ...extra })).toMatchObject({ limit: 50, bonus: { used: 0, limit: 0 } });
  });

  test("an extra without an end counts as long as it is active", () => {
    const bonuses = [{ status: "ACTIVE", usageLimit: 100, currentUsage: 10 }];
    expect(of({ ...credit, bonuses })).toMatchObject({
      limit: 150,
      bonus: { used: 10, limit: 100 },
    });
  });

  test("what is spent is never more than nothing left", () => {
    expect(of({ usageLimit: 50, currentUsage: 80 })?.remaining).toBe(0);
  });

  test.each([
    [{ overageStatus: "ENABLED" }, 60],
    [{ overageEnabled: true }, 60],
    [{ overageStatus: "DISABLED" }, 0],
    [{}, 0],
  ])("with %j what may be spent beyond the limit counts", (overageConfiguration, remaining) => {
    const entry = { usageLimit: 50, currentUsage: 50, overageCap: 100, currentOverages: 40 };
    expect(of(entry, { overageConfiguration })?.remaining).toBe(remaining);
  });

  test.each([
    [
      "the entry's own date first",
      { ...credit, nextDateReset: FAR + 60 },
      { nextDateReset: FAR },
      FAR + 60,
    ],
    ["the answer's date", credit, { nextDateReset: FAR }, FAR],
    ["milliseconds", credit, { nextDateReset: FAR * 1000 }, FAR],
    [
      "days where the date has passed",
      credit,
      { nextDateReset: PAST, daysUntilReset: 3 },
      Date.UTC(2026, 1, 13) / 1000,
    ],
    [
      "nothing where nothing is ahead",
      credit,
      { nextDateReset: PAST, daysUntilReset: 0 },
      undefined,
    ],
    ["nothing for a date out of reach", credit, { nextDateReset: FAR * 3 }, undefined],
    ["nothing for a text", credit, { nextDateReset: "soon", daysUntilReset: "12" }, undefined],
  ])("the reset is %s", (_name, entry, more, expected) => {
    expect(of(entry, more)?.resetAt).toBe(expected === undefined ? undefined : expected * 1000);
  });

  test("no limit is not a limit of nothing", () => {
    for (const reply of [
      {},
      { usageBreakdownList: [] },
      { usageBreakdownList: [{ currentUsage: 3 }] },
    ]) {
      expect(quotaOf(reply, NOW)).toBeUndefined();
    }
  });

  test("text that would break a line is left out", () => {
    const quota = of(credit, {
      subscriptionInfo: { subscriptionTitle: "KIRO\nFREE" },
      userInfo: { email: "x".repeat(300) },
    });
    expect(quota).not.toHaveProperty("plan");
    expect(quota).not.toHaveProperty("email");
  });

  test("any JSON gives a sound quota or none", () => {
    const amount = fc.oneof(
      fc.double(),
      fc.integer({ min: -5, max: 500 }),
      fc.string(),
      fc.constant(null),
    );
    const status = fc.constantFrom("ACTIVE", "EXPIRED", 1, null);
    const extra = fc.record({
      status,
      freeTrialStatus: status,
      currentUsage: amount,
      usageLimit: amount,
      expiresAt: amount,
      freeTrialExpiry: amount,
    });
    const entry = fc.record(
      {
        resourceType: fc.constantFrom("CREDIT", "AGENTIC_REQUEST", "SPEC", null),
        currentUsage: amount,
        currentUsageWithPrecision: amount,
        usageLimit: amount,
        usageLimitWithPrecision: amount,
        currentOverages: amount,
        overageCap: amount,
        nextDateReset: amount,
        freeTrialInfo: fc.oneof(extra, fc.jsonValue()),
        bonuses: fc.oneof(fc.array(extra), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const reply = fc.record(
      {
        usageBreakdownList: fc.oneof(fc.array(entry), fc.jsonValue()),
        usageBreakdown: fc.oneof(entry, fc.jsonValue()),
        limits: fc.jsonValue(),
        daysUntilReset: amount,
        nextDateReset: amount,
        overageConfiguration: fc.oneof(fc.constant({ overageStatus: "ENABLED" }), fc.jsonValue()),
        subscriptionInfo: fc.jsonValue(),
        userInfo: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(reply, (value) => {
        const quota = quotaOf(value, NOW);
        if (quota === undefined) return;
        for (const number of [quota.used, quota.limit, quota.remaining]) {
          expect(number).toBeGreaterThanOrEqual(0);
        }
        expect(quota.bonus.limit).toBeLessThanOrEqual(quota.limit);
        if (quota.resetAt !== undefined) expect(quota.resetAt).toBeGreaterThan(NOW);
      }),
      { numRuns: 500 },
    );
  });
});
