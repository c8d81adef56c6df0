import { type Credential, hasTruncatedToken } from "../../credentials/credential.ts";
import { sentence } from "../../credentials/describe.ts";
import type { SavedStates } from "../../credentials/states-file.ts";
import { stateAt } from "../../credentials/state.ts";
import type { Listing } from "../../credentials/store.ts";
import { accessOf } from "../../credentials/tokens.ts";
import { describeAccountFault } from "../../gateway/account.ts";
import { createManagement } from "../../kiro/management.ts";
import type { Runtime } from "../../runtime.ts";
import { bounded } from "../bounded.ts";
import type { Settings } from "../settings.ts";
import { failure, fine, type Finding, warning } from "./finding.ts";

/** More would be many calls at once from one address, for something that only informs. */
const ASKED_MAX = 5;
const LIMIT_MS = 7_000;

/** Whether there are credentials, and what is wrong with those that are. */
export function checkCredentials(listing: Listing, settings: Settings): Finding[] {
  const check = "credentials";
  const { credentials, rejected, missing } = listing;
  const path = settings.credentialsPath;
  const why = "Without one every request is refused, but those whose client brings its own.";
  const next = "kiro-proxy login, or kiro-proxy import";
  const usable = credentials.filter(({ disabled }) => !disabled);
  const count =
    usable.length > 0
      ? fine(check, `${usable.length} in use of ${credentials.length} in ${path}`)
      : warning(
          check,
          missing ? `${path} does not exist` : `none in use in ${path}`,
          why,
          credentials.length > 0 ? "kiro-proxy credentials enable ID" : next,
        );
  return [
    count,
    ...rejected.map((fault) =>
      failure(check, `unusable: ${sentence(fault)}`, "It is left out.", `correct ${path}`),
    ),
  ];
}

/**
 * Asks for the quotas of the first few accounts, with the tokens that are there: it costs no credits, and renews nothing,
 * so no log-in is used up. The tokens and states of all are looked at.
 */
export async function checkAccounts(
  credentials: readonly Credential[],
  states: SavedStates,
  settings: Settings,
  runtime: Runtime,
): Promise<Finding[]> {
  const used = credentials.filter(({ disabled }) => !disabled);
  let asked = 0;
  return await bounded(
    runtime,
    LIMIT_MS,
    async (late) =>
      await Promise.all(
        used.map(async (credential) => {
          const now = runtime.now();
          const known = stateFinding(credential, states, now) ?? tokenFinding(credential, now);
          if (known !== undefined) return known;
          if (asked === ASKED_MAX) {
            return fine(checkOf(credential), `not asked (only the first ${ASKED_MAX} are)`);
          }
          asked += 1;
          return await quotaFinding(credential, settings, runtime, late);
        }),
      ),
  );
}

function checkOf({ id }: Credential): string {
  return `account ${id}`;
}

/** What a server has found out, where it still stands. */
function stateFinding(
  credential: Credential,
  states: SavedStates,
  now: number,
): Finding | undefined {
  const { id, version } = credential;
  const saved = states.get(id);
  if (saved === undefined) return undefined;
  const state = stateAt(saved, now);
  const check = checkOf(credential);
  switch (state.type) {
    case "ready":
      return undefined;
    case "suspended":
      return failure(
        check,
        "Kiro has locked the account",
        "Nothing more is sent with it.",
        `Kiro's support; afterwards kiro-proxy credentials enable ${id}`,
      );
    case "needs-login":
      return saved.login === version
        ? failure(
            check,
            "its log-in is dead",
            "Nothing can be sent with it.",
            `kiro-proxy login -id ${id}`,
          )
        : undefined;
    case "exhausted":
    case "cooling":
      return warning(
        check,
        `${state.type} until ${new Date(state.until).toISOString()}`,
        "Nothing is sent with it until then.",
        `kiro-proxy credentials quota ${id}`,
      );
    default:
      return state satisfies never;
  }
}

/** What can be said of its token without asking anybody; undefined where it is good. */
function tokenFinding(credential: Credential, now: number): Finding | undefined {
  const { id, accessToken, expiresAt, login, authMethod } = credential;
  const check = checkOf(credential);
  if (authMethod === "api-key") return undefined;
  if (hasTruncatedToken(credential)) {
    return failure(
      check,
      "its refresh token was shortened by the program that it comes from",
      "Its token can't be renewed.",
      `kiro-proxy login -id ${id}`,
    );
  }
  const isGood = accessToken !== undefined && (expiresAt ?? Infinity) > now;
  if (isGood && (login === undefined || expiresAt !== undefined)) return undefined;
  return login === undefined
    ? failure(
        check,
        "its token has ended and there is nothing to get another with",
        "Nothing can be sent with it.",
        `kiro-proxy login -id ${id}`,
      )
    : fine(
        check,
        `its token is renewed at the next use; kiro-proxy credentials test ${id} tries now`,
      );
}

async function quotaFinding(
  credential: Credential,
  settings: Settings,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<Finding> {
  const check = checkOf(credential);
  const management = createManagement({ runtime, profile: settings.profile });
  const access = accessOf(credential, settings.context);
  const quota = await management.usageLimits(access, credential.authRegion, signal);
  if (!quota.ok) {
    const found = describeAccountFault(credential, { type: "upstream", fault: quota.failure });
    const why = "Requests with it are likely to fail as well.";
    return quota.failure.kind === "throttled" || quota.failure.kind === "capacity"
      ? warning(check, found, why, "wait a while")
      : failure(check, found, why, `kiro-proxy credentials test ${credential.id}`);
  }
  const { remaining, used, limit } = quota.value;
  const found = `works; ${round(used)} of ${round(limit)} used${tokenLife(credential, runtime.now())}`;
  return remaining > 0
    ? fine(check, found)
    : warning(
        check,
        found,
        "Its plan is used up.",
        `kiro-proxy credentials quota ${credential.id} says until when`,
      );
}

function tokenLife({ expiresAt, authMethod }: Credential, now: number): string {
  if (authMethod === "api-key" || expiresAt === undefined) return "";
  return `, token good for ${Math.ceil((expiresAt - now) / 60_000)} min`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
