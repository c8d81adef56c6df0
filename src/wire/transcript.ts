import type { AssistantPart, Json, Text, Turn, UserPart } from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, textOf } from "./json.ts";

/**
 * Turns as they come, with the system messages among them. One ahead of all turns belongs to the system prompt; a later
 * one becomes a note in the user turn beside it, where the model meets it in its place: it is neither the user's
 * question nor a prefill.
 */
export class Transcript {
  readonly #findings: Findings;
  readonly #system: string[] = [];
  readonly #turns: Turn[] = [];
  /** Notes that came after an assistant turn and wait for the next user turn. */
  #waiting: string[] = [];
  /** The turn that takes the results of tools which came in messages of their own. */
  #results: UserPart[] | undefined;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  user(parts: UserPart[], role = "user"): void {
    if (parts.length === 0) this.#findings.notice("empty-message", role);
    this.#turns.push({ role: "user", parts: [...this.#waiting.map(systemNote), ...parts] });
    this.#waiting = [];
    this.#results = undefined;
  }

  /** Results whose messages follow one another are one turn. */
  results(parts: UserPart[]): void {
    const open = this.#results;
    if (open !== undefined) {
      for (const part of parts) open.push(part);
      return;
    }
    this.user(parts, "tool");
    this.#results = this.#lastUser();
  }

  assistant(parts: AssistantPart[]): void {
    if (parts.length === 0) this.#findings.notice("empty-message", "assistant");
    this.#turns.push({ role: "assistant", parts });
    this.#results = undefined;
  }

  system(texts: string[]): void {
    const last = this.#turns.at(-1);
    if (texts.length > 0 && last !== undefined) this.#findings.notice("system-message-moved");
    for (const text of texts) {
      if (last === undefined) this.#system.push(text);
      else if (last.role === "user") last.parts.push(systemNote(text));
      else this.#waiting.push(text);
    }
  }

  /** The texts of the system prompt, and at least one turn. The transcript is over then. */
  end(): { system: string[]; turns: Turn[] } {
    const last = this.#lastUser();
    for (const text of this.#waiting) {
      if (last === undefined) this.#system.push(text);
      else last.push(systemNote(text));
    }
    // System messages alone: whoever sent them wants an answer all the same.
    if (this.#turns.length === 0) this.#turns.push({ role: "user", parts: [] });
    return { system: this.#system, turns: this.#turns };
  }

  #lastUser(): UserPart[] | undefined {
    return this.#turns.findLast((turn) => turn.role === "user")?.parts;
  }
}

/** The mark is the one that Claude Code puts around what it tells the model in a user turn. */
function systemNote(text: string): Text {
  return { type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` };
}

/** Claude Code's first system block says who is asking. It is not meant for the model and may change with each request. */
const ATTRIBUTION = /^\s*(x-anthropic-billing-header:.*)\n*/;

/** The text of one block of a system prompt or message; none where it has no text. */
export function systemTexts(block: Json, findings: Findings): string[] {
  const text = textOf(isObject(block) ? block["text"] : block);
  if (text === undefined) {
    findings.notice("empty-block", "system");
    return [];
  }
  const line = ATTRIBUTION.exec(text);
  if (line === null) return [text];
  // As a block it goes whole; where a client has joined its blocks, the prompt follows it in the same string.
  findings.attribution = isObject(block) ? text.trim() : line[1];
  const rest = isObject(block) ? "" : text.slice(line[0].length);
  return rest === "" ? [] : [rest];
}
