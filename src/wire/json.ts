import type { Json, JsonObject } from "../conversation/conversation.ts";

/** Whether `value` is a JSON object. Bodies come out of `JSON.parse`, so whatever an object holds is `Json`. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The string that `value` is, the empty one for anything else. */
export function stringOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** The string that `value` is; undefined for the empty one and for anything else. */
export function textOf(value: Json | undefined): string | undefined {
  return stringOf(value) || undefined;
}

/** Clients send null where they mean nothing. */
export function isPresent<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
