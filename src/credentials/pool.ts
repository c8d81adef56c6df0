import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { BoundedMap } from "../bounded-map.ts";
import type { Credential } from "./credential.ts";
import { createQueue } from "./queue.ts";
import { countStates, type Entry, isReady } from "./entry.ts";
import { createRoster, type Roster, type RosterDeps } from "./roster.ts";
import { pick, type Rotation } from "./rotation.ts";
import type { Verdict } from "./state.ts";
import type { StoreFault } from "./store.ts";

/**
 * Whose credential a request spends: one of the pool's, the one that the client sent along, or one of a user's own, with
 * `fallback` the pool's when those are used up.
 */
export type CredentialSource =
  | { type: "pool" }
  | { type: "inline"; credential: Credential }
  | { type: "user"; user: string; fallback: boolean };

/** What a request asks of a credential. */
export type Want = {
  /** The service's id of the model. */
  model: string;
  /** The ids that the request has been through. */
  tried: ReadonlySet<string>;
  /** What the requests of one conversation have in common: they had better stay with one account. */
  conversation?: string;
  /** Whether to queue where all that could serve are busy. One who holds a lease must not: others may wait for that. */
  mayWait: boolean;
};

/** A credential to spend on one request, and one of its slots. Whoever has it must release it. */
export type Lease = {
  credential: Credential;
  /** False once calls may no longer be made with it, whoever found that out. To be asked before every call. */
  usable(): boolean;
  /** The first verdict counts, later ones are ignored. None at all is `unchanged`. */
  settle(verdict: Verdict): void;
  /** Gives the slot back; once or often. */
  release(): void;
};

export type PoolEmpty = {
  reason:
    | "no-credentials"
    | "all-tried"
    | "none-ready"
    /** None of all is known to offer the model, or may offer it. */
    | "model-not-offered"
    /** All that could serve are busy, and too many requests wait already, or this one may not wait. */
    | "queue-full"
    | "queue-timeout";
  /** When the first resting credential is back, in milliseconds since the epoch. */
  readyAt?: number;
  /** How many of the credentials that could come into question are in each state; states without any are left out. */
  states: Record<string, number>;
};

export type EventLog = Pick<Log, "info" | "warn" | "error">;

export type PoolSettings = {
  rotation: Rotation;
  /** Requests that one credential serves at a time; 0 for any number. */
  maxConcurrent: number;
  queueLength: number;
  queueTimeoutMs: number;
};

export const poolSettings: PoolSettings = {
  rotation: "priority",
  // An agent with a handful of sub-agents, all at work.
  maxConcurrent: 8,
  queueLength: 256,
  queueTimeoutMs: 60_000,
};

/** How long to wait. The signal is asked for only where there is something to wait for. */
export type Until = { readonly signal: AbortSignal };

export type Pool = Omit<Roster, "entries" | "inlineEntry" | "apply"> & {
  /** At once where one is free. Else it waits, and rejects with the signal's reason as soon as that aborts. */
  acquire(
    source: CredentialSource,
    want: Want,
    until: Until,
  ): Result<Lease, PoolEmpty> | Promise<Result<Lease, PoolEmpty>>;
  /** How many leases are out, and how many requests wait for one. */
  load(): { inFlight: number; waiting: number };
};

/** Conversations whose credential is remembered. */
const CONVERSATIONS_MAX = 10_000;

/** Hands out the credentials of a roster, to so many requests at a time as each may serve. */
export async function createPool(
  deps: RosterDeps & { runtime: Runtime; settings?: PoolSettings },
): Promise<Result<Pool, StoreFault>> {
  const { runtime, settings = poolSettings } = deps;
  const { rotation, maxConcurrent } = settings;
  const queue = createQueue<Result<Lease, PoolEmpty>>({
    runtime,
    maxLength: settings.queueLength,
    maxWaitMs: settings.queueTimeoutMs,
  });
  const created = await createRoster({ ...deps, onChange: () => queue.serve() });
  if (!created.ok) return created;
  const roster = created.value;
  const bindings = new BoundedMap<string, string>(CONVERSATIONS_MAX);
  let leases = 0;
  let inFlight = 0;

  const leaseOf = (entry: Entry, credential: Credential): Lease => {
    let settled = false;
    let released = false;
    leases += 1;
    inFlight += 1;
    entry.inFlight += 1;
    entry.lastUse = leases;
    return {
      credential,
      usable: () => isReady(entry, runtime.now()),
      settle(verdict) {
        if (settled) return;
        settled = true;
        roster.apply(entry, verdict);
      },
      release() {
        if (released) return;
        released = true;
        inFlight -= 1;
        entry.inFlight -= 1;
        queue.serve();
      },
    };
  };

  const candidates = (source: CredentialSource): Entry[] => {
    switch (source.type) {
      case "pool":
        return roster.entries(undefined);
      case "user":
        return roster.entries(source.user);
      case "inline":
        return [roster.inlineEntry(source.credential)];
      default:
        return source satisfies never;
    }
  };

  /** Undefined where all that could serve are busy. */
  const take = (source: CredentialSource, want: Want): Result<Lease, PoolEmpty> | undefined => {
    const now = runtime.now();
    const all = candidates(source);
    const offering = all.filter(({ models }) => models?.has(want.model) !== false);
    const ready = offering.filter((entry) => isReady(entry, now));
    const untried = ready.filter((entry) => !want.tried.has(entry.credential.id));
    if (untried.length === 0) {
      if (all.length === 0) return fail({ reason: "no-credentials", states: {} });
      if (offering.length === 0)
        return fail({ reason: "model-not-offered", states: countStates(all) });
      const states = countStates(offering);
      if (ready.length > 0) return fail({ reason: "all-tried", states });
      return fail({ reason: "none-ready", ...firstBack(offering), states });
    }
    const free = untried.filter((one) => maxConcurrent === 0 || one.inFlight < maxConcurrent);
    const { conversation } = want;
    const bound = conversation === undefined ? undefined : bindings.get(conversation);
    const entry = pick(free, rotation, bound);
    if (entry === undefined) return undefined;
    if (source.type === "inline") return ok(leaseOf(entry, source.credential));
    if (conversation !== undefined) bindings.set(conversation, entry.credential.id);
    return ok(leaseOf(entry, entry.credential));
  };

  const wait = async (
    source: CredentialSource,
    want: Want,
    { signal }: Until,
  ): Promise<Result<Lease, PoolEmpty>> => {
    const waited = want.mayWait
      ? await queue.join(() => take(source, want), signal)
      : { type: "full" as const };
    if (waited.type === "served") return waited.value;
    const states = source.type === "pool" ? roster.states() : {};
    return fail({ reason: `queue-${waited.type}`, states });
  };

  return ok({
    ...roster,
    acquire(source, want, until) {
      // Whoever waits for a rest that is over by now comes first.
      queue.serve();
      return take(source, want) ?? wait(source, want, until);
    },
    load: () => ({ inFlight, waiting: queue.length() }),
  });
}

function firstBack(entries: readonly Entry[]): { readyAt?: number } {
  const ends = entries.flatMap(({ credential, state }) =>
    !credential.disabled && "until" in state ? [state.until] : [],
  );
  return ends.length === 0 ? {} : { readyAt: Math.min(...ends) };
}
