import { describe, expect, test } from "bun:test";
import {
  type Authenticate,
  type AuthenticateOptions,
  type Origin,
  createAuthenticate,
} from "../../src/auth/authenticate.ts";
import type { Claim } from "../../src/auth/claim.ts";
import type { CredentialSource } from "../../src/credentials/pool.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import type { ActivationVerdict } from "../../src/auth/activation.ts";
import { createAddressLimit } from "../../src/auth/address-limit.ts";
import { idOf, userOf } from "../../src/auth/user-record.ts";
import { authOptions } from "../support/auth.ts";
import { createTestRuntime } from "../support/runtime.ts";

type Decide = (claim: Claim, from?: Origin) => ReturnType<Authenticate>;
type Inline = Extract<CredentialSource, { type: "inline" }>["credential"];

const KEY = "3f1c9a0b7e5d24681f0a3c5e7b9d1f20";
const credential = { id: "theirs" } as Inline;

function authenticate(options: Partial<AuthenticateOptions> = {}): Decide {
  const decide = createAuthenticate(
    authOptions({ allowClientCredentials: true, parseInline: () => ok(credential), ...options }),
  );
  return (claim, from = origin()) => decide(claim, from);
}

function origin(address = "192.0.2.1", machineId = ""): Origin {
  return { address: () => address, machineId };
}

const guarded = authenticate({ apiKey: new Secret(KEY) });

function refusal(decide: Decide, claim: Claim): string {
  const result = decide(claim);
  if (result instanceof Promise || result.ok) throw new Error("let in");
  expect(result.failure.kind).toBe("authentication");
  return result.failure.message;
}

function key(text: string): Claim {
  return { type: "key", key: new Secret(text) };
}

describe("with an API key", () => {
  test("the right key gets the pool", () => {
    expect(guarded(key(KEY))).toEqual(ok({ name: "api-key", source: { type: "pool" } }));
  });

  test.each(["", "x", KEY.slice(0, -1), `${KEY}0`, KEY.toUpperCase(), ` ${KEY}`])(
    "%j is refused without being repeated",
    (wrong) => {
      const message = refusal(guarded, key(wrong));
      if (wrong.length > 1) expect(message).not.toContain(wrong);
      expect(message).not.toContain(KEY);
    },
  );

  test("no key is refused with a word on how to send one", () => {
    expect(refusal(guarded, { type: "none" })).toContain("x-api-key");
  });
});

describe("without an API key", () => {
  test("any key and none get the pool, as the server listens on loopback alone", () => {
    const open = authenticate();
    const local = ok({ name: "local", source: { type: "pool" } } as const);
    expect(open({ type: "none" })).toEqual(local);
    expect(open(key("anything"))).toEqual(local);
  });
});

describe.each([
  ["with an API key", guarded],
  ["without one", authenticate()],
])("%s", (_, decide) => {
  test("an unknown activation code is refused", () => {
    expect(refusal(decide, { type: "activation", code: "USER001" })).toBe(
      "Unknown activation code.",
    );
  });

  test("a malformed credential is refused, and the answer says where it was", () => {
    expect(refusal(decide, { type: "malformed", from: "creds-" })).toContain("creds-");
    expect(refusal(decide, { type: "malformed", from: "X-Kiro-Credentials" })).toContain(
      "X-Kiro-Credentials",
    );
  });

  test("a credential of the client's own needs no key and pays for itself alone", () => {
    expect(decide({ type: "inline", json: { refreshToken: "r" } })).toEqual(
      ok({ name: "inline", source: { type: "inline", credential } }),
    );
  });
});

describe("a credential of the client's own", () => {
  test("is refused where the operator does not want it, and is then not even read", () => {
    let read = 0;
    const decide = authenticate({
      allowClientCredentials: false,
      parseInline: () => {
        read++;
        return ok(credential);
      },
    });
    expect(refusal(decide, { type: "inline", json: {} })).toContain("no credentials from clients");
    expect(read).toBe(0);
  });

  test("is refused with the reason where it is not one", () => {
    const decide = authenticate({ parseInline: () => fail("refreshToken is missing") });
    expect(refusal(decide, { type: "inline", json: [] })).toContain("refreshToken is missing");
  });

  test("is parsed from exactly what was claimed", () => {
    const seen: unknown[] = [];
    const decide = authenticate({
      parseInline(json) {
        seen.push(json);
        return ok(credential);
      },
    });
    void decide({ type: "inline", json: { a: 1 } });
    expect(seen).toEqual([{ a: 1 }]);
  });
});

const CODE = "4ZJ6-USER";

/** Users that know one code, as a record of the file says. */
function usersWith(record: object) {
  const user = userOf(`act-${CODE}`, record);
  return { users: { find: (code: string) => (code === CODE ? user : undefined) } };
}

const activation: Claim = { type: "activation", code: CODE };
const own = { refreshToken: "r".repeat(120) };

describe("an activation code of a user", () => {
  test("without a credential of its own spends the pool's", async () => {
    const decide = authenticate(
      usersWith({ user_name: "Ann", limits: { requests_per_minute: 5 } }),
    );
    const id = idOf(CODE);
    expect(await decide(activation)).toEqual(
      ok({
        name: id,
        source: { type: "pool" },
        user: { id, name: "Ann", limits: { requestsPerMinute: 5 } },
      }),
    );
  });

  test.each([true, false])(
    "with one of its own spends that, with fallback %p",
    async (fallback) => {
      const decide = authenticate({ ...usersWith({ credentials: own }), fallback });
      const source = { type: "user", user: idOf(CODE), fallback };
      expect(await decide(activation)).toMatchObject({ ok: true, value: { source } });
    },
  );

  test("ends with the last day of expires_date", async () => {
    const { runtime, advance } = createTestRuntime({ now: Date.UTC(2026, 5, 30, 23, 59, 59) });
    const decide = authenticate({ ...usersWith({ expires_date: "2026-06-30" }), runtime });
    expect(await decide(activation)).toMatchObject({ ok: true });
    await advance(1_000);
    expect(await decide(activation)).toMatchObject({
      ok: false,
      failure: { kind: "activation-refused", message: "This activation code has expired." },
    });
  });

  test.each([
    { name: "that is switched off", record: { disabled: true } },
    { name: "with an unreadable date", record: { expires_date: "soon" } },
    { name: "with limits that can't be read", record: { limits: { requests_per_minute: "5" } } },
    { name: "that is no object", record: [] },
  ])("$name is refused", async ({ record }) => {
    expect(await authenticate(usersWith(record))(activation)).toMatchObject({
      ok: false,
      failure: { kind: "activation-refused" },
    });
  });
});

function asked(verdict: ActivationVerdict, more: Partial<AuthenticateOptions> = {}) {
  const calls: string[][] = [];
  const decide = authenticate({
    activation: {
      async check(...call) {
        calls.push(call);
        return verdict;
      },
    },
    ...more,
  });
  return { decide, calls };
}

describe("with an activation server", () => {
  test("a confirmed code that no user has gets the pool", async () => {
    const { decide, calls } = asked({ type: "confirmed" });
    const result = await decide(activation, origin("192.0.2.1", "m1"));
    const user = { id: idOf(CODE), name: "", limits: {} };
    expect(result).toEqual(ok({ name: user.id, source: { type: "pool" }, user }));
    expect(calls).toEqual([[CODE, "m1"]]);
  });

  test("a refusal is passed on in the server's words, also for a user", async () => {
    const { decide } = asked({ type: "refused", message: "other device" }, usersWith({}));
    expect(await decide(activation)).toEqual(
      fail({ kind: "activation-refused", message: "other device" }),
    );
  });

  test.each([
    { policy: "known", user: false, known: false, passes: false },
    { policy: "known", user: false, known: true, passes: true },
    { policy: "known", user: true, known: false, passes: true },
    { policy: "open", user: false, known: false, passes: true },
    { policy: "closed", user: true, known: true, passes: false },
  ] as const)(
    "while it can't be asked, policy $policy, user $user, known $known: passes $passes",
    async ({ policy, user, known, passes }) => {
      const { decide } = asked(
        { type: "unavailable", known },
        { activationOutagePolicy: policy, ...(user ? usersWith({}) : {}) },
      );
      const result = await decide(activation);
      expect(result.ok).toBe(passes);
      if (!result.ok) expect(result.failure.kind).toBe("unavailable");
    },
  );

  test("what is too long to be a code is not asked about", async () => {
    const { decide, calls } = asked({ type: "confirmed" });
    const result = await decide({ type: "activation", code: "x".repeat(201) });
    expect(result).toMatchObject({ failure: { kind: "authentication" } });
    expect(calls).toEqual([]);
  });

  test("an outage does not excuse a code that has expired", async () => {
    const { decide } = asked(
      { type: "unavailable", known: true },
      usersWith({ expires_date: "2020-01-01" }),
    );
    expect(await decide(activation)).toMatchObject({ failure: { kind: "activation-refused" } });
  });
});

describe("addresses", () => {
  test("the third wrong key within a minute is told to wait, the right one never", async () => {
    const { runtime, advance } = createTestRuntime();
    const decide = authenticate({
      apiKey: new Secret(KEY),
      failures: createAddressLimit(2, runtime),
    });
    const wrong = async () => await decide(key("wrong"));
    expect(await wrong()).toMatchObject({ failure: { kind: "authentication" } });
    expect(await decide(activation)).toMatchObject({ failure: { kind: "authentication" } });
    await advance(10_000);
    expect(await wrong()).toMatchObject({
      failure: { kind: "rate-limited", retryAfterMs: 50_000 },
    });
    expect(await decide(key(KEY))).toMatchObject({ ok: true });
    expect(await decide(key("wrong"), origin("192.0.2.2"))).toMatchObject({
      failure: { kind: "authentication" },
    });
    await advance(50_000);
    expect(await wrong()).toMatchObject({ failure: { kind: "authentication" } });
  });

  test("credentials of clients are counted, good ones too", async () => {
    const { runtime } = createTestRuntime();
    const decide = authenticate({ clientCredentials: createAddressLimit(1, runtime) });
    const inline: Claim = { type: "inline", json: {} };
    expect(await decide(inline)).toMatchObject({ ok: true });
    expect(await decide(inline)).toMatchObject({ failure: { kind: "rate-limited" } });
  });
});
