import type { Conversation, Image } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent } from "../conversation/reply.ts";
import type { Result } from "../result.ts";

/** Lower-cased request headers that a wire may need; nothing secret is among them. */
export type RequestHeaders = { get(name: string): string | null };

/** The image at an http(s) URL, or what is wrong with it, for the client. */
export type ImageLookup = (url: string) => Result<Image, string>;

/** What a reply starts from. Ids and time are arguments so that encoders stay pure. */
export type ReplyHead = {
  /** Random, unique, `[A-Za-z0-9]+`; the wire puts its own prefix (`msg_`, `chatcmpl-`) before it. */
  id: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Our estimate of the prompt's size before the service has said its own. */
  inputTokens: number;
};

/** Neutral events in, wire events out. Synchronous; nothing is held back that the client could already see. */
export type Encoder<Event> = {
  push(event: ReplyEvent): Event[];
  /** What keeps a quiet stream open, as text. It may count among the events, so what is asked for must be sent. */
  heartbeat(): string;
};

export type WireRequest<Event> = {
  conversation: Conversation;
  stream: boolean;
  /** The encoder for this request's reply; it knows what the request asked for (the model's name, usage chunks). */
  encoder(head: ReplyHead): Encoder<Event>;
};

/** An error as HTTP: the body is JSON-able, the headers are the wire's own (`x-should-retry`, `retry-after`). */
export type WireError = { status: number; headers: Record<string, string>; body: unknown };

/**
 * A client protocol. A wire has one renderer, the streaming one; `fold` makes the non-streaming body from the very
 * events that the renderer produced, as the vendor's SDK does.
 */
export type Wire<Event> = {
  readonly name: "messages" | "chat" | "responses";
  /** Without `images`, a request with an image's URL is refused. */
  parse(
    body: unknown,
    headers: RequestHeaders,
    images?: ImageLookup,
  ): Result<WireRequest<Event>, Failure>;
  /** The body of a reply that did not fail. */
  fold(events: Event[]): unknown;
  /** One event as server-sent-event text, with its blank line. */
  frame(event: Event): string;
  /** What follows the last event of a good stream (`data: [DONE]` for chat), else empty. */
  readonly trailer: string;
  failure(failure: Failure, requestId: string): WireError;
};
