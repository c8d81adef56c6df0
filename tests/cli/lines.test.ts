import { expect, test } from "bun:test";
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

test("standard error gets all of a long text, whatever reads it", async () => {
  const file = JSON.stringify(`${import.meta.dir}/../../src/cli/stderr.ts`);
  const script = `const { writeToStderr } = await import(${file}); writeToStderr("x".repeat(300_000) + "\\n");`;
  const child = Bun.spawn([process.execPath, "-e", script], { stderr: "pipe" });
  expect((await child.stderr.text()).length).toBe(300_001);
  expect(await child.exited).toBe(0);
});
