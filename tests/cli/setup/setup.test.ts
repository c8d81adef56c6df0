import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstat, readdir, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { CLIENTS } from "../../../src/cli/setup/clients.ts";
import { startKiro } from "../../emulator/kiro.ts";
import { createWorld, type World } from "../world.ts";

const kiro = startKiro();
afterAll(async () => await kiro.stop());
let world: World;
beforeEach(async () => {
  world = await createWorld(kiro);
});
afterEach(async () => await world.end());

function text(path: string): Promise<string> {
  return Bun.file(join(world.home, path)).text();
}

test.each(CLIENTS)("%s: what it needs is printed, and nothing is written", async (client) => {
  const before = await readdir(world.home, { recursive: true });
  const { code, out } = await world.run(
    `setup ${client} -url https://k.example/v1/ -key act-K1 -model claude-haiku-4-5`,
  );
  expect(code).toBe(0);
  expect(out).toContain("https://k.example");
  expect(out).not.toContain("/v1/v1");
  expect(out).toContain(client === "claude-code" ? "act-K1" : "claude-haiku-4-5");
  expect(await readdir(world.home, { recursive: true })).toEqual(before);
});

describe("claude-code", () => {
  const path = ".claude/settings.json";

  test("a comment, an order and a comma at the end survive; the old text is kept", async () => {
    const old = `{
  // mine
  "theme": "dark", /* stays */
  "env": { "FOO": "1" },
}
`;
    await world.write(path, old);
    const { code, out } = await world.run("setup claude-code -write -key k1");
    expect(code).toBe(0);
    const now = await text(path);
    expect(now).toContain("// mine");
    expect(now).toContain('"theme": "dark", /* stays */');
    expect(Bun.JSONC.parse(now)).toEqual({
      theme: "dark",
      env: { FOO: "1", ANTHROPIC_BASE_URL: "http://127.0.0.1:13000", ANTHROPIC_AUTH_TOKEN: "k1" },
    });
    const backup = /is in (.*)\.$/m.exec(out)?.[1] ?? "";
    expect(await Bun.file(backup).text()).toBe(old);
  });

  test("a second time changes nothing and keeps no second copy", async () => {
    await world.run("setup claude-code -write");
    const first = await text(path);
    const { code, out } = await world.run("setup claude-code -write");
    expect(code).toBe(0);
    expect(out).toContain("says so already");
    expect(await text(path)).toBe(first);
    expect(await readdir(join(world.home, ".claude"))).toEqual(["settings.json"]);
  });

  test("new settings, which hold a key, are for their owner alone", async () => {
    await world.run("setup claude-code -write -key k1");
    expect((await stat(join(world.home, path))).mode & 0o777).toBe(0o600);
  });

  test("settings that are a link to another place stay one", async () => {
    const target = await world.write("dotfiles/claude.json", '{"a": 1}');
    await world.write(".claude/other", "");
    await symlink(target, join(world.home, path));
    expect((await world.run("setup claude-code -write")).code).toBe(0);
    expect((await lstat(join(world.home, path))).isSymbolicLink()).toBe(true);
    expect(await text("dotfiles/claude.json")).toContain("ANTHROPIC_BASE_URL");
  });

  test.each(['{"env": ', '{"env": "a text"}', "[1]", "null"])(
    "%s is not written over",
    async (old) => {
      await world.write(path, old);
      const { code, err } = await world.run("setup claude-code -write");
      expect({ code, err }).toMatchObject({
        code: 1,
        err: expect.stringContaining("nothing was changed"),
      });
      expect(await text(path)).toBe(old);
    },
  );

  test("its own variable for the place of its settings counts", async () => {
    const env = { CLAUDE_CONFIG_DIR: join(world.home, "elsewhere") };
    await world.run("setup claude-code -write", { env });
    expect(await text("elsewhere/settings.json")).toContain("ANTHROPIC_AUTH_TOKEN");
  });
});

describe("codex", () => {
  const path = ".codex/config.toml";

  test("what is there stays, with its comments", async () => {
    const old = `# mine
model = "gpt-5" # the old one
approval_policy = "on-request"

[mcp_servers.docs]
command = "npx"
args = ["-y", "docs"]

[model_providers.kiro]
# why
query_params = { a = "b" }
base_url = "http://old"
`;
    await world.write(path, old);
    expect((await world.run("setup codex -write -key k1")).code).toBe(0);
    const now = await text(path);
    expect(Bun.TOML.parse(now)).toEqual({
      model: "claude-sonnet-4-5",
      model_provider: "kiro",
      approval_policy: "on-request",
      mcp_servers: { docs: { command: "npx", args: ["-y", "docs"] } },
      model_providers: {
        kiro: {
          name: "kiro",
          base_url: "http://127.0.0.1:13000/v1",
          wire_api: "responses",
          env_key: "KIRO_GATEWAY_KEY",
          query_params: { a: "b" },
        },
      },
    });
    expect(now).toContain("# mine");
    expect(now).toContain("# why");
    // The key is nobody's to find there.
    expect(now).not.toContain("k1");
    const { out } = await world.run("setup codex -write -key k1");
    expect(out).toContain("says so already");
  });

  test("where the gateway has no key, none is asked for", async () => {
    await world.run("setup codex -write");
    expect(await text(path)).not.toContain("env_key");
  });

  test.each([
    "model = '''\n[a]\n'''\n",
    'model = """\nx\n"""\n',
    '[model_providers]\nkiro = { name = "x" }\n',
    'model_providers.kiro.name = "x"\n',
    "a = \n",
  ])("%j can't be edited line by line and is not written", async (old) => {
    await world.write(path, old);
    const { code, err } = await world.run("setup codex -write");
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining("nothing was changed"),
    });
    expect(await text(path)).toBe(old);
  });

  test("lines that end as on Windows go on doing so", async () => {
    await world.write(path, "a = 1\r\n[b]\r\nc = 2\r\n");
    await world.run("setup codex -write");
    expect((await text(path)).replaceAll("\r\n", "")).not.toContain("\n");
  });
});

test("opencode: the file with comments is taken where there is one, models of before stay", async () => {
  const path = ".config/opencode/opencode.jsonc";
  await world.write(
    path,
    '{\n  // mine\n  "provider": {"kiro": {"models": {"claude-sonnet-4-5": {"name": "S"}, "x": {}}}}\n}',
  );
  await world.run("setup opencode -write -key k1");
  expect(await text(path)).toContain("// mine");
  expect(Bun.JSONC.parse(await text(path))).toEqual({
    model: "kiro/claude-sonnet-4-5",
    provider: {
      kiro: {
        npm: "@ai-sdk/anthropic",
        name: "Kiro",
        options: { baseURL: "http://127.0.0.1:13000/v1", apiKey: "k1" },
        models: { "claude-sonnet-4-5": { name: "S" }, x: {} },
      },
    },
  });
});

test("qwen-code: other models stay in the list, its own is in it once", async () => {
  const path = ".qwen/settings.json";
  await world.write(path, '{"modelProviders": {"openai": [/* mine */ {"id": "other"}]}}');
  await world.run("setup qwen-code -write -key k1");
  await world.run("setup qwen-code -write -key k2");
  expect(await text(path)).toContain("/* mine */");
  const { modelProviders, env } = Bun.JSONC.parse(await text(path)) as {
    modelProviders: { openai: { id: string }[] };
    env: object;
  };
  expect(modelProviders.openai.map(({ id }) => id)).toEqual(["other", "claude-sonnet-4-5"]);
  expect(env).toEqual({ KIRO_GATEWAY_KEY: "k2" });
});

test.each(["cursor", "cline", "continue"])(
  "%s keeps its settings where none may be written: -write says so and prints them",
  async (client) => {
    const { code, out, err } = await world.run(`setup ${client} -write`);
    expect(code).toBe(1);
    expect(err).toContain("by hand");
    expect(out).toContain("127.0.0.1:13000");
  },
);

test.each([
  ["-url ftp://x", "-url"],
  ["-url nonsense", "-url"],
  ["-key schlüssel", "-key"],
])("%s is refused", async (flag, named) => {
  const { code, err } = await world.run(`setup codex ${flag}`);
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(named) });
});
