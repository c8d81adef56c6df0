/** Finds the first stop sequence in text that comes in pieces. */
export class StopMatcher {
  readonly #sequences: string[];
  #held = "";

  constructor(stopSequences: string[]) {
    this.#sequences = stopSequences.filter((sequence) => sequence !== "");
  }

  get hasSequences(): boolean {
    return this.#sequences.length > 0;
  }

  /** The text that may go out. With `sequence`, it ends just before that match and nothing may follow. */
  push(piece: string): { text: string; sequence?: string } {
    if (this.#sequences.length === 0) return { text: piece };
    const text = this.#held + piece;
    const match = firstMatch(text, this.#sequences);
    if (match !== undefined) {
      this.#held = "";
      return { text: text.slice(0, match.at), sequence: match.sequence };
    }
    const keep = Math.max(...this.#sequences.map((sequence) => overlap(text, sequence)));
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep) };
  }

  /** What was held back because it could have begun a match. */
  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }
}

/** The match that is complete first, as the model itself would have stopped there; of two, the longer one. */
function firstMatch(
  text: string,
  sequences: string[],
): { at: number; sequence: string } | undefined {
  let first: { at: number; end: number; sequence: string } | undefined;
  for (const sequence of sequences) {
    const at = text.indexOf(sequence);
    if (at === -1) continue;
    const end = at + sequence.length;
    const better = first === undefined || end < first.end || (end === first.end && at < first.at);
    if (better) first = { at, end, sequence };
  }
  return first;
}

/** The length of the longest end of `text` that begins `sequence` without being all of it. */
function overlap(text: string, sequence: string): number {
  for (let length = Math.min(text.length, sequence.length - 1); length > 0; length -= 1) {
    if (sequence.startsWith(text.slice(text.length - length))) return length;
  }
  return 0;
}
