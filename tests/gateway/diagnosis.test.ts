import { expect, test } from "bun:test";
import { diagnose } from "../../src/gateway/diagnosis.ts";
import type { KiroFault } from "../../src/kiro/failure.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
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

function told(fault: KiroFault, properties = {}) {
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
  const body = JSON.stringify(kiro.value.body);
  const diagnosis = diagnose(fault, { kiro: kiro.value, body }, defaultProfile);
  diagnosis?.log(log);
  return { fault: diagnosis?.fault, lines };
}

test("an improperly formed request is told with its suspects, and logged with their rules alone", () => {
  const { fault, lines } = told(malformed, { a: { anyOf: [{ type: "string" }] } });
  expect(fault?.failure).toEqual({
    kind: "invalid-request",
    message:
      "Improperly formed. Suspects: tools[0] (secret_tool).properties.a.anyOf is a keyword that sources disagree on. (1 messages, 1 tools, 1 KB.)",
  });
  expect(lines.join("")).toContain('"rules":"schema-anyOf","certain":0');
  expect(lines.join("")).not.toContain("secret");
});

test("one without suspects is told so, and logged all the same", () => {
  const { fault, lines } = told(malformed);
  expect(fault?.failure.message).toBe(
    "Improperly formed. It breaks no rule that is known. (1 messages, 1 tools, 1 KB.)",
  );
  expect(lines.join("")).toContain('"rules":"none"');
});

test("there is none of any other fault", () => {
  const other: KiroFault = { ...malformed, kind: "rejected" };
  expect(told(other, { a: { anyOf: [] } })).toEqual({ fault: undefined, lines: [] });
});
