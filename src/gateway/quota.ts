import type { Credential } from "../credentials/credential.ts";
import type { EventLog, Pool } from "../credentials/pool.ts";
import type { Tokens } from "../credentials/tokens.ts";
import type { Management } from "../kiro/management.ts";
import type { Quota } from "../kiro/quota.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { type AccountFault, ask } from "./account.ts";

/** `readAt` is in milliseconds since the epoch. `fault`: why the last try to read it anew failed. */
export type QuotaReading = { quota: Quota; readAt: number; fault?: AccountFault | undefined };

export type QuotaService = {
  /**
   * What is left of the plan of a credential of the pool, not older than `maxAgeMs` (five minutes unless told) where that can
   * be had, else the last that is known. An account is asked once for all who wait, and at most every 30 seconds whatever
   * they want. What is read is told to the pool.
   */
  read(
    credential: Credential,
    options?: { maxAgeMs?: number },
  ): Promise<Result<QuotaReading, AccountFault>>;
  /** The last reading, without a call. */
  known(id: string): QuotaReading | undefined;
};

/** The outcome of the last try, and the last reading. `version` is the log-in's. */
type Entry = {
  version: string;
  triedAt: number;
  reading?: Omit<QuotaReading, "fault"> | undefined;
  fault?: AccountFault | undefined;
};

const MAX_AGE_MS = 5 * 60_000;
const APART_MS = 30_000;

export function createQuota(deps: {
  tokens: Tokens;
  management: Management;
  pool: Pick<Pool, "judge" | "learnQuota">;
  runtime: Runtime;
  log: EventLog;
}): QuotaService {
  const { management, pool, runtime, log } = deps;
  const entries = new Map<string, Entry>();
  const flights = new Map<string, Promise<Entry>>();

  const readAnew = async (credential: Credential): Promise<Entry> => {
    const { id, version } = credential;
    const triedAt = runtime.now();
    const answer = await ask(deps, credential, management.usageLimits);
    const now = runtime.now();
    if (!answer.ok) {
      const { type, fault } = answer.failure;
      log.warn("quota-not-read", { credential: id, type, fault: fault.kind });
      return { version, triedAt, reading: entries.get(id)?.reading, fault: answer.failure };
    }
    return { version, triedAt, reading: { quota: answer.value, readAt: now } };
  };

  const flightFor = (credential: Credential): Promise<Entry> => {
    const { id } = credential;
    const running = flights.get(id);
    if (running !== undefined) return running;
    const flight = readAnew(credential)
      .then((entry) => {
        entries.set(id, entry);
        return entry;
      })
      .finally(() => flights.delete(id));
    flights.set(id, flight);
    return flight;
  };

  /** The last outcome, where it is too early for another. */
  const recent = (credential: Credential, maxAgeMs: number): Entry | undefined => {
    const last = entries.get(credential.id);
    // Somebody may have logged in as somebody else.
    if (last === undefined || last.version !== credential.version) return undefined;
    const now = runtime.now();
    const isFresh = last.fault === undefined && now - last.triedAt <= maxAgeMs;
    return isFresh || now - last.triedAt < APART_MS ? last : undefined;
  };

  return {
    async read(credential, { maxAgeMs = MAX_AGE_MS } = {}) {
      const { reading, fault } = recent(credential, maxAgeMs) ?? (await flightFor(credential));
      if (reading === undefined) {
        if (fault === undefined) throw new Error("neither a quota nor a fault");
        return fail(fault);
      }
      const { quota } = reading;
      // Also what was read before: by now the account may be one that was refused.
      if (fault === undefined) {
        pool.learnQuota(credential.id, { remaining: spendable(quota), resetAt: quota.resetAt });
      }
      return ok({ ...reading, fault });
    },
    known(id) {
      const entry = entries.get(id);
      return entry?.reading && { ...entry.reading, fault: entry.fault };
    },
  };
}

/** What may be spent in the end: overage without a cap has no end. */
function spendable({ remaining, overage }: Quota): number {
  return overage.enabled && overage.cap === undefined ? Number.MAX_SAFE_INTEGER : remaining;
}
