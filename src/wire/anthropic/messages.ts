import { ok } from "../../result.ts";
import type { Wire } from "../wire.ts";
import { errorResponse } from "./errors.ts";
import { frame, type MessagesEvent } from "./events.ts";
import { parseRequest } from "./request.ts";
import { fold, MessagesEncoder } from "./response.ts";

export type { MessagesEvent } from "./events.ts";
export { parseCountTokens } from "./request.ts";

/** Anthropic's `POST /v1/messages`. */
export const messages: Wire<MessagesEvent> = {
  name: "messages",
  parse(body, headers, images) {
    const parsed = parseRequest(body, headers, images);
    if (!parsed.ok) return parsed;
    const { conversation, stream, display } = parsed.value;
    return ok({
      conversation,
      stream,
      encoder: (head) => new MessagesEncoder(conversation.model, display, head),
    });
  },
  fold,
  frame,
  trailer: "",
  failure: errorResponse,
};
