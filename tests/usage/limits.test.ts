import { describe, expect, test } from "bun:test";
import type { HoldRow, Spending } from "../../src/usage/rows.ts";
import { createLimits, type Reservation, type UserLimits } from "../../src/usage/limits.ts";
import { createTestRuntime } from "../support/runtime.ts";

const NOON = Date.UTC(2026, 0, 15, 12);
const HOUR = 3_600_000;
const none: Spending = { tokensToday: 0, creditsToday: 0, creditsThisMonth: 0, recent: [] };
const stays = new AbortController().signal;

function world(defaults: UserLimits, spending: Spending = none) {
  const { runtime, advance, settle } = createTestRuntime({ now: NOON });
  const holds: HoldRow[] = [];
  const limits = createLimits({
    defaults,
    runtime,
    ledger: { hold: async (row) => void holds.push(row), spending: async () => spending },
    modelId: (name) => (name === "fast" ? "claude-haiku-4.5" : name),
  });
  let requests = 0;
  const reserve = async (
    more: { model?: string; promptTokens?: number; own?: UserLimits; user?: string } = {},
    signal = stays,
  ) =>
    await limits.reserve(
      { id: more.user ?? "u1", name: "Ann", limits: more.own ?? {} },
      {
        requestId: `req_${++requests}`,
        at: runtime.now(),
        wire: "messages",
        model: more.model ?? "m",
        promptTokens: more.promptTokens ?? 100,
      },
      signal,
    );
  const reserved = async (more: Parameters<typeof reserve>[0] = {}): Promise<Reservation> => {
    const result = await reserve(more);
    if (!result.ok) throw new Error(result.failure.message);
    return result.value;
  };
  return { reserve, reserved, holds, advance, settle, runtime };
}

function cost(credits: number, tokens = 0) {
  return { begun: true, metered: true, credits, promptTokens: tokens, outputTokens: 0 };
}

describe("credits", () => {
  test("of a day that are spent give a 429 until the next day begins", async () => {
    const { reserve, reserved, advance } = world({ creditsPerDay: 10 });
    (await reserved()).settle(cost(10.5));
    expect(await reserve()).toEqual({
      ok: false,
      failure: {
        kind: "limit-reached",
        message:
          "You have spent 10.5 of your 10 credits a day (creditsPerDay). The limit is reset at 2026-01-16T00:00:00Z.",
        retryAfterMs: 12 * HOUR,
      },
    });
    await advance(12 * HOUR);
    expect(await reserve()).toMatchObject({ ok: true });
  });

  test("of a month last until the next month", async () => {
    const { reserve, reserved, advance } = world({ creditsPerMonth: 1 });
    (await reserved()).settle(cost(1));
    await advance(16 * 24 * HOUR);
    expect(await reserve()).toMatchObject({
      failure: { message: expect.stringContaining("2026-02-01T00:00:00Z") },
    });
    await advance(12 * HOUR);
    expect(await reserve()).toMatchObject({ ok: true });
  });

  test.each([0.5, 1, 1.3, 4, 9])(
    "200 requests of %d credits at once spend 10 and at most one request more",
    async (credits) => {
      const { reserve, settle } = world({ creditsPerDay: 10 });
      let spent = 0;
      const running: Reservation[] = [];
      const refused: string[] = [];
      const all = Array.from({ length: 200 }, async () => {
        const result = await reserve();
        if (result.ok) running.push(result.value);
        else refused.push(result.failure.kind);
      });
      await settle();
      while (running.length > 0) {
        const reservation = running.shift();
        reservation?.settle(cost(credits));
        spent += credits;
        await settle();
      }
      await Promise.all(all);
      expect(spent).toBeGreaterThanOrEqual(10);
      expect(spent).toBeLessThan(10 + credits);
      expect(new Set(refused)).toEqual(new Set(["limit-reached"]));
    },
  );

  test("that running requests hold are waited for, but not for long", async () => {
    const { reserve, reserved, advance, settle } = world({ creditsPerDay: 3 });
    await reserved();
    const second = reserve();
    await settle();
    await advance(5_000);
    expect(await second).toMatchObject({ failure: { kind: "rate-limited", retryAfterMs: 5_000 } });
  });

  test("a client that leaves waits no more", async () => {
    const { reserve, reserved, settle } = world({ creditsPerDay: 3 });
    await reserved();
    const client = new AbortController();
    const second = reserve({}, client.signal);
    await settle();
    client.abort();
    expect(await second).toMatchObject({ ok: false });
  });

  test("that the service did not name are estimated by what others have cost", async () => {
    const { reserved } = world({ creditsPerDay: 100 });
    (await reserved()).settle(cost(1));
    (await reserved()).settle(cost(3));
    const left = (await reserved()).settle({ begun: true, metered: false, credits: 0 });
    expect(left).toEqual({ credits: 2, tokens: 100 });
    expect((await reserved()).settle({ begun: false, metered: false, credits: 0 })).toEqual({});
  });

  test("count while the clock is wrong, and when it has been put right", async () => {
    const { reserve, reserved, runtime } = world({ creditsPerDay: 10, creditsPerMonth: 10 });
    runtime.now = () => Date.UTC(2030, 5, 1);
    const late = await reserved();
    runtime.now = () => NOON;
    late.settle(cost(4));
    (await reserved()).settle(cost(6));
    expect(await reserve()).toMatchObject({ failure: { kind: "limit-reached" } });
    runtime.now = () => Date.UTC(2026, 1, 1);
    expect((await reserve()).ok).toBe(true);
  });

  test("settle once", async () => {
    const { reserve, reserved } = world({ creditsPerDay: 10 });
    const reservation = await reserved();
    reservation.settle(cost(6));
    reservation.settle(cost(6));
    expect(await reserve()).toMatchObject({ ok: true });
  });

  test("spent before a restart count", async () => {
    const recent = [{ model: "m", promptTokens: 100, outputTokens: 1, credits: 0.25 }];
    const before = { ...none, creditsToday: 10, recent };
    expect(await world({ creditsPerDay: 10 }, before).reserve()).toMatchObject({
      failure: { kind: "limit-reached" },
    });
    const { reserved, holds } = world({ creditsPerDay: 11 }, before);
    await reserved();
    expect(holds).toMatchObject([{ user: "u1", caller: "u1", credits: 0.25, tokens: 101 }]);
  });
});

describe("other limits", () => {
  test("tokens a day are those of prompts and replies", async () => {
    const { reserve, reserved } = world({ tokensPerDay: 1_000 });
    (await reserved()).settle(cost(1, 1_000));
    expect(await reserve()).toMatchObject({
      failure: { kind: "limit-reached", message: expect.stringContaining("tokensPerDay") },
    });
  });

  test("requests of the last minute are counted, and the next possible time is named", async () => {
    const { reserve, reserved, advance } = world({ requestsPerMinute: 2 });
    (await reserved()).settle(cost(0));
    await advance(20_000);
    (await reserved()).settle(cost(0));
    expect(await reserve()).toEqual({
      ok: false,
      failure: {
        kind: "rate-limited",
        message:
          "You may make 2 requests a minute (requestsPerMinute). The next one is possible at 2026-01-15T12:01:00Z.",
        retryAfterMs: 40_000,
      },
    });
    await advance(40_000);
    expect(await reserve()).toMatchObject({ ok: true });
    expect(await reserve()).toMatchObject({ ok: false });
  });

  test("requests at a time", async () => {
    const { reserve, reserved } = world({ concurrentRequests: 1 });
    const first = await reserved();
    expect(await reserve()).toMatchObject({
      failure: { kind: "rate-limited", message: expect.stringContaining("concurrentRequests") },
    });
    first.settle(cost(1));
    expect(await reserve()).toMatchObject({ ok: true });
  });

  test("models by any of their names", async () => {
    const { reserve } = world({ models: ["fast"] });
    expect(await reserve({ model: "claude-haiku-4.5" })).toMatchObject({ ok: true });
    expect(await reserve({ model: "claude-opus-4.6" })).toMatchObject({
      failure: {
        kind: "permission",
        message: "You may not use the model claude-opus-4.6. You may use: fast.",
      },
    });
  });

  test("a user's own outrank the defaults, and 0 is none", async () => {
    const { reserve } = world({ concurrentRequests: 1, models: ["fast"] });
    const own = { concurrentRequests: 0, models: [] };
    for (let n = 0; n < 3; n++) expect(await reserve({ own })).toMatchObject({ ok: true });
  });

  test("one user's do not touch another", async () => {
    const { reserve } = world({ concurrentRequests: 1 });
    expect(await reserve({ user: "u1" })).toMatchObject({ ok: true });
    expect(await reserve({ user: "__proto__" })).toMatchObject({ ok: true });
  });
});
