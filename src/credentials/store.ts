import type { Result } from "../result.ts";
import type { Credential } from "./credential.ts";
import type { Changes, CredentialFault, JsonRecord, Renewal } from "./record.ts";

/**
 * Where credentials live. Every credential it gives is `persistent` and its id is unique in the store. What is written
 * has reached the disk when the call resolves, and several processes may write at the same time.
 */
export type CredentialStore = {
  list(): Promise<Result<Listing, StoreFault>>;
  /**
   * Writes a renewal into the record that `previous` was read from, provided that the record's log-in is still the one
   * of `previous.version`. Everything else in the record stays as it is in the store by now. Gives the record as stored.
   */
  put(previous: Credential, renewal: Renewal): Promise<Result<Credential, PutFault>>;
  /**
   * Changes these fields of a record and no other, whatever its log-in is by now. A record that could not be used
   * afterwards is not written.
   */
  update(id: string, changes: Changes): Promise<Result<Credential, EditFault>>;
  /**
   * Adds records, all in one write. One of an account that is there already replaces that one's log-in as a whole, unless
   * it is the same, or with `keepNewer` an older one. With `dryRun` it only tells what it would do.
   */
  add(
    records: readonly JsonRecord[],
    options?: { dryRun?: boolean; keepNewer?: boolean },
  ): Promise<Result<Added[], StoreFault>>;
  remove(id: string): Promise<Result<undefined, EditFault>>;
};

/** What keeping credentials working needs of a store. */
export type AccountStore = Pick<CredentialStore, "list" | "put" | "update">;

export type Listing = {
  credentials: Credential[];
  /** Records that can't be used; `path` begins with the record's place (`[2].region`). */
  rejected: CredentialFault[];
  /** The store does not exist yet, which is not an error. */
  missing: boolean;
};

/** What became of a record that was to be added, in the same order. */
export type Added =
  | { outcome: "added" | "updated" | "unchanged"; credential: Credential }
  | { outcome: "refused"; fault: CredentialFault };

export type StoreFault =
  /** The store's content can't be understood. Nothing may be written to it. */
  | { kind: "broken"; file: string; line: number; column: number; message: string }
  /** It can't be read or written; `message` has the system's error code. */
  | { kind: "io"; file: string; message: string };

export type PutFault =
  | StoreFault
  /** Somebody else changed the log-in meanwhile: read it again. */
  | { kind: "conflict" }
  /** The record is no longer there. */
  | { kind: "gone" };

export type EditFault =
  | StoreFault
  | { kind: "gone" }
  /** The store has no place of its own for this record, such as one from the environment. */
  | { kind: "read-only" }
  /** The record could not be used afterwards. */
  | { kind: "unusable"; fault: CredentialFault };
