import { expect, test } from "bun:test";
import { diagnosed } from "../../src/gateway/diagnosis.ts";
import type { KiroFault } from "../../src/kiro/failure.ts";
import { defaultProfile } from "../../src/kiro/profile.ts";
import { toKiroRequest } from "../../src/kiro/request.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { conversationOf, tool } from "../support/conversations.ts";

const malformed: KiroFault = {
  kind: "malformed",
  failure: { kind: "invalid-request", message: "Improperly formed." },
};
const ids = {
  conversationId: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80",
  continuationId: "1e0d2c3b-4a59-4687-8f7e-6d5c4b3a2910",
};

function diagnose(fault: KiroFault, properties = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: "info",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => 0,
  });
  const tools = [tool("secret_tool", "Reads.", { type: "object", properties })];
  const kiro = toKiroRequest(conversationOf({ tools }), ids, defaultProfile);
  if (!kiro.ok) throw new Error(kiro.failure.message);
  return { fault: diagnosed(fault, kiro.value, defaultProfile, log), lines };
}

test("an improperly formed request is told with its suspects, and logged with their rules alone", () => {
  const { fault, lines } = diagnose(malformed, { a: { anyOf: [{ type: "string" }] } });
  expect(fault.failure).toEqual({
    kind: "invalid-request",
    message:
      "Improperly formed. Suspects: tools[0] (secret_tool).properties.a.anyOf is a keyword that sources disagree on.",
  });
  expect(lines.join("")).toContain('"rules":"schema-anyOf","certain":0');
  expect(lines.join("")).not.toContain("secret");
});

test("one without suspects is told as it was, and logged all the same", () => {
  const { fault, lines } = diagnose(malformed);
  expect(fault).toEqual(malformed);
  expect(lines.join("")).toContain('"rules":"none"');
});

test("any other fault passes", () => {
  const other: KiroFault = { ...malformed, kind: "rejected" };
  expect(diagnose(other, { a: { anyOf: [] } })).toEqual({ fault: other, lines: [] });
});
