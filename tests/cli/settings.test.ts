import { expect, test } from "bun:test";
import { describeStoreFault, loadSettings } from "../../src/cli/settings.ts";
import { createTestRuntime } from "../support/runtime.ts";

const { runtime } = createTestRuntime();
const around = { env: {}, home: "/nowhere", platform: "darwin" };

test("without a configuration the credentials are in the user's home", async () => {
  const settings = await loadSettings({}, around, runtime);
  expect(settings.ok && settings.value.credentialsPath).toBe(
    "/nowhere/.kiro-proxy/credentials.json",
  );
});

test("a configuration that can't be used fails with a line for each problem", async () => {
  const env = { KIRO_PROXY_PORT: "CANARY", KIRO_PROXY_UPSTREAM_OIDC_URL: "nonsense" };
  const settings = await loadSettings({}, { ...around, env }, runtime);
  if (settings.ok) throw new Error("it was accepted");
  expect(settings.failure).toHaveLength(3);
  expect(settings.failure.join()).toContain("KIRO_PROXY_UPSTREAM_OIDC_URL");
});

test.each([
  { fault: { kind: "io", file: "/f", message: "EACCES" }, says: "/f: EACCES" },
  {
    fault: { kind: "broken", file: "/f", line: 1, column: 2, message: "why" },
    says: "/f, line 1, column 2: why",
  },
  { fault: { kind: "gone" }, says: "no longer there" },
  { fault: { kind: "conflict" }, says: "somebody else" },
  { fault: { kind: "read-only" }, says: "environment" },
  {
    fault: { kind: "unusable", fault: { path: "region", message: "is wrong" } },
    says: "region: is wrong",
  },
] as const)("$fault.kind is a line for people", ({ fault, says }) => {
  expect(describeStoreFault(fault)).toContain(says);
});
