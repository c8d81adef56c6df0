import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ImageLookup } from "./wire.ts";

/** A detail is shown in a header, so it may be a name, never prose. */
const NAME = /^[\w.:-]{1,64}$/;
const DETAILS_MAX = 5;

/**
 * What reading one request turned up beside the conversation: what was left out or changed, and the first thing that
 * makes it unusable. A reader that refuses goes on with some harmless value, so that only the end has to look.
 */
export class Findings {
  readonly images: ImageLookup | undefined;
  /** The line with which a client says who is asking; it stood ahead of the system prompt. */
  attribution: string | undefined;
  readonly #notices = new Map<string, Set<string>>();
  #refusal: Failure | undefined;

  /** `images` is where the request's remote images are found; without it there are none. */
  constructor(images?: ImageLookup) {
    this.images = images;
  }

  /** `detail` comes from the client: it is kept only if it looks like a name, and only the first few per code. */
  notice(code: string, detail?: unknown): void {
    const details = this.#notices.get(code) ?? new Set();
    this.#notices.set(code, details);
    if (typeof detail === "string" && NAME.test(detail) && details.size < DETAILS_MAX) {
      details.add(detail);
    }
  }

  /** `path` is dotted, as in `messages.0.role`; the first refusal is the one that counts. */
  refuse(
    path: string,
    problem: string,
    kind: "invalid-request" | "not-supported" | "previous-response-not-found" = "invalid-request",
  ): void {
    this.#refusal ??= { kind, message: `${path}: ${problem}` };
  }

  get refusal(): Failure | undefined {
    return this.#refusal;
  }

  get notices(): Notice[] {
    return Array.from(this.#notices, ([code, details]) =>
      details.size === 0 ? { code } : { code, detail: [...details].join(", ") },
    );
  }
}
