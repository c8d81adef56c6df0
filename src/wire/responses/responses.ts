import { ok } from "../../result.ts";
import { errorResponse } from "../openai-errors.ts";
import type { Wire } from "../wire.ts";
import { frame, type ResponsesEvent } from "./events.ts";
import { parseRequest } from "./request.ts";
import { fold, ResponsesEncoder } from "./response.ts";

export type { ResponsesEvent } from "./events.ts";

/** OpenAI's `POST /v1/responses`. Nothing is kept: every request brings the whole conversation. */
export const responses: Wire<ResponsesEvent> = {
  name: "responses",
  parse(body, headers, images) {
    const parsed = parseRequest(body, headers, images);
    if (!parsed.ok) return parsed;
    const { conversation, stream, form } = parsed.value;
    return ok({ conversation, stream, encoder: (head) => new ResponsesEncoder(form, head) });
  },
  fold,
  frame,
  trailer: "",
  failure: (failure, requestId) => errorResponse(failure, requestId, "input"),
};
