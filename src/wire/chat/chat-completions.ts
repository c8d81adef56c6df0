import { ok } from "../../result.ts";
import { errorResponse } from "../openai-errors.ts";
import { sseEvent } from "../sse.ts";
import type { Wire } from "../wire.ts";
import { type ChatEvent, frame } from "./events.ts";
import { parseRequest } from "./request.ts";
import { ChatEncoder, fold } from "./response.ts";

export type { ChatEvent } from "./events.ts";

/** OpenAI's `POST /v1/chat/completions`. */
export const chat: Wire<ChatEvent> = {
  name: "chat",
  parse(body, headers, images) {
    const parsed = parseRequest(body, headers, images);
    if (!parsed.ok) return parsed;
    const { conversation, stream, form } = parsed.value;
    return ok({ conversation, stream, encoder: (head) => new ChatEncoder(form, head) });
  },
  fold,
  frame,
  trailer: sseEvent("[DONE]"),
  failure: (failure, requestId) => errorResponse(failure, requestId, "messages"),
};
