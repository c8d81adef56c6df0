import type { Json, JsonObject } from "../conversation/conversation.ts";
import { cleanDocument, DEPTH_MAX, isBlank, isObject } from "./document.ts";

export type SchemaRules = {
  /** Keywords that are removed at every level; never a property of that name. */
  dropped: string[];
  refDepth: number;
  /** Leaves only what every version of the service takes: types, properties, required, items, enums, descriptions. */
  reduced: boolean;
};

/** How much inlined definitions may add to a schema, in characters: references inside references multiply. */
const INLINED_MAX = 256 * 1024;

/** The service reads bounds as 32-bit integers. */
const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

/**
 * A tool's JSON Schema as the service takes it, and with the meaning it had as far as that goes: an object at the root,
 * local references inlined, no combinator at the root, bounds inclusive and within 32 bits, nothing null or void.
 * What has been through here comes out of it unchanged.
 */
export function toKiroSchema(schema: JsonObject, rules: SchemaRules): JsonObject {
  const walk: Walk = {
    root: schema,
    dropped: new Set(rules.dropped),
    refDepth: rules.refDepth,
    active: ["#"],
    inlined: 0,
  };
  const folded = fold(cleanNode(schema, walk, 0));
  const { required, ...root } = rules.reduced ? reduce(folded) : folded;
  const properties = isObject(root["properties"]) ? root["properties"] : {};
  return { ...root, type: "object", properties, ...(required !== undefined && { required }) };
}

type Walk = {
  root: JsonObject;
  dropped: ReadonlySet<string>;
  refDepth: number;
  /** References that are being inlined, outermost first. */
  active: string[];
  /** Characters of definitions that have been inlined. */
  inlined: number;
};

function cleanNode(node: JsonObject, walk: Walk, depth: number): JsonObject {
  if (depth > DEPTH_MAX) return {};
  const ref = node["$ref"];
  if (typeof ref === "string") return inline(node, ref, walk, depth);

  const out: JsonObject = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === "" || key === "__proto__" || walk.dropped.has(key)) continue;
    const cleaned = cleanKeyword(key, value, walk, depth);
    if (cleaned !== undefined) out[key] = cleaned;
  }
  const minimum = lowerBound(node);
  if (minimum !== undefined) out["minimum"] = minimum;
  const maximum = upperBound(node);
  if (maximum !== undefined) out["maximum"] = maximum;
  return out;
}

/** Undefined where the keyword says nothing, or nothing that is valid. */
function cleanKeyword(key: string, value: Json, walk: Walk, depth: number): Json | undefined {
  switch (key) {
    case "properties":
    case "patternProperties":
    case "dependentSchemas":
      return isObject(value) ? cleanMap(value, walk, depth) : undefined;
    case "items":
      return Array.isArray(value)
        ? cleanList(value, walk, depth)
        : unlessEmpty(cleanSchema(value, walk, depth));
    case "anyOf":
    case "oneOf":
    case "allOf":
    case "prefixItems":
      return Array.isArray(value) ? cleanList(value, walk, depth) : undefined;
    case "not":
      return cleanSchema(value, walk, depth);
    // Without `not` before it, a schema of any value says nothing.
    case "additionalProperties":
    case "unevaluatedProperties":
    case "additionalItems":
    case "unevaluatedItems":
    case "contains":
    case "propertyNames":
    case "if":
    case "then":
    case "else":
      return unlessEmpty(cleanSchema(value, walk, depth));
    case "required":
      return names(value);
    case "type":
      return typeof value === "string" && value !== "" ? value : names(value);
    case "description":
    case "title":
      return typeof value === "string" && !isBlank(value) ? value.toWellFormed() : undefined;
    case "enum":
      return Array.isArray(value) ? cleanChoices(value) : undefined;
    case "minLength":
    case "maxLength":
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties":
      return typeof value === "number" && isInt32(value) ? value : undefined;
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      // Worked out together, in `cleanNode`.
      return undefined;
    default:
      return unlessEmpty(cleanDocument(value));
  }
}

function cleanSchema(value: Json, walk: Walk, depth: number): JsonObject | undefined {
  if (value === true) return {};
  return isObject(value) ? cleanNode(value, walk, depth + 1) : undefined;
}

function cleanList(value: Json[], walk: Walk, depth: number): Json[] | undefined {
  const schemas = value
    .map((item) => cleanSchema(item, walk, depth))
    .filter((schema) => schema !== undefined);
  return schemas.length === 0 ? undefined : schemas;
}

function cleanMap(value: JsonObject, walk: Walk, depth: number): JsonObject | undefined {
  const entries: [string, Json][] = [];
  for (const [name, member] of Object.entries(value)) {
    // `false` forbids the property; any other value that is no schema still names one.
    if (name === "" || member === false) continue;
    entries.push([name.toWellFormed(), cleanSchema(member, walk, depth) ?? {}]);
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function cleanChoices(values: Json[]): Json[] | undefined {
  const choices = values
    .map((value) => cleanDocument(value))
    .filter((value) => value !== undefined);
  return choices.length === 0 ? undefined : choices;
}

function names(value: Json): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const strings = value.flatMap((item) =>
    typeof item === "string" && item !== "" ? [item.toWellFormed()] : [],
  );
  return strings.length === 0 ? undefined : [...new Set(strings)];
}

function unlessEmpty(value: Json | undefined): Json | undefined {
  return typeof value === "object" && value !== null && isEmpty(value) ? undefined : value;
}

function isEmpty(value: Json[] | JsonObject): boolean {
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}

function isInt32(value: number): boolean {
  return value >= INT32_MIN && value <= INT32_MAX;
}

/** The node with the definition in the place of its reference; what stands beside the reference goes first. */
function inline(node: JsonObject, ref: string, walk: Walk, depth: number): JsonObject {
  const { $ref: _, ...beside } = node;
  const barred = walk.active.includes(ref) || walk.active.length > walk.refDepth;
  const target = barred || walk.inlined > INLINED_MAX ? undefined : lookUp(walk.root, ref);
  if (target === undefined) return cleanNode(beside, walk, depth);
  walk.active.push(ref);
  const inlined = cleanNode({ ...target, ...beside }, walk, depth + 1);
  walk.active.pop();
  walk.inlined += JSON.stringify(inlined).length;
  return inlined;
}

/** The schema that a local JSON pointer (`#/$defs/Name`) leads to. */
function lookUp(root: JsonObject, ref: string): JsonObject | undefined {
  if (!ref.startsWith("#/")) return undefined;
  let found: Json | undefined = root;
  for (const step of ref.slice(2).split("/")) {
    const key = unescapeStep(step);
    if (Array.isArray(found)) found = found[Number(key)];
    else found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  return isObject(found) ? found : undefined;
}

function unescapeStep(step: string): string {
  const plain = /^(?:[^%]|%[0-7][0-9a-f])*$/i.test(step) ? decodeURIComponent(step) : step;
  return plain.replaceAll("~1", "/").replaceAll("~0", "~");
}

function lowerBound(node: JsonObject): number | undefined {
  const plain = finite(node["minimum"]);
  const strict = node["exclusiveMinimum"] === true ? plain : finite(node["exclusiveMinimum"]);
  const next = strict !== undefined && isInteger(node) ? Math.floor(strict) + 1 : strict;
  const bound = Math.max(plain ?? -Infinity, next ?? -Infinity);
  return isInt32(bound) ? bound : undefined;
}

function upperBound(node: JsonObject): number | undefined {
  const plain = finite(node["maximum"]);
  const strict = node["exclusiveMaximum"] === true ? plain : finite(node["exclusiveMaximum"]);
  const next = strict !== undefined && isInteger(node) ? Math.ceil(strict) - 1 : strict;
  const bound = Math.min(plain ?? Infinity, next ?? Infinity);
  return isInt32(bound) ? bound : undefined;
}

function finite(value: Json | undefined): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function isInteger({ type }: JsonObject): boolean {
  return (
    type === "integer" ||
    (Array.isArray(type) && type.includes("integer") && !type.includes("number"))
  );
}

/**
 * A schema without combinators at its root: the properties of all alternatives together, each with all the shapes it
 * has in them. Required is what every alternative requires, and what any part of an `allOf` does.
 */
function fold(node: JsonObject): JsonObject {
  const { anyOf, oneOf, allOf, ...own } = node;
  if (anyOf === undefined && oneOf === undefined && allOf === undefined) return node;
  const shapes = new Map<string, Map<string, Json>>();
  const required = new Set(names(own["required"] ?? null));
  const collect = (properties: Json | undefined): void => {
    if (!isObject(properties)) return;
    for (const [name, shape] of Object.entries(properties)) {
      const known = shapes.get(name) ?? new Map<string, Json>();
      shapes.set(name, known.set(JSON.stringify(shape), shape));
    }
  };
  collect(own["properties"]);
  for (const part of objectsIn(allOf)) {
    collect(part["properties"]);
    for (const name of names(part["required"] ?? null) ?? []) required.add(name);
  }
  for (const alternatives of [objectsIn(anyOf), objectsIn(oneOf)]) {
    for (const alternative of alternatives) collect(alternative["properties"]);
    const [first, ...others] = alternatives.map(
      (alternative) => new Set(names(alternative["required"] ?? null)),
    );
    for (const name of first ?? []) {
      if (others.every((other) => other.has(name))) required.add(name);
    }
  }
  const properties = [...shapes].map(([name, known]): [string, Json] => {
    const [only, ...more] = known.values();
    return [name, more.length === 0 ? (only ?? {}) : { anyOf: [...known.values()] }];
  });
  const { required: _, ...rest } = own;
  return {
    ...rest,
    properties: Object.fromEntries(properties),
    ...(required.size > 0 && { required: [...required] }),
  };
}

/** The alternatives that can be an object, themselves folded. */
function objectsIn(list: Json | undefined): JsonObject[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).flatMap((schema) => {
    const { type } = schema;
    const fits =
      type === undefined || type === "object" || (Array.isArray(type) && type.includes("object"));
    return fits ? [fold(schema)] : [];
  });
}

/** The plainest form of a cleaned schema: of alternatives and of types the first that is not null. */
function reduce(node: JsonObject): JsonObject {
  const alternative = [node["anyOf"], node["oneOf"], node["allOf"]]
    .flatMap((list) => (Array.isArray(list) ? list : []))
    .find((schema) => isObject(schema) && schema["type"] !== "null");
  const source = isObject(alternative) ? { ...alternative, ...node } : node;
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(source)) {
    const reduced = reduceKeyword(key, value);
    if (reduced !== undefined) out[key] = reduced;
  }
  return out;
}

function reduceKeyword(key: string, value: Json): Json | undefined {
  switch (key) {
    case "description":
    case "required":
    case "enum":
      return value;
    case "type":
      return Array.isArray(value) ? value.find((name) => name !== "null") : value;
    case "items":
      return isObject(value) ? unlessEmpty(reduce(value)) : undefined;
    case "properties":
      return isObject(value) ? reduceMembers(value) : undefined;
    default:
      return undefined;
  }
}

function reduceMembers(properties: JsonObject): JsonObject {
  const members = Object.entries(properties).map(([name, schema]): [string, Json] => [
    name,
    isObject(schema) ? reduce(schema) : {},
  ]);
  return Object.fromEntries(members);
}
