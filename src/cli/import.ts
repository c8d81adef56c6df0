import { readFile } from "node:fs/promises";
import type { ConfigFlags } from "../config/load.ts";
import type { SourceName } from "../credentials/credential.ts";
import { describeStoreFault, sentence } from "../credentials/describe.ts";
import { errorCode } from "../credentials/files.ts";
import { checkImport, findRecords, type Found } from "../credentials/import.ts";
import { parseJsonText } from "../credentials/json-file.ts";
import { isRecord } from "../credentials/record.ts";
import type { Added } from "../credentials/store.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { loadSettings, type Settings } from "./settings.ts";
import { complain, type Terminal } from "./terminal.ts";

export type ImportOptions = {
  flags: ConfigFlags;
  /** Undefined with no source: everything that is found on this machine. */
  file: string | undefined;
  kiroIde: boolean;
  kiroCli: boolean;
  /** Use the log-in where it is, instead of copying it. */
  link: boolean;
  dryRun: boolean;
};

/** A log-in that was found, with the words that name its place. */
type Candidate = { where: string; record: Found["record"] };

const NAMES = { "kiro-ide": "Kiro IDE", "kiro-cli": "kiro-cli" } satisfies Record<
  SourceName,
  string
>;
const ENVIRONMENT = "KIRO_AUTH_TOKEN";

/** Takes over log-ins of other programs. Gives the exit code: 1 where nothing was found or one was refused. */
export async function importCredentials(
  options: ImportOptions,
  terminal: Terminal,
  runtime: Runtime,
): Promise<number> {
  const settings = await loadSettings(options.flags, terminal, runtime);
  if (!settings.ok) return complain(terminal, ...settings.failure);
  const found = await candidates(options, settings.value, terminal);
  if (!found.ok) return complain(terminal, found.failure);

  const records = found.value.flatMap(({ record }) => (record.ok ? [record.value] : []));
  const { store, credentialsPath } = settings.value;
  const added = await store.add(records, { dryRun: options.dryRun, keepNewer: true });
  if (!added.ok) {
    return complain(terminal, `Nothing was imported: ${describeStoreFault(added.failure)}`);
  }
  const outcomes = [...added.value];
  let refused = 0;
  for (const { where, record } of found.value) {
    const outcome: Added | undefined = record.ok
      ? outcomes.shift()
      : { outcome: "refused", fault: record.failure };
    if (outcome === undefined) throw new Error("the store forgot a record");
    if (outcome.outcome === "refused") refused += 1;
    terminal.print(lineFor(where, outcome));
  }
  const changed = added.value.some(({ outcome }) => outcome === "added" || outcome === "updated");
  if (options.dryRun) terminal.print("This was a dry run; nothing was changed.");
  else if (changed) terminal.print(`Saved in ${credentialsPath}.`);
  const copied = found.value.some(({ where }) => where === NAMES["kiro-ide"]) && !options.link;
  if (copied && changed && !options.dryRun) {
    terminal.print(
      "The IDE goes on using its log-in, which may end this copy: -link shares it in place.",
    );
  }
  return refused > 0 ? 1 : 0;
}

async function candidates(
  options: ImportOptions,
  settings: Settings,
  terminal: Terminal,
): Promise<Result<Candidate[], string>> {
  const { file, kiroIde, kiroCli, link } = options;
  const sources = [
    ...(kiroIde ? ["kiro-ide" as const] : []),
    ...(kiroCli ? ["kiro-cli" as const] : []),
  ];
  if (file !== undefined && sources.length === 0) return await fromFile(file, link, settings);
  if (sources.length > 0) {
    return ok(
      await Promise.all(sources.map(async (name) => await fromSource(name, file, link, settings))),
    );
  }

  // Whatever there is; what there is not is no fault.
  const found: Candidate[] = [];
  for (const name of ["kiro-ide", "kiro-cli"] as const) {
    const here = await settings.sources[name].read(undefined);
    if (here.ok) found.push(await fromSource(name, undefined, link, settings));
    else terminal.print(`no         ${NAMES[name]}: ${here.failure.message}`);
  }
  const environment = terminal.env[ENVIRONMENT] || undefined;
  if (environment !== undefined) {
    const read = /^\s*[[{]/.test(environment)
      ? recordsIn(environment, ENVIRONMENT, settings)
      : await fromFile(environment, false, settings);
    if (!read.ok) return read;
    found.push(...read.value);
  }
  return found.length > 0
    ? ok(found)
    : fail("No log-in was found on this machine: kiro-proxy login makes one.");
}

async function fromSource(
  name: SourceName,
  path: string | undefined,
  link: boolean,
  { context, sources }: Settings,
): Promise<Candidate> {
  const where = NAMES[name];
  const login = await sources[name].read(path);
  if (!login.ok) return { where, record: login };
  if (link) return { where, record: ok({ source: name, ...(path !== undefined && { path }) }) };
  return { where, record: checkImport(login.value, context) };
}

async function fromFile(
  path: string,
  link: boolean,
  settings: Settings,
): Promise<Result<Candidate[], string>> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = errorCode(error);
    return fail(code === "ENOENT" ? `${path} does not exist.` : `${path} can't be read: ${code}.`);
  }
  if (bytes.toString("latin1", 0, 15) === "SQLite format 3") {
    return ok([await fromSource("kiro-cli", path, link, settings)]);
  }
  const text = bytes.toString("utf8");
  const root = parseJsonText(text, path);
  // The IDE's own file, wherever it is: the client's registration is in another one beside it.
  if (root.ok && isRecord(root.value) && (link || root.value["clientIdHash"] !== undefined)) {
    return ok([await fromSource("kiro-ide", path, link, settings)]);
  }
  if (link)
    return fail(`-link works with files of the Kiro IDE and of kiro-cli; ${path} is neither.`);
  return recordsIn(text, path, settings);
}

function recordsIn(text: string, name: string, { context }: Settings): Result<Candidate[], string> {
  const root = parseJsonText(text, name);
  if (!root.ok) return fail(describeStoreFault(root.failure));
  const found = findRecords(root.value, context);
  if (!found.ok) return fail(`${name}: ${found.failure}`);
  return ok(
    found.value.map(({ place, record }) => ({ where: place === "" ? name : place, record })),
  );
}

function lineFor(where: string, outcome: Added): string {
  const word = outcome.outcome.padEnd(10);
  if (outcome.outcome === "refused") return `${word} ${where}: ${sentence(outcome.fault)}`;
  const { id, authMethod, email } = outcome.credential;
  return `${word} ${where}: ${id} (${authMethod}${email === undefined ? "" : `, ${email}`})`;
}
