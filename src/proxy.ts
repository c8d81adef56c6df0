import { Secret } from "./secret.ts";

/** What `parseProxyUrl` accepts: ends the sentence "must be …". */
export const PROXY_EXPECTED =
  '"direct", or an http, https or socks5 URL such as http://user:password@proxy.example:8080';

/**
 * Reads what calls go through: `direct`, past every proxy, or a proxy's URL with user and password in it. Undefined for
 * anything else. A name and a password of `login` go into the URL. What it gives has no slash at its end.
 */
export function parseProxyUrl(
  text: string,
  login: { username?: string | undefined; password?: string | undefined } = {},
): Secret | undefined {
  const written = text.trim();
  if (written.toLowerCase() === "direct") return new Secret("direct");
  const url = URL.parse(written);
  if (url === null || !/^(https?|socks5h?):$/.test(url.protocol)) return undefined;
  if (login.username !== undefined) url.username = login.username;
  if (login.password !== undefined) url.password = login.password;
  if (!/^[^%]+$/.test(url.hostname) || url.port === "0") return undefined;
  if (!/^\/?$/.test(url.pathname) || url.search !== "" || url.hash !== "") return undefined;
  if (!isSendable(url.username) || !isSendable(url.password)) return undefined;
  return new Secret(url.href.replace(/\/$/, ""));
}

/**
 * The option of `Runtime.fetch` for what `parseProxyUrl` gave. Without one, the proxy variables of the environment
 * count. `NO_PROXY` takes no call past a proxy that was named for it.
 */
export function proxyOption(proxyUrl: Secret | undefined): Pick<BunFetchRequestInit, "proxy"> {
  if (proxyUrl === undefined) return {};
  const url = proxyUrl.reveal();
  return { proxy: url === "direct" ? false : { url, respectNoProxy: false } };
}

/** SOCKS5 has one byte for the length of a name or a password. */
function isSendable(part: string): boolean {
  try {
    return Buffer.byteLength(decodeURIComponent(part)) <= 255;
  } catch {
    return false;
  }
}
