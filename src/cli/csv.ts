type Value = string | number | boolean | null;

/** Rows as lines of RFC 4180, the names of the first one before them. A null is an empty field. */
export function csvLines(rows: readonly Record<string, Value>[]): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const names = Object.keys(first);
  return [names, ...rows.map((row) => names.map((name) => row[name] ?? null))].map((fields) =>
    fields.map(field).join(","),
  );
}

function field(value: Value): string {
  if (typeof value !== "string") return value === null ? "" : String(value);
  // What a client has made up must not be a formula to a spreadsheet.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
