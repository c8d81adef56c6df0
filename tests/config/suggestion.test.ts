import { describe, expect, test } from "bun:test";
import { closest } from "../../src/config/suggestion.ts";

const names = ["apiKey", "adminApiKey", "port", "host", "maxBodyBytes"];

describe("closest", () => {
  test.each([
    ["a letter too many", "apiKeyy", "apiKey"],
    ["a letter missing", "prt", "port"],
    ["two letters swapped", "prot", "port"],
    ["another case and dashes", "max-body-bytes", "maxBodyBytes"],
    ["three errors in a long name", "maxBdyByt", "maxBodyBytes"],
  ])("finds a name with %s", (_, typed, meant) => {
    expect(closest(typed, names)).toBe(meant);
  });

  test.each(["verbose", "p", "", "tls", "constructor"])("suggests nothing for %p", (typed) => {
    expect(closest(typed, names)).toBeUndefined();
  });

  test("takes the nearest of several", () => {
    expect(closest("admnApiKey", names)).toBe("adminApiKey");
  });

  test("stays cheap for a very long word", () => {
    expect(closest("x".repeat(1_000_000), names)).toBeUndefined();
  });
});
