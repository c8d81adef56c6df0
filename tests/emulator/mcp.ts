import type { TokenKind } from "./accounts.ts";
import { type Answer, refusal } from "./answers.ts";
import { members, type RecordedRequest } from "./request.ts";

type Hit = {
  title?: string;
  url?: string;
  snippet?: string | null;
  publishedDate?: number | null;
};

const HIT: Hit = {
  title: "SQLite | Bun",
  url: "https://bun.sh/docs/api/sqlite",
  snippet: "Bun has a built-in SQLite driver.",
  publishedDate: 1_735_689_600_000,
};

/** An answer to a search, as the service gives it: JSON text inside JSON. */
export function hits(...results: Hit[]): Answer {
  const found = { results, totalResults: results.length, query: "…", error: null };
  return rpc({
    result: { content: [{ type: "text", text: JSON.stringify(found) }], isError: false },
  });
}

function rpcError(code: number, message: string): Answer {
  return rpc({ error: { code, message } });
}

function rpc(reply: object): Answer {
  return refusal(200, { id: "…", jsonrpc: "2.0", ...reply });
}

export const searches = {
  "one hit": hits(HIT),
  "no hits": rpcError(-32_602, "Tool returned no results"),
  failed: rpcError(-32_603, "Internal error"),
  silence: { ...hits(HIT), before: [{ type: "silence" }] } satisfies Answer,
};

/** The query of a search, as it was sent. */
export function queryIn({ body }: RecordedRequest): unknown {
  return members(members(members(body)["params"])["arguments"])["query"];
}

/** Why the service would not run this search. A profile is named in a header, and only one that is really there. */
export function mcpFaults(request: RecordedRequest, kind: TokenKind): string[] {
  const { jsonrpc, method, params, id } = members(request.body);
  const { name, arguments: input } = members(params);
  const arn = request.headers["x-amzn-kiro-profile-arn"];
  const faults: [boolean, string][] = [
    [typeof id === "string" && id !== "", "no id"],
    [jsonrpc === "2.0", "not JSON-RPC 2.0"],
    [method === "tools/call" && name === "web_search", "not a call of web_search"],
    [
      Object.keys(members(input)).join() === "query" && queryIn(request) !== "",
      "the input is not one query",
    ],
    [typeof queryIn(request) === "string", "the query is not a string"],
    [arn?.endsWith("AAAACCCCXXXX") !== true, "the ARN is nobody's"],
    [(arn !== undefined) === (kind !== "api-key"), "the profile ARN is missing or too many"],
    [request.headers["x-amzn-kiro-agent-mode"] === undefined, "agent mode outside of a chat"],
  ];
  return faults.flatMap(([holds, fault]) => (holds ? [] : [fault]));
}
