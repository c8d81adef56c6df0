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

const FENCES = ["```", "~~~"];

/** The forms in which calls were seen to leak. */
type Form = {
  openings: string[];
  /** What a call of this form begins with; the name, where it is part of it. */
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
    head: /^(?:<(?:antml:)?function_calls>\s*)?<(?:antml:)?invoke name="([^"<>\n]{1,128})">/,
    closings: ["invoke>", "function_calls>"],
    read: readInvocations,
  },
  {
    openings: ["<tool_call>"],
    head: /^<tool_call>\s*\{/,
    closings: ["</tool_call>"],
    read: (text, toolOf) => readJson(text, text.search(/\{/), "</tool_call>", toolOf),
  },
  {
    openings: ["[Called "],
    head: /^\[Called ([\w.-]{1,128}) with args:? ?\{/,
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
  let fence: string | undefined;
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
    const mark = FENCES.find((one) => rest.startsWith(one));
    if (mark !== undefined) {
      if (fence === undefined) fence = mark;
      else if (fence === mark) fence = undefined;
      giveUp();
      return true;
    }
    const marks =
      fence === undefined ? [...FENCES, ...FORMS.flatMap((one) => one.openings)] : FENCES;
    const isOpen = marks.some((one) => one.startsWith(rest) || rest.startsWith(one));
    if (!isOpen || atEnd) {
      giveUp();
      return true;
    }
    const candidate = FORMS.find(({ openings }) => openings.some((one) => rest.startsWith(one)));
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
        atLineStart = newline >= 0;
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

/** A parameter is text where the tool's schema has text, else the JSON that it is. */
function valueOf(text: string, key: string, { schema }: Tool): Json {
  const { properties } = schema;
  const property = isObject(properties) ? properties[key] : undefined;
  const type = isObject(property) ? property["type"] : "string";
  if (type === "string") return text;
  return parsed(text) ?? text;
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
