import type { Json, JsonObject, Tool } from "../conversation/conversation.ts";

/** A tool call that the model wrote as text. */
export type LeakedCall = { name: string; json: string };

/** What comes out: text as it came, and calls in the place of the text that they were. */
export type LeakPiece = { type: "text"; text: string } | { type: "calls"; calls: LeakedCall[] };

export type LeakFinder = { push(text: string): LeakPiece[]; end(): LeakPiece[] };

/** The declared tool of a name that the model wrote. */
export type ToolLookup = (name: string) => Tool | undefined;

/** Characters that are waited for; a longer call stays text. */
const CALL_MAX = 256 * 1024;
/** Characters within which a call's head must be complete. */
const HEAD_MAX = 256;

/** A fence of code: what stands before it, itself, and what follows on its line. It may be in a list or a quotation. */
const FENCE = /^((?:[\s>]|[-*+]\s|\d{1,9}[.)]\s)*)(`{3,}(?=[^`]*$)|~{3,})(.*)$/;
/** Characters of a line that are looked at for a fence. */
const LINE_MAX = 1_000;

/** The forms in which calls were seen to leak. */
type Form = {
  openings: string[];
  /** What a call of this form begins with, up to where prose about calls ends; the name, where it is part of it. */
  head: RegExp;
  /** A call may end where one of these does. */
  closings: string[];
  /** The calls at the beginning of a text, and where they end; undefined where they are not whole. */
  read(text: string, toolOf: ToolLookup, atEnd: boolean): Found | undefined;
};

type Found = { calls: LeakedCall[]; end: number };

const FORMS: Form[] = [
  {
    openings: ["<invoke ", "<antml:invoke ", "<function_calls>", "<antml:function_calls>"],
    head: /^(?:<(?:antml:)?function_calls>\s*)?<(?:antml:)?invoke name="([^"<>\n]{1,128})">\s*<(?:(?:antml:)?parameter name="|\/)/,
    closings: ["invoke>", "function_calls>"],
    read: readInvocations,
  },
  {
    openings: ["<tool_call>"],
    head: /^<tool_call>\s*\{\s*"/,
    closings: ["</tool_call>"],
    read: (text, toolOf) => readJson(text, text.search(/\{/), "</tool_call>", toolOf),
  },
  {
    openings: ["[Called "],
    head: /^\[Called ([\w.-]{1,128}) with args:? ?\{\s*["}]/,
    closings: ["}]"],
    read(text, toolOf) {
      const [, name = ""] = /^\[Called ([\w.-]+)/.exec(text) ?? [];
      return readJson(text, text.indexOf("{"), "]", toolOf, name);
    },
  },
];

/**
 * Finds calls of declared tools in a reply's text: at the beginning of a line and outside fenced code, so that neither
 * code nor a sentence about calls is one. Held back is only a line that begins as a call does, until it is none or is whole.
 */
export function createLeakFinder(toolOf: ToolLookup): LeakFinder {
  /** What has come and is not out. */
  let held = "";
  let atLineStart = true;
  /** The line that runs, as far as it is out and in no call. */
  let line = "";
  let fence: Fence | undefined;
  /** White space right behind a call belongs to it. */
  let afterCall = false;
  /** The form of which `held` has the head. */
  let form: Form | undefined;
  /** The end of what has come, to find closings by. */
  let tail = "";
  let pieces: LeakPiece[] = [];

  function say(length: number): void {
    const text = held.slice(0, length);
    held = held.slice(length);
    line += text.slice(0, LINE_MAX - line.length);
    const last = pieces.at(-1);
    if (last?.type === "text") last.text += text;
    else if (text !== "") pieces.push({ type: "text", text });
  }

  /** The rest of the line is text. */
  function giveUp(): void {
    form = undefined;
    atLineStart = false;
  }

  /** Whether something was decided, so that it goes on. */
  function lookAtLine(atEnd: boolean): boolean {
    const rest = held.replace(/^ {1,3}/, "");
    const openings = fence === undefined ? FORMS.flatMap((one) => one.openings) : [];
    const isOpen = openings.some((one) => one.startsWith(rest) || rest.startsWith(one));
    if (!isOpen || atEnd) {
      giveUp();
      return true;
    }
    const candidate = FORMS.find((one) => one.openings.some((opening) => rest.startsWith(opening)));
    const head = candidate?.head.exec(rest);
    const name = head?.[1];
    if (head && (name === undefined || toolOf(name) !== undefined)) form = candidate;
    else if (head || rest.length > HEAD_MAX) giveUp();
    return form !== undefined || !atLineStart;
  }

  function lookForEnd(begun: Form, atEnd: boolean): boolean {
    if (!atEnd && !begun.closings.some((closing) => tail.includes(closing))) {
      if (held.length > CALL_MAX) giveUp();
      return held.length > CALL_MAX;
    }
    const indent = held.search(/\S/);
    const found = begun.read(held.slice(indent), toolOf, atEnd);
    tail = "";
    if (found === undefined) {
      if (atEnd || held.length > CALL_MAX) giveUp();
      return !atLineStart;
    }
    pieces.push({ type: "calls", calls: found.calls });
    held = held.slice(indent + found.end);
    form = undefined;
    afterCall = true;
    return true;
  }

  function run(atEnd: boolean): LeakPiece[] {
    pieces = [];
    while (held !== "") {
      if (afterCall) held = held.trimStart();
      if (held === "") break;
      afterCall = false;
      if (!atLineStart) {
        const newline = held.indexOf("\n");
        say(newline < 0 ? held.length : newline + 1);
        if (newline < 0) break;
        fence = fenceAfter(line, fence);
        line = "";
        atLineStart = true;
      } else if (form !== undefined) {
        if (!lookForEnd(form, atEnd)) break;
      } else if (!lookAtLine(atEnd)) {
        break;
      }
    }
    return pieces;
  }

  return {
    push(text) {
      held += text;
      tail = tail.slice(-32) + text;
      return run(false);
    },
    end: () => run(true),
  };
}

type Fence = { mark: string; indent: number };

/** The fence that is open behind a line. One is closed by as many marks or more of its kind, not far to its right. */
function fenceAfter(line: string, open: Fence | undefined): Fence | undefined {
  const [, before = "", mark, info = ""] = FENCE.exec(line.trimEnd()) ?? [];
  if (mark === undefined) return open;
  if (open === undefined) return { mark, indent: before.length };
  const closes = mark.startsWith(open.mark) && info === "" && before.length <= open.indent + 3;
  return closes ? undefined : open;
}

const INVOKE = /\s*<(?:antml:)?invoke name="([^"<>\n]{1,128})">/y;
const PARAMETER = /\s*<(?:antml:)?parameter name="([^"<>\n]{1,128})">/y;
const PARAMETER_END = /<\/(?:antml:)?parameter>(?=\s*<)/g;
const INVOKE_END = /\s*<\/(?:antml:)?invoke>/y;
const WRAPPER = /<(?:antml:)?function_calls>/y;
const WRAPPER_END = /\s*<\/(?:antml:)?function_calls>/y;

/** One invocation, or several in a wrapper, whose closing tag often never comes. */
function readInvocations(text: string, toolOf: ToolLookup, atEnd: boolean): Found | undefined {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text) ?? undefined;
    if (match !== undefined) at = pattern.lastIndex;
    return match;
  };
  const isWrapped = take(WRAPPER) !== undefined;
  const calls: LeakedCall[] = [];
  for (;;) {
    const [, name] = take(INVOKE) ?? [];
    const tool = name === undefined ? undefined : toolOf(name);
    if (tool === undefined) return undefined;
    const input: [string, Json][] = [];
    for (let open = take(PARAMETER); open !== undefined; open = take(PARAMETER)) {
      const start = at;
      const close = take(PARAMETER_END);
      if (close === undefined) return undefined;
      const key = open[1] ?? "";
      input.push([key, valueOf(text.slice(start, close.index), key, tool)]);
    }
    if (take(INVOKE_END) === undefined) return undefined;
    calls.push({ name: tool.name, json: JSON.stringify(Object.fromEntries(input)) });
    const isOver =
      !isWrapped || take(WRAPPER_END) !== undefined || (atEnd && text.slice(at).trim() === "");
    if (isOver) return { calls, end: at };
  }
}

/** A parameter is text, but where the tool's schema takes the JSON that it is. */
function valueOf(text: string, key: string, { schema }: Tool): Json {
  const { properties } = schema;
  const property =
    isObject(properties) && Object.hasOwn(properties, key) ? properties[key] : undefined;
  const value = isObject(property) ? parsed(text) : undefined;
  if (value === undefined) return text;
  const types = typesIn(property).map((type) => (type === "integer" ? "number" : type));
  // A string is what stands there, quotation marks and all.
  if (typeof value === "string") return types.length === 0 ? value : text;
  return types.length === 0 || types.includes(typeOf(value)) ? value : text;
}

/** The types that a schema names; none where it does not say. */
function typesIn(schema: Json | undefined): Json[] {
  if (!isObject(schema)) return [];
  const { type = [], anyOf = [], oneOf = [] } = schema;
  return [type, anyOf, oneOf].flat().flatMap((one) => (isObject(one) ? typesIn(one) : one));
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

/** JSON from `start` up to `closing`: the input itself, or an object with the tool's name and its arguments. */
function readJson(
  text: string,
  start: number,
  closing: string,
  toolOf: ToolLookup,
  name?: string,
): Found | undefined {
  for (let at = text.indexOf(closing, start); at >= 0; at = text.indexOf(closing, at + 1)) {
    const value = parsed(text.slice(start, at));
    if (!isObject(value)) continue;
    const called = name ?? value["name"];
    const input = name === undefined ? value["arguments"] : value;
    const tool = typeof called === "string" ? toolOf(called) : undefined;
    if (tool === undefined || !isObject(input)) return undefined;
    return { calls: [{ name: tool.name, json: JSON.stringify(input) }], end: at + closing.length };
  }
  return undefined;
}

function parsed(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    // No JSON; the caller has a use for that.
    return undefined;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
