import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { fail, ok, type Result } from "../result.ts";
import { errorCode } from "./files.ts";
import { atHome, type LoginSource } from "./login-source.ts";
import { isRecord, type JsonRecord, renewedRecord } from "./record.ts";

/** In the order in which the program itself looks; `odic` is how it writes it. */
const TOKEN_KEYS = ["kirocli:social:token", "kirocli:odic:token", "codewhisperer:odic:token"];
const PROFILE_KEY = "api.codewhisperer.profile";
/** The program holds its lock for single statements; while this waits, so does everybody. */
const BUSY_MS = 500;

const Row = z.object({ value: z.union([z.string(), z.instanceof(Uint8Array)]) });

/** The log-in of kiro-cli, or of the Amazon Q CLI that it comes from: rows of JSON in a SQLite database. */
export function createCliSource(deps: { home: string; platform: string }): LoginSource {
  const { home, platform } = deps;
  const folder =
    platform === "darwin"
      ? join(home, "Library", "Application Support")
      : platform === "win32"
        ? join(home, "AppData", "Local")
        : join(home, ".local", "share");
  const defaults = ["kiro-cli", "amazon-q"].map((name) => join(folder, name, "data.sqlite3"));
  const placeOf = (path: string | undefined): string =>
    path === undefined
      ? (defaults.find((one) => existsSync(one)) ?? join(folder, "kiro-cli", "data.sqlite3"))
      : atHome(path, home);

  return {
    async read(path) {
      const file = placeOf(path);
      if (!existsSync(file)) return fail({ path: "source", message: `${file} does not exist` });
      const found = inDatabase(file, { readonly: true }, (database) => loginIn(database));
      if (!found.ok) {
        return fail({ path: "source", message: `${file} can't be read: ${found.failure}` });
      }
      if (found.value === undefined) {
        return fail({ path: "source", message: `${file} has no log-in` });
      }
      return ok(found.value.record);
    },
    async write(path, renewal, unchanged) {
      const file = placeOf(path);
      if (!existsSync(file)) return fail({ kind: "gone" });
      const written = inDatabase(file, { readwrite: true }, (database) =>
        database
          .transaction((): Result<JsonRecord, { kind: "gone" } | { kind: "conflict" }> => {
            const login = loginIn(database);
            if (login === undefined) return fail({ kind: "gone" });
            if (!unchanged(login.record)) return fail({ kind: "conflict" });
            const token = renewedRecord(login.token, renewal, undefined);
            database
              .query("UPDATE auth_kv SET value = ? WHERE key = ?")
              .run(JSON.stringify(token), login.key);
            return ok({ ...login.record, ...token });
          })
          .immediate(),
      );
      return written.ok ? written.value : fail({ kind: "io", file, message: written.failure });
    },
  };
}

type Found = { key: string; token: JsonRecord; record: JsonRecord };

function loginIn(database: Database): Found | undefined {
  for (const key of TOKEN_KEYS) {
    const token = jsonAt(database, "auth_kv", key);
    if (token === undefined) continue;
    const social = key.includes(":social:");
    const registration = social
      ? undefined
      : jsonAt(database, "auth_kv", key.replace(/:token$/, ":device-registration"));
    const { client_id, client_secret, client_secret_expires_at } = registration ?? {};
    const record = {
      authMethod: social ? "social" : "idc",
      ...(registration && {
        client_id,
        client_secret,
        clientSecretExpiresAt: client_secret_expires_at,
      }),
      profile_arn: jsonAt(database, "state", PROFILE_KEY)?.["arn"],
      ...token,
    };
    return { key, token, record };
  }
  return undefined;
}

/** The object in a row; undefined where there is none, or no such table. */
function jsonAt(
  database: Database,
  table: "auth_kv" | "state",
  key: string,
): JsonRecord | undefined {
  const tables = database.query("SELECT name AS value FROM sqlite_master WHERE name = ?");
  if (tables.get(table) === null) return undefined;
  const row = Row.safeParse(database.query(`SELECT value FROM ${table} WHERE key = ?`).get(key));
  if (!row.success) return undefined;
  const { value } = row.data;
  try {
    const parsed: unknown = JSON.parse(
      typeof value === "string" ? value : new TextDecoder().decode(value),
    );
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    // Not ours to repair; the program that wrote it sees the same.
    return undefined;
  }
}

/** Fails with SQLite's code. */
function inDatabase<T>(
  file: string,
  options: { readonly: true } | { readwrite: true },
  work: (database: Database) => T,
): Result<T, string> {
  let database: Database | undefined;
  try {
    database = new Database(file, options);
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return ok(work(database));
  } catch (error) {
    return fail(errorCode(error));
  } finally {
    database?.close();
  }
}
