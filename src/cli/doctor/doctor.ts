import { checkExposure } from "../../config/exposure.ts";
import {
  type ConfigFlags,
  describeProblem,
  loadConfig,
  type LoadedConfig,
  readTextFile,
} from "../../config/load.ts";
import type { Credential } from "../../credentials/credential.ts";
import { describeStoreFault } from "../../credentials/describe.ts";
import { fill } from "../../credentials/token-service.ts";
import { createStatesFile, statesPath } from "../../credentials/states-file.ts";
import type { Runtime } from "../../runtime.ts";
import { version } from "../../version.ts";
import { loadSettings, type Settings } from "../settings.ts";
import type { Terminal } from "../terminal.ts";
import { checkAccounts, checkCredentials } from "./accounts.ts";
import { checkDatabase, checkDisk, checkFile, checkFolder } from "./files.ts";
import { failure, fine, type Finding, warning } from "./finding.ts";
import { checkActivation, checkClock, checkRoute, type Route } from "./network.ts";
import { checkPort } from "./port.ts";
import { checkUsers } from "./users.ts";

export type DoctorOptions = { flags: ConfigFlags; json: boolean };

/**
 * Looks for what is wrong, all at once, each look bounded in time. Changes nothing, spends no credits and renews no
 * token. Gives the exit code: 1 where something fails.
 */
export async function doctor(
  { flags, json }: DoctorOptions,
  terminal: Terminal,
  runtime: Runtime,
): Promise<number> {
  const startedAt = runtime.monotonic();
  const findings = await examine(flags, terminal, runtime);
  const tookMs = Math.round(runtime.monotonic() - startedAt);
  const failures = findings.filter(({ status }) => status === "failure").length;
  const warnings = findings.filter(({ status }) => status === "warning").length;
  if (json) {
    const report = { ok: failures === 0, version, tookMs, findings };
    terminal.print(JSON.stringify(report, null, 2));
  } else {
    for (const finding of findings) for (const line of linesOf(finding)) terminal.print(line);
    terminal.print("");
    terminal.print(`${counted(failures, "failure")}, ${counted(warnings, "warning")}.`);
  }
  return failures > 0 ? 1 : 0;
}

async function examine(
  flags: ConfigFlags,
  terminal: Terminal,
  runtime: Runtime,
): Promise<Finding[]> {
  const { env, home, platform } = terminal;
  const loaded = await loadConfig({ flags, env, home, platform, readFile: readTextFile });
  const settings = await loadSettings(flags, terminal, runtime);
  if (!loaded.ok || !settings.ok) {
    const problems = loaded.ok ? [] : loaded.failure;
    return problems.map((problem) =>
      failure(
        "configuration",
        describeProblem(problem),
        "The gateway does not start with it.",
        "correct it; docs/configuration.md lists every key",
      ),
    );
  }
  const { config, path, credentialsPath } = loaded.value;
  const { activationServerUrl } = config;
  const checks: Promise<Finding | Finding[]>[] = [
    checkFile("config file", path),
    checkFile("credentials file", credentialsPath),
    checkFile("users file", config.userCredentialsPath),
    checkFolder(credentialsPath, runtime),
    checkDisk(credentialsPath),
    checkUsers(config.userCredentialsPath, settings.value, runtime),
    checkDatabase(config.databasePath),
    checkPort(config, runtime),
    ...(activationServerUrl === undefined ? [] : [checkActivation(activationServerUrl, runtime)]),
    checkUpstream(settings.value, env, runtime),
  ];
  return [...checkConfiguration(loaded.value), ...(await Promise.all(checks)).flat()];
}

function checkConfiguration({ config, path, warnings }: LoadedConfig): Finding[] {
  const check = "configuration";
  const exposure = checkExposure(config);
  const next = `look at ${path}`;
  const start = exposure.ok
    ? fine(check, path)
    : failure(check, exposure.failure, "The gateway does not start with it.", next);
  const notes = [...warnings, ...(exposure.ok ? exposure.value : [])];
  return [
    start,
    ...notes.map((note) => warning(check, note, "It may not be what was meant.", next)),
  ];
}

/** The accounts, and the ways to all hosts that they need. */
async function checkUpstream(
  settings: Settings,
  env: Terminal["env"],
  runtime: Runtime,
): Promise<Finding[]> {
  const listed = await settings.store.list();
  if (!listed.ok) {
    const why = "No credential can be used.";
    const next = `correct ${settings.credentialsPath}`;
    return [failure("credentials", describeStoreFault(listed.failure), why, next)];
  }
  const { credentials } = listed.value;
  const path = statesPath(settings.credentialsPath);
  const saved = await createStatesFile({ path, runtime, log: { error: () => undefined } }).read();
  const [reached, accounts] = await Promise.all([
    Promise.all(
      routesOf(credentials, settings).map(async (route) => await checkRoute(route, runtime, env)),
    ),
    checkAccounts(credentials, saved.ok ? saved.value : new Map(), settings, runtime),
  ]);
  const ways = reached.map(({ finding }) => finding);
  return [...ways, checkClock(reached), ...checkCredentials(listed.value, settings), ...accounts];
}

/** Each host with each way to it once. */
function routesOf(credentials: readonly Credential[], settings: Settings): Route[] {
  const { hosts, defaultRegion } = settings.profile;
  const routes = new Map<string, Route>();
  const add = (template: string, region: string, use: string, of?: Credential): void => {
    const url = fill(template, { region });
    const proxyUrl = of === undefined ? settings.context.proxyUrl : of.proxyUrl;
    const key = `${url} ${proxyUrl?.reveal() ?? ""}`;
    const route = routes.get(key) ?? { url, proxyUrl, uses: [] };
    if (!route.uses.includes(use)) route.uses.push(use);
    routes.set(key, route);
  };
  const used = credentials.filter(({ disabled }) => !disabled);
  if (used.length === 0) add(hosts.api, defaultRegion, "chat");
  for (const credential of used) {
    const { authMethod, apiRegion, authRegion } = credential;
    add(hosts.api, apiRegion, `chat for ${authMethod}`, credential);
    switch (authMethod) {
      case "social":
        add(hosts.social, authRegion, "tokens of social log-ins", credential);
        break;
      case "idc":
        add(hosts.oidc, authRegion, "tokens of idc log-ins", credential);
        break;
      case "external-idp":
      case "api-key":
        break;
      default:
        authMethod satisfies never;
    }
  }
  return [...routes.values()];
}

const MARKS = { ok: "ok  ", warning: "warn", failure: "FAIL" } as const;

function linesOf({ check, status, found, why, next }: Finding): string[] {
  const indent = " ".repeat(6);
  return [
    `${MARKS[status]}  ${check}: ${found}`,
    ...(why === undefined ? [] : [`${indent}${why}`]),
    ...(next === undefined ? [] : [`${indent}→ ${next}`]),
  ];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
