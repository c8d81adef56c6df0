import type { AssistantPart, Json } from "../conversation/conversation.ts";
import type { ReplyEvent, TerminalEvent } from "../conversation/reply.ts";
import { isObject } from "../kiro/document.ts";
import { queryOf } from "../kiro/web-search.ts";

type UsageEvent = Extract<ReplyEvent, { type: "usage" }>;

/** A call of the search by the model; without a query where its input has none. */
export type SearchCall = { callId: string; query: string | undefined };

/**
 * What one upstream call of a reply with searches has said: it is kept for the history of the next call, and what is not
 * the whole reply's own is taken out of the client's sight: calls of the search, counts, the end.
 */
export class SearchRound {
  readonly #searchName: string;
  readonly #creditsBefore: number;
  readonly parts: AssistantPart[] = [];
  readonly searches: SearchCall[] = [];
  hasClientCalls = false;
  usage: UsageEvent | undefined;
  /** Of the reply up to here. */
  credits: number;
  end: TerminalEvent | undefined;
  #thought = "";

  constructor(searchName: string, creditsBefore: number) {
    this.#searchName = searchName;
    this.#creditsBefore = creditsBefore;
    this.credits = creditsBefore;
  }

  /** Gives what the client is to see of an event. */
  take(event: ReplyEvent): ReplyEvent[] {
    switch (event.type) {
      case "text": {
        const last = this.parts.at(-1);
        if (last?.type === "text") last.text += event.text;
        else this.parts.push({ type: "text", text: event.text });
        return [event];
      }
      case "reasoning":
        this.#thought += event.text;
        return [event];
      case "reasoning-end": {
        const { signature } = event;
        const text = this.#thought;
        this.#thought = "";
        this.parts.push({ type: "reasoning", text, ...(signature !== undefined && { signature }) });
        return [event];
      }
      case "redacted-reasoning":
        this.parts.push({ type: "redacted-reasoning", data: event.data });
        return [event];
      case "tool-call": {
        const { id, name, json } = event;
        const parsed: Json = JSON.parse(json);
        this.parts.push({ type: "tool-call", id, name, input: isObject(parsed) ? parsed : {} });
        if (name === this.#searchName) {
          this.searches.push({ callId: id, query: queryOf(parsed) });
          return [];
        }
        this.hasClientCalls = true;
        return [event];
      }
      case "usage":
        this.usage = event;
        return [];
      case "credits":
        this.credits = this.#creditsBefore + event.credits;
        return [{ type: "credits", credits: this.credits }];
      case "stop":
      case "failed":
        this.end = event;
        return [];
      case "web-search":
      case "web-search-results":
        return [event];
      default:
        return event satisfies never;
    }
  }
}
