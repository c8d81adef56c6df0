import type { Failure } from "../conversation/failure.ts";
import type { WebSearchResult } from "../conversation/reply.ts";
import type { WebSearch } from "../conversation/conversation.ts";
import { ok, type Result } from "../result.ts";
import type { CompletionRequest, GatewayDeps } from "./attempt.ts";
import type { Gateway, Reply } from "./complete.ts";
import { describeResults, withinDomains } from "./search-results.ts";

export type SearchDeps = Pick<GatewayDeps, "runtime" | "countText"> & {
  /** A gateway whose replies are the `web-search-results` of this search, whatever the request. */
  searching: (search: { id: string; query: string }) => Gateway;
};

/** What was found where the client wants it from, and in words; `reply` is the one that it came in, read to its end. */
export type Found = { reply: Reply; results: WebSearchResult[]; text: string };

/** One search, with the fail-over of any other call. The query goes into no log: it is somebody's prompt. */
export async function search(
  wanted: { id: string; query: string },
  webSearch: WebSearch,
  request: CompletionRequest,
  deps: SearchDeps,
): Promise<Result<Found, Failure>> {
  const { runtime } = deps;
  const startedAt = runtime.monotonic();
  const begun = await deps.searching(wanted).complete(request);
  const durationMs = Math.round(runtime.monotonic() - startedAt);
  if (!begun.ok) {
    request.log.warn("web-search-failed", { failure: begun.failure.kind, durationMs });
    return begun;
  }
  const reply = begun.value;
  const events = (await Array.fromAsync(reply.events)).flat();
  const found = events.find((event) => event.type === "web-search-results");
  if (found === undefined || !Array.isArray(found.outcome)) {
    throw new Error("a search ended without results");
  }
  const results = withinDomains(found.outcome, webSearch);
  const leftOut = found.outcome.length - results.length;
  request.log.info("web-search", {
    credential: reply.credentialId,
    attempts: reply.attempts,
    results: results.length,
    durationMs,
  });
  return ok({ reply, results, text: describeResults(wanted.query, results, leftOut) });
}

/** For a search: letters and digits, unique. */
export function newSearchId({ runtime }: Pick<SearchDeps, "runtime">): string {
  return runtime.randomUUID().replaceAll("-", "");
}
