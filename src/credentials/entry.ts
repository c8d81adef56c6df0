import type { Credential } from "./credential.ts";
import {
  type AccountState,
  type CredentialState,
  outlivesRestart,
  type Quota,
  READY,
  stateAt,
  withNewLogin,
} from "./state.ts";
import type { SavedState } from "./states-file.ts";

/** A credential, what is known of its account, and what it is busy with. */
export type Entry = {
  readonly credential: Credential;
  readonly state: AccountState;
  /** Which of the service's models, by its ids, the account may use; undefined for not known. */
  models?: Pick<ReadonlySet<string>, "has"> | undefined;
  quota?: Quota | undefined;
  inFlight: number;
  /** A number that grows with each use. */
  lastUse: number;
};

/** Whether calls may be made with it. */
export function isReady({ credential, state }: Entry, now: number): boolean {
  return !credential.disabled && stateAt(state, now).type === "ready";
}

export function countStates(entries: readonly Entry[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const entry of entries) {
    const { type } = shown(entry);
    counts[type] = (counts[type] ?? 0) + 1;
  }
  return counts;
}

export function shown({ credential, state }: Entry): CredentialState {
  return credential.disabled ? { type: "disabled" } : state;
}

/** What is to be held instead of `held` after `found` was read from the store; undefined where nothing has changed. */
export function merged(held: Credential, found: Credential): Credential | undefined {
  if (held.owner !== found.owner) return found;
  if (held.raw.equals(found.raw.reveal())) return undefined;
  const unsaved =
    held.version === found.version &&
    found.accessToken !== undefined &&
    held.accessToken?.equals(found.accessToken.reveal()) === false;
  if (!unsaved) return found;
  // Our tokens are newer, they could only not be saved; they must not be lost to an edit of something else.
  const { priority, disabled } = found;
  const same = held.priority === priority && held.disabled === disabled;
  return same ? undefined : { ...held, priority, disabled };
}

export function savedState({ credential, state }: Entry, now: number): SavedState | undefined {
  return state.type !== "ready" && outlivesRestart(state, now)
    ? { ...state, login: credential.version }
    : undefined;
}

export function restored(
  saved: SavedState | undefined,
  credential: Credential,
  now: number,
): AccountState {
  if (saved === undefined) return READY;
  const { login, ...state } = saved;
  const current = stateAt(state, now);
  return login === credential.version ? current : withNewLogin(current);
}
