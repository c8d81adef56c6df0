import { dirname, join } from "node:path";
import type { ConfigFlags } from "../config/load.ts";
import { type Credential, hasTruncatedToken } from "../credentials/credential.ts";
import { describeStoreFault, sentence } from "../credentials/describe.ts";
import { diskFiles, errorCode, replaceFile } from "../credentials/files.ts";
import { parseJsonText } from "../credentials/json-file.ts";
import { isRecord } from "../credentials/record.ts";
import { stateAt } from "../credentials/state.ts";
import {
  createStatesFile,
  LOCK_NAME,
  type SavedStates,
  statesPath,
} from "../credentials/states-file.ts";
import type { Listing } from "../credentials/store.ts";
import { type AccountFault, describeAccountFault } from "../gateway/account.ts";
import { proxyOf } from "../gateway/overview.ts";
import type { Quota } from "../kiro/quota.ts";
import type { Runtime } from "../runtime.ts";
import { createAccounts } from "./accounts.ts";
import { loadSettings, type Settings } from "./settings.ts";
import { table } from "./table.ts";
import { complain, type Terminal } from "./terminal.ts";

export type CredentialsAction =
  | { type: "list" }
  | { type: "show" | "enable" | "disable" | "remove"; id: string }
  | { type: "test" | "quota"; id: string | undefined };

export type CredentialsOptions = { flags: ConfigFlags; action: CredentialsAction; json: boolean };

type Context = { settings: Settings; terminal: Terminal; runtime: Runtime; json: boolean };

/**
 * Shows and changes credentials, also while a server uses them. No token is ever shown. Gives the exit code: 1 where
 * something is wrong with what was asked for.
 */
export async function credentials(
  { flags, action, json }: CredentialsOptions,
  terminal: Terminal,
  runtime: Runtime,
): Promise<number> {
  const settings = await loadSettings(flags, terminal, runtime);
  if (!settings.ok) return complain(terminal, ...settings.failure);
  const context: Context = { settings: settings.value, terminal, runtime, json };
  const listed = await settings.value.store.list();
  if (!listed.ok) return complain(terminal, describeStoreFault(listed.failure));
  const { credentials: all } = listed.value;
  const wanted = "id" in action && action.id !== undefined ? find(all, action.id) : undefined;
  if ("id" in action && action.id !== undefined && wanted === undefined) {
    return complain(terminal, noSuch(action.id, all, settings.value.credentialsPath));
  }
  switch (action.type) {
    case "list":
      return list(listed.value, await savedStates(context), context);
    case "show":
      return wanted === undefined ? 1 : show(wanted, await savedStates(context), context);
    case "enable":
    case "disable":
      return wanted === undefined ? 1 : await enable(wanted, action.type === "enable", context);
    case "remove":
      return wanted === undefined ? 1 : await remove(wanted, context);
    case "test":
    case "quota":
      return await ask(wanted === undefined ? all : [wanted], action.type, context);
    default:
      return action satisfies never;
  }
}

/** The one of this id, else the only one whose id begins so. */
function find(all: readonly Credential[], id: string): Credential | undefined {
  const exact = all.find((one) => one.id === id);
  const [first, second] = all.filter((one) => one.id.startsWith(id));
  return exact ?? (second === undefined ? first : undefined);
}

function noSuch(id: string, all: readonly Credential[], path: string): string {
  const ids = all.map((one) => one.id).join(", ");
  return `There is no credential ${JSON.stringify(id)} in ${path}; there is ${ids || "none at all"}.`;
}

/** What a server has found out about the accounts; none where there is no such file or it can't be read. */
async function savedStates({ settings, runtime, terminal }: Context): Promise<SavedStates> {
  const path = statesPath(settings.credentialsPath);
  const log = { error: () => undefined };
  const states = await createStatesFile({ path, runtime, log }).read();
  if (states.ok) return states.value;
  terminal.complain(describeStoreFault(states.failure));
  return new Map();
}

function list(
  listing: Listing,
  states: SavedStates,
  { settings, terminal, runtime, json }: Context,
): number {
  const { credentials: all, rejected, missing } = listing;
  const now = runtime.now();
  if (json) {
    terminal.print(
      JSON.stringify({ credentials: all.map((one) => shown(one, states, now)), rejected }, null, 2),
    );
    return rejected.length > 0 ? 1 : 0;
  }
  const rows = all.map((one) => {
    const { id, account, authMethod, priority, state, token } = shown(one, states, now);
    return [id, account, authMethod, String(priority), state, token];
  });
  if (rows.length > 0) {
    for (const line of table([
      ["ID", "ACCOUNT", "METHOD", "PRIORITY", "STATE", "TOKEN"],
      ...rows,
    ])) {
      terminal.print(line);
    }
  }
  for (const fault of rejected) terminal.complain(`unusable: ${sentence(fault)}`);
  if (rows.length === 0) {
    const path = settings.credentialsPath;
    terminal.complain(
      missing ? `${path} does not exist yet.` : `${path} has no usable credential.`,
    );
    terminal.complain("kiro-proxy login or kiro-proxy import makes one.");
  }
  return rejected.length > 0 ? 1 : 0;
}

/** Everything about a credential but its secrets. */
function shown(credential: Credential, states: SavedStates, now: number) {
  const { id, authMethod, priority, disabled, expiresAt, login, email, provider } = credential;
  const { apiRegion, authRegion, profileArn, machineId, startUrl, source } = credential;
  return {
    id,
    account: email ?? provider ?? startUrl ?? "",
    authMethod,
    provider,
    email,
    startUrl,
    source,
    priority,
    state: disabled ? "disabled" : stateOf(credential, states, now),
    token: tokenState(credential, now),
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
    renewable: login !== undefined,
    apiRegion,
    authRegion,
    profileArn,
    machineId,
    proxy: proxyOf(credential),
  };
}

/** `enabled` where nothing speaks against it, else what the server has found and for how long. */
function stateOf({ id, version }: Credential, states: SavedStates, now: number): string {
  const saved = states.get(id);
  if (saved === undefined || (saved.type === "needs-login" && saved.login !== version)) {
    return "enabled";
  }
  const state = stateAt(saved, now);
  if (state.type === "ready") return "enabled";
  return "until" in state
    ? `${state.type} until ${new Date(state.until).toISOString()}`
    : state.type;
}

function tokenState(credential: Credential, now: number): string {
  const { authMethod, expiresAt, login } = credential;
  if (authMethod === "api-key") return "key";
  if (hasTruncatedToken(credential)) return "shortened";
  const leftMs = (expiresAt ?? 0) - now;
  if (leftMs > 0)
    return `${Math.ceil(leftMs / 60_000)} min${login === undefined ? ", then none" : ""}`;
  return login === undefined ? "none" : "to be renewed";
}

function show(
  credential: Credential,
  states: SavedStates,
  { terminal, runtime, json }: Context,
): number {
  const all = shown(credential, states, runtime.now());
  if (json) {
    terminal.print(JSON.stringify(all, null, 2));
    return 0;
  }
  const rows = Object.entries(all).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  for (const line of table(rows)) terminal.print(line);
  return 0;
}

async function enable(credential: Credential, on: boolean, context: Context): Promise<number> {
  const { settings, terminal } = context;
  const { id } = credential;
  const changed = await settings.store.update(id, { disabled: on ? undefined : true });
  if (!changed.ok) return complain(terminal, describeStoreFault(changed.failure));
  // Also what a server remembers of it: the operator says that it is well.
  const fault = on ? await forgetState(id, context) : undefined;
  if (fault !== undefined) return complain(terminal, fault);
  terminal.print(`${on ? "Enabled" : "Disabled"} ${id}.`);
  return 0;
}

/** Takes the credential out of the file in which a server keeps the states of accounts. Gives what went wrong. */
async function forgetState(
  id: string,
  { settings, runtime }: Context,
): Promise<string | undefined> {
  const path = statesPath(settings.credentialsPath);
  let release: (() => void) | undefined;
  try {
    for (let tries = 0; release === undefined; tries += 1) {
      if (tries > 0) await runtime.sleep(50);
      if (tries === 40) return `${path} is locked by another program`;
      release = await diskFiles.lock(join(dirname(path), LOCK_NAME));
    }
    const states = parseJsonText(await diskFiles.read(path), path);
    if (!states.ok) return describeStoreFault(states.failure);
    if (!isRecord(states.value) || !(id in states.value)) return undefined;
    const { [id]: _, ...rest } = states.value;
    await replaceFile(diskFiles, path, `${JSON.stringify(rest, null, 2)}\n`, runtime.randomUUID());
    return undefined;
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" ? undefined : `${path}: ${code}`;
  } finally {
    release?.();
  }
}

async function remove({ id }: Credential, { settings, terminal }: Context): Promise<number> {
  const removed = await settings.store.remove(id);
  if (!removed.ok) return complain(terminal, describeStoreFault(removed.failure));
  terminal.print(`Removed ${id}.`);
  return 0;
}

type Answer = { credential: Credential; quota?: Quota; fault?: AccountFault };

async function ask(
  chosen: readonly Credential[],
  what: "test" | "quota",
  context: Context,
): Promise<number> {
  const { settings, terminal, runtime, json } = context;
  const { interrupted } = terminal;
  if (chosen.length === 0) return complain(terminal, "There are no credentials to ask about.");
  const accounts = createAccounts(settings, runtime);
  const answers: Answer[] = [];
  for (const credential of chosen) {
    const quota = await accounts.quota(credential, interrupted).catch((error: unknown) => {
      if (interrupted.aborted) return undefined;
      throw error;
    });
    if (quota === undefined || interrupted.aborted) {
      terminal.complain("Cancelled.");
      return 130;
    }
    const answer: Answer = quota.ok
      ? { credential, quota: quota.value }
      : { credential, fault: quota.failure };
    answers.push(answer);
    if (!json) terminal.print(lineFor(answer, what));
  }
  if (json) {
    const entries = answers.map(({ credential, quota, fault }) => ({
      id: credential.id,
      ok: fault === undefined,
      ...(quota && { quota: { ...quota, resetAt: quota.resetAt && iso(quota.resetAt) } }),
      ...(fault && { problem: describeAccountFault(credential, fault) }),
    }));
    terminal.print(JSON.stringify(entries, null, 2));
  }
  return answers.some(({ fault }) => fault !== undefined) ? 1 : 0;
}

function lineFor({ credential, quota, fault }: Answer, what: "test" | "quota"): string {
  const { id, disabled } = credential;
  if (fault !== undefined) return `${id}: ${describeAccountFault(credential, fault)}`;
  if (quota === undefined) throw new Error("neither an answer nor a fault");
  const { used, limit, bonus, overage, plan, resetAt } = quota;
  const parts = [
    `${amount(used)} of ${amount(limit)} used`,
    ...(bonus.limit > 0 ? [`of that bonus ${amount(bonus.used)} of ${amount(bonus.limit)}`] : []),
    ...(overage.enabled ? [`overage ${amount(overage.used)}`] : []),
    ...(plan === undefined ? [] : [plan]),
    ...(resetAt === undefined ? [] : [`full again on ${iso(resetAt).slice(0, 10)}`]),
  ];
  const verdict = what === "test" ? `works${disabled ? ", but is disabled" : ""}; ` : "";
  return `${id}: ${verdict}${parts.join(", ")}`;
}

function amount(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function iso(instant: number): string {
  return new Date(instant).toISOString();
}
