import { expect, test } from "bun:test";
import { parseProxyUrl, proxyOption } from "../src/proxy.ts";

test.each([
  ["http://proxy.example:8080", "http://proxy.example:8080"],
  ["https://user:p%40ss@proxy.example/", "https://user:p%40ss@proxy.example"],
  [" socks5://10.0.0.1 ", "socks5://10.0.0.1"],
  ["socks5h://[::1]:1080", "socks5h://[::1]:1080"],
  ["direct", "direct"],
  ["Direct", "direct"],
])("%s is taken", (text, url) => {
  expect(parseProxyUrl(text)?.reveal()).toBe(url);
});

test.each([
  "",
  "proxy.example:8080",
  "ftp://proxy.example",
  "socks4://proxy.example",
  "http://",
  "socks5://",
  "socks5://a%20b:1",
  "http://proxy.example:0",
  "http://proxy.example:99999",
  "http://proxy.example/path",
  "http://proxy.example?x=1",
  "http://proxy.example#x",
  "http://u:%ff@proxy.example",
  `socks5://${"u".repeat(256)}@proxy.example`,
])("%j is not", (text) => {
  expect(parseProxyUrl(text)).toBeUndefined();
});

test("a proxy is used whatever the environment says, and direct goes past all of them", () => {
  expect(proxyOption(undefined)).toEqual({});
  expect(proxyOption(parseProxyUrl("direct"))).toEqual({ proxy: false });
  expect(proxyOption(parseProxyUrl("http://u:p@h:1"))).toEqual({
    proxy: { url: "http://u:p@h:1", respectNoProxy: false },
  });
});

test("a password does not show", () => {
  expect(String(parseProxyUrl("http://u:canary@h:1"))).not.toContain("canary");
});
