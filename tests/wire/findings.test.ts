import { describe, expect, test } from "bun:test";
import { Findings } from "../../src/wire/findings.ts";

describe("Findings", () => {
  test("the first refusal counts", () => {
    const findings = new Findings();
    expect(findings.refusal).toBeUndefined();
    findings.refuse("model", "Field required");
    findings.refuse("max_tokens", "Field required");
    expect(findings.refusal).toEqual({
      kind: "invalid-request",
      message: "model: Field required",
    });
  });

  test("a code is noticed once, with the names that it was noticed for", () => {
    const findings = new Findings();
    for (const name of ["b", "a", "b"]) findings.notice("dropped-tool", name);
    findings.notice("empty-block");
    expect(findings.notices).toEqual([
      { code: "dropped-tool", detail: "b, a" },
      { code: "empty-block" },
    ]);
  });

  test.each([
    { detail: "two words" },
    { detail: "a\r\nb" },
    { detail: "x".repeat(65) },
    { detail: 1 },
  ])("a detail that is no name is left out: %j", ({ detail }) => {
    const findings = new Findings();
    findings.notice("ignored-field", detail);
    expect(findings.notices).toEqual([{ code: "ignored-field" }]);
  });

  test("a request can't make the notices long", () => {
    const findings = new Findings();
    for (let index = 0; index < 1000; index += 1) findings.notice("ignored-field", `f${index}`);
    expect(findings.notices).toEqual([{ code: "ignored-field", detail: "f0, f1, f2, f3, f4" }]);
  });
});
