import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { KiroBody } from "../../src/kiro/body.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { toKiroRequest } from "../../src/kiro/request.ts";
import { validate } from "../../src/kiro/validate.ts";
import {
  assistant,
  call,
  conversation,
  conversationOf,
  result,
  tool,
  user,
} from "../support/conversations.ts";
import { validateKiroBody } from "../support/kiro-validator.ts";

const ids = {
  conversationId: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80",
  continuationId: "1e0d2c3b-4a59-4687-8f7e-6d5c4b3a2910",
};

function bodyOf(given: Parameters<typeof toKiroRequest>[0]): KiroBody {
  const converted = toKiroRequest(given, ids, defaultProfile);
  if (!converted.ok) throw new Error(converted.failure.message);
  return converted.value.body;
}

const certain = (body: KiroBody): string[] =>
  validate(body, defaultProfile)
    .filter((one) => one.certain)
    .map(({ rule }) => rule);

/** A body with all that can be broken in it. */
function sample(): KiroBody {
  // To be damaged: what was made of a schema is shared between requests.
  return structuredClone(
    bodyOf(
      conversationOf({
        system: "Be brief.",
        turns: [
          user("Read both"),
          assistant("Yes", call("a", "read"), call("b", "read")),
          user(result("a", "One"), result("b", "Two"), {
            type: "image",
            format: "png",
            base64: "iVBORw0KGgo=",
          }),
        ],
        tools: [
          tool("read", "Reads.", {
            type: "object",
            properties: { n: { type: "number", maximum: 5, items: { type: "string" } } },
            required: ["n"],
          }),
          tool("write"),
        ],
      }),
    ),
  );
}

test("of any conversation the body is valid for both validators", () => {
  fc.assert(
    fc.property(conversation, (given) => {
      const body = bodyOf({ ...given, toolChoice: { type: "auto" } });
      expect(validateKiroBody(body)).toEqual([]);
      expect(certain(body)).toEqual([]);
    }),
  );
});

/** Any value of a body that is replaced by one that may not stand there. */
test("what this validator finds in a damaged body, the independent one finds too, and mostly the other way around", () => {
  const bad = [null, "", " ", "\ud800", Number.POSITIVE_INFINITY, [], {}, "x", "$ref"];
  const places: { owner: Record<string, unknown>; key: string }[] = [];
  let both = 0;
  let missed = 0;
  const collect = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, member] of Object.entries(value)) {
      places.push({ owner: value as Record<string, unknown>, key });
      collect(member);
    }
  };
  const body = sample();
  collect(body);
  for (const { owner, key } of places) {
    const good = owner[key];
    for (const value of bad) {
      // A body is typed: only what keeps its kind can come about.
      if (typeof value !== typeof good || Array.isArray(value) !== Array.isArray(good)) {
        if (value !== null) continue;
      }
      owner[key] = value;
      try {
        const theirs = validateKiroBody(body).length > 0;
        const ours = certain(body).length > 0;
        if (ours && !theirs)
          throw new Error(`only ours objects to ${key} = ${JSON.stringify(value)}`);
        if (ours) both += 1;
        else if (theirs) missed += 1;
      } catch (error) {
        // A null where an object belongs breaks what reads by type; that it can't be is the compiler's to see.
        if (!(error instanceof TypeError)) throw error;
      } finally {
        owner[key] = good;
      }
    }
  }
  expect(both).toBeGreaterThan(60);
  // Names of enumerations and of models, which are constants of the profile.
  expect(missed).toBeLessThan(both / 2);
});

const state = (body: KiroBody) => body.conversationState;
const current = (body: KiroBody) => state(body).currentMessage.userInputMessage;
const context = (body: KiroBody) => current(body).userInputMessageContext ?? {};

describe("a fault of the converter would be named", () => {
  const faults: [string, string, (body: KiroBody) => void][] = [
    ["roles-alternate", "history", (body) => void state(body).history?.pop()],
    [
      "content-empty",
      "history[0].content",
      (body) =>
        void Object.assign(state(body).history?.[0] ?? {}, {
          userInputMessage: { ...current(body), userInputMessageContext: undefined, content: "" },
        }),
    ],
    ["call-without-result", "currentMessage", (body) => void context(body).toolResults?.pop()],
    [
      "result-twice",
      "currentMessage.toolResults[1]",
      (body) => void Object.assign(context(body).toolResults?.[1] ?? {}, { toolUseId: "a" }),
    ],
    [
      "result-without-call",
      "currentMessage.toolResults[0]",
      (body) => void Object.assign(context(body).toolResults?.[0] ?? {}, { toolUseId: "z" }),
    ],
    ["tool-undeclared", "tools", (body) => void context(body).tools?.shift()],
    [
      "tool-twice",
      "tools[2] (READ)",
      (body) =>
        void context(body).tools?.push({
          toolSpecification: {
            name: "READ",
            description: "x",
            inputSchema: { json: { type: "object", properties: {} } },
          },
        }),
    ],
    [
      "file-bytes",
      "currentMessage.images[0]",
      (body) =>
        void Object.assign(current(body).images?.[0]?.source ?? {}, {
          bytes: "data:image/png;base64,AAAA",
        }),
    ],
    [
      "image-count",
      "body",
      (body) =>
        void Object.assign(current(body), {
          images: Array.from({ length: 11 }, () => current(body).images?.[0]),
        }),
    ],
    [
      "schema-root",
      "tools[0] (read)",
      (body) =>
        void Object.assign(context(body).tools?.[0]?.toolSpecification.inputSchema ?? {}, {
          json: {},
        }),
    ],
    [
      "schema-required",
      "tools[0] (read).required",
      (body) =>
        void Object.assign(context(body).tools?.[0]?.toolSpecification.inputSchema.json ?? {}, {
          required: [],
        }),
    ],
    [
      "conversation-id",
      "conversationId",
      (body) => void Object.assign(state(body), { conversationId: "conv-1" }),
    ],
  ];
  test.each(faults)("%s at %s", (rule, path, damage) => {
    const body = sample();
    expect(certain(body)).toEqual([]);
    damage(body);
    expect(validate(body, defaultProfile)).toContainEqual(
      expect.objectContaining({ rule, path, certain: true }),
    );
  });
});

test("what sources disagree on is suspected, behind what is certain", () => {
  const given = conversationOf({
    model: "claude-opus-4-7",
    reasoning: { type: "adaptive" },
    turns: [
      user("Hi"),
      assistant({ type: "reasoning", text: "Hm", signature: "c2ln" }, call("a", "read")),
      user(result("a", "One")),
    ],
    tools: [
      tool("read", "Reads.", {
        type: "object",
        properties: { a: { anyOf: [{ type: "string" }] } },
      }),
    ],
  });
  expect(
    validate(bodyOf(given), defaultProfile).map(({ rule, certain: sure }) => [rule, sure]),
  ).toEqual([
    ["content-blank", false],
    ["reasoning-in-history", false],
    ["content-blank", false],
    ["schema-anyOf", false],
    ["model-fields", false],
  ]);
});
