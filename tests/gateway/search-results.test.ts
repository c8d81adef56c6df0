import { describe, expect, test } from "bun:test";
import type { WebSearchResult } from "../../src/conversation/reply.ts";
import { describeResults, withinDomains } from "../../src/gateway/search-results.ts";

function at(url: string): WebSearchResult {
  return { title: "T", url, snippet: "" };
}

function isAllowed(url: string, domain: string): boolean {
  return withinDomains([at(url)], { allowedDomains: [domain], blockedDomains: [] }).length === 1;
}

describe("domains", () => {
  test.each([
    { url: "https://example.com/a", domain: "example.com", within: true },
    { url: "https://docs.example.com/a", domain: "example.com", within: true },
    { url: "https://EXAMPLE.com/a", domain: "Example.COM", within: true },
    { url: "https://notexample.com/", domain: "example.com", within: false },
    { url: "https://example.com.evil.org/", domain: "example.com", within: false },
    { url: "https://evil.org/example.com", domain: "example.com", within: false },
    { url: "https://example.com/", domain: "docs.example.com", within: false },
    { url: "http://example.com:8080/", domain: "https://example.com", within: true },
    { url: "https://a.example.com/", domain: "*.example.com", within: true },
    { url: "https://example.com/docs/a", domain: "example.com/docs", within: true },
    { url: "https://example.com/blog", domain: "example.com/docs", within: false },
    { url: "https://example.com/v2/docs/a", domain: "example.com/*/docs", within: true },
    { url: "https://example.com/v2/blog", domain: "example.com/*/docs", within: false },
    { url: "https://example.com/", domain: "example.com/*", within: true },
    { url: "https://xn--bcher-kva.example/", domain: "bücher.example", within: true },
    { url: "https://example.com/", domain: "not a domain", within: false },
    { url: "not an address", domain: "example.com", within: false },
  ])("$url within $domain: $within", ({ url, domain, within }) => {
    expect(isAllowed(url, domain)).toBe(within);
  });

  test("a blocked one outranks an allowed one", () => {
    const results = [at("https://a.example.com/"), at("https://b.example.com/")];
    const domains = { allowedDomains: ["example.com"], blockedDomains: ["b.example.com"] };
    expect(withinDomains(results, domains)).toEqual([at("https://a.example.com/")]);
  });

  test("an address that can't be read is left out only where it matters", () => {
    const results = [at("not an address")];
    const blocked = { allowedDomains: [], blockedDomains: ["example.com"] };
    expect(withinDomains(results, blocked)).toEqual([]);
    expect(withinDomains(results, { allowedDomains: [], blockedDomains: [] })).toEqual(results);
  });
});

describe("results in words", () => {
  test("are what the service gave", () => {
    const results: WebSearchResult[] = [
      { title: "Bun", url: "https://bun.sh", snippet: "Fast.", publishedAt: 1_735_689_600_000 },
      { title: "Docs", url: "https://bun.sh/docs", snippet: "" },
    ];
    expect(describeResults("bun", results, 0)).toBe(
      'Results of the web search for "bun":\n\n1. Bun (2025-01-01)\nhttps://bun.sh\nFast.\n\n2. Docs\nhttps://bun.sh/docs',
    );
  });

  test("say so when there are none, and what was left out", () => {
    expect(describeResults("bun", [], 0)).toBe('No results of the web search for "bun".');
    expect(describeResults("bun", [], 3)).toContain("(3 from domains that are not wanted here");
  });
});
