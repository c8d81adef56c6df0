import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withServiceCredentials } from "../../src/cli/environment.ts";

test("what systemd hands over counts as the variable of that name, where that is not set", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-credentials-"));
  try {
    const files = { KIRO_PROXY_API_KEY: "from-file\n", KIRO_API_KEY: "ksk_file\n", PATH: "/evil" };
    await Promise.all(
      Object.entries(files).map(async ([name, text]) => await Bun.write(join(folder, name), text)),
    );
    const env = { CREDENTIALS_DIRECTORY: folder, PATH: "/bin", KIRO_API_KEY: "ksk_variable" };
    expect(await withServiceCredentials(env)).toEqual({
      ...env,
      KIRO_PROXY_API_KEY: "from-file",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("elsewhere the environment is what it is", async () => {
  const env = { KIRO_PROXY_API_KEY: "key" };
  expect(await withServiceCredentials(env)).toBe(env);
});
