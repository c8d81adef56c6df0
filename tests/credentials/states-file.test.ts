import { describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import {
  createStatesFile,
  type SavedState,
  type SavedStates,
  statesPath,
  LOCK_NAME,
} from "../../src/credentials/states-file.ts";
import { createTestRuntime } from "../support/runtime.ts";
import { memoryFiles, NOW, recordingLog } from "./samples.ts";

const PATH = statesPath("/data/credentials.json");
const suspended = { type: "suspended", login: "v1" } as const;
const exhausted = { type: "exhausted", since: NOW, until: NOW + 1_000, login: "v2" } as const;
const cooling = { type: "cooling", until: NOW + 5, refusals: 2, login: "v3" } as const;
const ALL: SavedStates = new Map<string, SavedState>([
  ["a", suspended],
  ["b", exhausted],
  ["c", cooling],
  ["d", { type: "needs-login", login: "v4" } as const],
]);

function world(initial?: string) {
  const clock = createTestRuntime({ now: NOW });
  let isFull = false;
  const memory = memoryFiles(initial === undefined ? {} : { [PATH]: initial }, (step) => {
    if (isFull && step === "rename") throw Object.assign(new Error("full"), { code: "ENOSPC" });
  });
  const { log, lines } = recordingLog();
  const make = () =>
    createStatesFile({ path: PATH, runtime: clock.runtime, log, files: memory.files });
  let states: SavedStates = new Map();
  const told: string[] = [];
  const owner = {
    snapshot: () => states,
    forget: (ids: readonly string[]) => void told.push(`forget ${ids.join()}`),
    adopt: (found: SavedStates) => void told.push(`adopt ${[...found.keys()].join()}`),
  };
  return {
    ...clock,
    ...memory,
    file: make(),
    make,
    owner,
    told,
    lines,
    text: () => memory.content.get(PATH),
    hold: (next: SavedStates) => void (states = next),
    fill: (full: boolean) => void (isFull = full),
  };
}

describe("the file of states", () => {
  test("lies beside the credentials, and gives back what was saved", async () => {
    const { file, make, owner, hold, advance } = world();
    expect(PATH).toBe("/data/credential-states.json");
    expect(await file.read()).toEqual({ ok: true, value: new Map() });
    hold(ALL);
    file.changed(owner);
    await advance(1_000);
    expect(await make().read()).toEqual({ ok: true, value: ALL });
  });

  test("is for people to read", async () => {
    const { file, owner, hold, advance, text } = world();
    hold(new Map([["b", exhausted]]));
    file.changed(owner);
    await advance(1_000);
    expect(JSON.parse(text() ?? "")).toEqual({
      b: {
        type: "exhausted",
        since: "2026-01-15T12:00:00.000Z",
        until: "2026-01-15T12:00:01.000Z",
        login: "v2",
      },
    });
  });

  test("is written within a second of a change, once for many", async () => {
    const { file, owner, hold, advance, steps, text } = world();
    for (let change = 0; change < 50; change++) file.changed(owner);
    expect(steps).toEqual([]);
    hold(new Map([["a", suspended]]));
    await advance(999);
    expect(text()).toContain("suspended");
    expect(steps.filter((step) => step === "rename")).toHaveLength(1);
    expect(steps.slice(-3)).toEqual(["create", "rename", "syncFolder"]);
  });

  test("is written at once by a flush, and waits for a write that is under way", async () => {
    const { file, owner, hold, text, pending } = world();
    hold(ALL);
    file.changed(owner);
    await file.flush();
    expect(text()).toContain("suspended");
    expect(pending()).toBe(0);
    await file.flush();
  });

  test("that can't be written is told once and written later", async () => {
    const { file, owner, hold, fill, advance, text, lines } = world();
    fill(true);
    hold(ALL);
    file.changed(owner);
    await advance(60_000);
    expect(lines).toEqual([{ level: "error", event: "states-file", path: PATH, fault: "ENOSPC" }]);
    fill(false);
    await advance(10_000);
    expect(text()).toContain("suspended");
  });

  test("tells of entries that somebody took out, before the next write as well", async () => {
    const { file, owner, told, hold, content, advance, text } = world();
    hold(ALL);
    file.changed(owner);
    await advance(1_000);
    const { b: _, ...rest } = JSON.parse(text() ?? "");
    content.set(PATH, JSON.stringify(rest));
    file.changed(owner);
    await advance(1_000);
    expect(told).toEqual(["forget b"]);
    // Nothing at all in the folder is a drive that is away, and no reason to forget a suspension.
    content.delete(PATH);
    await file.reread(owner);
    expect(told).toEqual(["forget b"]);
    content.set(join(dirname(PATH), "credentials.json"), "[]");
    await file.reread(owner);
    expect(told).toEqual(["forget b", "forget a,b,c,d"]);
  });

  test("knows its own entries again, however they are written in memory", async () => {
    const { file, owner, told, hold, advance } = world();
    const odd = { login: "v2", until: NOW + 3_600_000.25, since: NOW, type: "exhausted" } as const;
    hold(new Map([["b", odd]]));
    file.changed(owner);
    await advance(1_000);
    hold(new Map());
    file.changed(owner);
    await advance(1_000);
    expect(told).toEqual([]);
  });

  test("tells of an entry that another process has changed", async () => {
    const { file, owner, told, hold, content, advance, text } = world();
    hold(ALL);
    file.changed(owner);
    await advance(1_000);
    const entries = JSON.parse(text() ?? "");
    content.set(PATH, JSON.stringify({ ...entries, b: { type: "suspended", login: "v2" } }));
    await file.reread(owner);
    expect(told).toEqual(["adopt b"]);
  });

  test("that somebody has broken is told with its line and never replaced", async () => {
    const { file, owner, hold, content, advance, text, lines } = world();
    hold(ALL);
    content.set(PATH, '{\n"a": {');
    file.changed(owner);
    await advance(60_000);
    expect(text()).toBe('{\n"a": {');
    expect(JSON.stringify(lines)).toContain("line 2");
  });

  test("that another process is about to replace is written after it", async () => {
    const { file, owner, hold, files, advance, text } = world();
    hold(ALL);
    const release = await files.lock(join(dirname(PATH), LOCK_NAME));
    file.changed(owner);
    await advance(5_000);
    expect(text()).toBeUndefined();
    release?.();
    await advance(1_000);
    expect(text()).toContain("suspended");
  });

  test("tells of entries that another process put in, and keeps quiet about its own", async () => {
    const { file, owner, told, hold, advance, make } = world();
    hold(new Map([["a", suspended]]));
    file.changed(owner);
    await advance(1_000);
    await file.reread(owner);
    expect(told).toEqual([]);
    const other = make();
    await other.read();
    other.changed({ ...owner, snapshot: () => ALL });
    await advance(1_000);
    await file.reread(owner);
    expect(told).toEqual(["adopt b,c,d"]);
  });

  test.each([
    { name: "not JSON", text: "{", message: "the text ends too early" },
    { name: "an empty file", text: "", message: "the text ends too early" },
    {
      name: "a state that does not exist",
      text: '{"a":{"type":"gone","login":"x"}}',
      message: "a",
    },
    {
      name: "no date",
      text: '{"a":{"type":"exhausted","since":1,"until":2,"login":"x"}}',
      message: "a",
    },
    { name: "a list", text: "[]", message: "" },
  ])("that has $name in it is a fault with its name, and nobody is forgotten", async (given) => {
    const { file, owner, told, lines } = world(given.text);
    expect(await file.read()).toMatchObject({
      ok: false,
      failure: { kind: "broken", file: PATH, message: expect.stringContaining(given.message) },
    });
    await file.reread(owner);
    await file.reread(owner);
    expect(told).toEqual([]);
    expect(lines).toHaveLength(1);
  });
});
