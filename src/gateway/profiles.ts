import { BoundedMap } from "../bounded-map.ts";
import type { Credential } from "../credentials/credential.ts";
import type { EventLog, Pool } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { AccountStore } from "../credentials/store.ts";
import { type Access, type Tokens, unlessAborted } from "../credentials/tokens.ts";
import { type Management, managementRegions } from "../kiro/management.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { tell } from "./account.ts";

/** `none`: the account has no profile in any region, which is an answer as well. */
type Found = { arn: string; region: string } | "none";

const REMEMBERED_MAX = 1_000;

/**
 * Tokens whose access names the account's own profile. A company's account has one, and the ARN that stands in for
 * personal accounts is refused for it; where a record has none, the service is asked before the first call, once for all
 * who wait. What is found goes into the store; what is not found is remembered for as long as the log-in stays the same.
 * Where it can't be found out just now, the access is given as it is and the next call asks again.
 */
export function withProfiles(
  tokens: Tokens,
  deps: {
    management: Management;
    pool: Pick<Pool, "current" | "judge" | "replace">;
    store: AccountStore;
    profile: UpstreamProfile;
    runtime: Pick<Runtime, "now">;
    log: EventLog;
  },
): Tokens {
  const { management, pool, store, profile, log } = deps;
  const remembered = new BoundedMap<string, Found>(REMEMBERED_MAX);
  const flights = new Map<string, Promise<Found | undefined>>();

  /** Undefined where that could not be found out. */
  const look = async (credential: Credential, access: Access): Promise<Found | undefined> => {
    const id = credential.persistent ? credential.id : "inline";
    let failed = false;
    for (const region of managementRegions(credential.authRegion, profile)) {
      const answer = await management.profiles(access, region);
      const arn = answer.ok ? answer.value[0] : undefined;
      if (arn !== undefined) {
        log.info("profile-found", { credential: id, region });
        return { arn, region };
      }
      if (answer.ok) continue;
      failed = true;
      log.warn("profile-not-read", { credential: id, region, fault: answer.failure.kind });
      tell(deps, credential, answer.failure);
      if (STOP.has(answer.failure.kind)) break;
    }
    return failed ? undefined : "none";
  };

  const persist = async (credential: Credential, profileArn: string): Promise<void> => {
    const { id, version } = credential;
    const listed = await store.list();
    // Not to a record that is another account's by now.
    const isSame =
      listed.ok && listed.value.credentials.some((c) => c.id === id && c.version === version);
    if (!isSame) return;
    const stored = await store.update(id, { profileArn });
    if (stored.ok) pool.replace(stored.value, "found");
    else log.warn("profile-not-saved", { credential: id, kind: stored.failure.kind });
  };

  const flightFor = (
    key: string,
    credential: Credential,
    access: Access,
  ): Promise<Found | undefined> => {
    const running = flights.get(key);
    if (running !== undefined) return running;
    const flight = look(credential, access)
      .then(async (found) => {
        if (found !== undefined) remembered.set(key, found);
        if (found !== undefined && found !== "none" && credential.persistent) {
          await persist(credential, found.arn);
        }
        return found;
      })
      .finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };

  const accessTo = async (
    given: Credential,
    got: ReturnType<Tokens["access"]>,
    signal: AbortSignal | undefined,
  ): Promise<Result<Access, RefreshFault>> => {
    const access = await got;
    if (!access.ok) return access;
    const credential = given.persistent ? (pool.current(given.id) ?? given) : given;
    if (!mayHaveProfile(credential, profile)) return access;
    const key = `${given.persistent ? given.id : "inline"} ${credential.version}`;
    signal?.throwIfAborted();
    const found =
      remembered.get(key) ??
      (await unlessAborted(flightFor(key, credential, access.value), signal));
    if (found === undefined || found === "none") return access;
    return ok({ ...access.value, profileArn: found.arn, apiRegion: found.region });
  };

  return {
    ...tokens,
    access(given, options, until) {
      const access = tokens.access(given, options, until);
      if (!(access instanceof Promise) && access.ok) {
        const credential = given.persistent ? (pool.current(given.id) ?? given) : given;
        if (!mayHaveProfile(credential, profile)) return access;
      }
      return accessTo(given, access, until?.signal);
    },
  };
}

/** After these, asking in another region is of no use or not wanted. */
const STOP: ReadonlySet<string> = new Set(["throttled", "capacity", "suspicious", "suspended"]);

/** Only what a company signs in with can have a profile that its record does not name. */
function mayHaveProfile(credential: Credential, profile: UpstreamProfile): boolean {
  const { authMethod, profileArn, provider, startUrl } = credential;
  if (profileArn !== undefined) return false;
  switch (authMethod) {
    case "idc":
      return (
        startUrl?.replace(/[/#]+$/, "") !== profile.builderIdStartUrl &&
        provider?.toLowerCase() !== "builderid"
      );
    case "external-idp":
      return true;
    case "social":
    case "api-key":
      return false;
    default:
      return authMethod satisfies never;
  }
}
