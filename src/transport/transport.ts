import type { Secret } from "../secret.ts";

/** A POST. The body is JSON text, and header values are ASCII: others reject as a call that could not be made. */
export type Call = {
  url: string;
  /** What is made of them is remembered for other calls with the same object. */
  headers: Record<string, string>;
  /** On top of those, of this call alone; no name is in both. */
  own?: Record<string, string>;
  body: string;
  /** What it goes through, as `parseProxyUrl` gives it; absent where the environment decides. */
  proxyUrl?: Secret | undefined;
};

export type Head = { status: number; headers: { get(name: string): string | null } };

/** Takes a piece of a body. False ends the reading for now; a promise is waited for before there is more. */
export type TakeBytes = (bytes: Uint8Array) => boolean | Promise<boolean>;

/** How a reading ended: at the body's own end, where the connection was lost or cut, or because no more was wanted. */
export type BodyEnd = "end" | "broken" | "stopped";

/** One call and its answer. */
export type Exchange = {
  /** Rejects where there is no answer, with a `code` where that is known. To be awaited in any case. */
  readonly head: Promise<Head>;
  /**
   * Hands the body on as it comes, once the head is there, and rejects only with what `take` throws. What comes while nobody takes is kept; after "stopped" it
   * may be called again. What one read of the socket gave is one piece.
   */
  forEach(take: TakeBytes): Promise<BodyEnd>;
  /** Cuts the connection, at any time. Without effect once the body has ended. */
  close(): void;
};

/** The HTTP client below the chat: no retry, no time limits, no redirects. Throws nothing. */
export type Transport = (call: Call) => Exchange;

/** What a call that has no answer, or half of one, rejects with. */
export function networkError(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
