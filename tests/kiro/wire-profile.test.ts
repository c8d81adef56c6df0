import { describe, expect, test } from "bun:test";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { parseWireProfile, withWireProfile } from "../../src/kiro/wire-profile.ts";

function read(over: object) {
  return parseWireProfile("mine", JSON.stringify({ version: "1", ...over }), defaultProfile);
}

function applied(over: object) {
  const profile = read(over);
  if (!profile.ok) throw new Error(profile.failure);
  return withWireProfile(defaultProfile, profile.value);
}

describe("a profile's file", () => {
  test("that says nothing changes nothing", () => {
    expect(applied({})).toEqual(defaultProfile);
  });

  test("is laid over what is there: the rest stays", () => {
    const { versions, headers, origin, fillers } = applied({
      versions: { kiro: "9.9.9" },
      headers: { chat: { "x-amzn-kiro-agent-mode": null, "x-new": "{kiro}" } },
      origin: "CLI",
    });
    expect(versions).toEqual({ ...defaultProfile.versions, kiro: "9.9.9" });
    const { "x-amzn-kiro-agent-mode": _, ...kept } = defaultProfile.headers.chat;
    expect(headers).toEqual({
      ...defaultProfile.headers,
      chat: { ...kept, "x-new": "{kiro}" },
    });
    expect(origin).toBe("CLI");
    expect(fillers).toEqual(defaultProfile.fillers);
  });

  test.each([
    ["an unknown section", { hots: {} }, "no such key: hots"],
    ["an unknown key", { versions: { kir: "1" } }, "versions: no such key: kir"],
    ["a wrong type", { images: { maxCount: "ten" } }, /^images\.maxCount: /],
    ["a key taken away that is needed", { fillers: { userEmpty: null } }, /^fillers\.userEmpty: /],
    [
      "what log-ins depend on",
      { hosts: { oidc: "https://x.example" } },
      "hosts: no such key: oidc",
    ],
    [
      "somebody's token",
      { headers: { chat: { authorization: "x" } } },
      /^headers\.chat\.authorization: /,
    ],
    [
      "a header that could end another",
      { headers: { chat: { "x-a": "a\r\nb: c" } } },
      /^headers\.chat\.x-a: /,
    ],
    ["a host without TLS", { hosts: { api: "http://q.example" } }, /^hosts\.api: must be https/],
    ["a host with a user", { hosts: { api: "https://a:b@q.example" } }, /^hosts\.api: /],
    [
      "a host with a placeholder of its own",
      { hosts: { api: "https://{id}.example" } },
      /^hosts\.api: /,
    ],
    [
      "a fallback without TLS",
      { hosts: { apiFallbacks: ["http://q.example"] } },
      /^hosts\.apiFallbacks\.0: /,
    ],
    ["no version", { version: undefined }, /^version: /],
  ])("with %s is refused by the key's name", (_, over, message) => {
    const profile = read(over);
    expect(profile.ok).toBe(false);
    if (!profile.ok) expect(profile.failure).toMatch(message);
  });

  test("that is not JSON is refused with its line", () => {
    expect(parseWireProfile("mine", '{\n"version" "1"}', defaultProfile)).toMatchObject({
      failure: expect.stringContaining("line 2"),
    });
  });

  test.each(["https://q.{region}.example.com", "http://127.0.0.1:9000/api/{region}"])(
    "may name %s",
    (api) => {
      expect(applied({ hosts: { api } }).hosts.api).toBe(api);
    },
  );
});
