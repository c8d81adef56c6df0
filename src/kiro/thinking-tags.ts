/** Never with an empty text; pieces in a row are of different types. */
export type Piece = { type: "text" | "reasoning"; text: string } | { type: "reasoning-end" };

export type ThinkingTagSplitter = {
  push(text: string): Piece[];
  /** The text has ended, or something else begins, such as a tool call. Whatever is pushed afterwards is plain text. */
  end(): Piece[];
};

const OPEN = "<thinking>";
const CLOSE = "</thinking>";
/** Longer white space after a closing tag is not waited out: it would be read again with every push. */
const BLANK_MAX = 2_048;
const QUOTES = "`\"'\\";

/**
 * Takes the first `<thinking>` block out of a reply's text. Models asked for thinking in the prompt write
 * `<thinking>\n…</thinking>\n\nAnswer`, or no tags at all.
 *
 * An opening tag counts unless a quote mark or backslash stands next to it, or it is in a fenced block, a code span or
 * double quotes. A closing tag counts if a blank line follows it, or nothing but white space until the end. What goes
 * with the tags: white space ahead of the block if nothing else is, one newline after the opening tag, and the blank
 * line. All else comes out as it came, and where the text is cut into pushes makes no difference.
 *
 * Held back is only what may become a tag, and white space at the very beginning.
 */
export function createThinkingTagSplitter(): ThinkingTagSplitter {
  let state: "before" | "inside" | "after" = "before";
  /** What has come and is not decided. */
  let rest = "";
  /** White space at the beginning: to be dropped should the block come next. */
  let blank = "";
  let spoken = false;
  const quoting = createQuoting();
  /** The next character is the first after the opening tag. */
  let fresh = true;
  /** The last two characters of the block so far. */
  let thought = "";
  let pieces: Piece[] = [];

  function emit(type: "text" | "reasoning", text: string): void {
    const last = pieces.at(-1);
    if (last?.type === type) last.text += text;
    else if (text !== "") pieces.push({ type, text });
  }

  function take(length: number): string {
    const taken = rest.slice(0, length);
    rest = rest.slice(length);
    return taken;
  }

  function say(length: number): void {
    const text = take(length);
    quoting.read(text);
    if (!spoken && isBlank(text)) {
      blank += text;
    } else {
      emit("text", blank + text);
      blank = "";
      spoken = true;
    }
  }

  function think(length: number): void {
    const text = take(length);
    thought = (thought + text).slice(-2);
    emit("reasoning", text);
  }

  function close(): void {
    state = "after";
    if (thought !== "") pieces.push({ type: "reasoning-end" });
  }

  function before(atEnd: boolean): void {
    for (let at = rest.indexOf(OPEN); at >= 0; at = rest.indexOf(OPEN)) {
      say(at);
      const next = rest[OPEN.length];
      if (next === undefined && !atEnd) return;
      if (!quoting.isOpen() && !isQuote(next)) {
        take(OPEN.length);
        state = "inside";
        return;
      }
      say(1);
    }
    say(atEnd ? rest.length : settled(rest, OPEN));
    if (atEnd) {
      emit("text", blank);
      state = "after";
    }
  }

  function inside(atEnd: boolean): void {
    if (fresh) {
      if ((rest === "" || rest === "\r") && !atEnd) return;
      take(rest.startsWith("\r\n") ? 2 : rest.startsWith("\n") ? 1 : 0);
      fresh = false;
    }
    for (let at = rest.indexOf(CLOSE); at >= 0; at = rest.indexOf(CLOSE)) {
      think(at);
      const after = rest.slice(CLOSE.length);
      if (!opensQuote(thought)) {
        if (after.startsWith("\n\n")) {
          take(CLOSE.length + 2);
          close();
          return;
        }
        if (isBlank(after)) {
          if (!atEnd && after.length < BLANK_MAX) return;
          if (!atEnd) {
            take(CLOSE.length);
            close();
            return;
          }
          take(rest.length);
          break;
        }
      }
      think(1);
    }
    think(atEnd ? rest.length : settled(rest, CLOSE));
    if (atEnd) close();
  }

  function run(atEnd: boolean): Piece[] {
    pieces = [];
    if (state === "before") before(atEnd);
    if (state === "inside") inside(atEnd);
    if (state === "after") emit("text", take(atEnd ? rest.length : settled(rest, "")));
    return pieces;
  }

  return {
    push(text) {
      rest += text;
      return run(false);
    },
    end: () => run(true),
  };
}

/** How much of `text` is neither the possible beginning of `tag` nor half of a surrogate pair. */
function settled(text: string, tag: string): number {
  for (let at = Math.max(0, text.length - tag.length + 1); at < text.length; at += 1) {
    if (tag.startsWith(text.slice(at))) return at;
  }
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff ? text.length - 1 : text.length;
}

function isBlank(text: string): boolean {
  return !/\S/.test(text);
}

function isQuote(character: string | undefined): boolean {
  return character !== undefined && QUOTES.includes(character);
}

/**
 * Whether text ends with a mark that quotes what follows. A mark after a letter closes a quotation: thinking that ends
 * with a quoted word must still end, or the whole answer would be taken for thinking.
 */
function opensQuote(text: string): boolean {
  return isQuote(text.at(-1)) && isBlank(text.slice(0, -1));
}

type Quoting = {
  read(text: string): void;
  /** The next character is in a fenced block, a code span or double quotes, or follows a quote mark. */
  isOpen(): boolean;
};

/** Code spans and quotations end with their line at the latest: a stray mark must not hide a tag for ever. */
function createQuoting(): Quoting {
  /** How many backticks opened the fenced block. */
  let fence = 0;
  let span = false;
  let quotation = false;
  /** Nothing but white space since the line began. */
  let indent = true;
  /** Backticks in a row up to here. */
  let run = 0;
  let last: string | undefined;

  function endRun(): void {
    if (indent && run >= 3) fence = fence === 0 ? run : run >= fence ? 0 : fence;
    else if (run > 0) span = !span;
    if (run > 0) indent = false;
    run = 0;
  }

  return {
    read(text) {
      for (const character of text) {
        last = character;
        if (character === "`") {
          run += 1;
          continue;
        }
        endRun();
        if (character === "\n") {
          span = false;
          quotation = false;
          indent = true;
        } else {
          if (character === '"') quotation = !quotation;
          indent &&= isBlank(character);
        }
      }
    },
    isOpen: () => fence > 0 || span || quotation || isQuote(last),
  };
}
