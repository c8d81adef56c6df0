/** Takes a Markdown code fence off around a text that comes in pieces: models like to wrap JSON in one. */
export type FenceStripper = { push(piece: string): string; end(): string };

const OPENING = /^\s*```[^\n`]*\n/;
/** What could still become an opening fence. */
const MAY_OPEN = /^\s*(`{0,2}|```[^\n`]*)$/;
/** No closing fence is looked for behind more white space than this, which then goes out. */
const TAIL_MAX = 2_048;

export function createFenceStripper(): FenceStripper {
  let state: "start" | "fenced" | "plain" = "start";
  let held = "";

  function inside(): string {
    const end = Math.max(beforeClosing(held), held.length - TAIL_MAX);
    const text = held.slice(0, end);
    held = held.slice(end);
    return text;
  }

  return {
    push(piece) {
      if (state === "plain") return piece;
      held += piece;
      if (state === "start") {
        const opening = OPENING.exec(held);
        if (opening !== null) {
          state = "fenced";
          held = held.slice(opening[0].length);
        } else if (MAY_OPEN.test(held)) {
          return "";
        } else {
          state = "plain";
          const text = held;
          held = "";
          return text;
        }
      }
      return inside();
    },
    end() {
      const closed = state === "fenced" && held.trim() === "```";
      const text = closed ? "" : held;
      held = "";
      return text;
    },
  };
}

/**
 * Where the text ends that can't be part of a closing fence: ahead of white space, up to three back quotes and white
 * space at the end. By hand, because a pattern for it takes cubic time on a long run of white space.
 */
function beforeClosing(text: string): number {
  let at = text.trimEnd().length;
  for (let quotes = 0; quotes < 3 && text[at - 1] === "`"; quotes += 1) at -= 1;
  return text.slice(0, at).trimEnd().length;
}
