import { describe, expect, test } from "bun:test";
import { createActivation } from "../../src/auth/activation.ts";
import { createKnownCodes } from "../../src/auth/known-codes.ts";
import { bodyOf, memoryFiles, recordingLog } from "../credentials/samples.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";

const PATH = "/data/known-activation-codes.json";

async function world(answer: ScriptedFetch, saved: Record<string, string> = {}) {
  const time = createTestRuntime({ fetch: answer });
  const { log, lines } = recordingLog();
  const { files, content } = memoryFiles(saved);
  const known = await createKnownCodes({ path: PATH, runtime: time.runtime, log, files });
  const activation = createActivation({
    url: "http://activation.test",
    known,
    runtime: time.runtime,
    log,
  });
  return { ...time, known, activation, lines, content };
}

const says =
  (body: unknown): ScriptedFetch =>
  () =>
    Response.json(body);
const down: ScriptedFetch = () => {
  throw new TypeError("connection refused");
};

describe("activation", () => {
  test("the server is asked as the Go build asks it", async () => {
    const { activation, calls } = await world(says({ success: true, message: "ok" }));
    expect(await activation.check("4zj6-ab", "m1")).toEqual({ type: "confirmed" });
    expect(calls).toMatchObject([
      { url: "http://activation.test/api/tunnel/check", init: { method: "POST" } },
    ]);
    expect(JSON.parse(bodyOf(calls[0]!.init))).toEqual({ code: "4ZJ6-AB", machineId: "m1" });
  });

  test("a confirmation holds for five minutes, for this machine alone", async () => {
    const { activation, calls, advance } = await world(says({ success: true, message: "" }));
    await activation.check("a", "m1");
    await advance(299_000);
    expect(activation.check("A", "m1")).toEqual({ type: "confirmed" });
    expect(calls).toHaveLength(1);
    await activation.check("a", "m2");
    expect(calls).toHaveLength(2);
    await advance(1_000);
    await activation.check("a", "m1");
    expect(calls).toHaveLength(3);
  });

  test("a confirmation does not outlast the code", async () => {
    const expiresAt = new Date(Date.UTC(2026, 0, 15, 12, 1)).toISOString();
    const { activation, calls, advance } = await world(
      says({ success: true, message: "", expiresAt }),
    );
    await activation.check("a", "");
    await advance(61_000);
    await activation.check("a", "");
    expect(calls).toHaveLength(2);
  });

  test("a refusal holds for a minute and keeps the server's words", async () => {
    const { activation, calls, advance } = await world(
      says({ success: false, message: "no days\n  left" }),
    );
    const refused = { type: "refused", message: "no days left" } as const;
    expect(await activation.check("a", "")).toEqual(refused);
    await advance(59_000);
    expect(activation.check("a", "")).toEqual(refused);
    await advance(1_000);
    await activation.check("a", "");
    expect(calls).toHaveLength(2);
  });

  test("many requests at a time are one question", async () => {
    const { activation, calls } = await world(says({ success: true, message: "" }));
    await Promise.all(Array.from({ length: 50 }, async () => await activation.check("a", "")));
    expect(calls).toHaveLength(1);
  });

  test.each([
    ["a refused connection", down],
    ["an error page", () => new Response("<html>", { status: 502 })],
    ["a success with another status", () => Response.json({ success: true }, { status: 500 })],
    ["JSON of another kind", says({ ok: true })],
    ["a redirect's answer", () => new Response("", { status: 204 })],
  ] as [string, ScriptedFetch][])("%s is an outage, which is not remembered", async (_, answer) => {
    const { activation, calls } = await world(answer);
    expect(await activation.check("a", "")).toEqual({ type: "unavailable", known: false });
    await activation.check("a", "");
    expect(calls).toHaveLength(2);
  });

  test("a server that hangs is given up after five seconds", async () => {
    const { activation, advance } = await world(async () => await new Promise(() => undefined));
    const checking = activation.check("a", "");
    await advance(5_001);
    expect(await checking).toEqual({ type: "unavailable", known: false });
  });

  test("after three failures nobody waits for it any more, but one every half minute", async () => {
    let up = false;
    const { activation, calls, advance, lines } = await world(() =>
      up ? Response.json({ success: true, message: "" }) : new Response("", { status: 500 }),
    );
    for (let round = 0; round < 10; round += 1) await activation.check(`code-${round}`, "");
    expect(calls).toHaveLength(3);
    await advance(30_000);
    await Promise.all([activation.check("x", ""), activation.check("y", "")]);
    expect(calls).toHaveLength(4);
    up = true;
    await advance(30_000);
    expect(await activation.check("x", "")).toEqual({ type: "confirmed" });
    expect(await activation.check("y", "")).toEqual({ type: "confirmed" });
    expect(lines.map(({ event }) => event)).toEqual([
      "activation-server-unavailable",
      "activation-server-available",
    ]);
  });
});

describe("known codes", () => {
  test("a code that was confirmed is known after a restart, on its machine alone", async () => {
    const first = await world(says({ success: true, message: "" }));
    await first.activation.check("abc", "m1");
    await first.advance(1_000);
    expect(first.content.get(PATH)).not.toContain("ABC");
    const second = await world(down, Object.fromEntries(first.content));
    expect(await second.activation.check("ABC", "m1")).toEqual({
      type: "unavailable",
      known: true,
    });
    expect(await second.activation.check("abc", "m2")).toEqual({
      type: "unavailable",
      known: false,
    });
  });

  test("a refusal makes it unknown again", async () => {
    const { known, activation, content } = await world(
      says({ success: false, message: "expired" }),
    );
    known.confirm("abc", "m1", Number.NaN);
    await activation.check("abc", "m1");
    expect(known.has("abc", "m1")).toBe(false);
    await known.flush();
    expect(content.get(PATH)).toBe("{}");
  });

  test("an expired code is not known", async () => {
    const { known, runtime, advance } = await world(down);
    known.confirm("abc", "m1", runtime.now() + 1_000);
    expect(known.has("abc", "m1")).toBe(true);
    await advance(1_000);
    expect(known.has("abc", "m1")).toBe(false);
  });

  test("a file that can't be read is an empty one, and said", async () => {
    const { known, lines } = await world(down, { [PATH]: "{broken" });
    expect(known.has("abc", "m1")).toBe(false);
    expect(lines).toMatchObject([{ event: "known-codes-unreadable" }]);
  });
});
