import { describe, expect, test } from "bun:test";
import { faultOfResponse, type KiroFault } from "../../src/kiro/failure.ts";
import { createMovedHosts, mayHaveMoved } from "../../src/kiro/moved-hosts.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { createTestRuntime } from "../support/runtime.ts";

const [first, second, third] = ["https://a.example", "https://b.example", "https://c.example"];
const profile = {
  ...defaultProfile,
  hosts: { ...defaultProfile.hosts, api: first, apiFallbacks: [second, third] },
};

describe("the order of hosts", () => {
  test("is the profile's until another has answered, and for ten minutes at least that one is first", async () => {
    const { runtime, advance } = createTestRuntime();
    const moved = createMovedHosts(runtime);
    expect(moved.order("one", profile)).toEqual([first, second, third]);
    moved.answered("one", second, false);
    await advance(10 * 60_000);
    moved.answered("one", second, false);
    expect(moved.order("one", profile)).toEqual([second, first, third]);
    expect(moved.order("other", profile)).toEqual([first, second, third]);
    await advance(21 * 60_000);
    expect(moved.order("one", profile)).toEqual([first, second, third]);
  });

  test("is the profile's again when its first host answers, or does not know the other any more", () => {
    const moved = createMovedHosts(createTestRuntime().runtime);
    moved.answered("one", second, false);
    expect(
      moved.order("one", { ...profile, hosts: { ...profile.hosts, apiFallbacks: [] } }),
    ).toEqual([first]);
    moved.answered("one", first, true);
    expect(moved.order("one", profile)).toEqual([first, second, third]);
  });
});

describe("another host is asked", () => {
  test.each([
    [401, "Unauthorized", true],
    [403, "The bearer token included in the request is invalid.", true],
    [404, "Not found", true],
    // What the service has decided stays decided.
    [403, "Your User ID temporarily is suspended.", false],
    [403, "Access is disabled for this account.", false],
    [429, "Due to suspicious activity, we are imposing temporary limits", false],
    [403, "Due to suspicious activity, we are imposing temporary limits", false],
    [402, "You have reached the limit.", false],
    [400, "Improperly formed request.", false],
    [500, "Internal server error", false],
  ])("after a %i %p: %p", (status, message, expected) => {
    expect(mayHaveMoved(fault(status, message), true)).toBe(expected);
  });

  test("not before the token was renewed", () => {
    expect(mayHaveMoved(fault(401, "Unauthorized"), false)).toBe(false);
  });

  test("not where a reason says that the account is suspended", () => {
    expect(mayHaveMoved(fault(403, "Access denied.", "TEMPORARILY_SUSPENDED"), true)).toBe(false);
  });
});

function fault(status: number, message: string, reason: string | null = null): KiroFault {
  return faultOfResponse(
    { status, headers: new Headers(), body: JSON.stringify({ message, reason }) },
    { window: 1, estimatedTokens: 1, now: 0 },
  );
}
