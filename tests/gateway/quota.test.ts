import { describe, expect, test } from "bun:test";
import type { Verdict } from "../../src/credentials/state.ts";
import { createQuota } from "../../src/gateway/quota.ts";
import type { Quota } from "../../src/kiro/quota.ts";
import { fail, ok } from "../../src/result.ts";
import { MINUTE, recordingLog } from "../credentials/samples.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { fault, fixedTokens, FULL, scriptedManagement, stored } from "./accounts.ts";

function world() {
  const time = createTestRuntime();
  const tokens = fixedTokens();
  const service = scriptedManagement();
  const learned: { id: string; remaining: number; resetAt?: number | undefined }[] = [];
  const judged: Verdict[] = [];
  const { log, lines } = recordingLog();
  const quota = createQuota({
    tokens,
    management: service.management,
    pool: {
      learnQuota: (id, what) => void learned.push({ id, ...what }),
      judge: (_credential, verdict) => void judged.push(verdict),
    },
    runtime: time.runtime,
    log,
  });
  return { ...time, ...service, tokens, quota, learned, judged, lines };
}

const one = stored("c1");

describe("read", () => {
  test("gives what the service says, with its age, and tells the pool", async () => {
    const { quota, learned, calls, runtime, answers } = world();
    answers.usageLimits = () => ok({ ...FULL, resetAt: 99 });
    expect(await quota.read(one)).toEqual({
      ok: true,
      value: { quota: { ...FULL, resetAt: 99 }, readAt: runtime.now() },
    });
    expect(learned).toEqual([{ id: "c1", remaining: 40, resetAt: 99 }]);
    // The record's own region, which is not where the API is called.
    expect(calls).toEqual(["usageLimits c1 eu-west-1"]);
  });

  test("tells the pool what is known also when it is not read anew", async () => {
    const { quota, learned, calls, answers, advance } = world();
    await quota.read(one);
    await quota.read(one, { maxAgeMs: 0 });
    expect([calls.length, learned.length]).toEqual([1, 2]);
    answers.usageLimits = () => fail(fault("unavailable"));
    await advance(MINUTE);
    await quota.read(one, { maxAgeMs: 0 });
    expect([calls.length, learned.length]).toEqual([2, 2]);
  });

  test("asks again after five minutes, not before", async () => {
    const { quota, calls, advance } = world();
    await quota.read(one);
    await advance(5 * MINUTE);
    await quota.read(one);
    expect(calls).toHaveLength(1);
    await advance(1);
    await quota.read(one);
    expect(calls).toHaveLength(2);
  });

  test("asks at most every thirty seconds, however fresh it is wanted", async () => {
    const { quota, calls, advance } = world();
    for (const expected of [1, 1, 2]) {
      await quota.read(one, { maxAgeMs: 0 });
      expect(calls).toHaveLength(expected);
      await advance(15_000);
    }
  });

  test("asks once for all who wait", async () => {
    const { quota, calls } = world();
    const readings = await Promise.all(Array.from({ length: 20 }, () => quota.read(one)));
    expect(readings.every((reading) => reading.ok)).toBe(true);
    expect(calls).toHaveLength(1);
  });

  test("gives the old value as stale while the service can't be asked", async () => {
    const { quota, answers, advance, runtime, lines } = world();
    await quota.read(one);
    const readAt = runtime.now();
    answers.usageLimits = () => fail(fault("unavailable"));
    await advance(6 * MINUTE);
    const stale = {
      ok: true,
      value: { quota: FULL, readAt, fault: { type: "upstream", fault: fault("unavailable") } },
    } as const;
    expect(await quota.read(one)).toEqual(stale);
    expect(quota.known("c1")).toEqual(stale.value);
    expect(lines).toEqual([
      {
        level: "warn",
        event: "quota-not-read",
        credential: "c1",
        type: "upstream",
        fault: "unavailable",
      },
    ]);
    answers.usageLimits = () => ok(FULL);
    await advance(30_000);
    expect(await quota.read(one)).toEqual({
      ok: true,
      value: { quota: FULL, readAt: runtime.now() },
    });
  });

  test("a failure is told where nothing else is known, and does not lead to a rush", async () => {
    const { quota, answers, calls, advance } = world();
    answers.usageLimits = () => fail(fault("unavailable"));
    const failed = { ok: false, failure: { type: "upstream", fault: { kind: "unavailable" } } };
    expect(await quota.read(one)).toMatchObject(failed);
    expect(await quota.read(one)).toMatchObject(failed);
    expect(calls).toHaveLength(1);
    expect(quota.known("c1")).toBeUndefined();
    await advance(30_000);
    await quota.read(one);
    expect(calls).toHaveLength(2);
  });

  test("another log-in is asked about at once", async () => {
    const { quota, answers, calls } = world();
    await quota.read(one);
    answers.usageLimits = () => ok({ ...FULL, plan: "KIRO FREE" });
    const other = { ...one, version: "another" };
    expect(await quota.read(other)).toMatchObject({ value: { quota: { plan: "KIRO FREE" } } });
    expect(calls).toHaveLength(2);
  });

  test.each([
    [{ enabled: true, used: 0 }, Number.MAX_SAFE_INTEGER],
    [{ enabled: true, used: 0, cap: 7 }, 0],
    [{ enabled: false, used: 0 }, 0],
  ])("with overage %j the pool hears that %d is left", async (overage: Quota["overage"], left) => {
    const { quota, answers, learned } = world();
    answers.usageLimits = () => ok({ ...FULL, remaining: 0, overage });
    await quota.read(one);
    expect(learned[0]?.remaining).toBe(left);
  });

  test.each([
    ["suspended", { type: "suspended" }],
    ["suspicious", { type: "suspicious", forMs: 30 * MINUTE }],
    ["token-refused", undefined],
    ["forbidden", undefined],
    ["throttled", undefined],
    ["unavailable", undefined],
  ] as const)("%s says of the account %j", async (kind, verdict) => {
    const { quota, answers, judged } = world();
    answers.usageLimits = () => fail(fault(kind));
    await quota.read(one);
    expect(judged).toEqual(verdict === undefined ? [] : [verdict]);
  });

  test("without a token nothing is asked", async () => {
    const { quota, tokens, calls } = world();
    tokens.refuse = true;
    expect(await quota.read(one)).toMatchObject({ failure: { type: "no-token" } });
    expect(calls).toEqual([]);
  });
});
