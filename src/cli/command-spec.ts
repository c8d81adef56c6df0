import type { ConfigFlags } from "../config/load.ts";
import { closest } from "../config/suggestion.ts";
import { fail, type Result } from "../result.ts";
import type { CompletionsOptions } from "./completions.ts";
import type { CredentialsOptions } from "./credentials.ts";
import type { DoctorOptions } from "./doctor/doctor.ts";
import type { EnvOptions } from "./env.ts";
import type { ExplainOptions } from "./explain.ts";
import type { HealthOptions } from "./health.ts";
import type { ImportOptions } from "./import.ts";
import type { InitOptions } from "./init.ts";
import type { LoginOptions } from "./login.ts";
import type { ReplayOptions } from "./replay.ts";
import type { SetupOptions } from "./setup/setup.ts";
import type { UsageOptions } from "./usage.ts";

export type Command =
  | { type: "serve"; flags: ConfigFlags; demo: boolean }
  | ({ type: "login" } & LoginOptions)
  | ({ type: "import" } & ImportOptions)
  | ({ type: "credentials" } & CredentialsOptions)
  | ({ type: "usage" } & UsageOptions)
  | ({ type: "health" } & HealthOptions)
  | ({ type: "replay" } & ReplayOptions)
  | ({ type: "explain" } & ExplainOptions)
  | ({ type: "init" } & InitOptions)
  | ({ type: "setup" } & SetupOptions)
  | ({ type: "env" } & EnvOptions)
  | ({ type: "doctor" } & DoctorOptions)
  | ({ type: "completions" } & CompletionsOptions)
  | { type: "version" }
  /** Without a command: about all of them. */
  | { type: "help"; command?: string };

/** A sentence for people that says what is wrong and what to type instead. */
export type UsageFault = { message: string };

/** Values of the flags that were given, by name. A switch is "true" or "false". */
export type Given = Map<string, string>;

export type Flag = {
  help: string;
  /** Shown for the value; a flag without one is a switch. */
  value?: string;
  /** Values that are offered while somebody types. */
  choices?: readonly string[];
};

export type CommandSpec = {
  help: string;
  /** What may follow the name besides flags. */
  words?: string;
  /** Those that are offered while somebody types; `FILE` stands for any file. */
  choices?: readonly string[];
  flags: Record<string, Flag>;
  examples?: string[];
  build(given: Given, words: string[]): Result<Command, UsageFault>;
};

export const configFlag: Flag = { value: "PATH", help: "configuration file" };

export const files: Record<string, Flag> = {
  config: configFlag,
  credentials: { value: "PATH", help: "file of the Kiro credentials" },
};

export function filesOf(given: Given): Pick<ConfigFlags, "config" | "credentials"> {
  return { config: given.get("config"), credentials: given.get("credentials") };
}

export function isOn(given: Given, name: string): boolean {
  return given.get(name) === "true";
}

/** So many are named, where none of them is near. */
const FEW = 8;

export function unknown(
  kind: string,
  word: string,
  candidates: readonly string[],
): Result<never, UsageFault> {
  const near = closest(word, candidates);
  const all = candidates.length > FEW ? "try kiro-proxy help" : `try ${candidates.join(", ")}`;
  const hint = near === undefined ? all : `did you mean ${near}?`;
  return usage(`unknown ${kind} ${JSON.stringify(word)}; ${hint}`);
}

export function unexpected(word: string): Result<never, UsageFault> {
  return usage(`unexpected argument ${JSON.stringify(word)}`);
}

export function usage(message: string): Result<never, UsageFault> {
  return fail({ message });
}
