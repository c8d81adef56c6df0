import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCapture } from "../../src/capture/format.ts";
import { type CaptureSettings, createRecorder, type Take } from "../../src/capture/recorder.ts";
import { faultOfFrame } from "../../src/kiro/failure.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { toKiroRequest } from "../../src/kiro/request.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { conversationOf, user } from "../support/conversations.ts";
import { createTestRuntime } from "../support/runtime.ts";

const OFF: CaptureSettings = {
  credentials: [],
  users: [],
  all: false,
  maxFiles: 3,
  maxFileBytes: 100_000,
  maxTotalBytes: 1_000_000,
};
const FAULT = faultOfFrame({ kind: "truncated" });

const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map(async (folder) => await rm(folder, { recursive: true })));
});

async function world(settings: Partial<CaptureSettings>) {
  const home = await mkdtemp(join(tmpdir(), "kiro-proxy-capture-"));
  folders.push(home);
  const folder = join(home, "captures");
  const { runtime, advance } = createTestRuntime();
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => runtime.now(),
  });
  const recorder = createRecorder({ ...OFF, ...settings }, { folder, runtime, log });
  const conversation = conversationOf({ turns: [user("Ask some.body@example.com")] });
  const kiro = toKiroRequest(
    conversation,
    { conversationId: "c", continuationId: "d" },
    defaultProfile,
  );
  if (!kiro.ok) throw new Error("not a request");
  const take = (more: Partial<Take> = {}) =>
    recorder.take({
      credential: "work",
      caller: "ann",
      attempt: 1,
      kiro: kiro.value,
      body: JSON.stringify(kiro.value.body),
      secrets: ["the-token"],
      conversation,
      response: {
        tagThinking: false,
        showThinking: true,
        originalToolName: (name) => name,
        context: { window: 200_000, estimatedTokens: 10, now: runtime.now() },
      },
      log,
      ...more,
    });
  /** One failing attempt, a second after the one before. */
  const failOnce = async (bytes = Buffer.from("not a frame")): Promise<void> => {
    await advance(1_000);
    const recording = take();
    recording?.answered(200, new Headers({ "set-cookie": "a=b", "retry-after": "2" }));
    recording?.bytes(bytes);
    recording?.ended("whole", FAULT);
    await recorder.flush();
  };
  const files = async (): Promise<string[]> =>
    (await readdir(folder).catch((): string[] => [])).toSorted().map((name) => join(folder, name));
  return { take, failOnce, files, folder, lines, recorder };
}

describe("whose attempts are kept", () => {
  test.each([
    ["nobody's, unless asked for", {}, {}, false],
    ["a credential's", { credentials: ["work"] }, {}, true],
    ["not another credential's", { credentials: ["home"] }, {}, false],
    ["every credential's", { credentials: ["*"] }, {}, true],
    ["a user's", { users: ["ann"] }, {}, true],
    ["not another user's", { users: ["bob"] }, {}, false],
    [
      "no client's own by a credential's name",
      { credentials: ["*"] },
      { credential: undefined },
      false,
    ],
    [
      "a user's with a credential of their own",
      { users: ["ann"] },
      { credential: undefined },
      true,
    ],
  ])("%s", async (_, settings, more, kept) => {
    const { take } = await world(settings);
    expect(take(more) !== undefined).toBe(kept);
  });

  test("what goes well is kept only where all is", async () => {
    for (const all of [false, true]) {
      const { take, files, recorder } = await world({ users: ["*"], all });
      take()?.ended("whole", undefined);
      await recorder.flush();
      expect(await files()).toHaveLength(all ? 1 : 0);
    }
  });
});

describe("the files", () => {
  test("are private, and hold no token, cookie or mail address", async () => {
    const { failOnce, files, folder } = await world({ users: ["*"] });
    await failOnce(Buffer.from("the-token, some.body@example.com"));
    const [file = ""] = await files();
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await Bun.file(file).text();
    const capture = parseCapture(text);
    if (!capture.ok) throw new Error(capture.failure);
    const [chunk = ""] = capture.value.response.chunks;
    expect(Buffer.from(chunk, "base64").toString()).toBe(`${"x".repeat(9)}, ${"x".repeat(21)}`);
    expect(capture.value.response.headers).toEqual({ "retry-after": "2" });
    expect(capture.value.fault).toMatchObject({ kind: "unavailable", reason: "truncated" });
    expect(text).not.toMatch(/the-token|example\.com|a=b/);
    expect(text).toContain("Ask xxx");
  });

  test("are never more than the limit: the oldest makes room", async () => {
    const { failOnce, files } = await world({ users: ["*"], maxFiles: 3 });
    await failOnce();
    const [oldest = ""] = await files();
    for (let more = 0; more < 3; more++) await failOnce();
    expect(await files()).toHaveLength(3);
    expect(await files()).not.toContain(oldest);
  });

  test("never take up more than the limit together", async () => {
    const { failOnce, files } = await world({ users: ["*"], maxTotalBytes: 4_000 });
    for (let more = 0; more < 8; more++) await failOnce();
    const sizes = await Promise.all((await files()).map(async (file) => (await stat(file)).size));
    expect(sizes.length).toBeGreaterThan(0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4_000);
  });

  test("none is larger than its limit; what is left out is said", async () => {
    const { failOnce, files } = await world({ users: ["*"], maxFileBytes: 2_000 });
    await failOnce(Buffer.alloc(2_000, 1));
    const [file = ""] = await files();
    expect((await stat(file)).size).toBeLessThanOrEqual(2_000);
    expect(JSON.parse(await Bun.file(file).text()).response).toMatchObject({
      chunks: [],
      cut: true,
    });
  });

  test("where none can be written the log says so, and requests go on", async () => {
    const { failOnce, folder, lines } = await world({ users: ["*"] });
    await Bun.write(folder, "a file");
    await failOnce();
    expect(lines.join("")).toContain('"event":"capture-not-written"');
  });
});
