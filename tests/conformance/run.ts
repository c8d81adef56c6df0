/**
 * Tries a gateway against the rules: `bun run conformance URL KEY [--model NAME] [--only messages|chat|responses] [--json]`.
 * The requests are real and cost what they cost. Rules that need the service behind the gateway scripted are skipped.
 */
import { type Protocol, type Rule } from "./rule.ts";
import { DEFAULT_MODEL, type Outcome, rules, tryRule } from "./suite.ts";

const PROTOCOLS: readonly Protocol[] = ["messages", "chat", "responses"];
/** Rules at a time: models take their time, and gateways have their limits. */
const AT_ONCE = 8;
const USAGE =
  "usage: bun run conformance URL KEY [--model NAME] [--only messages|chat|responses] [--json]";

process.exitCode = await main(process.argv.slice(2));

async function main(argv: string[]): Promise<number> {
  const words: string[] = [];
  let model = DEFAULT_MODEL;
  let only: string | undefined;
  let json = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--json") json = true;
    else if (word === "--model") model = argv[++at] ?? "";
    else if (word === "--only") only = argv[++at] ?? "";
    else words.push(word);
  }
  const [url = "", key, ...more] = words;
  const protocol = PROTOCOLS.find((one) => one === only);
  const isWrong = key === undefined || more.length > 0 || URL.parse(url) === null || model === "";
  if (isWrong || (only !== undefined && protocol === undefined)) {
    console.error(USAGE);
    return 2;
  }
  const chosen = rules.filter(
    ({ protocols }) => protocol === undefined || protocols.includes(protocol),
  );
  const rows: { rule: Rule; outcome: Outcome }[] = [];
  for (let done = 0; done < chosen.length; done += AT_ONCE) {
    const tried = chosen.slice(done, done + AT_ONCE).map(async (rule) => {
      return { rule, outcome: await tryRule(rule, { url, key, model }) };
    });
    for (const row of await Promise.all(tried)) {
      rows.push(row);
      if (!json) console.log(line(row.rule, row.outcome));
    }
  }
  const count = (result: Outcome["result"]): number =>
    rows.filter(({ outcome }) => outcome.result === result).length;
  const totals = { passed: count("passed"), failed: count("failed"), skipped: count("skipped") };
  if (json) {
    const shown = rows.map(({ rule: { id, title }, outcome }) => ({ id, title, ...outcome }));
    console.log(JSON.stringify({ url, model, ...totals, rules: shown }, null, 2));
  } else {
    console.log(
      `\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped: they need the service behind the gateway scripted`,
    );
  }
  return totals.failed > 0 ? 1 : 0;
}

function line({ id, title }: Rule, outcome: Outcome): string {
  const marks = { passed: "pass", failed: "FAIL", skipped: "skip" };
  const why = outcome.result === "failed" ? `\n            ${outcome.why}` : "";
  return `${marks[outcome.result]}  ${id}  ${title}${why}`;
}
