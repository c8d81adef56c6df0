import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonObject } from "../../src/conversation/conversation.ts";
import { isObject } from "../../src/kiro/document.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { toKiroSchema } from "../../src/kiro/schema.ts";
import { deepFreeze, schema as anySchema } from "../support/conversations.ts";
import { validateKiroBody } from "../support/kiro-validator.ts";

const rules = {
  dropped: defaultProfile.tools.schemaDropped,
  refDepth: defaultProfile.tools.schemaRefDepth,
  reduced: false,
};

function clean(schema: JsonObject): JsonObject {
  return toKiroSchema(deepFreeze(schema), rules);
}

/** What becomes of one property's schema. */
function property(schema: JsonObject) {
  const { properties } = toKiroSchema({ properties: { p: schema } }, rules);
  return isObject(properties) ? properties["p"] : undefined;
}

const empty = { type: "object", properties: {} };

describe("the root", () => {
  test.each<[string, JsonObject]>([
    ["nothing", {}],
    ["a string", { type: "string" }],
    ["a list of types", { type: ["object", "null"] }],
    ["null members", { type: null, properties: null, required: null }],
    ["members of wrong types", { properties: [], required: "a" }],
    ["an empty required list", { required: [] }],
    ["a reference to itself", { $ref: "#" }],
  ])("is made an object with properties out of %s", (_name, schema) => {
    expect(clean(schema)).toEqual(empty);
  });

  test("keeps properties, required names and description as they are", () => {
    const schema = {
      type: "object",
      description: "Input",
      properties: { b: { type: "string" }, a: { type: "integer", minimum: 0 } },
      required: ["b"],
    };
    expect(clean(schema)).toEqual(schema);
    expect(Object.keys(clean(schema)["properties"] ?? {})).toEqual(["b", "a"]);
  });

  test("takes in the properties of allOf, with all that any part requires", () => {
    expect(
      clean({
        properties: { a: {} },
        allOf: [
          { properties: { b: { type: "string" } }, required: ["b"] },
          { allOf: [{ properties: { c: {} }, required: ["c"] }] },
        ],
      }),
    ).toEqual({
      type: "object",
      properties: { a: {}, b: { type: "string" }, c: {} },
      required: ["b", "c"],
    });
  });

  test.each(["oneOf", "anyOf"])(
    "takes in the properties of %s, with every shape they have and what all require",
    (key) => {
      expect(
        clean({
          required: ["id"],
          [key]: [
            {
              properties: { action: { const: "add" }, n: { type: "integer" } },
              required: ["action", "n"],
            },
            {
              properties: { action: { const: "drop" }, n: { type: "integer" } },
              required: ["action"],
            },
            { properties: { action: { const: "drop" } }, required: ["action", "n"] },
            { type: "null" },
          ],
        }),
      ).toEqual({
        type: "object",
        properties: {
          action: { anyOf: [{ const: "add" }, { const: "drop" }] },
          n: { type: "integer" },
        },
        required: ["id", "action"],
      });
    },
  );

  test("loses alternatives that only require", () => {
    const properties = { a: {}, b: {} };
    expect(clean({ properties, anyOf: [{ required: ["a"] }, { required: ["b"] }] })).toEqual({
      type: "object",
      properties,
    });
  });
});

describe("keywords", () => {
  test.each<[string, JsonObject, JsonObject]>([
    [
      "$schema, $id, $comment",
      { $schema: "x", $id: "x", $comment: "x", type: "string" },
      { type: "string" },
    ],
    ["null values", { type: "string", default: null, const: null, enum: null }, { type: "string" }],
    ["empty lists and objects", { required: [], enum: [], examples: [], "x-a": {}, items: {} }, {}],
    ["blank texts", { title: "", description: " " }, {}],
    [
      "a boolean additionalProperties",
      { type: "object", additionalProperties: false },
      { type: "object" },
    ],
    ["a list as additionalProperties", { additionalProperties: [] }, {}],
    ["null in an enum", { enum: ["a", null, "b"] }, { enum: ["a", "b"] }],
    [
      "boolean schemas in lists",
      { anyOf: [true, false, { type: "null" }] },
      { anyOf: [{}, { type: "null" }] },
    ],
    ["names that are none", { required: ["a", "", 1, "a"] }, { required: ["a"] }],
    ["types that are none", { type: [null, "string"] }, { type: ["string"] }],
    ["sizes beyond 32 bits", { maxLength: 2 ** 53, minLength: 1, maxItems: "3" }, { minLength: 1 }],
    ["an empty keyword", { "": 1 }, {}],
  ])("%s are put right", (_name, given, expected) => {
    expect(property(given)).toEqual(expected);
  });

  test("a schema keeps everything that the service takes", () => {
    const kept = {
      type: ["string", "null"],
      title: "T",
      description: "D",
      format: "uri",
      pattern: "^a$",
      default: "a",
      enum: ["a", "b"],
      minLength: 1,
      additionalProperties: { type: "string" },
      propertyNames: { pattern: "x" },
      not: {},
      items: [{ type: "string" }, {}],
      prefixItems: [{}],
      oneOf: [{ const: 1 }, { const: 2 }],
      if: { required: ["a"] },
      else: { minProperties: 2 },
      examples: ["a"],
      deprecated: true,
    };
    expect(property(structuredClone(kept))).toEqual(kept);
  });

  test("properties may have the names of keywords", () => {
    const names = [
      "$id",
      "$schema",
      "$ref",
      "$defs",
      "default",
      "required",
      "type",
      "properties",
      "definitions",
    ];
    const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
    expect(clean({ properties, required: names })).toEqual({
      type: "object",
      properties,
      required: names,
    });
  });

  test("a property called __proto__ is a property", () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"type":"string"}}}');
    expect(JSON.stringify(clean(schema))).toBe(
      '{"properties":{"__proto__":{"type":"string"}},"type":"object"}',
    );
  });

  test("a keyword called __proto__ is none", () => {
    const cleaned = property(JSON.parse('{"__proto__":{"type":"string"},"title":"T"}'));
    expect(cleaned).toEqual({ title: "T" });
    expect(isObject(cleaned) && cleaned["type"]).toBeUndefined();
  });

  test("a property without a valid schema is still a property, unless it is forbidden", () => {
    expect(clean({ properties: { a: null, b: true, c: false, d: "x", "": {} } })).toEqual({
      type: "object",
      properties: { a: {}, b: {}, d: {} },
    });
  });

  test("default and enum values are not taken for schemas", () => {
    expect(property({ default: { $id: "x", required: [1] }, const: { $ref: "#" } })).toEqual({
      default: { $id: "x", required: [1] },
      const: { $ref: "#" },
    });
  });
});

describe("bounds", () => {
  test.each<[string, JsonObject, JsonObject]>([
    [
      "an integer above 0",
      { type: "integer", exclusiveMinimum: 0 },
      { type: "integer", minimum: 1 },
    ],
    [
      "an integer below 10",
      { type: "integer", exclusiveMaximum: 10 },
      { type: "integer", maximum: 9 },
    ],
    [
      "an integer above 0.5",
      { type: "integer", exclusiveMinimum: 0.5 },
      { type: "integer", minimum: 1 },
    ],
    [
      "an integer below 9.5",
      { type: "integer", exclusiveMaximum: 9.5 },
      { type: "integer", maximum: 9 },
    ],
    [
      "an integer or null",
      { type: ["integer", "null"], exclusiveMinimum: 0 },
      { type: ["integer", "null"], minimum: 1 },
    ],
    ["a number above 0", { type: "number", exclusiveMinimum: 0 }, { type: "number", minimum: 0 }],
    [
      "both kinds",
      { type: "integer", minimum: 5, exclusiveMinimum: 0 },
      { type: "integer", minimum: 5 },
    ],
    [
      "both kinds, the strict one tighter",
      { type: "integer", maximum: 9, exclusiveMaximum: 5 },
      { type: "integer", maximum: 4 },
    ],
    [
      "the old boolean form",
      { type: "integer", minimum: 0, exclusiveMinimum: true },
      { type: "integer", minimum: 1 },
    ],
    [
      "the old boolean form of maximum",
      { type: "integer", maximum: 9, exclusiveMaximum: true },
      { type: "integer", maximum: 8 },
    ],
    ["the old boolean form, false", { minimum: 0, exclusiveMinimum: false }, { minimum: 0 }],
    ["safe integers", { minimum: -(2 ** 53), maximum: 2 ** 53 }, {}],
    [
      "the edges of 32 bits",
      { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
      { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
    ],
    ["one past the edge", { type: "integer", exclusiveMinimum: 2 ** 31 - 1 }, { type: "integer" }],
    ["text and null", { minimum: "0", maximum: null }, {}],
  ])("%s", (_name, given, expected) => {
    expect(property(given)).toEqual(expected);
  });
});

describe("references", () => {
  test("a local one is replaced by what it means, also at the root and inside others", () => {
    expect(
      clean({
        $ref: "#/$defs/Input",
        $defs: {
          Input: { properties: { at: { $ref: "#/definitions/a~1b%20c" } } },
        },
        definitions: { "a/b c": { type: "string" } },
      }),
    ).toEqual({ type: "object", properties: { at: { type: "string" } } });
  });

  test("two to one definition are both replaced", () => {
    const properties = { a: { $ref: "#/$defs/A" }, b: { $ref: "#/$defs/A" } };
    const A = { type: "string" };
    expect(clean({ properties, $defs: { A } })["properties"]).toEqual({ a: A, b: A });
  });

  test("what stands beside one is kept and goes first", () => {
    const schema = {
      properties: { a: { $ref: "#/$defs/A", description: "mine" } },
      $defs: { A: { type: "string", description: "theirs" } },
    };
    expect(clean(schema)["properties"]).toEqual({ a: { type: "string", description: "mine" } });
  });

  test("one that leads back to itself ends in any value", () => {
    const schema = {
      properties: { tree: { $ref: "#/$defs/Node" } },
      $defs: { Node: { properties: { value: {}, next: { $ref: "#/$defs/Node" } } } },
    };
    expect(clean(schema)["properties"]).toEqual({ tree: { properties: { value: {}, next: {} } } });
  });

  test.each([
    "#/$defs/none",
    "#/$defs/A/0",
    "#anchor",
    "https://x.test/s.json",
    "#/%zz",
    "#/$defs/__proto__",
  ])("one that leads nowhere (%s) is any value", ($ref) => {
    expect(clean({ properties: { a: { $ref } }, $defs: { A: {} } })["properties"]).toEqual({
      a: {},
    });
  });

  test("one into a list is followed", () => {
    const schema = {
      properties: { a: { $ref: "#/anyOf/0/items" } },
      anyOf: [{ items: { type: "null" } }],
    };
    expect(clean(schema)["properties"]).toEqual({ a: { type: "null" } });
  });

  test("a chain is followed eight deep", () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 12 }, (_, n) => [
        `d${n}`,
        { properties: { [`p${n}`]: { $ref: `#/$defs/d${n + 1}` } } },
      ]),
    );
    const text = JSON.stringify(clean({ properties: { a: { $ref: "#/$defs/d0" } }, $defs }));
    expect(text).toContain('"p7"');
    expect(text).not.toContain('"p8"');
  });

  test("definitions that multiply do not make a schema without end", () => {
    const names = Array.from({ length: 12 }, (_, n) => `d${n}`);
    const properties = Object.fromEntries(names.map((name) => [name, { $ref: `#/$defs/${name}` }]));
    const $defs = Object.fromEntries(names.map((name) => [name, { properties }]));
    expect(JSON.stringify(clean({ properties, $defs })).length).toBeLessThan(2 * 1024 * 1024);
  });

  test("a schema that is nested without end is cut off", () => {
    let items = {};
    for (let depth = 0; depth < 20_000; depth++) items = { items, type: "array" };
    expect(JSON.stringify(toKiroSchema({ properties: { a: items } }, rules)).length).toBeLessThan(
      10_000,
    );
  });
});

test("a reduced schema keeps types, properties, required names, items, enums and descriptions only", () => {
  const schema = {
    description: "Input",
    properties: {
      a: { type: ["null", "string"], format: "uri", default: "x", enum: ["x"] },
      b: { description: "B", oneOf: [{ type: "integer", minimum: 1 }, { type: "null" }] },
      c: { type: "array", items: { $ref: "#/$defs/C" }, maxItems: 3 },
    },
    required: ["a"],
    $defs: { C: { properties: { d: { const: 1 } }, additionalProperties: { type: "string" } } },
  };
  expect(toKiroSchema(schema, { ...rules, reduced: true })).toEqual({
    type: "object",
    description: "Input",
    properties: {
      a: { type: "string", enum: ["x"] },
      b: { type: "integer", description: "B" },
      c: { type: "array", items: { properties: { d: {} } } },
    },
    required: ["a"],
  });
});

/** The least body with a tool, so that the validator may judge the tool's schema. */
function bodyWith(json: JsonObject) {
  return {
    conversationState: {
      conversationId: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80",
      chatTriggerType: "MANUAL",
      currentMessage: {
        userInputMessage: {
          content: "x",
          modelId: "m",
          origin: "AI_EDITOR",
          userInputMessageContext: {
            tools: [{ toolSpecification: { name: "t", description: "d", inputSchema: { json } } }],
          },
        },
      },
    },
  };
}

test.each([false, true])(
  "any schema comes out valid, and comes out of a second pass as it is (reduced: %p)",
  (reduced) => {
    fc.assert(
      fc.property(anySchema, (schema) => {
        const cleaned = toKiroSchema(deepFreeze(schema), { ...rules, reduced });
        expect(validateKiroBody(bodyWith(cleaned))).toEqual([]);
        expect(toKiroSchema(cleaned, { ...rules, reduced })).toEqual(cleaned);
      }),
      { numRuns: 10_000 },
    );
  },
);
