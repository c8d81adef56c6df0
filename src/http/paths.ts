/**
 * The path a request means. Users paste base URLs with and without `/v1`, and clients append their own, so `/messages`,
 * `/v1/messages`, `/v1/v1/messages` and `//v1/messages/` are one route. A redirect would lose bodies and keys.
 */
export function canonicalPath(url: string): string {
  const path = pathOf(url);
  const clean = path.replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
  const rest = clean.replace(/^(\/v1)+(?=\/|$)/, "");
  return API.test(rest) ? `/v1${rest}` : clean;
}

const API = /^\/(messages|models|chat\/completions|responses)(\/|$)/;

/** The path of a URL as it was sent. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.indexOf("?", start);
  // A server never sees what follows a `#`, but callers inside the process may.
  return (end === -1 ? url.slice(start) : url.slice(start, end)).split("#", 1)[0] ?? "/";
}
