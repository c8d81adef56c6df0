import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { type Credential, hasTruncatedToken } from "./credential.ts";
import {
  type CredentialState,
  pick,
  READY,
  settle,
  stateAt,
  type Verdict,
  type Want,
} from "./rotation.ts";
import type { CredentialStore, StoreFault } from "./store.ts";

/** Whose credential a request spends: one of the pool's, or the one that the client sent along. */
export type CredentialSource = { type: "pool" } | { type: "inline"; credential: Credential };

/** A credential to spend on one request. The first verdict counts, later ones are ignored. */
export type Lease = { credential: Credential; settle(verdict: Verdict): void };

export type PoolEmpty = {
  reason: "no-credentials" | "all-tried" | "none-ready";
  /** When the first resting credential is back, in milliseconds since the epoch. */
  readyAt?: number;
  /** How many credentials are in each state; states without any are left out. */
  states: Record<string, number>;
};

export type EventLog = Pick<Log, "info" | "warn" | "error">;

export type Pool = {
  acquire(source: CredentialSource, want: Want): Result<Lease, PoolEmpty>;
  /** The latest form of a credential; undefined if the pool has none of that id. */
  current(id: string): Credential | undefined;
  /** Takes over new tokens, or a record that was found changed in the store, for the credential of the same id. */
  replace(credential: Credential): void;
  /** How many credentials are in each state; states without any are left out. */
  states(): Record<string, number>;
};

type Entry = { credential: Credential; state: CredentialState };

/** The store's credentials with their states, which are kept in memory. */
export async function createPool(deps: {
  store: CredentialStore;
  runtime: Runtime;
  log: EventLog;
}): Promise<Result<Pool, StoreFault>> {
  const { runtime, log } = deps;
  const listed = await deps.store.list();
  if (!listed.ok) return listed;
  const { credentials, rejected, missing } = listed.value;
  if (missing) log.warn("credentials-missing");
  for (const { path, message } of rejected) log.error("credential-rejected", { path, message });
  for (const credential of credentials.filter(hasTruncatedToken)) {
    log.warn("refresh-token-looks-truncated", { credential: credential.id });
  }
  const entries = new Map<string, Entry>();
  for (const credential of credentials) {
    entries.set(credential.id, { credential, state: initialState(credential) });
  }

  const move = (entry: Entry, next: CredentialState, cause: string): void => {
    const from = entry.state.type;
    entry.state = next;
    if (from === next.type) return;
    const level = next.type === "suspended" || next.type === "needs-login" ? "error" : "info";
    log[level]("credential-state", {
      credential: entry.credential.id,
      from,
      to: next.type,
      cause,
      ...("until" in next ? { forMs: next.until - runtime.now() } : {}),
    });
  };

  const wake = (): Entry[] => {
    const now = runtime.now();
    const all = [...entries.values()];
    for (const entry of all) move(entry, stateAt(entry.state, now), "rest-over");
    return all;
  };

  return ok({
    acquire(source, want) {
      switch (source.type) {
        case "inline":
          return want.tried.has(source.credential.id)
            ? fail({ reason: "all-tried", states: {} })
            : ok({ credential: source.credential, settle: () => {} });
        case "pool": {
          const all = wake();
          const entry = pick(all, runtime.now(), want);
          if (entry === undefined) return fail(whyEmpty(all));
          let settled = false;
          return ok({
            credential: entry.credential,
            settle(verdict) {
              if (settled) return;
              settled = true;
              move(entry, settle(entry.state, verdict, runtime.now()), verdict.type);
            },
          });
        }
        default:
          return source satisfies never;
      }
    },
    current: (id) => entries.get(id)?.credential,
    replace(credential) {
      const entry = entries.get(credential.id);
      if (entry === undefined) return;
      entry.credential = credential;
      if (credential.disabled) move(entry, { type: "disabled" }, "operator");
      // New tokens prove the log-in, or come from somebody who has logged in again.
      else if (entry.state.type === "needs-login") move(entry, READY, "new-login");
      else if (entry.state.type === "disabled") move(entry, READY, "operator");
    },
    states: () => countStates(wake()),
  });
}

function initialState(credential: Credential): CredentialState {
  return credential.disabled ? { type: "disabled" } : READY;
}

function whyEmpty(entries: Entry[]): PoolEmpty {
  const states = countStates(entries);
  const readyAt = entries.reduce(
    (first, { state }) => ("until" in state ? Math.min(first, state.until) : first),
    Number.POSITIVE_INFINITY,
  );
  const ready = states["ready"] ?? 0;
  return {
    reason: entries.length === 0 ? "no-credentials" : ready > 0 ? "all-tried" : "none-ready",
    ...(Number.isFinite(readyAt) ? { readyAt } : {}),
    states,
  };
}

function countStates(entries: Entry[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of entries) counts[state.type] = (counts[state.type] ?? 0) + 1;
  return counts;
}
