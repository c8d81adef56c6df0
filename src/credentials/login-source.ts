import { join } from "node:path";
import { z } from "zod";
import type { Result } from "../result.ts";
import type { SourceName } from "./credential.ts";
import { type CredentialFault, isRecord, type JsonRecord, type Renewal } from "./record.ts";
import type { PutFault } from "./store.ts";

/** The log-in that another program keeps on this machine. A record is in that program's own spelling. */
export type LoginSource = {
  /** As it is by now, with the client's registration. Without a path: where the program keeps it by itself. */
  read(path: string | undefined): Promise<Result<JsonRecord, CredentialFault>>;
  /**
   * Writes new tokens to the place that they were read from, in its own form, if `unchanged` still says so of what is
   * there. Nothing else of it changes. Gives the record as it is then.
   */
  write(
    path: string | undefined,
    renewal: Renewal,
    unchanged: (record: JsonRecord) => boolean,
  ): Promise<Result<JsonRecord, PutFault>>;
};

export type LoginSources = Record<SourceName, LoginSource>;

/** A record of `credentials.json` that says where the log-in is, instead of holding it. */
export type Link = { source: SourceName; path: string | undefined };

const Link = z.object({
  source: z.enum(["kiro-ide", "kiro-cli"]),
  path: z.string().min(1).optional().catch(undefined),
});

/** Undefined for a record with a log-in of its own. */
export function linkOf(record: unknown): Link | undefined {
  const link = Link.safeParse(record).data;
  return link && { source: link.source, path: link.path };
}

/** A link's record together with the log-in that it points to. What the link says itself comes first. */
export function linkedRecord(record: unknown, link: Link, login: JsonRecord): JsonRecord {
  if (!isRecord(record)) throw new Error("a link is not an object");
  const { source: _, path: __, ...own } = record;
  // Neither may change when the tokens do, and the log-in has nothing that stays.
  const name = { id: link.source, machineId: `${link.source} ${link.path ?? ""}` };
  return { ...login, ...name, ...own };
}

/** `~/` at the beginning of a path is the user's home, as in a shell. */
export function atHome(path: string, home: string): string {
  return /^~[/\\]/.test(path) ? join(home, path.slice(2)) : path;
}
