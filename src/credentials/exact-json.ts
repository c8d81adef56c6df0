declare global {
  interface JSON {
    rawJSON(text: string): object;
    isRawJSON(value: unknown): boolean;
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
    ): unknown;
  }
}

/**
 * `JSON.parse` for what is written back: a whole number that a double can't hold, such as an id of 18 digits, stays as it
 * is written, as a value that `JSON.stringify` writes; `asNumber` is for those who have to read it.
 */
export function parseExactly(json: string): unknown {
  // The slow way only for files that have such a number.
  if (!/\d{16}/.test(json)) return JSON.parse(json);
  return JSON.parse(json, (_key, value, { source = "" }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? JSON.rawJSON(source)
      : value,
  );
}

/** Such a number as a double; other values as they are. */
export function asNumber(value: unknown): unknown {
  return JSON.isRawJSON(value) ? Number(JSON.stringify(value)) : value;
}
