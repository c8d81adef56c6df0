import type { JsonObject, Tool } from "./conversation.ts";

const texts = new WeakMap<JsonObject, string>();

/** A tool's schema as JSON text: its size is counted, and it is what schemas are known by. Made once. */
export function schemaText({ schema }: Tool): string {
  const known = texts.get(schema) ?? JSON.stringify(schema);
  texts.set(schema, known);
  return known;
}
