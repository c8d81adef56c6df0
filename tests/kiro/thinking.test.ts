import { expect, test } from "bun:test";
import type { ReasoningRequest } from "../../src/conversation/conversation.ts";
import { resolveModel } from "../../src/kiro/models.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { planThinking } from "../../src/kiro/thinking.ts";

function plan(request: ReasoningRequest, model: string, native = true, profile = defaultProfile) {
  return planThinking(request, resolveModel(model, profile), profile, native);
}

const enabled = (budget: number) =>
  `<thinking_mode>enabled</thinking_mode><max_thinking_length>${budget}</max_thinking_length>`;
const adaptive = (effort: string) =>
  `<thinking_mode>adaptive</thinking_mode><thinking_effort>${effort}</thinking_effort>`;
const effort = (level: string) => ({ output_config: { effort: level } });

const OFF = { thinking: false, tags: "" };

test.each<[string, ReasoningRequest, string, ReturnType<typeof plan>]>([
  ["nothing asked", { type: "unset" }, "claude-opus-5", OFF],
  ["switched off", { type: "off" }, "claude-opus-5", OFF],
  ["off goes before the name", { type: "off" }, "claude-opus-5-thinking", OFF],
  [
    "4.5 has no fields",
    { type: "budget", tokens: 5_000 },
    "claude-sonnet-4-5",
    { thinking: true, tags: enabled(5_000) },
  ],
  ["4.5, effort alone", { type: "unset", effort: "high" }, "claude-opus-4-5", OFF],
  [
    "too small a budget",
    { type: "budget", tokens: 1 },
    "claude-haiku-4-5",
    { thinking: true, tags: enabled(1_024) },
  ],
  [
    "Claude Code's budget",
    { type: "budget", tokens: 31_999 },
    "claude-opus-5",
    { thinking: true, tags: enabled(24_576), fields: effort("high") },
  ],
  [
    "a low budget",
    { type: "budget", tokens: 4_000 },
    "claude-opus-5",
    { thinking: true, tags: enabled(4_000), fields: effort("low") },
  ],
  [
    "a huge budget",
    { type: "budget", tokens: 1e300 },
    "claude-opus-5",
    { thinking: true, tags: enabled(24_576), fields: effort("high") },
  ],
  [
    "an effort beside a budget",
    { type: "budget", tokens: 4_000, effort: "max" },
    "claude-opus-5",
    { thinking: true, tags: enabled(4_000), fields: effort("max") },
  ],
  [
    "adaptive",
    { type: "adaptive" },
    "claude-opus-5",
    { thinking: true, tags: adaptive("high"), fields: effort("high") },
  ],
  [
    "adaptive with an effort that the tags don't know",
    { type: "adaptive", effort: "xhigh" },
    "claude-opus-5",
    { thinking: true, tags: adaptive("high"), fields: effort("xhigh") },
  ],
  [
    "an effort that the model doesn't know",
    { type: "adaptive", effort: "xhigh" },
    "claude-sonnet-4-6",
    { thinking: true, tags: adaptive("high"), fields: effort("high") },
  ],
  [
    "the highest effort",
    { type: "adaptive", effort: "max" },
    "claude-sonnet-4-6",
    { thinking: true, tags: adaptive("high"), fields: effort("max") },
  ],
  [
    "effort alone",
    { type: "unset", effort: "low" },
    "claude-opus-5",
    { ...OFF, fields: effort("low") },
  ],
  [
    "opus 4.6, adaptive",
    { type: "adaptive", effort: "low" },
    "claude-opus-4-6",
    { thinking: true, tags: adaptive("low"), fields: effort("low") },
  ],
  [
    "opus 4.6, a budget",
    { type: "budget", tokens: 5_000 },
    "claude-opus-4-6",
    { thinking: true, tags: enabled(5_000) },
  ],
  ["opus 4.6, effort alone", { type: "unset", effort: "low" }, "claude-opus-4-6", OFF],
  [
    "opus 4.6 by its name",
    { type: "unset" },
    "claude-opus-4-6-thinking",
    { thinking: true, tags: adaptive("high"), fields: effort("high") },
  ],
  [
    "by its name",
    { type: "unset" },
    "claude-sonnet-4-5-thinking",
    { thinking: true, tags: enabled(10_000) },
  ],
  [
    "by its name, the effort not lowered",
    { type: "unset" },
    "claude-opus-5-thinking",
    { thinking: true, tags: enabled(10_000), fields: effort("high") },
  ],
  [
    "by its name, with an effort",
    { type: "unset", effort: "low" },
    "claude-opus-5-thinking",
    { thinking: true, tags: enabled(10_000), fields: effort("low") },
  ],
  [
    "another family's field",
    { type: "adaptive", effort: "medium" },
    "gpt-5.6-sol",
    { thinking: true, tags: adaptive("medium"), fields: { reasoning: { effort: "medium" } } },
  ],
  ["an unknown model", { type: "adaptive" }, "glm-5", { thinking: true, tags: adaptive("high") }],
])("%s", (_name, request, model, expected) => {
  expect(plan(request, model)).toEqual(expected);
});

test("without native control no field is sent", () => {
  expect(plan({ type: "adaptive" }, "claude-opus-5", false)).toEqual({
    thinking: true,
    tags: adaptive("high"),
  });
});

test.each(["tags", "native"] as const)("a profile may choose %s alone", (mechanism) => {
  const profile = { ...defaultProfile, thinking: { ...defaultProfile.thinking, mechanism } };
  const asked = plan({ type: "adaptive" }, "claude-opus-5", true, profile);
  expect(asked.fields === undefined).toBe(mechanism === "tags");
  expect(asked.tags === "").toBe(mechanism === "native");
  // A model without a control of its own is asked by tags in any case.
  expect(plan({ type: "adaptive" }, "claude-haiku-4-5", true, profile).tags).toBe(adaptive("high"));
});

test("a control with no level as low as asked is left alone", () => {
  const model = {
    ...resolveModel("glm-5", defaultProfile),
    effort: { field: "reasoning" as const, levels: ["max"] },
  };
  expect(planThinking({ type: "adaptive", effort: "low" }, model, defaultProfile, true)).toEqual({
    thinking: true,
    tags: adaptive("low"),
  });
});
