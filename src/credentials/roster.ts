import { ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { BoundedMap } from "../bounded-map.ts";
import { type Credential, hasTruncatedToken } from "./credential.ts";
import { countStates, type Entry, merged, restored, savedState, shown } from "./entry.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { CredentialFault } from "./record.ts";
import {
  type AccountState,
  type CredentialState,
  graver,
  outlivesRestart,
  type Quota,
  READY,
  settle,
  stateAt,
  type Verdict,
  withNewLogin,
  withQuota,
} from "./state.ts";
import type { SavedState, SavedStates, StatesFile, StatesOwner } from "./states-file.ts";
import type { AccountStore, Listing, StoreFault } from "./store.ts";

/** A credential of the store as it is now. */
export type Member = {
  credential: Credential;
  state: CredentialState;
  inFlight: number;
  quota?: Quota | undefined;
};

/** What taking the store's content over has changed. */
export type Reloaded = {
  added: number;
  changed: number;
  removed: number;
  /** How many there are by now. */
  credentials: number;
  rejected: CredentialFault[];
  /** The store is gone; what was there before stays. */
  missing: boolean;
};

export type Roster = {
  /** The store's credentials in its order: those of one owner, or those that are nobody's own. */
  entries(owner: string | undefined): Entry[];
  /** The one for a credential that a client sent along, whose account may be known from an earlier request. */
  inlineEntry(credential: Credential): Entry;
  apply(entry: Entry, verdict: Verdict): void;
  /** The latest form of a credential; undefined if there is none of that id. */
  current(id: string): Credential | undefined;
  list(): Member[];
  /**
   * Takes over the credential of the same id: `renewed` with tokens that were got for it just now, or as `found` in the
   * store, where somebody else has written it.
   */
  replace(credential: Credential, why: "renewed" | "found"): void;
  /** A verdict from elsewhere than a request. It is ignored where the log-in has been replaced meanwhile. */
  judge(credential: Credential, verdict: Verdict): void;
  /** Models as in `Entry`. Only what is known to be missing is a reason to skip a credential. */
  learnModels(id: string, models: Pick<ReadonlySet<string>, "has"> | undefined): void;
  learnQuota(id: string, quota: Quota): void;
  /** The operator says that the account is well, whatever was found out. */
  reset(id: string): void;
  /** The operator has removed it from the store. */
  remove(id: string): void;
  /**
   * Takes over what the store holds by now, and what was taken out of the file of states. The states of accounts stay.
   * A store that can't be read or understood changes nothing; where a record can't be used, no credential is dropped,
   * since it may be that one.
   */
  reload(): Promise<Result<Reloaded, StoreFault>>;
  /** How many of the store's credentials are in each state; states without any are left out. */
  states(): Record<string, number>;
  /** How often credentials went from one state to another since the start, by `from to`. */
  readonly transitions: ReadonlyMap<string, number>;
};

export type RosterDeps = {
  store: AccountStore;
  runtime: Pick<Runtime, "now">;
  log: Pick<Log, "info" | "warn" | "error">;
  /** Without it a restart forgets all states. */
  statesFile?: StatesFile;
  /** A credential of the store is used up, or has another log-in while it is: time to read its quota. */
  onExhausted?: (credential: Credential) => void;
};

/** Credentials of clients whose states are remembered, and states of records that the store does not have for now. */
const REMEMBERED_MAX = 1_000;

/** The store's credentials, those that clients bring, and what the service thinks of them. */
export async function createRoster(
  deps: RosterDeps & { /** Some credential may have become usable. */ onChange: () => void },
): Promise<Result<Roster, StoreFault>> {
  const { store, runtime, log, statesFile, onChange, onExhausted } = deps;
  const entries = new Map<string, Entry>();
  const owned = new Map<string | undefined, Entry[]>();
  const inline = new BoundedMap<string, Entry>(REMEMBERED_MAX);
  const absent = new BoundedMap<string, SavedState>(REMEMBERED_MAX);
  const transitions = new Map<string, number>();
  let replacements = 0;
  let toldRejections = "[]";
  let toldFault = "";

  const statesOwner: StatesOwner = {
    snapshot() {
      const now = runtime.now();
      const saved = [...entries].flatMap(([id, entry]): [string, SavedState][] => {
        const state = savedState(entry, now);
        return state === undefined ? [] : [[id, state]];
      });
      return new Map([...absent, ...saved]);
    },
    forget(ids) {
      for (const id of ids) {
        absent.delete(id);
        const entry = entries.get(id);
        if (entry !== undefined) move(entry, { state: READY }, "operator");
      }
      onChange();
    },
    adopt(states) {
      for (const [id, state] of states) {
        const entry = entries.get(id);
        if (entry === undefined) absent.set(id, state);
        else {
          const found = restored(state, entry.credential, runtime.now());
          move(entry, { state: graver(entry.state, found) }, "saved");
        }
      }
    },
  };

  /** The one way in which an entry changes: told, counted, and saved where a restart must not forget it. */
  const move = (
    entry: Entry,
    next: { state?: AccountState; credential?: Credential },
    cause: string,
  ): void => {
    const now = runtime.now();
    const before = { ...entry };
    Object.assign(entry, next);
    const stored = entries.get(entry.credential.id) === entry;
    const kept = outlivesRestart(entry.state, now);
    const sameLogin = before.credential.version === entry.credential.version;
    const same = before.state === entry.state && sameLogin;
    if (stored && !same && (kept || outlivesRestart(before.state, now)))
      statesFile?.changed(statesOwner);
    const from = shown(before).type;
    const to = shown(entry);
    if (from === to.type) return;
    transitions.set(`${from} ${to.type}`, (transitions.get(`${from} ${to.type}`) ?? 0) + 1);
    // The account of a client is the client's affair.
    const grave =
      stored && (["suspended", "needs-login"].includes(to.type) || cause === "suspicious");
    log[grave ? "error" : "info"]("credential-state", {
      credential: stored ? entry.credential.id : "inline",
      from,
      to: to.type,
      cause,
      ...("until" in to ? { forMs: to.until - now } : {}),
    });
  };

  const wake = (entry: Entry): Entry => {
    const state = stateAt(entry.state, runtime.now());
    if (state !== entry.state) move(entry, { state }, "rest-over");
    return entry;
  };

  const apply = (entry: Entry, verdict: Verdict): void => {
    const before = wake(entry).state;
    move(entry, { state: settle(before, verdict, runtime.now()) }, verdict.type);
    const { state, quota, credential } = entry;
    if (verdict.type === "served" && quota !== undefined) {
      // An estimate until the quota is read again: else all new conversations go to one account till then.
      entry.quota = { ...quota, remaining: Math.max(0, quota.remaining - 1) };
    }
    const stored = entries.get(credential.id) === entry;
    if (stored && state.type === "exhausted" && before.type !== "exhausted")
      onExhausted?.(credential);
    onChange();
  };

  /** The store has this by now instead of what we hold. */
  const find = (entry: Entry, credential: Credential): void => {
    const sameLogin = entry.credential.version === credential.version;
    const state = sameLogin ? entry.state : withNewLogin(entry.state);
    move(entry, { credential, state }, sameLogin ? "operator" : "new-login");
    if (!sameLogin && state.type === "exhausted") onExhausted?.(credential);
  };

  const admit = (credential: Credential): void => {
    const saved = absent.get(credential.id);
    absent.delete(credential.id);
    const state = restored(saved, credential, runtime.now());
    entries.set(credential.id, { credential, state, inFlight: 0, lastUse: 0 });
    // The file still has what was said of a log-in that is gone.
    if (saved !== undefined && saved.login !== credential.version) statesFile?.changed(statesOwner);
    if (state.type !== "ready") {
      log.warn("credential-state-kept", { credential: credential.id, state: state.type });
    }
    if (hasTruncatedToken(credential)) {
      log.warn("refresh-token-looks-truncated", { credential: credential.id });
    }
  };

  const drop = (id: string, entry: Entry): void => {
    entries.delete(id);
    const saved = savedState(entry, runtime.now());
    // Whoever switches between accounts brings this one back.
    if (saved !== undefined) absent.set(id, saved);
  };

  const sortByOwner = (): void => {
    owned.clear();
    for (const entry of entries.values()) {
      const { owner } = entry.credential;
      const mine = owned.get(owner);
      if (mine === undefined) owned.set(owner, [entry]);
      else mine.push(entry);
    }
  };

  const takeOver = ({ credentials, rejected, missing }: Listing): Reloaded => {
    const done = { added: 0, changed: 0, removed: 0 };
    const ids = new Set(credentials.map(({ id }) => id));
    if (rejected.length === 0 && !missing) {
      for (const [id, entry] of entries) {
        if (ids.has(id)) continue;
        drop(id, entry);
        done.removed += 1;
      }
    }
    for (const credential of credentials) {
      const entry = entries.get(credential.id);
      if (entry === undefined) {
        admit(credential);
        done.added += 1;
        continue;
      }
      // To its place in the store's order.
      entries.delete(credential.id);
      entries.set(credential.id, entry);
      const found = merged(entry.credential, credential);
      if (found === undefined) continue;
      find(entry, found);
      done.changed += 1;
    }
    sortByOwner();
    const rejections = JSON.stringify(rejected);
    if (rejections !== toldRejections) {
      for (const { path, message } of rejected) log.error("credential-rejected", { path, message });
    }
    toldRejections = rejections;
    onChange();
    return { ...done, credentials: entries.size, rejected, missing };
  };

  const saved = statesFile === undefined ? ok<SavedStates>(new Map()) : await statesFile.read();
  if (!saved.ok) return saved;
  for (const [id, state] of saved.value) absent.set(id, state);
  const listed = await store.list();
  if (!listed.ok) return listed;
  if (listed.value.missing) log.warn("credentials-missing");
  takeOver(listed.value);

  return ok({
    entries: (owner) => (owned.get(owner) ?? []).map(wake),
    inlineEntry(credential) {
      const key = fingerprintOf(credential);
      const known = inline.get(key);
      const entry = known ?? { credential, state: READY, inFlight: 0, lastUse: 0 };
      if (known === undefined) inline.set(key, entry);
      return wake(entry);
    },
    apply,
    current: (id) => entries.get(id)?.credential,
    list: () =>
      Array.from(entries.values(), (entry) => {
        const { credential, inFlight, quota } = wake(entry);
        return { credential, state: shown(entry), inFlight, quota };
      }),
    replace(credential, why) {
      const entry = entries.get(credential.id);
      if (entry === undefined) return;
      replacements += 1;
      if (why === "found") {
        find(entry, credential);
      } else {
        // Whatever was said of the log-in: it has just been accepted.
        const state = entry.state.type === "needs-login" ? READY : entry.state;
        move(entry, { credential, state }, "new-login");
      }
      onChange();
    },
    judge(credential, verdict) {
      const entry = entries.get(credential.id);
      const pooled = credential.persistent || entry?.credential === credential;
      if (!pooled) {
        const known = inline.get(fingerprintOf(credential));
        if (known !== undefined) apply(known, verdict);
      } else if (entry?.credential.version === credential.version) {
        apply(entry, verdict);
      }
    },
    learnModels(id, models) {
      const entry = entries.get(id);
      if (entry !== undefined) entry.models = models;
      onChange();
    },
    learnQuota(id, quota) {
      const entry = entries.get(id);
      if (entry === undefined) return;
      entry.quota = quota;
      move(entry, { state: withQuota(wake(entry).state, quota, runtime.now()) }, "quota");
      onChange();
    },
    reset: (id) => statesOwner.forget([id]),
    remove(id) {
      const entry = entries.get(id);
      if (entry === undefined) return;
      drop(id, entry);
      sortByOwner();
    },
    async reload() {
      await statesFile?.reread(statesOwner);
      for (;;) {
        const before = replacements;
        const now = await store.list();
        if (!now.ok) {
          const fault = JSON.stringify(now.failure);
          if (fault !== toldFault) log.error("credentials-unreadable", { ...now.failure });
          toldFault = fault;
          return now;
        }
        toldFault = "";
        // A token that was renewed while the store was read may be newer than what was read.
        if (before !== replacements) continue;
        const done = takeOver(now.value);
        const { added, changed, removed, credentials } = done;
        if (added + changed + removed > 0) {
          log.info("credentials-reloaded", { added, changed, removed, credentials });
        }
        return ok(done);
      }
    },
    states: () => countStates(Array.from(entries.values(), wake)),
    transitions,
  });
}
