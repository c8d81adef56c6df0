import type { WebSearch } from "../conversation/conversation.ts";
import type { WebSearchResult } from "../conversation/reply.ts";

type Domains = Pick<WebSearch, "allowedDomains" | "blockedDomains">;

/** The results from where the client wants them. One without a readable address is left out if that matters. */
export function withinDomains(
  results: WebSearchResult[],
  { allowedDomains, blockedDomains }: Domains,
): WebSearchResult[] {
  if (allowedDomains.length + blockedDomains.length === 0) return results;
  return results.filter((result) => {
    const url = URL.parse(result.url);
    if (url === null) return false;
    const matches = (domain: string): boolean => isWithin(url, domain);
    return (
      (allowedDomains.length === 0 || allowedDomains.some(matches)) && !blockedDomains.some(matches)
    );
  });
}

/** `domain` is a host, which stands for its subdomains as well, and may go on with a path. */
function isWithin({ hostname, pathname }: URL, domain: string): boolean {
  const wanted = URL.parse(`http://${domain.replace(/^(https?:\/\/)?(\*\.)?/i, "")}`);
  if (wanted === null) return false;
  const isHost = hostname === wanted.hostname || hostname.endsWith(`.${wanted.hostname}`);
  return isHost && startsLike(pathname, wanted.pathname);
}

/** Whether a path begins with the pieces between the stars, in their order. Greedy is enough: a star takes anything. */
function startsLike(path: string, pattern: string): boolean {
  const [start = "", ...pieces] = pattern.split("*");
  if (!path.startsWith(start)) return false;
  let from = start.length;
  for (const piece of pieces) {
    const at = path.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}

/**
 * Search results as text: the service's own words and nothing else.
 *
 * @param leftOut how many came from where the client wants none
 */
export function describeResults(
  query: string,
  results: WebSearchResult[],
  leftOut: number,
): string {
  const head =
    results.length === 0
      ? `No results of the web search for "${query}".`
      : `Results of the web search for "${query}":`;
  const entries = results.map(({ title, url, snippet, publishedAt }, index) => {
    const [day] = publishedAt === undefined ? [] : new Date(publishedAt).toISOString().split("T");
    const heading = `${index + 1}. ${title}${day === undefined ? "" : ` (${day})`}`;
    return [heading, url, snippet].filter((line) => line !== "").join("\n");
  });
  const tail =
    leftOut === 0 ? [] : [`(${leftOut} from domains that are not wanted here were left out.)`];
  return [head, ...entries, ...tail].join("\n\n");
}
