import { describe, expect, test } from "bun:test";
import type { Credential } from "../../src/credentials/credential.ts";
import { withProfiles } from "../../src/gateway/profiles.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { fail, ok } from "../../src/result.ts";
import { createTestRuntime } from "../support/runtime.ts";
import {
  entraRecord,
  idcRecord,
  memoryStore,
  NOW,
  parsed,
  recordingLog,
  socialRecord,
} from "../credentials/samples.ts";
import { fault, fixedTokens, HOUR, scriptedManagement } from "./accounts.ts";

const ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/OWN";

async function world(record: object = idcRecord("c1", NOW + HOUR)) {
  const { runtime, settle } = createTestRuntime({ now: NOW });
  const memory = memoryStore([{ ...record, id: "c1" }], runtime);
  const service = scriptedManagement();
  const inner = fixedTokens();
  const { log, lines } = recordingLog();
  const listed = await memory.store.list();
  let current = listed.ok ? listed.value.credentials[0] : undefined;
  if (current === undefined) throw new Error("no credential");
  const { management } = service;
  const judged: string[] = [];
  const tokens = withProfiles(inner, {
    management,
    runtime,
    pool: {
      current: (id) => (id === "c1" ? current : undefined),
      replace: (credential) => void (current = credential),
      judge: (_credential, { type }) => void judged.push(type),
    },
    store: memory.store,
    profile: defaultProfile,
    log,
  });
  return {
    ...memory,
    ...service,
    inner,
    lines,
    judged,
    settle,
    tokens,
    credential: current,
    current: () => current,
    replace: (credential: Credential) => void (current = credential),
  };
}

const placeholder = { ok: true, value: { profileArn: "placeholder", apiRegion: "us-east-1" } };

describe("access", () => {
  test("finds a company's profile once for all who wait, and stores it", async () => {
    const { tokens, answers, calls, credential, records, current } = await world();
    answers.profiles = (_id, region) => ok(region === "eu-central-1" ? [ARN, "arn:other"] : []);
    const all = await Promise.all(
      Array.from({ length: 10 }, async () => await tokens.access(credential)),
    );
    for (const access of all) {
      expect(access).toMatchObject({ value: { profileArn: ARN, apiRegion: "eu-central-1" } });
    }
    // It signs in in eu-west-1, and no region but these two is ever asked.
    expect(calls).toEqual(["profiles c1 eu-central-1"]);
    expect(records()).toMatchObject([{ profileArn: ARN, region: "eu-west-1" }]);
    expect(current()).toMatchObject({ profileArn: ARN, apiRegion: "eu-central-1" });
    await tokens.access(credential);
    expect(calls).toHaveLength(1);
  });

  test("asks the other region where the first has none or refuses", async () => {
    for (const first of [ok([]), fail(fault("token-refused")), fail(fault("unavailable"))]) {
      const { tokens, answers, calls, credential } = await world();
      answers.profiles = (_id, region) => (region === "us-east-1" ? ok([ARN]) : first);
      expect(await tokens.access(credential)).toMatchObject({
        value: { profileArn: ARN, apiRegion: "us-east-1" },
      });
      expect(calls).toEqual(["profiles c1 eu-central-1", "profiles c1 us-east-1"]);
    }
  });

  test("remembers that there is none for as long as the log-in stays", async () => {
    const { tokens, calls, credential, replace, records } = await world();
    expect(await tokens.access(credential)).toMatchObject(placeholder);
    expect(await tokens.access(credential)).toMatchObject(placeholder);
    expect(calls).toHaveLength(2);
    expect(records()).not.toMatchObject([{ profileArn: expect.anything() }]);
    replace({ ...credential, version: "another" });
    await tokens.access(credential);
    expect(calls).toHaveLength(4);
  });

  test("does not remember what it could not find out", async () => {
    const { tokens, answers, calls, credential, lines } = await world();
    answers.profiles = (_id, region) =>
      region === "us-east-1" ? fail(fault("unavailable")) : ok([]);
    expect(await tokens.access(credential)).toMatchObject(placeholder);
    answers.profiles = () => ok([ARN]);
    expect(await tokens.access(credential)).toMatchObject({ value: { profileArn: ARN } });
    expect(calls).toHaveLength(3);
    expect(lines.map(({ event }) => event)).toEqual(["profile-not-read", "profile-found"]);
  });

  test.each(["throttled", "suspicious", "suspended"] as const)(
    "stops asking when the answer is %s",
    async (kind) => {
      const { tokens, answers, calls, credential, judged } = await world();
      answers.profiles = () => fail(fault(kind));
      expect(await tokens.access(credential)).toMatchObject(placeholder);
      expect(calls).toHaveLength(1);
      expect(judged).toEqual(kind === "throttled" ? [] : [kind]);
    },
  );

  test.each([
    ["a social log-in", socialRecord("c1", NOW + HOUR)],
    ["an API key", { kiroApiKey: "ksk_1" }],
    ["a profile of its own", { ...idcRecord("c1"), profileArn: ARN }],
    [
      "a Builder ID by its start URL",
      { ...idcRecord("c1"), startUrl: "https://view.awsapps.com/start/#/" },
    ],
    ["a Builder ID by its provider", { ...idcRecord("c1"), provider: "BuilderId" }],
  ])("asks nothing about %s", async (_name, record) => {
    const { tokens, calls, credential } = await world(record);
    expect(await tokens.access(credential)).toMatchObject({ value: { profileArn: "placeholder" } });
    expect(calls).toEqual([]);
  });

  test("asks about log-ins of outside identity providers", async () => {
    const { tokens, answers, credential } = await world(entraRecord("c1", NOW + HOUR));
    answers.profiles = () => ok([ARN]);
    expect(await tokens.access(credential)).toMatchObject({ value: { profileArn: ARN } });
  });

  test("a profile is not written into a record that is another account's by now", async () => {
    const { tokens, answers, credential, edit, records, current } = await world();
    const other = [{ ...idcRecord("other", NOW + HOUR), id: "c1" }];
    answers.profiles = () => {
      edit(other);
      return ok([ARN]);
    };
    expect(await tokens.access(credential)).toMatchObject({ value: { profileArn: ARN } });
    expect(records()).toEqual(other);
    expect(current()?.profileArn).toBeUndefined();
  });

  test("a store that can't be written to does not stop the call", async () => {
    const { tokens, answers, calls, credential, content } = await world();
    answers.profiles = () => {
      content.clear();
      return ok([ARN]);
    };
    for (let turn = 0; turn < 2; turn++) {
      expect(await tokens.access(credential)).toMatchObject({ value: { profileArn: ARN } });
    }
    expect(calls).toHaveLength(1);
  });

  test("what a client brought is looked up too, and only for its own log-in", async () => {
    const { tokens, answers, calls, records } = await world();
    const before = records();
    answers.profiles = () => ok([ARN]);
    const inline = parsed({ ...idcRecord("x", NOW + HOUR), id: "c1" });
    for (let turn = 0; turn < 2; turn++) {
      expect(await tokens.access(inline)).toMatchObject({ value: { profileArn: ARN } });
    }
    expect(calls).toHaveLength(1);
    await tokens.access(parsed({ ...idcRecord("y", NOW + HOUR), id: "c1" }));
    expect(calls).toHaveLength(2);
    expect(records()).toEqual(before);
  });

  test("who leaves does not wait, and the others get the answer", async () => {
    const { tokens, answers, credential, settle } = await world();
    const { promise, resolve } = Promise.withResolvers<void>();
    answers.profiles = async () => {
      await promise;
      return ok([ARN]);
    };
    const abort = new AbortController();
    const leaver = Promise.try(() => tokens.access(credential, {}, abort)).catch(
      (reason: unknown) => reason,
    );
    const other = tokens.access(credential);
    await settle();
    abort.abort("left");
    expect(await leaver).toBe("left");
    resolve();
    expect(await other).toMatchObject({ value: { profileArn: ARN } });
  });

  test("without a token there is nothing to ask with", async () => {
    const { tokens, inner, calls, credential } = await world();
    inner.refuse = true;
    expect((await tokens.access(credential)).ok).toBe(false);
    expect(calls).toEqual([]);
  });
});
