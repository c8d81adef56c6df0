import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-spending-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

const program = join(import.meta.dir, "spending-process.ts");

/** Starts the program on the ledger, and kills it after so many requests were let through; without a number it may end. */
async function spend(path: string, killAfter?: number): Promise<string[]> {
  const child = Bun.spawn([process.execPath, program, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const bytes of child.stdout) {
    text += Buffer.from(bytes).toString();
    const held = text.split("held").length - 1;
    if (killAfter !== undefined && held >= killAfter) child.kill("SIGKILL");
  }
  await child.exited;
  return text.trimEnd().split("\n");
}

test.each([1, 3, 6, 9])(
  "what %d requests have spent or hold when the gateway is killed is spent after its start",
  async (killAfter) => {
    const path = join(folder, `${killAfter}.db`);
    const before = await spend(path, killAfter);
    const after = await spend(path);
    const served = [...before, ...after].filter((line) => line === "held").length;
    // Each is of one credit; nobody knows how many more were killed before they could say that they were let through.
    expect(served).toBeLessThanOrEqual(11);
    expect(after.at(-1)).toBe("refused limit-reached");
    const again = await spend(path);
    expect(again.filter((line) => line === "held")).toEqual([]);
  },
);
