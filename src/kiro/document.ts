import type { Json, JsonObject } from "../conversation/conversation.ts";

/** Deeper nesting has no meaning for a tool and would only exhaust the stack. */
export const DEPTH_MAX = 128;

/**
 * Free-form JSON (a call's input, a default value) as the service takes it: no nulls, no empty keys, only text that
 * UTF-8 can hold, only finite numbers. A member that is null goes; a list keeps its length, so a null in it becomes the
 * text `null`. Empty objects and lists stay: they are values.
 */
export function cleanObject(value: JsonObject, depth = 0): JsonObject {
  const entries: [string, Json][] = [];
  for (const [key, member] of Object.entries(value)) {
    const cleaned = key === "" ? undefined : cleanDocument(member, depth + 1);
    if (cleaned !== undefined) entries.push([key.toWellFormed(), cleaned]);
  }
  // Not by assignment: `__proto__` is a key like any other.
  return Object.fromEntries(entries);
}

/** As `cleanObject`, for any value; undefined where nothing is left of it. */
export function cleanDocument(value: Json, depth = 0): Json | undefined {
  if (typeof value === "string") return value.toWellFormed();
  // `1e999` parses to Infinity, which would be written as null.
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value === "boolean") return value;
  if (value === null || depth > DEPTH_MAX) return undefined;
  if (!Array.isArray(value)) return cleanObject(value, depth);
  return value.map((item) => cleanDocument(item, depth + 1) ?? "null");
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text that the service takes for no text. */
export function isBlank(text: string): boolean {
  return !/\S/.test(text);
}
