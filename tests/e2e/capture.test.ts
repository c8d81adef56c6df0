import { afterAll, describe, expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { runBinary, startGateway, stopGateways } from "./binary.ts";
import { ask, prompt } from "./client.ts";

const kiro = startKiro();
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const FIXTURE = join(import.meta.dir, "../fixtures/cut-in-mid-frame.capture.json");

async function replay(...args: string[]) {
  return await runBinary({ bare: true, args: ["replay", ...args] });
}

describe("capture", () => {
  test("nothing is written unless somebody is named", async () => {
    const gateway = await startGateway({ kiro });
    kiro.script(scenarios["cut in mid frame"]);
    await ask(gateway, prompt("Hi"));
    expect(await readdir(gateway.folder)).not.toContain("captures");
    expect(gateway.output()).not.toContain("capture-on");
    await gateway.stop();
  });

  test("a failing request of a user becomes a private file, a start says that loudly", async () => {
    const gateway = await startGateway({ kiro, config: { capture: { users: ["*"] } } });
    expect(gateway.logs).toContainEqual(
      expect.objectContaining({ level: "warn", event: "capture-on" }),
    );
    kiro.script(scenarios.text, scenarios["cut in mid frame"]);
    await ask(gateway, prompt("all is well"));
    const seen = await ask(gateway, prompt("Hi", { stream: true }));
    const line = await gateway.logged(({ event }) => event === "captured");
    expect(line["request"]).toBe(seen.requestId);
    const folder = join(gateway.folder, "captures");
    const names = await readdir(folder);
    expect(names.map((name) => join(folder, name))).toEqual([String(line["file"])]);
    expect((await stat(String(line["file"]))).mode & 0o777).toBe(0o600);
    const text = await Bun.file(String(line["file"])).text();
    const { accessToken, refreshToken } = JSON.parse(await credentialsOf(gateway));
    for (const secret of [accessToken, refreshToken, gateway.apiKey, "Bearer"]) {
      expect(text).not.toContain(secret);
    }
    const again = await replay(String(line["file"]));
    expect(again.code).toBe(0);
    expect(deltas(again.stdout)).toEqual(deltas(seen.text));
    expect(again.stdout).not.toContain("message_stop");
    expect(again.stderr).toContain("Fault then: unavailable (reset)");
    expect(again.stderr).toContain("Fault now:  unavailable (reset)");
    await gateway.stop();
  });
});

async function credentialsOf({ credentialsPath }: { credentialsPath: string }): Promise<string> {
  return await Bun.file(credentialsPath).text();
}

/** The pieces of text, and the error. */
function deltas(sse: string): string[] {
  return Array.from(sse.matchAll(/"text":"[^"]+"|"type":"error".*$/gm), ([found]) =>
    found.replace(/,"request_id.*$/, ""),
  );
}

describe("replay of a capture in the tests", () => {
  test.each([
    ["messages", /event: content_block_delta[^]+event: error/],
    ["chat", /"delta":\{"content":"Hello"[^]+"error":/],
    ["responses", /response\.output_text\.delta[^]+response\.failed/],
  ])("%s", async (protocol, seen) => {
    const { code, stdout, stderr } = await replay(FIXTURE, "-protocol", protocol);
    expect(code).toBe(0);
    expect(stdout).toMatch(seen);
    expect(stderr).toContain("Fault now:  unavailable (reset): The connection to Kiro broke off.");
  });

  test("without streaming the client saw the error's status", async () => {
    const { stdout } = await replay(FIXTURE, "-json");
    expect(stdout).toStartWith("HTTP 502\n");
    expect(JSON.parse(stdout.slice(9))).toMatchObject({ type: "error" });
  });

  test.each([
    [["no-such.json"], "no-such.json does not exist"],
    [["config.json"], "config.json is not a capture: format: "],
    [[], "replay needs a file"],
    [[FIXTURE, "-protocol", "chatt"], "did you mean chat?"],
  ])("%j is refused with what is wrong", async (args, message) => {
    const { code, stderr } = await replay(...args);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toContain(message);
  });
});
