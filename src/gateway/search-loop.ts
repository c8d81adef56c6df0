import type { ToolResult, WebSearch } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent, WebSearchProblem, WebSearchResult } from "../conversation/reply.ts";
import type { CompletionRequest } from "./attempt.ts";
import type { Gateway, Reply } from "./complete.ts";
import { clientLeft } from "./failures.ts";
import { newSearchId, search, type SearchDeps } from "./search.ts";
import { type SearchCall, SearchRound } from "./search-round.ts";

const MAX_USES = 5;
/** Whatever the client allows: each search is paid with another call of the model. */
const MAX_USES_EVER = 20;
/** How often the model is asked again after it has heard that it may search no more. */
const ROUNDS_AFTER_LIMIT = 2;

type Events = AsyncGenerator<ReplyEvent[], void, undefined>;

/**
 * A reply that goes on over several upstream calls, as long as one ends in calls of the search and of nothing else. Text
 * and thinking pass as they come. However an upstream call ends, its searches are run and shown. The usage is the last
 * call's prompt and everything that was written.
 *
 * @param first owns an open socket, as what this gives does
 */
export async function* converse(
  first: Reply,
  webSearch: WebSearch,
  request: CompletionRequest,
  deps: SearchDeps & { gateway: Gateway },
): Events {
  const maxUses = Math.min(webSearch.maxUses ?? MAX_USES, MAX_USES_EVER);
  const { maxTokens = Number.POSITIVE_INFINITY } = request.conversation.limits;
  const total = { credits: 0, outputTokens: 0, estimated: false };
  let reply = first;
  let asked = request;
  let uses = 0;
  let roundsAfterLimit = 0;
  try {
    yield [];
    for (;;) {
      const round = new SearchRound(webSearch.name, total.credits);
      for await (const events of reply.events) {
        const shown = events.flatMap((event) => round.take(event));
        if (shown.length > 0) yield shown;
      }
      const { end, usage } = round;
      if (end === undefined) throw new Error("a reply ended without a terminal event");
      if (end.type === "failed") return yield [end];
      total.credits = round.credits;
      total.outputTokens += usage?.usage.outputTokens ?? 0;
      total.estimated ||= usage?.source !== "upstream";

      const results: ToolResult[] = [];
      for (const call of round.searches) {
        const id = newSearchId(deps);
        yield [{ type: "web-search", id, query: call.query ?? "" }];
        uses += 1;
        const answer =
          uses > maxUses ? LIMIT_REACHED : await answerTo(call, id, webSearch, request, deps);
        if (request.signal.aborted) return yield [failed(clientLeft)];
        yield [{ type: "web-search-results", id, outcome: answer.outcome }];
        results.push(toolResult(call, answer));
      }

      if (uses > maxUses) roundsAfterLimit += 1;
      const spent = total.outputTokens >= maxTokens || roundsAfterLimit > ROUNDS_AFTER_LIMIT;
      const goesOn = end.reason === "tool-use" && results.length > 0 && !round.hasClientCalls;
      if (spent || !goesOn) {
        const { outputTokens, estimated } = total;
        const counts = { inputTokens: asked.promptTokens, ...usage?.usage, outputTokens };
        return yield [
          { type: "usage", usage: counts, source: estimated ? "estimate" : "upstream" },
          // Where it would go on, the model had more to say.
          goesOn ? { type: "stop", reason: "max-tokens" } : end,
        ];
      }

      asked = nextRequest(asked, round, results, maxTokens - total.outputTokens, deps);
      const next = await deps.gateway.complete(asked);
      if (!next.ok) return yield [failed(next.failure)];
      reply = next.value;
    }
  } finally {
    await reply.events.return();
  }
}

/** The turns so far stay as they are, so that the service may find them in its cache. */
function nextRequest(
  request: CompletionRequest,
  { parts, usage }: SearchRound,
  results: ToolResult[],
  maxTokens: number,
  { countText }: SearchDeps,
): CompletionRequest {
  const { conversation } = request;
  const { turns, toolChoice, limits } = conversation;
  let added = usage?.usage.outputTokens ?? 0;
  for (const part of results.flatMap(({ content }) => content)) {
    if (part.type === "text") added += countText(part.text);
  }
  return {
    ...request,
    promptTokens: request.promptTokens + Math.round(added),
    conversation: {
      ...conversation,
      turns: [...turns, { role: "assistant", parts }, { role: "user", parts: results }],
      // A call that was demanded has been made.
      toolChoice: toolChoice.type === "none" ? toolChoice : { type: "auto" },
      limits: limits.maxTokens === undefined ? limits : { ...limits, maxTokens },
    },
  };
}

/** What the client sees of a search, and what the model is told. */
type Answer = { outcome: WebSearchResult[] | WebSearchProblem; text: string };

const LIMIT_REACHED: Answer = {
  outcome: "max-uses-exceeded",
  text: "This search was not run: no more web searches are allowed in this reply. Go on without.",
};
const NO_QUERY: Answer = {
  outcome: "invalid-input",
  text: "This search was not run: the call has no query.",
};

async function answerTo(
  { query }: SearchCall,
  id: string,
  webSearch: WebSearch,
  request: CompletionRequest,
  deps: SearchDeps,
): Promise<Answer> {
  if (query === undefined) return NO_QUERY;
  const found = await search({ id, query }, webSearch, request, deps);
  return found.ok
    ? { outcome: found.value.results, text: found.value.text }
    : { outcome: "unavailable", text: `The web search failed. ${found.failure.message}` };
}

function toolResult({ callId }: SearchCall, { outcome, text }: Answer): ToolResult {
  return {
    type: "tool-result",
    callId,
    content: [{ type: "text", text }],
    isError: !Array.isArray(outcome),
  };
}

function failed(failure: Failure): ReplyEvent {
  return { type: "failed", failure };
}
