import { expect, test } from "bun:test";
import { describeStoreFault } from "../../src/credentials/describe.ts";

test.each([
  { fault: { kind: "io", file: "/f", message: "EACCES" }, says: "/f: EACCES" },
  {
    fault: { kind: "broken", file: "/f", line: 1, column: 2, message: "why" },
    says: "/f, line 1, column 2: why",
  },
  { fault: { kind: "gone" }, says: "no longer there" },
  { fault: { kind: "conflict" }, says: "somebody else" },
  { fault: { kind: "read-only" }, says: "environment" },
  {
    fault: { kind: "unusable", fault: { path: "region", message: "is wrong" } },
    says: "region: is wrong",
  },
] as const)("$fault.kind is a line for people", ({ fault, says }) => {
  expect(describeStoreFault(fault)).toContain(says);
});
