import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "bun:test";
import { watchFiles } from "../../src/credentials/watch.ts";
import { createTestRuntime } from "../support/runtime.ts";

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-watch-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

function watched(stamp?: (path: string) => Promise<string>, paths = ["a", "b"]) {
  const clock = createTestRuntime();
  const ending = new AbortController();
  // The one at the start, which takes over what was written before the first look.
  let reloads = -1;
  const reload = async (): Promise<void> => void (reloads += 1);
  const deps = { paths, reload, runtime: clock.runtime, ...(stamp && { stamp }) };
  const running = watchFiles(deps, ending.signal);
  return { ...clock, ending, running, reloads: () => reloads };
}

describe("watchFiles", () => {
  test("reloads once for each change, within two seconds, and not for none", async () => {
    let written = 0;
    const { advance, reloads } = watched(async (path) => (path === "b" ? String(written) : ""));
    await advance(10_000);
    expect(reloads()).toBe(0);
    written += 1;
    await advance(2_000);
    expect(reloads()).toBe(1);
    await advance(10_000);
    expect(reloads()).toBe(1);
  });

  test("sees a file that comes, is written, is replaced and goes", async () => {
    const path = join(folder, "credentials.json");
    const { advance, settle, pending, reloads, running, ending } = watched(undefined, [path]);
    /** The disk is real, so it may take some turns; the test's own limit ends a wait in vain. */
    const reloaded = async (times: number): Promise<void> => {
      while (reloads() < times) await advance(2_000);
      expect(reloads()).toBe(times);
    };
    while (pending() === 0) await settle();
    await writeFile(path, "[]");
    await reloaded(1);
    await writeFile(path, "[ ]");
    await reloaded(2);
    await writeFile(`${path}.new`, "[ ]");
    await rename(`${path}.new`, path);
    await reloaded(3);
    await rm(path);
    await reloaded(4);
    ending.abort();
    await running;
  });

  test("ends with its signal", async () => {
    const { ending, running, pending, settle } = watched(async () => "");
    await settle();
    ending.abort();
    await running;
    expect(pending()).toBe(0);
  });

  test("does not hide a bug", async () => {
    const { running } = watched(async () => await Promise.reject(new Error("a bug")));
    expect(await running.then(String, String)).toContain("a bug");
  });
});
