export type JsonFault = { line: number; column: number; message: string };

const TOKEN =
  /[{}[\],:]|"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)(?!\w)/y;
const SPACE = /[ \t\n\r]*/y;

/** What a JSON text may go on with. */
type Expected = "value" | "value or ]" | "name" | "name or }" | ":" | ", or ]" | ", or }" | "end";

const MESSAGES = {
  value: "a value is expected here",
  "value or ]": "a value or ] is expected here",
  name: 'a name in "double quotes" is expected here (no comma may follow the last member)',
  "name or }": 'a name in "double quotes" or } is expected here',
  ":": "a colon is expected here",
  ", or ]": "a comma or ] is expected here",
  ", or }": "a comma or } is expected here",
  end: "nothing may follow the end of the value",
} satisfies Record<Expected, string>;

/**
 * Where and why a text that `JSON.parse` refused is not JSON; line and column count from 1. The engine tells no place,
 * and its message quotes the text, which here may be a token.
 */
export function jsonFault(text: string): JsonFault {
  const open: ("]" | "}")[] = [];
  let expected: Expected = "value";
  let at = 0;
  const afterValue = (): Expected => {
    const close = open.at(-1);
    return close === undefined ? "end" : `, or ${close}`;
  };
  for (;;) {
    SPACE.lastIndex = at;
    at += SPACE.exec(text)?.[0].length ?? 0;
    if (at === text.length) return place(text, at, "the text ends too early");
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) {
      const inString = text[at] === '"' && expected !== "end";
      return place(text, at, inString ? UNFINISHED : MESSAGES[expected]);
    }
    const next = follow(token, expected, open, afterValue);
    if (next === undefined) return place(text, at, MESSAGES[expected]);
    expected = next;
    at += token.length;
  }
}

const UNFINISHED = "this string has no end, or a line break or a wrong \\ in it";

function follow(
  token: string,
  expected: Expected,
  open: ("]" | "}")[],
  afterValue: () => Expected,
): Expected | undefined {
  const closing = token === "]" || token === "}";
  if (closing && expected.endsWith(` or ${token}`)) {
    open.pop();
    return afterValue();
  }
  switch (expected) {
    case "value":
    case "value or ]":
      if (token === "{") {
        open.push("}");
        return "name or }";
      }
      if (token === "[") {
        open.push("]");
        return "value or ]";
      }
      return closing || token === "," || token === ":" ? undefined : afterValue();
    case "name":
    case "name or }":
      return token.startsWith('"') ? ":" : undefined;
    case ":":
      return token === ":" ? "value" : undefined;
    case ", or ]":
      return token === "," ? "value" : undefined;
    case ", or }":
      return token === "," ? "name" : undefined;
    case "end":
      return undefined;
    default:
      return expected satisfies never;
  }
}

function place(text: string, at: number, message: string): JsonFault {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1, message };
}
