import { expect, test } from "bun:test";
import { withApiKey } from "../../src/credentials/environment.ts";
import type { CredentialStore, Listing } from "../../src/credentials/store.ts";
import { fail, ok } from "../../src/result.ts";

const context = {
  defaultRegion: "us-east-1",
  regions: ["us-east-1"],
  profileArns: { builderId: "arn:b", social: "arn:s" },
};
const empty: Listing = { credentials: [], rejected: [], missing: true };

const gone = async () => fail({ kind: "gone" as const });

function holding(listing: Listing): CredentialStore {
  return {
    list: async () => ok(listing),
    put: gone,
    update: gone,
    remove: gone,
    add: async () => ok([]),
  };
}

test("the key from the environment is a credential without a file", async () => {
  const listed = await withApiKey(holding(empty), "ksk_secret", context).list();
  expect(listed).toMatchObject({
    ok: true,
    value: { missing: false, credentials: [{ id: "KIRO_API_KEY", authMethod: "api-key" }] },
  });
  expect(Bun.inspect(listed)).not.toContain("ksk_secret");
});

test("a key that cannot be one is reported and the file's credentials stay", async () => {
  const listed = await withApiKey(holding(empty), "two words", context).list();
  expect(listed).toMatchObject({ ok: true, value: { rejected: [{ path: "KIRO_API_KEY" }] } });
});

test("a broken file is still a broken file", async () => {
  const broken: CredentialStore = {
    ...holding(empty),
    list: async () => fail({ kind: "io", file: "f", message: "EIO" }),
  };
  expect((await withApiKey(broken, "ksk_secret", context).list()).ok).toBe(false);
});

test("the key from the environment can't be changed here, and everything else can", async () => {
  const store = withApiKey(holding(empty), "ksk_secret", context);
  const readOnly = { ok: false, failure: { kind: "read-only" } };
  expect(await store.update("KIRO_API_KEY", { disabled: true })).toMatchObject(readOnly);
  expect(await store.remove("KIRO_API_KEY")).toMatchObject(readOnly);
  expect(await store.update("other", {})).toMatchObject({ failure: { kind: "gone" } });
  expect(await store.remove("other")).toMatchObject({ failure: { kind: "gone" } });
});
