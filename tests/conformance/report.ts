/** Writes docs/conformance.md: part of `bun run docs`. */
import { join } from "node:path";
import { rules } from "./suite.ts";

export const REPORT: string = join(import.meta.dir, "../../docs/conformance.md");

const GROUPS: [letter: string, heading: string][] = [
  ["A", "Anthropic Messages, and what Claude Code needs of a gateway"],
  ["B", "OpenAI Chat Completions"],
  ["C", "OpenAI Responses"],
  ["D", "Models"],
  ["F", "Transport"],
  ["K", "What Kiro accepts"],
];

/**
 * All rules hold for this gateway: each is a test of that name, so a build where one does not is red. The page says which
 * there are.
 */
export function renderReport(): string {
  const scripted = rules.filter(({ kind }) => kind === "scripted").length;
  const tables = GROUPS.map(([letter, heading]) => {
    const rows = rules
      .filter(({ id }) => id.startsWith(letter))
      .toSorted((a, b) => a.id.localeCompare(b.id))
      .map(
        ({ id, title, kind }) =>
          `| ${id} | ${title} | ${kind === "scripted" ? "yes" : ""} | pass |`,
      );
    return `## ${heading}\n\n| rule | | scripted | kiro-proxy |\n|---|---|---|---|\n${rows.join("\n")}\n`;
  });
  return `<!-- Written by \`bun run docs\` from tests/conformance. -->

# Conformance

What a gateway has to do for the clients of Anthropic's and OpenAI's APIs, as ${rules.length} rules with a test each. They see a gateway as its clients do, so you can
try yours:

\`\`\`text
bun install
bun run conformance URL KEY [--model NAME] [--only messages|chat|responses] [--json]
\`\`\`

It prints a line for each rule and ends with exit code 1 if one is broken. The requests are real, about a hundred of them, short but for two that test limits
of size; whoever answers them may charge for them. The gateway has to ask for a key, and \`--model\` names one that
it serves. ${scripted} rules need to say what the service behind the gateway answers or to see what it was asked. They are marked
\`scripted\`, skipped by the command, and tried in this project's own tests, where a stand-in for Kiro is behind the gateway.

For this gateway every rule is a test of its name, run against the compiled binary (\`bun test tests/conformance\`), and all of them pass. What the vendors' own
clients make of it (SDKs in TypeScript and Python, the AI SDK, LangChain, Claude Code, Codex, opencode) is tested in \`tests/e2e\`.

${tables.join("\n")}`;
}

if (import.meta.main) await Bun.write(REPORT, renderReport());
