import { applyEdits, modify, type ParseError, parse } from "jsonc-parser";
import { fail, ok, type Result } from "../../result.ts";
import { type Edit, isObject } from "./edits.ts";

/** What a file of JSON settings says, comments and commas at the end allowed. Fails with half a sentence. */
export function parseJsonSettings(text: string): Result<Record<string, unknown>, string> {
  const errors: ParseError[] = [];
  const value: unknown = parse(text.trim() === "" ? "{}" : text, errors, {
    allowTrailingComma: true,
  });
  if (errors.length > 0) return fail("is not valid JSON");
  return isObject(value) ? ok(value) : fail("does not hold a JSON object");
}

/** The text with the edits in it; comments, order and spaces of everything else stay. Fails with half a sentence. */
export function editJson(text: string, edits: readonly Edit[]): Result<string, string> {
  const parsed = parseJsonSettings(text);
  if (!parsed.ok) return parsed;
  const indent = /^([ \t]+)"/m.exec(text)?.[1] ?? "  ";
  const formattingOptions = {
    insertSpaces: !indent.startsWith("\t"),
    tabSize: indent.startsWith("\t") ? 1 : indent.length,
    eol: text.includes("\r\n") ? "\r\n" : "\n",
  };
  let result = text.trim() === "" ? "{}\n" : text;
  for (const { path, value } of edits) {
    if (blocked(parsed.value, path)) return fail(`has something else at ${path.join(".")}`);
    result = applyEdits(result, modify(result, path, value, { formattingOptions }));
  }
  return ok(result);
}

/** Whether something that is not an object stands where the path has to go through. */
function blocked(settings: unknown, path: Edit["path"]): boolean {
  let at: unknown = settings;
  for (const name of path) {
    if (typeof name === "number" ? !Array.isArray(at) : !isObject(at)) return true;
    if (!isObject(at) || !Object.hasOwn(at, name)) return false;
    at = at[name];
  }
  return false;
}
