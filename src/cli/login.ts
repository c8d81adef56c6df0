import type { ConfigFlags } from "../config/load.ts";
import { type Credential, parseCredential } from "../credentials/credential.ts";
import { newLogin } from "../credentials/account.ts";
import { describeStoreFault } from "../credentials/describe.ts";
import {
  type BrowserLogin,
  deviceLogin,
  type Directory,
  directoryLogin,
  type LoginDeps,
  type LoginOutcome,
  socialLogin,
} from "../credentials/login.ts";
import type { JsonRecord } from "../credentials/record.ts";
import { ProfileArn, Region } from "../credentials/record.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { type Accounts, createAccounts } from "./accounts.ts";
import { listenForRedirect, type RedirectListener } from "./redirect.ts";
import { loadSettings, type Settings } from "./settings.ts";
import { complain, type Terminal } from "./terminal.ts";

export type LoginOptions = {
  flags: ConfigFlags;
  /** As typed; undefined for a Builder ID or a company's directory. */
  social: string | undefined;
  idc: boolean;
  startUrl: string | undefined;
  region: string | undefined;
  profileArn: string | undefined;
  /** The credential whose log-in is to be replaced. */
  id: string | undefined;
  /** Undefined: where there seems to be one. */
  browser: boolean | undefined;
};

type Target = { type: "social"; provider: "Google" | "Github" } | ({ type: "idc" } & Directory);

/** The ports that the portal lets a log-in come back to, in the order of the IDE. */
const SOCIAL_PORTS = [3128, 4649, 6588, 8008, 9091, 49153, 50153, 51153, 52153, 53153];
const BROWSER_LIMIT_MS = 10 * 60_000;

/** Logs in and saves the credential. Gives the exit code: 130 where the person interrupts it, which changes nothing. */
export async function login(
  options: LoginOptions,
  terminal: Terminal,
  runtime: Runtime,
): Promise<number> {
  const { interrupted: signal } = terminal;
  const settings = await loadSettings(options.flags, terminal, runtime);
  if (!settings.ok) return complain(terminal, ...settings.failure);
  const { profile, store, credentialsPath, context, config } = settings.value;
  const listed = await store.list();
  // Better now than after the person has gone through a log-in.
  if (!listed.ok) return complain(terminal, describeStoreFault(listed.failure));
  const replaced = listed.value.credentials.find(({ id }) => id === options.id);
  if (options.id !== undefined && replaced === undefined) {
    return complain(terminal, `There is no credential ${JSON.stringify(options.id)}.`);
  }
  const wanted = asBefore(options, replaced);
  if (!wanted.ok) return complain(terminal, wanted.failure);
  const target = targetOf(wanted.value, settings.value);
  if (!target.ok) return complain(terminal, target.failure);

  const proxyUrl = replaced?.proxyUrl ?? config.proxyUrl;
  const deps: LoginDeps = { runtime, settings: profile, proxyUrl, signal };
  const outcome = await run(target.value, options, terminal, deps);
  if (signal.aborted) return cancelled(terminal);
  if (!outcome.ok) return complain(terminal, outcome.failure.message);
  const chosen = options.profileArn === undefined ? {} : { profileArn: options.profileArn };
  const plain: JsonRecord = { ...outcome.value, ...chosen };
  const parsed = parseCredential(plain, context);
  if (!parsed.ok)
    return complain(terminal, `The service's answer can't be used: ${parsed.failure.path}`);
  const credential = { ...parsed.value, proxyUrl };
  const known = await aboutAccount(
    credential,
    target.value,
    createAccounts(settings.value, runtime),
    terminal,
  );
  if (signal.aborted) return cancelled(terminal);
  const record: JsonRecord = { ...plain, ...known };

  const saved = await save(record, replaced, settings.value);
  if (!saved.ok) return complain(terminal, `The log-in could not be saved: ${saved.failure}`);
  const { verb, id } = saved.value;
  terminal.print(`Logged in${known.email === undefined ? "" : ` as ${known.email}`}.`);
  terminal.print(`${verb} credential ${id} in ${credentialsPath}.`);
  return 0;
}

/** Without a word on how to log in: as the credential was logged in that is to be replaced. */
function asBefore(
  options: LoginOptions,
  replaced: Credential | undefined,
): Result<LoginOptions, string> {
  if (replaced === undefined || options.idc || options.social !== undefined) return ok(options);
  if (options.startUrl !== undefined) return ok(options);
  const { id, authMethod, provider = "", startUrl, authRegion } = replaced;
  switch (authMethod) {
    case "social":
      return ok({ ...options, social: /github/i.test(provider) ? "github" : "google" });
    case "idc":
      return ok({ ...options, startUrl, region: options.region ?? (startUrl && authRegion) });
    case "external-idp":
    case "api-key":
      return fail(`${id} has no log-in of a kind that can be made here (${authMethod}).`);
    default:
      return authMethod satisfies never;
  }
}

function targetOf(options: LoginOptions, { profile }: Settings): Result<Target, string> {
  const { social, startUrl, region, idc } = options;
  if (options.profileArn !== undefined && !ProfileArn.safeParse(options.profileArn).success) {
    return fail("-profile must be an ARN.");
  }
  if (social !== undefined) {
    if (idc || startUrl !== undefined) return fail("-social and -idc are two different log-ins.");
    const provider = ({ google: "Google", github: "Github" } as const)[social.toLowerCase()];
    return provider === undefined
      ? fail(`-social takes google or github, got ${JSON.stringify(social)}.`)
      : ok({ type: "social", provider });
  }
  if (idc && startUrl === undefined) {
    return fail("-idc needs -start-url, such as https://my-company.awsapps.com/start.");
  }
  if (region !== undefined && !Region.safeParse(region).success) {
    return fail("-region must be an AWS region such as us-east-1.");
  }
  const directory = startUrl ?? profile.builderIdStartUrl;
  const url = URL.parse(directory);
  if (url?.protocol !== "https:" || url.username !== "" || url.password !== "") {
    return fail("-start-url must be an https address.");
  }
  // Builder IDs live in one region, whatever the configuration prefers.
  const home = startUrl === undefined ? "us-east-1" : profile.defaultRegion;
  return ok({ type: "idc", startUrl: directory.replace(/\/+$/, ""), region: region ?? home });
}

async function run(
  target: Target,
  options: LoginOptions,
  terminal: Terminal,
  deps: LoginDeps,
): Promise<LoginOutcome> {
  if (target.type === "social") {
    const listener = listenForRedirect(SOCIAL_PORTS);
    if (listener === undefined) {
      return failed(
        `None of the ports ${SOCIAL_PORTS.join(", ")} is free; the page knows no other.`,
      );
    }
    return await inBrowser(
      ok(socialLogin(target.provider, listener.base, deps)),
      listener,
      terminal,
      deps,
    );
  }
  const listener = (options.browser ?? terminal.hasBrowser) ? listenForRedirect([0]) : undefined;
  if (listener !== undefined) {
    const begun = await directoryLogin(target, `${listener.base}/oauth/callback`, deps);
    return await inBrowser(begun, listener, terminal, deps);
  }
  return await deviceLogin(
    target,
    ({ url, code, expiresInS }) => {
      terminal.print("Open this page in a browser, on any machine, and confirm the code:");
      terminal.print("");
      terminal.print(`  ${url}`);
      terminal.print(`  code: ${code}`);
      terminal.print("");
      terminal.print(
        `Waiting for you, ${Math.ceil(expiresInS / 60)} minutes at most. Ctrl-C cancels.`,
      );
    },
    deps,
  );
}

/** Sends the person to the page and waits until the browser comes back, or its last address is pasted. */
async function inBrowser(
  begun: Result<BrowserLogin, { kind: "cancelled" | "failed"; message: string }>,
  listener: RedirectListener,
  terminal: Terminal,
  deps: LoginDeps,
): Promise<LoginOutcome> {
  const { runtime, signal } = deps;
  try {
    if (!begun.ok) return begun;
    const { url, state } = begun.value;
    if (terminal.hasBrowser) terminal.openBrowser(url);
    terminal.print(
      terminal.hasBrowser ? "A browser should open. If it does not, open:" : "Open in a browser:",
    );
    terminal.print("");
    terminal.print(`  ${url}`);
    terminal.print("");
    terminal.print("On another machine the browser will end at a page on 127.0.0.1 that does not");
    terminal.print("load: paste its whole address here. Ctrl-C cancels.");
    const came = listener.redirect(state);
    void takePasted(listener, terminal);
    const limit = new AbortController();
    const ended = AbortSignal.any([signal, limit.signal]);
    const tooLate = runtime.sleep(BROWSER_LIMIT_MS, ended).catch(() => undefined);
    const redirect = await Promise.race([came, tooLate]).finally(() => limit.abort());
    if (redirect instanceof URL) return await begun.value.finish(redirect);
    return signal.aborted
      ? fail({ kind: "cancelled", message: "The log-in was cancelled." })
      : failed("Nobody came back from the browser in time. Start again.");
  } finally {
    await listener.stop();
  }
}

async function takePasted(listener: RedirectListener, terminal: Terminal): Promise<void> {
  for await (const line of terminal.lines()) {
    if (line.trim() === "") continue;
    if (listener.take(line)) return;
    terminal.complain("That is not the address of this log-in; it has state=… and code=… in it.");
  }
}

/** What the service tells of the account, as fields of its record. Nothing of it is needed to save the log-in. */
async function aboutAccount(
  credential: Credential,
  target: Target,
  accounts: Accounts,
  terminal: Terminal,
): Promise<{ email?: string; profileArn?: string }> {
  const { interrupted: signal } = terminal;
  const quota = await accounts.quota(credential, signal);
  const email = quota.ok ? quota.value.email : undefined;
  const about = email === undefined ? {} : { email };
  const isCompany = target.type === "idc" && credential.provider === "Enterprise";
  if (!isCompany || credential.profileArn !== undefined) return about;
  const profiles = await accounts.profiles(credential, signal);
  const [profileArn, ...others] = profiles.ok ? profiles.value : [];
  if (profileArn === undefined) {
    terminal.complain("No Kiro profile was found for the account; -profile ARN names one.");
    return about;
  }
  if (others.length > 0) {
    terminal.print(`Uses ${profileArn}; -profile takes one of the others:`);
    for (const other of others) terminal.print(`  ${other}`);
  }
  return { ...about, profileArn };
}

async function save(
  record: JsonRecord,
  replaced: Credential | undefined,
  { store }: Settings,
): Promise<Result<{ verb: string; id: string }, string>> {
  if (replaced !== undefined) {
    const updated = await store.update(replaced.id, newLogin(record));
    return updated.ok
      ? ok({ verb: "Updated", id: updated.value.id })
      : fail(describeStoreFault(updated.failure));
  }
  const added = await store.add([record]);
  if (!added.ok) return fail(describeStoreFault(added.failure));
  const [outcome] = added.value;
  if (outcome === undefined || outcome.outcome === "refused")
    throw new Error("a log-in was refused");
  return ok({
    verb: outcome.outcome === "added" ? "Added" : "Updated",
    id: outcome.credential.id,
  });
}

function failed(message: string): LoginOutcome {
  return fail({ kind: "failed", message });
}

function cancelled(terminal: Terminal): number {
  terminal.complain("Cancelled; nothing was changed.");
  return 130;
}
