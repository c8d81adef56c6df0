import type { SQL } from "bun";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { fail, ok, type Result } from "../result.ts";

/** Why the database can't be used: a sentence for the operator. */
export type DatabaseFault = { code: string; message: string };

/**
 * The steps from one version of the schema to the next; the database counts those it has been through. A step that has
 * been in a release never changes: another one follows it.
 */
export const migrations: readonly (readonly string[])[] = [
  [
    `CREATE TABLE requests (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      at INTEGER NOT NULL,
      request_id TEXT NOT NULL,
      user_id TEXT,
      caller TEXT,
      credential TEXT,
      wire TEXT NOT NULL,
      stream INTEGER,
      model TEXT,
      upstream_model TEXT,
      status INTEGER,
      outcome TEXT NOT NULL,
      failure TEXT,
      input_tokens INTEGER,
      output_tokens INTEGER,
      cache_read_tokens INTEGER,
      cache_write_tokens INTEGER,
      credits REAL,
      first_event_ms INTEGER,
      upstream_ms INTEGER,
      duration_ms INTEGER,
      attempts INTEGER NOT NULL,
      chain TEXT
    )`,
    "CREATE INDEX requests_at ON requests (at)",
    "CREATE INDEX requests_user_at ON requests (user_id, at)",
  ],
  [
    "ALTER TABLE requests ADD COLUMN estimated_credits REAL",
    "ALTER TABLE requests ADD COLUMN estimated_tokens INTEGER",
    "CREATE INDEX requests_who ON requests (coalesce(user_id, caller))",
    `CREATE TABLE holds (
      request_id TEXT PRIMARY KEY,
      at INTEGER NOT NULL,
      user_id TEXT NOT NULL,
      caller TEXT NOT NULL,
      wire TEXT NOT NULL,
      model TEXT NOT NULL,
      credits REAL NOT NULL,
      tokens INTEGER NOT NULL
    ) WITHOUT ROWID`,
  ],
];

/** Opens the database, made where there is none, and brings its schema up to date. */
export async function openDatabase(
  path: string,
  steps: readonly (readonly string[])[] = migrations,
): Promise<Result<SQL, DatabaseFault>> {
  let sql: SQL | undefined;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives the files that it puts beside the database the mode of the database.
    const file = await open(path, "a", 0o600);
    if (process.platform !== "win32") await file.chmod(0o600);
    await file.close();
    sql = new Bun.SQL({ adapter: "sqlite", filename: path });
    await sql`PRAGMA busy_timeout = 500`;
    await sql`PRAGMA journal_mode = WAL`;
    // The end of the process loses nothing; the loss of power may lose the last seconds, never the file.
    await sql`PRAGMA synchronous = NORMAL`;
    const version = await versionOf(sql);
    if (version > steps.length) {
      await sql.close();
      return fail({
        code: "newer",
        message: `it was written by a newer kiro-proxy (schema ${version}, this one knows ${steps.length})`,
      });
    }
    for (const [at, step] of steps.entries()) {
      if (at < version) continue;
      await sql.begin(async (tx) => {
        for (const statement of step) await tx.unsafe(statement);
        await tx.unsafe(`PRAGMA user_version = ${at + 1}`);
      });
    }
    return ok(sql);
  } catch (error) {
    await sql?.close();
    return fail(faultOf(error));
  }
}

/** Opens a database that is there, to read it beside a gateway that writes. */
export async function openForReading(path: string): Promise<Result<SQL, DatabaseFault>> {
  let sql: SQL | undefined;
  try {
    sql = new Bun.SQL({ adapter: "sqlite", filename: path, readonly: true });
    const version = await versionOf(sql);
    if (version === migrations.length) return ok(sql);
    await sql.close();
    return fail({
      code: "version",
      message: `its schema is ${version} and this kiro-proxy reads ${migrations.length}; a server of this version brings it up to date`,
    });
  } catch (error) {
    await sql?.close();
    return fail(faultOf(error));
  }
}

async function versionOf(sql: SQL): Promise<number> {
  const rows = await sql<{ user_version: number }[]>`PRAGMA user_version`;
  return rows[0]?.user_version ?? 0;
}

/** Whatever it was: the ledger must not bring down the gateway that it keeps account of. */
export function faultOf(error: unknown): DatabaseFault {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  const code = "code" in error ? String(error.code) : error.name;
  return { code, message: error.message };
}
