import { expect, test } from "bun:test";
import { describeAccountFault } from "../../src/gateway/account.ts";
import type { KiroFault, KiroFaultKind } from "../../src/kiro/failure.ts";
import { parsed, socialRecord } from "../credentials/samples.ts";

const credential = parsed({ ...socialRecord(), id: "mine" });

function upstream(kind: KiroFaultKind, status?: number): string {
  const fault: KiroFault = {
    kind,
    failure: { kind: "upstream", message: "CANARY" },
    ...(status !== undefined && { status }),
  };
  return describeAccountFault(credential, { type: "upstream", fault });
}

const advice = {
  suspended: "support",
  suspicious: "leave it alone",
  "token-refused": "login -id mine",
  forbidden: "profileArn",
  quota: "reset",
  "daily-quota": "reset",
  throttled: "later",
  capacity: "later",
  unavailable: "network",
  "empty-reply": "network",
  rejected: "newer kiro-proxy",
  malformed: "newer kiro-proxy",
  "reasoning-rejected": "newer kiro-proxy",
  "conversation-rejected": "newer kiro-proxy",
  "model-unavailable": "newer kiro-proxy",
} satisfies Record<KiroFaultKind, string>;

test.each(Object.entries(advice) as [KiroFaultKind, string][])(
  "%s is one line that says what to do, and no word of the service's",
  (kind, says) => {
    for (const line of [upstream(kind), upstream(kind, 403)]) {
      expect(line).toContain(says);
      expect(line).not.toMatch(/CANARY|\n/);
    }
    expect(upstream(kind, 403)).toContain("403");
  },
);

test.each([
  { kind: "needs-login", says: "kiro-proxy login -id mine" },
  { kind: "transient", says: "later" },
] as const)("without a token ($kind) too", ({ kind, says }) => {
  const fault = { kind, message: "the reason" };
  const line = describeAccountFault(credential, { type: "no-token", fault });
  expect(line).toContain("the reason");
  expect(line).toContain(says);
});
