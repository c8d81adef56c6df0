import { expect, test } from "bun:test";
import { modelList, modelObject } from "../../src/http/models.ts";

const model = {
  id: "glm-5",
  displayName: "GLM 5",
  createdAt: "1970-01-01T00:00:00Z",
  window: 128_000,
  maxOutput: 16_000,
};

test.each([
  ["claude-opus-5", "anthropic"],
  ["gpt-5.6-sol", "openai"],
  ["glm-5", "kiro"],
])("%s is owned by %s", (id, owner) => {
  expect(modelObject({ ...model, id }).owned_by).toBe(owner);
});

test("a list of none is a list", () => {
  expect(modelList([])).toMatchObject({ data: [], first_id: null, last_id: null });
});
