/** Takes a Markdown code fence off around a text that comes in pieces: models like to wrap JSON in one. */
export type FenceStripper = { push(piece: string): string; end(): string };

const OPENING = /^\s*```[^\n`]*\n/;
/** What could still become an opening fence. */
const MAY_OPEN = /^\s*(`{0,2}|```[^\n`]*)$/;
/** What could be a closing fence, or the beginning of one. */
const MAY_CLOSE = /\s*`{0,3}\s*$/;

export function createFenceStripper(): FenceStripper {
  let state: "start" | "fenced" | "plain" = "start";
  let held = "";

  function inside(): string {
    const keep = MAY_CLOSE.exec(held)?.[0].length ?? 0;
    const text = held.slice(0, held.length - keep);
    held = held.slice(held.length - keep);
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
      const text = state === "fenced" ? held.replace(/\s*```\s*$/, "") : held;
      held = "";
      return text;
    },
  };
}
