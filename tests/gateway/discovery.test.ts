import { describe, expect, test } from "bun:test";
import type { CredentialState } from "../../src/credentials/state.ts";
import { createDiscovery } from "../../src/gateway/discovery.ts";
import { createQuota } from "../../src/gateway/quota.ts";
import { listModels, type OfferedModel, resolveModel } from "../../src/kiro/models.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { fail, ok } from "../../src/result.ts";
import { MINUTE, NOW, recordingLog } from "../credentials/samples.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { fault, fixedTokens, FULL, HOUR, scriptedManagement, stored } from "./accounts.ts";

const READY: CredentialState = { type: "ready", refusals: 0 };

function world(
  ids: string[],
  options: { states?: Record<string, CredentialState>; records?: Record<string, object> } = {},
) {
  const time = createTestRuntime({ now: NOW });
  const tokens = fixedTokens();
  const service = scriptedManagement();
  const { log, lines } = recordingLog();
  const offers = new Map<string, { has(model: string): boolean } | undefined>();
  const states = { ...options.states };
  let listed = ids.map((id) => stored(id, options.records?.[id]));
  const pool = {
    list: () =>
      listed.map((credential) => ({
        credential,
        state: states[credential.id] ?? READY,
        inFlight: 0,
      })),
    learnModels: (id: string, models: { has(model: string): boolean } | undefined) =>
      void offers.set(id, models),
    learnQuota: () => {},
    judge: ({ id }: { id: string }) => void (states[id] = { type: "suspended" }),
  };
  const { management } = service;
  const deps = { tokens, management, pool, runtime: time.runtime, log };
  const quota = createQuota(deps);
  const discovery = createDiscovery({ ...deps, quota, profile: defaultProfile });
  const modelCalls = () => service.calls.filter((call) => call.startsWith("models"));
  return {
    ...time,
    ...service,
    discovery,
    offers,
    lines,
    modelCalls,
    replace: (credentials: typeof listed) => void (listed = credentials),
  };
}

const offered: OfferedModel[] = [
  { id: "auto", window: 200_000 },
  { id: "claude-sonnet-4.5", window: 200_000 },
  { id: "claude-opus-4.6" },
  { id: "glm-5", displayName: "GLM 5", window: 128_000, maxOutput: 16_000 },
];

describe("survey", () => {
  test("adds what is offered to the eight that are always listed", async () => {
    const { discovery, answers } = world(["c1"]);
    expect(listModels(discovery.profile())).toHaveLength(8);
    answers.models = () => ok(offered);
    await discovery.survey();
    const models = listModels(discovery.profile());
    expect(models.slice(0, 8)).toEqual(listModels(defaultProfile));
    expect(models.slice(8)).toMatchObject([
      { id: "glm-5", displayName: "GLM 5", window: 128_000, maxOutput: 16_000 },
    ]);
    expect(resolveModel("GLM-5", discovery.profile())).toMatchObject({
      id: "glm-5",
      window: 128_000,
    });
  });

  test("tells the pool what each account may use, by the names that requests will have", async () => {
    const { discovery, answers, offers } = world(["c1", "c2"]);
    answers.models = (id) =>
      ok(id === "c1" ? offered : [{ id: "GLM-5" }, { id: "Claude-Sonnet-4.5" }]);
    await discovery.survey();
    const has = (id: string) =>
      ["auto", "claude-sonnet-4.5", "claude-opus-4.6", "claude-haiku-4.5", "glm-5"].filter(
        (model) => offers.get(id)?.has(model),
      );
    expect(has("c1")).toEqual(["auto", "claude-sonnet-4.5", "claude-opus-4.6", "glm-5"]);
    expect(has("c2")).toEqual(["claude-sonnet-4.5", "glm-5"]);
  });

  test("what was never answered is not held against an account", async () => {
    const { discovery, answers, offers } = world(["c1", "c2"]);
    answers.models = (id) => (id === "c1" ? fail(fault("unavailable")) : ok([]));
    await discovery.survey();
    expect([...offers.values()]).toEqual([undefined, undefined]);
  });

  test.each([
    ["KIRO FREE", false],
    ["Kiro Free Tier", false],
    ["KIRO PRO", true],
    ["FREEDOM", true],
    [undefined, true],
  ])(
    "the plan %s is taken to have opus while its list is not known: %p",
    async (plan, expected) => {
      const { discovery, answers, offers } = world(["c1"]);
      answers.usageLimits = () => ok({ ...FULL, ...(plan === undefined ? {} : { plan }) });
      answers.models = () => fail(fault("unavailable"));
      if (plan === undefined) answers.usageLimits = () => fail(fault("unavailable"));
      await discovery.survey();
      expect(offers.get("c1")?.has("claude-opus-4.6") !== false).toBe(expected);
      expect(offers.get("c1")?.has("claude-sonnet-4.5") !== false).toBe(true);
    },
  );

  test("a free account whose list has opus has it", async () => {
    const { discovery, answers, offers } = world(["c1"]);
    answers.usageLimits = () => ok({ ...FULL, plan: "KIRO FREE" });
    answers.models = () => ok(offered);
    await discovery.survey();
    expect(offers.get("c1")?.has("claude-opus-4.6")).toBe(true);
  });

  test("asks again after an hour, sooner after a failure, and at once after another log-in", async () => {
    const { discovery, answers, advance, modelCalls, replace } = world(["c1"]);
    answers.models = () => ok(offered);
    const callsAfter = async (ms: number) => {
      await advance(ms);
      await discovery.survey();
      return modelCalls().length;
    };
    expect(await callsAfter(0)).toBe(1);
    expect(await callsAfter(HOUR - 1)).toBe(1);
    answers.models = () => fail(fault("unavailable"));
    expect(await callsAfter(1)).toBe(2);
    expect(await callsAfter(5 * MINUTE - 1)).toBe(2);
    answers.models = () => ok(offered);
    expect(await callsAfter(1)).toBe(3);
    replace([{ ...stored("c1"), version: "another" }]);
    expect(await callsAfter(0)).toBe(4);
    expect(await callsAfter(HOUR - 1)).toBe(4);
  });

  test("does not hold another account's list against a log-in that took its place", async () => {
    const { discovery, answers, offers, replace } = world(["c1"]);
    answers.models = () => ok(offered);
    await discovery.survey();
    expect(offers.get("c1")?.has("glm-6")).toBe(false);
    replace([{ ...stored("c1"), version: "another" }]);
    answers.models = () => fail(fault("unavailable"));
    await discovery.survey();
    expect(offers.get("c1")).toBeUndefined();
  });

  test("keeps what it knows when the service can't be asked", async () => {
    const { discovery, answers, advance, offers } = world(["c1"]);
    answers.models = () => ok(offered);
    await discovery.survey();
    answers.models = () => fail(fault("unavailable"));
    await advance(HOUR);
    await discovery.survey();
    expect(listModels(discovery.profile()).at(-1)?.id).toBe("glm-5");
    expect(offers.get("c1")?.has("claude-haiku-4.5")).toBe(false);
  });

  test("forgets what only a credential that is gone was offered", async () => {
    const { discovery, answers, advance, replace } = world(["c1", "c2"]);
    answers.models = (id) => ok([{ id: `of-${id}` }]);
    await discovery.survey();
    expect(listModels(discovery.profile()).slice(8)).toMatchObject([
      { id: "of-c1" },
      { id: "of-c2" },
    ]);
    replace([stored("c2")]);
    await advance(HOUR);
    await discovery.survey();
    expect(listModels(discovery.profile()).slice(8)).toMatchObject([{ id: "of-c2" }]);
  });

  test("asks about four accounts at a time, each once", async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `c${n}`);
    const { discovery, answers, modelCalls, load } = world(ids);
    answers.models = async () => {
      await new Promise<void>((next) => setImmediate(next));
      return ok(offered);
    };
    await discovery.survey();
    expect(modelCalls().toSorted()).toEqual(ids.map((id) => `models ${id} eu-west-1`).toSorted());
    expect(load.most).toBe(4);
  });

  test("leaves accounts alone that rest or are out of use, and those whose token has ended", async () => {
    const until = NOW + HOUR;
    const { discovery, modelCalls } = world(["a", "b", "c", "d", "e", "f", "g"], {
      states: {
        a: { type: "suspended" },
        b: { type: "cooling", until, refusals: 0 },
        c: { type: "needs-login" },
        d: { type: "disabled" },
        e: { type: "exhausted", since: NOW, until },
      },
      records: { f: { expiresAt: new Date(NOW - 1).toISOString() } },
    });
    await discovery.survey();
    expect(modelCalls()).toEqual(["models e eu-west-1", "models g eu-west-1"]);
  });

  test("an account that turns out to be locked is asked nothing more", async () => {
    const { discovery, answers, calls } = world(["c1"]);
    answers.usageLimits = () => fail(fault("suspended"));
    await discovery.survey();
    expect(calls).toEqual(["usageLimits c1 eu-west-1"]);
  });

  test("without any credential there is nothing to do", async () => {
    const { discovery, calls } = world([]);
    await discovery.survey();
    expect(calls).toEqual([]);
    expect(listModels(discovery.profile())).toHaveLength(8);
  });
});

describe("run", () => {
  test("finds new credentials by itself and ends with its signal", async () => {
    const { discovery, modelCalls, advance, replace, pending, settle } = world(["c1"]);
    const abort = new AbortController();
    const running = discovery.run(abort.signal);
    await settle();
    expect(modelCalls()).toHaveLength(1);
    replace([stored("c1"), stored("c2")]);
    await advance(5_000);
    expect(modelCalls()).toHaveLength(2);
    abort.abort();
    await running;
    expect(pending()).toBe(0);
  });
});
