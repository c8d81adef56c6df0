import type { Conversation, WebSearch } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { Batches, ReplyEvent } from "../conversation/reply.ts";
import { queryOf } from "../kiro/web-search.ts";
import { ok, type Result } from "../result.ts";
import type { CompletionRequest } from "./attempt.ts";
import type { Gateway, Reply } from "./complete.ts";
import { createOutput } from "./output.ts";
import { newSearchId, search, type SearchDeps } from "./search.ts";
import { converse } from "./search-loop.ts";

/**
 * Runs the web searches that a request lets the server run. Where a search is all that it offers, its last prompt is
 * searched for and no model is asked. Else the model calls the search like any tool and goes on with what was found, all
 * in one reply. Other requests pass through.
 */
export function withWebSearch(gateway: Gateway, deps: SearchDeps): Gateway {
  return {
    complete(request) {
      const { webSearch, limits } = request.conversation;
      if (webSearch === undefined || limits.maxTokens === 0) return gateway.complete(request);
      const query = dedicatedQuery(request.conversation, webSearch);
      return query === undefined
        ? searching(gateway, webSearch, request, deps)
        : searchOnly(query, webSearch, request, deps);
    },
  };
}

async function searching(
  gateway: Gateway,
  webSearch: WebSearch,
  request: CompletionRequest,
  deps: SearchDeps,
): Promise<Result<Reply, Failure>> {
  const first = await gateway.complete(request);
  if (!first.ok) return first;
  const events = converse(first.value, webSearch, request, { ...deps, gateway });
  // Enters the generator, so that `return()` closes the socket also if nobody ever asks for an event.
  await events.next();
  return ok({ ...first.value, events });
}

/** What Claude Code puts before the query in the request that it makes for nothing but a search. */
const QUERY_PREFIX = "Perform a web search for the query:";

/** Undefined where a model has to read the prompt: there are other tools, no words, or the answer must be JSON. */
function dedicatedQuery(conversation: Conversation, { name }: WebSearch): string | undefined {
  const { tools, toolChoice, output, turns } = conversation;
  const isAlone = tools.length === 1 && tools[0]?.name === name;
  if (!isAlone || toolChoice.type === "none" || output.type === "json") return undefined;
  const prompt = turns.findLast(({ role }) => role === "user")?.parts ?? [];
  const text = prompt.map((part) => (part.type === "text" ? part.text : "")).join("\n");
  const query = text.trim();
  return queryOf(query.startsWith(QUERY_PREFIX) ? query.slice(QUERY_PREFIX.length) : query);
}

/** No model has read or written anything. */
const NO_TOKENS: ReplyEvent = {
  type: "usage",
  usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
  source: "upstream",
};

async function searchOnly(
  query: string,
  webSearch: WebSearch,
  request: CompletionRequest,
  deps: SearchDeps,
): Promise<Result<Reply, Failure>> {
  const id = newSearchId(deps);
  const found = await search({ id, query }, webSearch, request, deps);
  // Nothing has been sent yet: the client gets a true status, and may try again.
  if (!found.ok) return found;
  const { reply, results, text } = found.value;
  const output = createOutput({
    limits: request.conversation.limits,
    format: { type: "text" },
    promptTokens: 0,
    countText: deps.countText,
  });
  const events = output
    .push([
      { type: "text", text: `I'll search the web for "${query}".` },
      { type: "web-search", id, query },
      { type: "web-search-results", id, outcome: results },
      { type: "text", text },
      { type: "stop", reason: "end-turn" },
    ])
    .map((event) => (event.type === "usage" ? NO_TOKENS : event));
  return ok({ ...reply, events: only(events) });
}

async function* only(events: ReplyEvent[]): Batches<ReplyEvent[]> {
  yield events;
}
