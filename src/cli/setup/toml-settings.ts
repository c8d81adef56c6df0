import { isDeepStrictEqual } from "node:util";
import { fail, ok, type Result } from "../../result.ts";
import { type Edit, edited } from "./edits.ts";

/**
 * The text with the edits in it, line by line, so that comments and order stay. What comes out is read again: unless it
 * says exactly what the old text says and the edits besides, it fails with half a sentence, and nothing is to be written.
 */
export function editToml(text: string, edits: readonly Edit[]): Result<string, string> {
  const before = parsed(text);
  if (before === undefined) return fail("is not TOML that can be read");
  const wanted = plain(edited(before, edits));
  if (isDeepStrictEqual(plain(before), wanted)) return ok(text);
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
  for (const edit of edits) place(lines, edit);
  const result = lines.join(eol) + eol;
  const after = parsed(result);
  return after !== undefined && isDeepStrictEqual(plain(after), wanted)
    ? ok(result)
    : fail("is written in a way that can't be edited safely");
}

const HEADER = /^\s*\[/;

/** Puts one value into its table, over the line that has it or behind the table's last one. */
function place(lines: string[], { path, value }: Edit): void {
  const table = path.slice(0, -1).join(".");
  const key = String(path.at(-1));
  const line = `${key} = ${JSON.stringify(value)}`;
  let start = 0;
  if (table !== "") {
    start = lines.findIndex((one) => one.replaceAll(/\s|#.*/g, "") === `[${table}]`) + 1;
    if (start === 0) {
      if (lines.length > 0) lines.push("");
      lines.push(`[${table}]`);
      start = lines.length;
    }
  }
  const next = lines.findIndex((one, at) => at >= start && HEADER.test(one));
  const end = next === -1 ? lines.length : next;
  const found = lines.findIndex(
    (one, at) => at >= start && at < end && one.split("=")[0]?.trim() === key,
  );
  if (found !== -1) {
    lines[found] = line;
    return;
  }
  let last = end;
  while (last > start && lines[last - 1]?.trim() === "") last -= 1;
  // Before a table, a value needs an empty line behind it where there was none.
  lines.splice(last, 0, line, ...(last === end && next !== -1 ? [""] : []));
}

function parsed(text: string): object | undefined {
  try {
    return Bun.TOML.parse(text);
  } catch {
    return undefined;
  }
}

/** Dates and the like as what they are in JSON. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `${one}n` : one)),
  );
}
