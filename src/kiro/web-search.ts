import type { Json } from "../conversation/conversation.ts";
import type { Batches, WebSearchResult } from "../conversation/reply.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Batch, KiroClient } from "./client.ts";
import { isObject } from "./document.ts";
import { mcpCall } from "./endpoint.ts";
import { type Fields, isFields, parseFields } from "./events.ts";
import type { KiroFault } from "./failure.ts";
import { callJson } from "./json-call.ts";
import type { UpstreamProfile } from "./profile.ts";

const LIMIT_MS = 30_000;

/**
 * The service's own web search behind the interface of a chat, so that it is tried with credential after credential in
 * the same way. An attempt's body is not looked at; its reply is the `web-search-results` of `search.id` and a `stop`.
 */
export function createSearchClient(
  { runtime, profile: standard }: { runtime: Runtime; profile: UpstreamProfile },
  search: { id: string; query: string },
): KiroClient {
  return {
    async send({
      access,
      number,
      maxAttempts,
      totalMs = LIMIT_MS,
      response,
      signal,
      profile,
      host,
    }) {
      const invocationId = runtime.randomUUID();
      const reply = await callJson(runtime, {
        ...mcpCall(profile ?? standard, access, {
          attempt: number,
          maxAttempts,
          invocationId,
          host,
        }),
        body: JSON.stringify({
          id: callId(runtime),
          jsonrpc: "2.0",
          method: "tools/call",
          params: { name: "web_search", arguments: { query: search.query } },
        }),
        access,
        limitMs: Math.min(LIMIT_MS, totalMs),
        context: response.context,
        signal,
      });
      if (!reply.ok) return reply;
      const results = readReply(reply.value);
      return results.ok ? ok(oneBatch(search.id, results.value)) : results;
    },
  };
}

async function* oneBatch(id: string, outcome: WebSearchResult[]): Batches<Batch> {
  yield {
    events: [
      { type: "web-search-results", id, outcome },
      { type: "stop", reason: "end-turn" },
    ],
  };
}

/** In the form of the ids that Kiro's own editor was seen to send. */
function callId(runtime: Runtime): string {
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const text = (length: number): string =>
    Array.from({ length }, () =>
      letters.charAt(Math.floor(runtime.random() * letters.length)),
    ).join("");
  return `web_search_tooluse_${text(22)}_${runtime.now()}_${text(8)}`;
}

/** JSON-RPC's "invalid params"; the service says so as well when nothing was found. */
const INVALID_PARAMS = -32602;

/** The results in a JSON-RPC reply: JSON text inside its first text item. */
function readReply({ error, result }: Fields): Result<WebSearchResult[], KiroFault> {
  if (isFields(error)) {
    const { code, message } = error;
    const said = typeof message === "string" ? message : "";
    const nothing = code === INVALID_PARAMS && /tool returned no results/i.test(said);
    return nothing ? ok([]) : fail(failed(`json-rpc ${Number(code)}`));
  }
  if (!isFields(result)) return fail(failed("unreadable"));
  if (result["isError"] === true) return fail(failed("tool-error"));
  const content = Array.isArray(result["content"]) ? result["content"] : [];
  const item: unknown = content.find((entry) => isFields(entry) && entry["type"] === "text");
  const text = isFields(item) ? item["text"] : undefined;
  const found = typeof text === "string" ? parseFields(text) : undefined;
  if (found === undefined) return fail(failed("unreadable"));
  if (typeof found["error"] === "string" && found["error"] !== "")
    return fail(failed("tool-error"));
  return Array.isArray(found["results"])
    ? ok(found["results"].flatMap(resultOf))
    : fail(failed("unreadable"));
}

/** The service answered, so another attempt would only hear it again. */
function failed(reason: string): KiroFault {
  return {
    kind: "rejected",
    failure: { kind: "upstream", message: "Kiro's web search failed." },
    reason,
  };
}

/** The furthest that a date can be from the epoch. */
const DATE_MAX_MS = 8.64e15;

function resultOf(entry: unknown): WebSearchResult[] {
  if (!isFields(entry)) return [];
  const { title, url, snippet, publishedDate } = entry;
  if (typeof url !== "string" || url === "") return [];
  return [
    {
      title: typeof title === "string" && title !== "" ? title : url,
      url,
      snippet: typeof snippet === "string" ? snippet : "",
      ...(typeof publishedDate === "number" &&
        Math.abs(publishedDate) <= DATE_MAX_MS && { publishedAt: publishedDate }),
    },
  ];
}

/** Where models put what they want to know, whatever the schema says. */
const QUERY_KEYS = ["query", "search_query", "q", "queries", "text", "value", "input"];
const DEPTH_MAX = 4;

/** The one query in the input of a search call: the first text that is not blank. The service takes no more than one. */
export function queryOf(input: Json | undefined, depth = 0): string | undefined {
  if (typeof input === "string") return input.toWellFormed().trim() || undefined;
  if (depth === DEPTH_MAX) return undefined;
  const values = Array.isArray(input)
    ? input
    : isObject(input)
      ? QUERY_KEYS.map((key) => input[key])
      : [];
  for (const value of values) {
    const query = queryOf(value, depth + 1);
    if (query !== undefined) return query;
  }
  return undefined;
}
