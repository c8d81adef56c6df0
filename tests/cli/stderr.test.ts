import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

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

test.skipIf(process.platform === "win32")("a pipe that nobody reads stops nothing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-lines-"));
  const file = JSON.stringify(`${import.meta.dir}/../../src/cli/stderr.ts`);
  const script = `const { writeToStderr } = await import(${file}); for (let i = 0; i < 9; i++) writeToStderr("x".repeat(50_000)); console.log("goes on"); process.exit(0);`;
  // The reader holds the pipe open and takes nothing out of it; its process id is the first line.
  const shell = `mkfifo "$1"; sleep 300 < "$1" > /dev/null & echo $!; exec "$2" -e "$3" 2> "$1"`;
  const command = ["sh", "-c", shell, "sh", join(folder, "pipe"), process.execPath, script];
  const child = Bun.spawn(command, { stdout: "pipe" });
  const [reader, said] = (await child.stdout.text()).split("\n");
  expect(said).toBe("goes on");
  expect(await child.exited).toBe(0);
  process.kill(Number(reader));
  await rm(folder, { recursive: true });
});
