import { describe, expect, test } from "bun:test";
import {
  findListedModel,
  listModels,
  type OfferedModel,
  resolveModel,
  withOffered,
} from "../../src/kiro/models.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";

describe("resolving", () => {
  test.each([
    // The public ids.
    ["claude-sonnet-4-5-20250929", "claude-sonnet-4.5"],
    ["claude-opus-4-5-20251101", "claude-opus-4.5"],
    ["claude-opus-4-6", "claude-opus-4.6"],
    ["claude-haiku-4-5-20251001", "claude-haiku-4.5"],
    ["claude-sonnet-4-5-20250929-thinking", "claude-sonnet-4.5"],
    ["claude-opus-4-6-thinking", "claude-opus-4.6"],
    // What the service calls them.
    ["claude-sonnet-4.5", "claude-sonnet-4.5"],
    ["claude-sonnet-4", "claude-sonnet-4"],
    ["claude-3.7-sonnet", "claude-3.7-sonnet"],
    ["gpt-5.6-sol", "gpt-5.6-sol"],
    ["gpt-5.6-sol-thinking", "gpt-5.6-sol"],
    // Case, dates, suffixes, prefixes.
    ["Claude-Sonnet-4-5", "claude-sonnet-4.5"],
    [" claude-haiku-4-5 ", "claude-haiku-4.5"],
    ["claude-sonnet-4-6-20260217", "claude-sonnet-4.6"],
    ["claude-sonnet-4-5-latest", "claude-sonnet-4.5"],
    ["claude-sonnet-4-5[1m]", "claude-sonnet-4.5"],
    ["claude-opus-4-8-thinking[1m]", "claude-opus-4.8"],
    ["claude-opus-4-6-fast", "claude-opus-4.6"],
    ["claude-sonnet-4.5-1m", "claude-sonnet-4.5"],
    ["anthropic/claude-sonnet-4.6", "claude-sonnet-4.6"],
    ["openrouter/anthropic/claude-opus-4.5", "claude-opus-4.5"],
    ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5"],
    ["claude-haiku-4-5@20251001", "claude-haiku-4.5"],
    ["CLAUDE_SONNET_4_5_20250929_V1_0", "claude-sonnet-4.5"],
    // The inverted order.
    ["claude-4.5-opus-high-thinking", "claude-opus-4.5"],
    ["claude-4.6-sonnet", "claude-sonnet-4.6"],
    ["claude-4-5-haiku", "claude-haiku-4.5"],
    // Older ones, and families without a version, mean the current one.
    ["claude-sonnet-4-20250514", "claude-sonnet-4.5"],
    ["claude-4-sonnet", "claude-sonnet-4.5"],
    ["claude-3-5-sonnet", "claude-sonnet-4.5"],
    ["claude-3-5-sonnet-20241022", "claude-sonnet-4.5"],
    ["claude-3-7-sonnet-latest", "claude-sonnet-4.5"],
    ["claude-3-opus-20240229", "claude-opus-4.6"],
    ["claude-opus-4-1-20250805", "claude-opus-4.6"],
    ["claude-3-haiku-20240307", "claude-haiku-4.5"],
    ["claude-sonnet-latest", "claude-sonnet-4.5"],
    ["opus", "claude-opus-4.6"],
    ["sonnet-4.6", "claude-sonnet-4.6"],
    // Newer ones mean the newest that is known up to them.
    ["claude-opus-5", "claude-opus-5"],
    ["claude-opus-5-5", "claude-opus-5"],
    ["claude-haiku-5-5", "claude-haiku-4.5"],
    ["claude-sonnet-4-7", "claude-sonnet-4.6"],
    ["claude-sonnet-9-20300101", "claude-sonnet-5"],
    ["claude-fable-6", "claude-fable-5"],
    // All others are the service's to judge.
    ["glm-5", "glm-5"],
    ["Kimi-K2-Thinking", "Kimi-K2-Thinking"],
    ["auto", "auto"],
    ["claude-mythos-5", "claude-mythos-5"],
    ["claude-2.1", "claude-2.1"],
    ["claude-constructor-5", "claude-constructor-5"],
    ["opus-mt-en-de", "opus-mt-en-de"],
    ["", ""],
  ])("%s is %s", (requested, id) => {
    expect(resolveModel(requested, defaultProfile).id).toBe(id);
  });

  test("a model comes with its window, its output limit and its effort control", () => {
    expect(resolveModel("claude-opus-4-6", defaultProfile)).toEqual({
      id: "claude-opus-4.6",
      window: 1_000_000,
      maxOutput: 64_000,
      thinkingByName: false,
      effort: {
        field: "output-config",
        levels: ["low", "medium", "high", "max"],
        adaptiveOnly: true,
      },
    });
    expect(resolveModel("glm-5", defaultProfile)).toEqual({
      id: "glm-5",
      window: defaultProfile.windowDefault,
      maxOutput: defaultProfile.maxOutputDefault,
      thinkingByName: false,
    });
  });

  test.each(["claude-haiku-4-5-thinking", "claude-4.5-opus-high-THINKING", "kimi-k2-thinking"])(
    "%s asks for thinking",
    (name) => {
      expect(resolveModel(name, defaultProfile).thinkingByName).toBe(true);
    },
  );

  test("a model that was discovered is found by its own name first", () => {
    const discovered = { id: "claude-opus-5.5", displayName: "x", window: 7, maxOutput: 8 };
    const profile = { ...defaultProfile, models: [...defaultProfile.models, discovered] };
    expect(resolveModel("claude-opus-5-5", profile)).toMatchObject({
      id: "claude-opus-5.5",
      window: 7,
    });
  });
});

test("the order of the known models does not matter", () => {
  const profile = { ...defaultProfile, models: defaultProfile.models.toReversed() };
  expect(resolveModel("claude-opus-5-5", profile).id).toBe("claude-opus-5");
  expect(resolveModel("claude-sonnet-4-7", profile).id).toBe("claude-sonnet-4.6");
});

describe("the public list", () => {
  test("has the eight ids, newest first", () => {
    expect(listModels(defaultProfile).map(({ id }) => id)).toEqual([
      "claude-opus-4-6",
      "claude-opus-4-6-thinking",
      "claude-opus-4-5-20251101",
      "claude-opus-4-5-20251101-thinking",
      "claude-haiku-4-5-20251001",
      "claude-haiku-4-5-20251001-thinking",
      "claude-sonnet-4-5-20250929",
      "claude-sonnet-4-5-20250929-thinking",
    ]);
  });

  test("an entry says what the model is and can", () => {
    expect(listModels(defaultProfile).at(-1)).toEqual({
      id: "claude-sonnet-4-5-20250929-thinking",
      displayName: "Claude Sonnet 4.5 (thinking)",
      createdAt: "2025-09-29T00:00:00Z",
      window: 200_000,
      maxOutput: 64_000,
      thinking: true,
    });
  });

  test("a listed model without a date has a valid one all the same", () => {
    const rule = { id: "x", displayName: "X", listedAs: "x", window: 1, maxOutput: 1 };
    expect(listModels({ ...defaultProfile, models: [rule] })[0]?.createdAt).toBe(
      "1970-01-01T00:00:00Z",
    );
  });

  test.each([
    ["claude-opus-4-6", "claude-opus-4-6"],
    ["claude-opus-4-6-thinking", "claude-opus-4-6-thinking"],
    ["claude-sonnet-4.5", "claude-sonnet-4-5-20250929"],
    ["claude-3-5-sonnet-thinking", "claude-sonnet-4-5-20250929-thinking"],
    ["glm-5", undefined],
    ["claude-opus-4-7", undefined],
  ])("%s is found as %p", (id, found) => {
    expect(findListedModel(id, defaultProfile)?.id).toBe(found);
  });
});

describe("aliases", () => {
  const profile = {
    ...defaultProfile,
    aliases: { fast: "claude-haiku-4-5-20251001", "gpt-5": "opus-thinking", odd: "glm-5" },
  };

  test("an alias means what it stands for, thinking included", () => {
    expect(resolveModel("fast", profile)).toMatchObject({ id: "claude-haiku-4.5" });
    expect(resolveModel("gpt-5", profile)).toMatchObject({
      id: "claude-opus-4.6",
      thinkingByName: true,
    });
    expect(resolveModel("odd", profile).id).toBe("glm-5");
  });

  test("an alias is found in the list, and a name that every object has is not one", () => {
    expect(findListedModel("fast", profile)?.id).toBe("claude-haiku-4-5-20251001");
    expect(resolveModel("constructor", profile).id).toBe("constructor");
  });
});

function offered(...models: OfferedModel[]) {
  return withOffered(defaultProfile, models);
}

describe("with what the service offers", () => {
  test("an unknown model gets the limits that it comes with, else the usual ones", () => {
    const profile = offered({ id: "glm-5", window: 128_000, maxOutput: 16_000 }, { id: "Bare" });
    expect(resolveModel("GLM-5", profile)).toMatchObject({
      id: "glm-5",
      window: 128_000,
      maxOutput: 16_000,
    });
    expect(resolveModel("bare", profile)).toMatchObject({
      id: "Bare",
      window: defaultProfile.windowDefault,
      maxOutput: defaultProfile.maxOutputDefault,
    });
  });

  test("the service's limits replace ours, and the rest of what we know stays", () => {
    const before = resolveModel("claude-opus-4-6", defaultProfile);
    const profile = offered({ id: "claude-opus-4.6", window: 500_000 });
    expect(resolveModel("claude-opus-4-6", profile)).toEqual({ ...before, window: 500_000 });
    expect(listModels(profile)).toHaveLength(8);
  });

  test("of several accounts the highest limits and the first name count", () => {
    const profile = offered(
      { id: "glm-5", window: 100, maxOutput: 20 },
      { id: "GLM-5", window: 200, maxOutput: 10, displayName: "GLM 5" },
      { id: "glm-5", displayName: "Other" },
    );
    expect(listModels(profile).slice(8)).toMatchObject([
      { id: "glm-5", displayName: "GLM 5", window: 200, maxOutput: 20 },
    ]);
  });

  test("a new version of a family is what newer names mean", () => {
    const profile = offered({ id: "claude-opus-4.6" }, { id: "claude-opus-5.5" });
    expect(resolveModel("claude-opus-5-7", profile).id).toBe("claude-opus-5.5");
    expect(resolveModel("opus", profile).id).toBe("claude-opus-4.6");
  });

  test.each([
    ["claude-opus-5-5", "claude-opus-4.5"],
    ["opus", "claude-opus-4.5"],
    ["claude-3-opus", "claude-opus-4.5"],
    ["claude-opus-4-6", "claude-opus-4.6"],
    ["claude-opus-5-20260601", "claude-opus-5"],
    ["claude-haiku-5-5", "claude-haiku-4.5"],
  ])("a name that leaves the choice falls on what is offered: %s is %s", (name, id) => {
    const profile = offered({ id: "claude-opus-4.5" }, { id: "claude-sonnet-4.5" });
    expect(resolveModel(name, profile).id).toBe(id);
  });

  test("a known model without a public id is listed once it is offered", () => {
    expect(findListedModel("claude-sonnet-4.6", defaultProfile)).toBeUndefined();
    const profile = offered({ id: "claude-sonnet-4.6" }, { id: "auto" });
    expect(listModels(profile).map(({ id }) => id)).toContain("claude-sonnet-4.6");
    expect(listModels(profile).map(({ id }) => id)).not.toContain("auto");
    expect(findListedModel("claude-sonnet-4-6", profile)).toMatchObject({
      id: "claude-sonnet-4.6",
      displayName: "Claude Sonnet 4.6",
      window: 1_000_000,
    });
  });

  test("the profile itself stays as it was", () => {
    const before = structuredClone(defaultProfile);
    offered({ id: "claude-opus-4.6", window: 1 }, { id: "x" });
    expect(defaultProfile).toEqual(before);
  });
});
