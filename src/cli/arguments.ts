import { ok, type Result } from "../result.ts";
import {
  type Command,
  type CommandSpec,
  type Given,
  unexpected,
  unknown,
  usage,
  type UsageFault,
} from "./command-spec.ts";
import { commands, helpOn } from "./commands.ts";

/** Flags that stand for a command and win over everything else on the line. */
const SHORTCUTS: Record<string, "help" | "version"> = {
  h: "help",
  help: "help",
  v: "version",
  version: "version",
};

/**
 * Reads the arguments after the program's name, as Go's `flag` package does: one dash or two, `-flag value` or
 * `-flag=value`, the last one wins, `--` ends the flags. The command may stand before its flags or behind them.
 */
export function parseArguments(argv: readonly string[]): Result<Command, UsageFault> {
  const known = new Map(Object.values(commands).flatMap(({ flags }) => Object.entries(flags)));
  const given: Given = new Map();
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at] ?? "";
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument);
    if (argument === "--") {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!match) {
      words.push(argument);
      continue;
    }
    const [, name = "", attached] = match;
    const shortcut = Object.hasOwn(SHORTCUTS, name) ? SHORTCUTS[name] : undefined;
    if (shortcut === "version") return ok({ type: shortcut });
    if (shortcut) return helpOn(words.find((word) => Object.hasOwn(commands, word)));
    const flag = known.get(name);
    if (!flag)
      return unknown(
        "flag",
        `-${name}`,
        [...known.keys()].map((one) => `-${one}`),
      );
    const value = attached ?? (flag.value === undefined ? "true" : argv[++at]);
    if (value === undefined || value === "") {
      return usage(`-${name} needs a value: -${name} ${flag.value ?? "true"}`);
    }
    if (flag.value === undefined && !/^(true|false)$/.test(value)) {
      return usage(`-${name} takes true or false, got ${JSON.stringify(value)}`);
    }
    given.set(name, value);
  }
  return build(words, given);
}

function build(words: string[], given: Given): Result<Command, UsageFault> {
  const [word = "serve", ...rest] = words;
  const command = Object.hasOwn(commands, word) ? commands[word] : undefined;
  if (!command) return unknown("command", word, Object.keys(commands));
  if (command.words === undefined && rest[0] !== undefined) return unexpected(rest[0]);
  for (const name of given.keys()) {
    if (!Object.hasOwn(command.flags, name)) return usage(`${word} has no flag -${name}`);
  }
  return command.build(given, rest);
}

/** What `help` prints; fits a screen of 80 × 24. */
export function helpText(command?: string): string {
  const spec = command === undefined ? undefined : commands[command];
  const lines = spec === undefined ? helpOnAll() : helpOnOne(command ?? "", spec);
  return lines.join("\n");
}

function helpOnAll(): string[] {
  return [
    "kiro-proxy: Kiro's models for tools that speak Anthropic's or OpenAI's API",
    "",
    "Usage: kiro-proxy [command] [flags]",
    "",
    ...Object.entries(commands).map(([name, { help }]) => line(name, help)),
    "",
    "Examples:",
    line("kiro-proxy --demo            try it without a Kiro account"),
    line("kiro-proxy help serve        its flags: -port, -config, -credentials and more"),
  ];
}

function helpOnOne(name: string, spec: CommandSpec): string[] {
  const { help, words, flags, examples = [] } = spec;
  return [
    `kiro-proxy ${name}: ${help}`,
    "",
    `Usage: kiro-proxy ${[name, words, ...(Object.keys(flags).length > 0 ? ["[flags]"] : [])].filter(Boolean).join(" ")}`,
    ...(Object.keys(flags).length > 0 ? ["", "Flags:", ...flagLines(spec)] : []),
    ...(examples.length > 0 ? ["", "Examples:", ...examples.map((one) => line(one))] : []),
  ];
}

function flagLines({ flags }: CommandSpec): string[] {
  return Object.entries(flags).map(([name, { value = "", help }]) =>
    line(`-${name} ${value}`, help),
  );
}

function line(left: string, right = ""): string {
  return `  ${left.padEnd(20)} ${right}`.trimEnd();
}
