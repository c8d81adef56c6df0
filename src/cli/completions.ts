import type { CommandSpec } from "./command-spec.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;

export type CompletionsOptions = { shell: (typeof SHELLS)[number] };

type Commands = Record<string, CommandSpec>;

/** A script for a shell that completes commands, flags and those of their values that are known. */
export function completions(commands: Commands, shell: CompletionsOptions["shell"]): string {
  switch (shell) {
    case "bash":
      return bash(commands);
    case "zsh":
      return zsh(commands);
    case "fish":
      return fish(commands);
    default:
      return shell satisfies never;
  }
}

const FILE = "FILE";

/** What may follow a command: its words and its flags. */
function wordsOf(name: string, commands: Commands): string[] {
  const { choices = [], flags } = commands[name] ?? { flags: {} };
  const named = name === "help" ? Object.keys(commands) : choices;
  return [
    ...named.filter((word) => word !== FILE),
    ...Object.keys(flags).map((flag) => `-${flag}`),
  ];
}

/** The flags whose values are known, by their name and values; the same name may mean other values elsewhere. */
function valuedFlags(commands: Commands): { command: string; flag: string; values: string[] }[] {
  return Object.entries(commands).flatMap(([command, { flags }]) =>
    Object.entries(flags).flatMap(([flag, { value, choices = [] }]) =>
      value === undefined
        ? []
        : [{ command, flag, values: value === "PATH" ? [FILE] : [...choices] }],
    ),
  );
}

/** Bash and zsh share what decides; `offer` gives one line that offers words, `offerFiles` one that offers files. */
function cases(
  commands: Commands,
  offer: (words: string[]) => string,
  offerFiles: string,
): string[] {
  const values = valuedFlags(commands).map(
    ({ command, flag, values: [...words] }) =>
      `    ${command}:-${flag}|${command}:--${flag}) ${
        words[0] === FILE ? offerFiles : words.length > 0 ? offer(words) : ":"
      }; return ;;`,
  );
  const words = Object.entries(commands).map(([name, { choices = [] }]) => {
    const files = choices.includes(FILE) ? `; ${offerFiles}` : "";
    return `    ${name}) ${offer(wordsOf(name, commands))}${files} ;;`;
  });
  return [
    '  case "$command:$previous" in',
    ...values,
    "  esac",
    '  case "$command" in',
    ...words,
    "  esac",
  ];
}

function offerInBash(words: string[]): string {
  return `COMPREPLY+=($(compgen -W '${words.join(" ")}' -- "$word"))`;
}

function bash(commands: Commands): string {
  const names = Object.keys(commands);
  return lines([
    "# Completions of kiro-proxy for bash.",
    "_kiro_proxy() {",
    '  local word="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command= i',
    "  COMPREPLY=()",
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    `    case "\${COMP_WORDS[i]}" in ${names.join("|")}) command="\${COMP_WORDS[i]}"; break ;; esac`,
    "  done",
    '  if [[ -z "$command" ]]; then',
    `    ${offerInBash(names)}`,
    "    command=serve",
    "  fi",
    ...cases(commands, offerInBash, 'COMPREPLY+=($(compgen -f -- "$word"))'),
    "}",
    "complete -o filenames -F _kiro_proxy kiro-proxy",
  ]);
}

function offerInZsh(words: string[]): string {
  return `compadd -- ${words.join(" ")}`;
}

function zsh(commands: Commands): string {
  const names = Object.keys(commands);
  const described = Object.entries(commands).map(
    ([name, { help }]) => `    ${quoted(`${name}:${help.replaceAll(":", "\\:")}`)}`,
  );
  return lines([
    "#compdef kiro-proxy",
    "# Completions of kiro-proxy for zsh.",
    "_kiro_proxy() {",
    '  local previous="${words[CURRENT-1]}" command= i',
    "  for ((i = 2; i < CURRENT; i++)); do",
    `    case "\${words[i]}" in (${names.join("|")}) command="\${words[i]}"; break ;; esac`,
    "  done",
    '  if [[ -z "$command" ]]; then',
    "    local -a commands=(",
    ...described,
    "    )",
    "    _describe command commands",
    "    command=serve",
    "  fi",
    ...cases(commands, offerInZsh, "_files"),
    "}",
    // As a file of the search path it is called by its name; sourced, it has to register itself.
    'if [[ "$funcstack[1]" == _kiro_proxy ]]; then _kiro_proxy "$@"; else compdef _kiro_proxy kiro-proxy; fi',
  ]);
}

function fish(commands: Commands): string {
  const names = Object.keys(commands).join(" ");
  const none = `not __fish_seen_subcommand_from ${names}`;
  const perCommand = Object.entries(commands).flatMap(([name, { help, choices = [], flags }]) => {
    const seen =
      name === "serve"
        ? `${none}; or __fish_seen_subcommand_from serve`
        : `__fish_seen_subcommand_from ${name}`;
    const words = name === "help" ? Object.keys(commands) : choices;
    const plain = words.filter((word) => word !== FILE);
    return [
      `complete -c kiro-proxy -n ${quoted(none)} -a ${name} -d ${quoted(help)}`,
      ...(plain.length > 0
        ? [`complete -c kiro-proxy -n ${quoted(seen)} -a ${quoted(plain.join(" "))}`]
        : []),
      ...(words.includes(FILE) ? [`complete -c kiro-proxy -n ${quoted(seen)} -F`] : []),
      ...Object.entries(flags).map(([flag, { help: about, value, choices: values = [] }]) => {
        const takes =
          value === undefined
            ? ""
            : value === "PATH"
              ? " -r -F"
              : values.length > 0
                ? ` -x -a ${quoted(values.join(" "))}`
                : " -x";
        return `complete -c kiro-proxy -n ${quoted(seen)} -o ${flag}${takes} -d ${quoted(about)}`;
      }),
    ];
  });
  return lines([
    "# Completions of kiro-proxy for fish.",
    "complete -c kiro-proxy -f",
    ...perCommand,
  ]);
}

/** In single quotes; no text of the table has a backslash at its end. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}

function lines(all: string[]): string {
  return all.join("\n");
}
