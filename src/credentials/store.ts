import type { Result } from "../result.ts";
import type { Credential } from "./credential.ts";
import type { CredentialFault, Renewal } from "./record.ts";

/**
 * Where credentials live. Every credential it gives is `persistent` and its id is unique in the store.
 */
export type CredentialStore = {
  list(): Promise<Result<Listing, StoreFault>>;
  /**
   * Writes a renewal into the record that `previous` was read from, provided that the record's log-in is still the one
   * of `previous.version`. Everything else in the record stays as it is in the store by now. It has reached the disk
   * when this resolves. Gives the record as stored.
   */
  put(previous: Credential, renewal: Renewal): Promise<Result<Credential, PutFault>>;
};

export type Listing = {
  credentials: Credential[];
  /** Records that can't be used; `path` begins with the record's place (`[2].region`). */
  rejected: CredentialFault[];
  /** The store does not exist yet, which is not an error. */
  missing: boolean;
};

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
