import { afterAll, beforeAll, expect, test } from "bun:test";
import { chown, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFiles, errorCode, replaceFile } from "../../src/credentials/files.ts";

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "files-"))));
afterAll(async () => await rm(folder, { recursive: true }));

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(() => "none", errorCode);
}

test("a lock has one holder at a time, also within a process, and none after it is released", async () => {
  const path = join(folder, "a.lock");
  const first = await diskFiles.lock(path);
  expect(first).toBeDefined();
  expect(await diskFiles.lock(path)).toBeUndefined();
  expect(await diskFiles.lock(join(folder, "b.lock"))).toBeDefined();
  first?.();
  const second = await diskFiles.lock(path);
  expect(second).toBeDefined();
  second?.();
  expect(await stat(path)).toMatchObject({ size: 0 });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("a lock where nothing can be written is an error of the system's", async () => {
  expect(await codeOf(diskFiles.lock(join(folder, "none", "a.lock")))).toBe("ENOENT");
  const junk = join(folder, "junk.lock");
  await writeFile(junk, "something that is no database, and was here before".repeat(20));
  expect(await codeOf(diskFiles.lock(junk))).toBe("SQLITE_NOTADB");
});

test.skipIf(process.getuid?.() !== 0)(
  "what root writes belongs to whom the folder belongs to",
  async () => {
    const own = join(folder, "own");
    await diskFiles.makeFolder(own);
    await chown(own, 4_321, 4_322);
    await replaceFile(diskFiles, join(own, "a.json"), "{}", "draft");
    (await diskFiles.lock(join(own, "a.lock")))?.();
    for (const name of ["a.json", "a.lock"]) {
      expect(await stat(join(own, name))).toMatchObject({ uid: 4_321, gid: 4_322 });
    }
  },
);

test("names of a folder, and whether a file may be written", async () => {
  const path = join(folder, "c.json");
  await writeFile(path, "{}");
  expect(await diskFiles.list(folder)).toContain("c.json");
  expect(await codeOf(diskFiles.checkWritable(path))).toBe("none");
  expect(await codeOf(diskFiles.checkWritable(join(folder, "none.json")))).toBe("ENOENT");
});

test("a file that could not be put in place leaves no draft", async () => {
  await diskFiles.makeFolder(join(folder, "full", "target"));
  // A folder in the file's place refuses the rename.
  const target = join(folder, "full", "target");
  expect(await codeOf(replaceFile(diskFiles, target, "text", "draft"))).toBe("EISDIR");
  expect(await diskFiles.list(join(folder, "full"))).toEqual(["target"]);
});

test("an error without a code is a bug, and is thrown on", () => {
  expect(() => errorCode(new Error("a bug"))).toThrow("a bug");
  expect(() => errorCode("text")).toThrow();
});
