import { expect, test } from "bun:test";
import { parseCredential } from "../../src/credentials/credential.ts";
import type { CredentialState } from "../../src/credentials/state.ts";
import { createOverview } from "../../src/gateway/overview.ts";
import type { QuotaReading } from "../../src/gateway/quota.ts";
import { ok } from "../../src/result.ts";

const NOW = Date.UTC(2026, 0, 15);
const context = {
  defaultRegion: "us-east-1",
  regions: ["us-east-1"],
  profileArns: { builderId: "arn:b", social: "arn:s" },
};
const reading: QuotaReading = {
  quota: {
    used: 37.4219,
    limit: 50,
    remaining: 12.5781,
    bonus: { used: 1.005, limit: 10 },
    overage: { enabled: true, used: 0, cap: 100 },
    plan: "KIRO PRO",
    resetAt: NOW + 86_400_000,
    email: "user@example.com",
  },
  readAt: NOW - 90_000,
  fault: { type: "no-token", fault: { kind: "transient", message: "" } },
};

function overview(state: CredentialState, known: QuotaReading | undefined) {
  const parsed = parseCredential(
    {
      id: "c1",
      kiroApiKey: "ksk_SECRET",
      priority: 2,
      email: "user@example.com",
      profileArn: "arn:aws:codewhisperer:us-east-1:SECRET:profile/SECRETABCD",
      proxyUrl: "http://SECRET:SECRET@proxy.example:3128",
    },
    context,
  );
  if (!parsed.ok) throw new Error(parsed.failure.message);
  const credential = parsed.value;
  const reads: string[] = [];
  const view = createOverview({
    runtime: { now: () => NOW },
    pool: { list: () => [{ credential, state, inFlight: 3 }] },
    quota: {
      async read({ id }) {
        reads.push(id);
        return ok(reading);
      },
      known: () => known,
    },
  });
  return { view, reads };
}

test("a credential with its state and its quota to two decimals, and nothing secret", async () => {
  const { view, reads } = overview({ type: "ready", refusals: 0 }, reading);
  const all = await view.list();
  expect(all).toEqual([
    {
      id: "c1",
      auth_method: "api-key",
      priority: 2,
      state: "ready",
      until: null,
      in_flight: 3,
      quota: {
        plan: "KIRO PRO",
        used: 37.42,
        limit: 50,
        remaining: 12.58,
        bonus: { used: 1, limit: 10 },
        overage: { enabled: true, used: 0, cap: 100 },
        reset_at: "2026-01-16T00:00:00.000Z",
        age_seconds: 90,
        stale: true,
      },
      expires_at: null,
      renewable: false,
      provider: null,
      source: null,
      api_region: "us-east-1",
      auth_region: "us-east-1",
      profile_arn: "arn:…:us-east-1:…ABCD",
      proxy: "http://proxy.example:3128",
    },
  ]);
  expect(reads).toEqual(["c1"]);
  expect(JSON.stringify(all)).not.toMatch(/SECRET|@/);
});

test("an account that is to be left alone is not asked, what is known of it is shown", async () => {
  const rests: CredentialState[] = [
    { type: "suspended" },
    { type: "needs-login" },
    { type: "disabled" },
    { type: "cooling", until: NOW + 1_000, refusals: 0 },
  ];
  for (const state of rests) {
    const { view, reads } = overview(state, undefined);
    expect(await view.list()).toMatchObject([{ state: state.type, quota: null }]);
    expect(reads).toEqual([]);
  }
});
