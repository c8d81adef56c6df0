import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands } from "../../src/cli/commands.ts";
import { completions, type CompletionsOptions } from "../../src/cli/completions.ts";

type Shell = CompletionsOptions["shell"];

/** How each shell is asked what it would offer at the end of a line, one offer a line. */
const asks: Record<Shell, (script: string, line: string) => string> = {
  bash: (script, line) => {
    const words = line.split(" ");
    return `source ${script}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_kiro_proxy; printf '%s\\n' "\${COMPREPLY[@]}"`;
  },
  // The real functions work within a line editor only: these stand in for them.
  zsh: (script, line) => `compdef() { : }
compadd() { shift; print -l -- $@ }
_describe() { print -l -- \${(P)2} }
_files() { print FILES }
source ${script}
words=(${line
    .split(" ")
    .map((word) => `'${word}'`)
    .join(" ")}); CURRENT=\${#words}; _kiro_proxy`,
  fish: (script, line) => `source ${script}; complete -C '${line}'`,
};

async function offered(shell: Shell, line: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-completions-"));
  try {
    const script = join(folder, "script");
    await Bun.write(script, completions(commands, shell));
    const flags = { bash: ["--norc"], zsh: ["-f"], fish: ["--no-config"] }[shell];
    const child = Bun.spawn([shell, ...flags, "-c", asks[shell](script, line)], {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", HOME: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect(err).toBe("");
    return out.split("\n").flatMap((one) => /^[^\t:]+/.exec(one)?.[0] ?? []);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe.each(["bash", "zsh", "fish"] as const)("%s", (shell) => {
  const here = test.skipIf(Bun.which(shell) === null);

  here("offers the commands", async () => {
    const words = await offered(shell, "kiro-proxy ");
    expect(words).toEqual(expect.arrayContaining(Object.keys(commands)));
  });

  here("offers what may follow a command, and no flag of another", async () => {
    const words = await offered(shell, "kiro-proxy setup ");
    expect(words).toEqual(expect.arrayContaining(["codex", "cursor"]));
    const flags = await offered(shell, "kiro-proxy setup -");
    expect(flags).toEqual(expect.arrayContaining(["-write", "-url"]));
    expect(flags).not.toContain("-demo");
  });

  here("offers the values of a flag", async () => {
    expect((await offered(shell, "kiro-proxy login -social ")).toSorted()).toEqual([
      "github",
      "google",
    ]);
    expect(await offered(shell, "kiro-proxy serve -log-level ")).toContain("debug");
  });

  here("offers files where one is meant", async () => {
    expect(await offered(shell, "kiro-proxy serve -config ")).toContain(
      shell === "zsh" ? "FILES" : "script",
    );
  });
});
