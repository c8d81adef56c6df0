/** One value that settings are to have, at the names that lead to it. */
export type Edit = { path: (string | number)[]; value: unknown };

/** A copy of parsed settings with the edits made in it, to compare with. */
export function edited(settings: unknown, edits: readonly Edit[]): unknown {
  return edits.reduce<unknown>((all, { path, value }) => set(all, path, value), settings);
}

function set(settings: unknown, [name, ...rest]: (string | number)[], value: unknown): unknown {
  if (name === undefined) return value;
  const base = isObject(settings) ? settings : {};
  return { ...base, [name]: set(base[name], rest, value) };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
