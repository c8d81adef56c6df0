import type { ConfigFlags } from "../config/load.ts";
import { closest } from "../config/suggestion.ts";
import { fail, ok, type Result } from "../result.ts";

export type Command =
  | { type: "serve"; flags: ConfigFlags; demo: boolean }
  | { type: "version" }
  | { type: "help" };

/** A sentence for people that says what is wrong and what to type instead. */
export type UsageFault = { message: string };

/** Values of the flags that were given, by name. A switch is "true" or "false". */
type Given = Map<string, string>;

type Flag = {
  help: string;
  /** Shown for the value; a flag without one is a switch. */ value?: string;
};

type CommandSpec = {
  help: string;
  flags: Record<string, Flag>;
  build(given: Given): Command;
};

const serve: CommandSpec = {
  help: "answer clients (what happens without a command)",
  flags: {
    config: { value: "PATH", help: "configuration file" },
    credentials: { value: "PATH", help: "file of the Kiro credentials" },
    host: { value: "ADDRESS", help: "address to listen on" },
    port: { value: "NUMBER", help: "port to listen on" },
    "log-level": { value: "LEVEL", help: "debug, info, warn or error" },
    demo: { help: "answer from a built-in demo instead of Kiro" },
  },
  build(given) {
    const flags = {
      config: given.get("config"),
      credentials: given.get("credentials"),
      host: given.get("host"),
      port: given.get("port"),
      logLevel: given.get("log-level"),
    };
    return { type: "serve", flags, demo: given.get("demo") === "true" };
  },
};

const commands: Record<string, CommandSpec> = {
  serve,
  version: { help: "print the version", flags: {}, build: () => ({ type: "version" }) },
  help: { help: "print this", flags: {}, build: () => ({ type: "help" }) },
};

/** Flags that stand for a command and win over everything else on the line. */
const SHORTCUTS: Record<string, Command> = {
  h: { type: "help" },
  help: { type: "help" },
  v: { type: "version" },
  version: { type: "version" },
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
    if (shortcut) return ok(shortcut);
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
  const [word = "serve", extra] = words;
  const command = Object.hasOwn(commands, word) ? commands[word] : undefined;
  if (!command) return unknown("command", word, Object.keys(commands));
  if (extra !== undefined) return usage(`unexpected argument ${JSON.stringify(extra)}`);
  for (const name of given.keys()) {
    if (!Object.hasOwn(command.flags, name)) return usage(`${word} has no flag -${name}`);
  }
  return ok(command.build(given));
}

/** What `help` prints; fits a screen of 80 × 24. */
export function helpText(): string {
  return [
    "kiro-proxy: use the models of Kiro from tools that speak the Anthropic or the",
    "OpenAI API",
    "",
    "Usage: kiro-proxy [command] [flags]",
    "",
    ...Object.entries(commands).map(([name, { help }]) => line(name, help)),
    "",
    "Flags of serve:",
    ...Object.entries(serve.flags).map(([name, { value = "", help }]) =>
      line(`-${name} ${value}`, help),
    ),
    "",
    "Examples:",
    line("kiro-proxy --demo", "try it without a Kiro account"),
    line("kiro-proxy -config /etc/kiro-proxy/config.json"),
    line("ANTHROPIC_BASE_URL=http://localhost:13000 claude"),
    "",
  ].join("\n");
}

function unknown(
  kind: "flag" | "command",
  word: string,
  candidates: string[],
): Result<never, UsageFault> {
  const near = closest(word, candidates);
  const hint = near === undefined ? "try kiro-proxy help" : `did you mean ${near}?`;
  return usage(`unknown ${kind} ${JSON.stringify(word)}; ${hint}`);
}

function usage(message: string): Result<never, UsageFault> {
  return fail({ message });
}

function line(left: string, right = ""): string {
  return `  ${left.padEnd(20)} ${right}`.trimEnd();
}
