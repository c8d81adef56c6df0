import { expect, test } from "bun:test";
import { loadSettings } from "../../src/cli/settings.ts";
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
