import { describe, expect, test } from "bun:test";
import {
  type Authenticate,
  type AuthenticateOptions,
  createAuthenticate,
} from "../../src/auth/authenticate.ts";
import type { Claim } from "../../src/auth/claim.ts";
import type { CredentialSource } from "../../src/credentials/pool.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";

type Inline = Extract<CredentialSource, { type: "inline" }>["credential"];

const KEY = "3f1c9a0b7e5d24681f0a3c5e7b9d1f20";
const credential = { id: "theirs" } as Inline;

function authenticate(options: Partial<AuthenticateOptions> = {}): Authenticate {
  return createAuthenticate({
    allowClientCredentials: true,
    parseInline: () => ok(credential),
    ...options,
  });
}

const guarded = authenticate({ apiKey: new Secret(KEY) });

function refusal(decide: Authenticate, claim: Claim): string {
  const result = decide(claim);
  if (result.ok) throw new Error("let in");
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
  test("an activation code is refused", () => {
    expect(refusal(decide, { type: "activation", code: "USER001" })).toBe(
      "This gateway does not accept activation codes.",
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
    decide({ type: "inline", json: { a: 1 } });
    expect(seen).toEqual([{ a: 1 }]);
  });
});
