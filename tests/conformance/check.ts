/**
 * What a value should look like: a predicate, a pattern for a text, an array of as many members, an object with at least
 * these members, or the value itself. `absent` is for a member that may not be there.
 */
export type Shape =
  | string
  | number
  | boolean
  | null
  | RegExp
  | ((value: unknown) => boolean)
  | readonly Shape[]
  | { readonly [member: string]: Shape };

class Broken extends Error {}

/** Throws a sentence that names the member and what is there instead. */
export function check(value: unknown, shape: Shape, path = "it"): void {
  const wrong = (expected: string): never => {
    throw new Broken(`${path}: expected ${expected}, got ${shown(value)}`);
  };
  if (typeof shape === "function") {
    if (!shape(value)) wrong(shape.name || "something else");
  } else if (shape instanceof RegExp) {
    if (typeof value !== "string" || !shape.test(value)) wrong(String(shape));
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return wrong("a list");
    if (value.length !== shape.length) wrong(`${shape.length} members`);
    shape.forEach((one: Shape, index) => check(value[index], one, `${path}.${index}`));
  } else if (typeof shape === "object" && shape !== null) {
    if (typeof value !== "object" || value === null) return wrong("an object");
    for (const [name, one] of Object.entries(shape)) {
      check(Reflect.get(value, name), one, path === "it" ? name : `${path}.${name}`);
    }
  } else if (value !== shape) {
    wrong(shown(shape));
  }
}

/** Throws the sentence unless it holds. */
export function ensure(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Broken(otherwise);
}

export const absent = (value: unknown): boolean => value === undefined;
export const text = (value: unknown): boolean => typeof value === "string" && value !== "";
export const string = (value: unknown): boolean => typeof value === "string";
export const number = (value: unknown): boolean => typeof value === "number";
export const positive = (value: unknown): boolean => typeof value === "number" && value > 0;
export const list = (value: unknown): boolean => Array.isArray(value);

/** The value at a dotted path, whatever is on the way. */
export function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (here, name) =>
        typeof here === "object" && here !== null ? Reflect.get(here, name) : undefined,
      value,
    );
}

/** The texts at one path of many values, in one. */
export function joined(values: unknown[], path: string): string {
  return values
    .map((value) => at(value, path))
    .filter((part) => typeof part === "string")
    .join("");
}

export function members(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  return json.length > 200 ? `${json.slice(0, 200)}…` : json;
}
