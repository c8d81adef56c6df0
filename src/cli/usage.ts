import type { ConfigFlags } from "../config/load.ts";
import { fail, ok, type Result } from "../result.ts";
import { openForReading } from "../usage/database.ts";
import {
  entries,
  type LedgerEntry,
  type UsageBy,
  usageBy,
  type UsageFilter,
} from "../usage/queries.ts";
import { csvLines } from "./csv.ts";
import { readConfig } from "./settings.ts";
import { table } from "./table.ts";
import { complain, type Terminal } from "./terminal.ts";

export const USAGE_FORMATS = ["table", "csv", "json"] as const;

export type UsageOptions = {
  flags: ConfigFlags;
  /** `request` for the rows themselves. */
  by: UsageBy | "request";
  format: (typeof USAGE_FORMATS)[number];
  filter: UsageFilter;
};

type Row = Record<string, string | number | boolean | null>;

const PAGE = 1_000;

/** Shows what was spent, from the ledger, also while a server writes it. Gives the exit code. */
export async function usage(
  { flags, by, format, filter }: UsageOptions,
  terminal: Terminal,
): Promise<number> {
  const loaded = await readConfig(flags, terminal);
  if (!loaded.ok) return complain(terminal, ...loaded.failure);
  const path = loaded.value.config.databasePath;
  const database = await openForReading(path);
  if (!database.ok) {
    const { code, message } = database.failure;
    return code === "SQLITE_CANTOPEN"
      ? complain(terminal, `${path} does not exist or can't be read: a server writes it.`)
      : complain(terminal, `${path}: ${message}`);
  }
  try {
    const rows =
      by === "request"
        ? await allEntries(database.value, filter)
        : await usageBy(database.value, by, filter);
    print(
      rows.map((row) => flat(row, by)),
      format,
      terminal,
    );
    return 0;
  } finally {
    await database.value.close();
  }
}

async function allEntries(
  sql: Parameters<typeof entries>[0],
  filter: UsageFilter,
): Promise<LedgerEntry[]> {
  const all: LedgerEntry[] = [];
  let before: number | null = Number.MAX_SAFE_INTEGER;
  while (before !== null) {
    const page = await entries(sql, { ...filter, before, limit: PAGE });
    all.push(...page.entries);
    before = page.next;
  }
  return all;
}

/** The column that the rows are by has that name; what is not flat becomes JSON. */
function flat(row: object, by: string): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name === "key" ? by : name,
      typeof value === "object" && value !== null ? JSON.stringify(value) : value,
    ]),
  );
}

function print(rows: Row[], format: UsageOptions["format"], terminal: Terminal): void {
  switch (format) {
    case "json":
      terminal.print(JSON.stringify(rows, null, 2));
      break;
    case "csv":
      for (const line of csvLines(rows)) terminal.print(line);
      break;
    case "table": {
      const [first] = rows;
      if (first === undefined) {
        terminal.complain("No requests.");
        break;
      }
      const names = Object.keys(first).filter((name) => name !== "chain");
      const cells = rows.map((row) => names.map((name) => cell(row[name])));
      for (const line of table([names.map((name) => name.toUpperCase()), ...cells])) {
        terminal.print(line);
      }
      break;
    }
    default:
      format satisfies never;
  }
}

function cell(value: Row[string] | undefined): string {
  if (value === null || value === undefined) return "-";
  return typeof value === "number" ? String(Math.round(value * 10_000) / 10_000) : String(value);
}

/** An instant, or the start of a day (UTC), and for the end of a time its end. */
export function instantOf(text: string, isEnd: boolean): Result<number, string> {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const instant = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(instant)) {
    return fail(
      `expected a day such as 2026-01-31 or a time such as 2026-01-31T12:00Z, got ${text}`,
    );
  }
  return ok(isDay && isEnd ? instant + 86_400_000 : instant);
}
