import type { Credential } from "../credentials/credential.ts";
import type { EventLog, Pool } from "../credentials/pool.ts";
import type { Tokens } from "../credentials/tokens.ts";
import type { Management } from "../kiro/management.ts";
import { type OfferedModel, withOffered } from "../kiro/models.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import type { Runtime } from "../runtime.ts";
import { ask } from "./account.ts";
import type { QuotaService } from "./quota.ts";

export type Discovery = {
  /** The profile with the models in it that the pool's accounts are offered, as far as known. From memory. */
  profile: () => UpstreamProfile;
  /** Asks about every account whose answer is missing or an hour old, and tells the pool. */
  survey(): Promise<void>;
  /** Surveys now and from time to time, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

type Entry = {
  version: string;
  triedAt: number;
  failed: boolean;
  /** Also of an earlier try. */
  models?: OfferedModel[] | undefined;
};

const MAX_AGE_MS = 60 * 60_000;
const RETRY_MS = 5 * 60_000;
const LOOK_EVERY_MS = 5_000;
const AT_ONCE = 4;

export function createDiscovery(deps: {
  pool: Pick<Pool, "judge" | "learnModels" | "list">;
  tokens: Tokens;
  management: Management;
  quota: QuotaService;
  profile: UpstreamProfile;
  runtime: Runtime;
  log: EventLog;
}): Discovery {
  const { pool, management, quota, runtime, log } = deps;
  const entries = new Map<string, Entry>();
  let profile = deps.profile;

  /** Credentials that may be asked about just now: nobody renews a token or disturbs a resting account for a list. */
  const askable = (): Credential[] =>
    pool
      .list()
      .filter(({ state }) => state.type === "ready" || state.type === "exhausted")
      .map(({ credential }) => credential)
      .filter(
        ({ accessToken, expiresAt }) =>
          accessToken !== undefined && (expiresAt === undefined || expiresAt > runtime.now()),
      );

  const isDue = ({ id, version }: Credential): boolean => {
    const last = entries.get(id);
    // Another log-in may be another account. Renewals count too, which come about as often as the hour ends.
    if (last === undefined || last.version !== version) return true;
    return runtime.now() - last.triedAt >= (last.failed ? RETRY_MS : MAX_AGE_MS);
  };

  const look = async (credential: Credential): Promise<void> => {
    const { id, version } = credential;
    const triedAt = runtime.now();
    // Also what brings an account back whose plan was renewed early, and what balances accounts by what is left.
    await quota.read(credential, { maxAgeMs: RETRY_MS });
    // The answer may have said that this was the last call.
    if (!askable().some((one) => one.id === id)) return;
    const answer = await ask(deps, credential, management.models);
    if (!answer.ok) {
      const { type, fault } = answer.failure;
      log.warn("models-not-read", { credential: id, type, fault: fault.kind });
    }
    // An empty list is no answer: every account has models.
    const last = entries.get(id);
    const kept = last?.version === version ? last.models : undefined;
    const models = answer.ok && answer.value.length > 0 ? answer.value : kept;
    entries.set(id, { version, triedAt, failed: !answer.ok, models });
  };

  const publish = (): void => {
    const listed = new Set(pool.list().map(({ credential }) => credential.id));
    for (const id of entries.keys()) if (!listed.has(id)) entries.delete(id);
    profile = withOffered(
      deps.profile,
      [...entries.values()].flatMap(({ models }) => models ?? []),
    );
    const ids = new Map(profile.models.map(({ id }) => [id.toLowerCase(), id]));
    for (const [id, { models }] of entries) {
      const offered =
        models && new Set(models.map((model) => ids.get(model.id.toLowerCase()) ?? model.id));
      const isFree = /\bFREE\b/i.test(quota.known(id)?.quota.plan ?? "");
      // Free plans have no Opus; where the account's own list is known, that is what counts.
      const has = (model: string): boolean =>
        offered === undefined ? !model.includes("opus") : offered.has(model);
      pool.learnModels(id, isFree || offered !== undefined ? { has } : undefined);
    }
  };

  const report = (): void => {
    const models = profile.models.filter((rule) => rule.offered).length;
    log.info("models-known", { accounts: entries.size, models });
  };

  const survey = async (): Promise<void> => {
    const due = askable().filter(isDue);
    if (due.length === 0) return;
    const queue = due.values();
    const worker = async (): Promise<void> => {
      for (const credential of queue) await look(credential);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    publish();
    report();
  };

  return {
    profile: () => profile,
    survey,
    async run(signal) {
      while (!signal.aborted) {
        await survey();
        try {
          await runtime.sleep(LOOK_EVERY_MS, signal);
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
    },
  };
}
