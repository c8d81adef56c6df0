import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createLines } from "../../src/cli/lines.ts";

function written() {
  const texts: string[] = [];
  return { texts, lines: createLines((text) => void texts.push(text)) };
}

test("the lines of one turn leave together, in their order, and those of the next by themselves", async () => {
  const { texts, lines } = written();
  lines.write("a\n");
  lines.write("b\n");
  expect(texts).toEqual([]);
  await new Promise<void>((next) => setImmediate(next));
  expect(texts).toEqual(["a\nb\n"]);
  lines.write("c\n");
  await new Promise<void>((next) => setImmediate(next));
  expect(texts).toEqual(["a\nb\n", "c\n"]);
});

test("what waits at the end leaves once", async () => {
  const { texts, lines } = written();
  lines.write("a\n");
  lines.flush();
  lines.flush();
  await new Promise<void>((next) => setImmediate(next));
  expect(texts).toEqual(["a\n"]);
});

test("standard error gets all of a long text, be it a pipe or a file", async () => {
  const file = JSON.stringify(`${import.meta.dir}/../../src/cli/stderr.ts`);
  const script = `const { writeToStderr } = await import(${file}); writeToStderr("x".repeat(300_000) + "\\n");`;
  const child = Bun.spawn([process.execPath, "-e", script], { stderr: "pipe" });
  expect((await child.stderr.text()).length).toBe(300_001);
  expect(await child.exited).toBe(0);

  const log = join(await mkdtemp(join(tmpdir(), "kiro-proxy-lines-")), "log");
  await Bun.spawn([process.execPath, "-e", script], { stderr: Bun.file(log) }).exited;
  expect(Bun.file(log).size).toBe(300_001);
  await rm(dirname(log), { recursive: true });
});

test("a pipe that nobody reads stops nothing", async () => {
  const file = JSON.stringify(`${import.meta.dir}/../../src/cli/stderr.ts`);
  const script = `const { writeToStderr } = await import(${file}); for (let i = 0; i < 9; i++) writeToStderr("x".repeat(50_000)); console.log("goes on"); process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  expect(await child.stdout.text()).toBe("goes on\n");
  child.kill("SIGKILL");
  await child.exited;
});
