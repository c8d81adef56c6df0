import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import { jsonFault } from "../json-fault.ts";
import { type Config, type ConfigKey, configKeys, configSchema } from "./schema.ts";
import { closest } from "./suggestion.ts";

/** What the command line says; everything as it was typed. */
export type ConfigFlags = {
  config?: string | undefined;
  credentials?: string | undefined;
  host?: string | undefined;
  port?: string | undefined;
  logLevel?: string | undefined;
};

export type FileFault = { kind: "missing" } | { kind: "unreadable"; reason: string };

export type LoadInput = {
  flags: ConfigFlags;
  env: Record<string, string | undefined>;
  readFile(path: string): Promise<Result<string, FileFault>>;
  /** As in `process.platform`. */
  platform: string;
  /** The user's home directory. */
  home: string;
};

export type LoadedConfig = {
  config: Config & {
    userCredentialsPath: string;
    databasePath: string;
    capturePath: string;
    profilesPath: string;
  };
  /** Where the configuration was looked for, whether or not there is a file. */
  path: string;
  credentialsPath: string;
  /** Sentences for the log; none holds a value. */
  warnings: string[];
};

export type ConfigProblem =
  /** The file as a whole: missing, unreadable, not JSON, not an object. */
  | { kind: "file"; path: string; message: string }
  /** `key` is the dotted key, the flag or the variable that the value came from; a secret's value is left out. */
  | { kind: "value"; key: string; value?: string; expected: string };

type RawObject = Record<string, unknown>;

/**
 * Flags before environment before file before defaults. Every source is validated as a whole, so that the answer names
 * all that is wrong in them, also what another source overrides. A null or an empty text counts as absent, and the case of keys does not
 * matter, as in the Go build.
 */
export async function loadConfig(input: LoadInput): Promise<Result<LoadedConfig, ConfigProblem[]>> {
  // Little is ever parsed with schemas, and most of it once: to compile code for them would take 4 ms of a start.
  z.config({ jitless: true });
  const { flags, env } = input;
  const directory = await configDirectory(input);
  const path = flags.config ?? join(directory, "config.json");
  const credentialsPath = flags.credentials ?? join(directory, "credentials.json");

  const read = await input.readFile(path);
  const warnings: string[] = [];
  let file: RawObject = {};
  if (read.ok) {
    const parsed = parseFile(path, read.value);
    if (!parsed.ok) return fail([parsed.failure]);
    file = known(parsed.value, "", path, warnings);
  } else if (read.failure.kind === "unreadable") {
    return fail([{ kind: "file", path, message: `can't be read: ${read.failure.reason}` }]);
  } else if (flags.config !== undefined) {
    return fail([{ kind: "file", path, message: "does not exist" }]);
  } else {
    warnings.push(`${path} does not exist; the defaults apply`);
  }

  const overrides = overridesOf(flags, env, warnings);
  const problems = [
    ...problemsIn(file, (key) => key),
    ...problemsIn(overrides.values, (key) => overrides.sources.get(key) ?? key),
  ];
  const merged = configSchema.safeParse(merge(file, overrides.values));
  if (problems.length > 0 || !merged.success) return fail(problems);

  const userCredentialsPath =
    merged.data.userCredentialsPath ?? join(dirname(path), "user_credentials.json");
  const databasePath = merged.data.databasePath ?? join(dirname(path), "kiro-proxy.db");
  const capturePath = merged.data.capture.path ?? join(dirname(path), "captures");
  const config = {
    ...merged.data,
    userCredentialsPath,
    databasePath,
    capturePath,
    profilesPath: join(dirname(path), "profiles"),
  };
  return ok({ config, path, credentialsPath, warnings });
}

const SYSTEM_DIRECTORY = "/opt/kiro-proxy";

/** On Linux the Go build's folder where one of its files is there, else the user's own. */
export async function configDirectory(
  input: Pick<LoadInput, "platform" | "home" | "readFile">,
): Promise<string> {
  if (input.platform === "linux") {
    for (const name of ["config.json", "credentials.json"]) {
      const file = await input.readFile(join(SYSTEM_DIRECTORY, name));
      if (file.ok || file.failure.kind !== "missing") return SYSTEM_DIRECTORY;
    }
  }
  return join(input.home, ".kiro-proxy");
}

/** One problem as a line for people. */
export function describeProblem(problem: ConfigProblem): string {
  if (problem.kind === "file") return `${problem.path} ${problem.message}`;
  const got = problem.value === undefined ? "" : `, got ${problem.value}`;
  return `${problem.key}: expected ${problem.expected}${got}`;
}

/** The `readFile` of a real process; UTF-8. */
export async function readTextFile(path: string): Promise<Result<string, FileFault>> {
  try {
    return ok(await readFile(path, "utf8"));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return fail(code === "ENOENT" ? { kind: "missing" } : { kind: "unreadable", reason: code });
  }
}

function parseFile(path: string, contents: string): Result<RawObject, ConfigProblem> {
  // Editors on Windows put a byte order mark before the text.
  const text = contents.replace(/^\uFEFF/, "");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const fault = jsonFault(text);
    const message = `is not valid JSON at line ${fault.line}, column ${fault.column}: ${fault.message}`;
    return fail({ kind: "file", path, message });
  }
  if (isObject(value)) return ok(value);
  return fail({ kind: "file", path, message: "must hold a JSON object" });
}

/** `raw` with blanks removed, keys in their proper case and unknown keys reported and left out. */
function known(raw: RawObject, prefix: string, path: string, warnings: string[]): RawObject {
  const names = namesUnder(prefix);
  const result: RawObject = {};
  for (const [name, value] of Object.entries(raw)) {
    const proper = names.has(name)
      ? name
      : [...names].find((candidate) => candidate.toLowerCase() === name.toLowerCase());
    if (proper === undefined) {
      const near = closest(name, names);
      const hint = near === undefined ? "" : `; did you mean ${prefix}${near}?`;
      warnings.push(`${path}: unknown key ${JSON.stringify(prefix + name)}${hint}`);
    } else if (value !== null && value !== "" && (proper === name || !(proper in raw))) {
      const section = namesUnder(`${proper}.`).size > 0 && isObject(value);
      result[proper] = section ? known(value, `${proper}.`, path, warnings) : value;
    }
  }
  return result;
}

function namesUnder(prefix: string): Set<string> {
  const names = configKeys
    .filter(({ key }) => key.startsWith(prefix))
    .map(({ key }) => key.slice(prefix.length).split(".")[0] ?? "");
  return new Set(names);
}

type Overrides = { values: RawObject; sources: Map<string, string> };

function overridesOf(flags: ConfigFlags, env: LoadInput["env"], warnings: string[]): Overrides {
  const byFlag = new Map([
    ["host", { flag: "-host", text: flags.host }],
    ["port", { flag: "-port", text: flags.port }],
    ["logLevel", { flag: "-log-level", text: flags.logLevel }],
  ]);
  const overrides: Overrides = { values: {}, sources: new Map() };
  const variables: string[] = [];
  for (const key of configKeys) {
    if (key.env === undefined) continue;
    variables.push(key.env);
    const given = byFlag.get(key.key);
    const text = given?.text ?? (env[key.env] || undefined);
    if (text === undefined) continue;
    const [first = "", second] = key.key.split(".");
    const value = fromText(key, text);
    overrides.values = merge(
      overrides.values,
      second === undefined ? { [first]: value } : { [first]: { [second]: value } },
    );
    overrides.sources.set(key.key, given?.text === undefined ? key.env : given.flag);
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith("KIRO_PROXY_") || variables.includes(name)) continue;
    const near = closest(name, variables);
    if (near !== undefined) warnings.push(`unknown variable ${name}; did you mean ${near}?`);
  }
  return overrides;
}

/** A text that is not what `key` needs stays as it is, and the schema refuses it. */
function fromText(key: ConfigKey, text: string): unknown {
  if (key.type === "number" && /^\d{1,15}$/.test(text)) return Number(text);
  if (key.type === "yes/no" && /^(true|false)$/.test(text)) return text === "true";
  return text;
}

function problemsIn(raw: RawObject, nameOf: (key: string) => string): ConfigProblem[] {
  if (Object.keys(raw).length === 0) return [];
  const parsed = configSchema.safeParse(raw);
  if (parsed.success) return [];
  const problems = new Map<string, ConfigProblem>();
  for (const { path } of parsed.error.issues) {
    const dotted = path.join(".");
    const key = configKeys.find((one) => dotted === one.key || dotted.startsWith(`${one.key}.`));
    const value = path.reduce<unknown>(
      (at, step) => (isObject(at) || Array.isArray(at) ? Reflect.get(at, step) : undefined),
      raw,
    );
    problems.set(dotted, {
      kind: "value",
      key: key?.key === dotted ? nameOf(dotted) : dotted,
      expected: key?.expected ?? "an object",
      ...(key?.secret ? {} : { value: shown(value) }),
    });
  }
  return [...problems.values()];
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  const safe = json.replaceAll(/\/\/[^/@"]*@/g, "//[secret]@");
  return safe.length > 80 ? `${safe.slice(0, 80)}…` : safe;
}

function merge(base: RawObject, over: RawObject): RawObject {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isObject(below) && isObject(value) ? { ...below, ...value } : value;
  }
  return result;
}

function isObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
