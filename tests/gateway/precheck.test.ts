import { describe, expect, test } from "bun:test";
import type { Document } from "../../src/conversation/conversation.ts";
import { precheck } from "../../src/gateway/precheck.ts";
import { resolveModel } from "../../src/kiro/models.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { assistant, conversationOf, result, user } from "../support/conversations.ts";

const pdf: Document = {
  type: "document",
  name: "a.pdf",
  mediaType: "application/pdf",
  base64: "JVBERi0=",
};

function check(
  parts: Parameters<typeof conversationOf>[0],
  promptTokens = 100,
  profile = defaultProfile,
) {
  const conversation = conversationOf(parts);
  return precheck(
    conversation,
    { model: resolveModel(conversation.model, profile) },
    promptTokens,
    profile,
  );
}

describe("a prompt that is too long", () => {
  test("is refused where it can't fit, in the words on which clients compact", () => {
    expect(check({ model: "claude-haiku-4-5" }, 400_001)).toEqual({
      kind: "context-overflow",
      tokens: 400_001,
      limit: 200_000,
      message: "prompt is too long: 400001 tokens > 200000 maximum",
    });
  });

  test("is the service's to judge where our count may be wrong, or the window is a guess", () => {
    expect(check({ model: "claude-haiku-4-5" }, 400_000)).toBeUndefined();
    expect(check({ model: "some-new-model" }, 4_000_000)).toBeUndefined();
  });
});

describe("a file that can't be sent", () => {
  test.each([
    ["a message", [user("Read this", pdf)]],
    ["a result", [user("Read it"), user(result("t1", [pdf]))]],
  ])("is refused in %s, by its name", (_, turns) => {
    expect(check({ turns })).toEqual({
      kind: "invalid-request",
      message:
        'This gateway does not support PDF input: "a.pdf" (application/pdf) can\'t be sent to Kiro. Send its text instead.',
    });
  });

  test("ends no session: in the history it passes", () => {
    expect(
      check({ turns: [user("Read this", pdf), assistant("No."), user("Why?")] }),
    ).toBeUndefined();
    expect(check({ turns: [user("Read this", pdf), user("Go on.")] })).toBeUndefined();
  });

  test("can be sent where the profile allows it", () => {
    const profile = { ...defaultProfile, documents: true };
    expect(check({ turns: [user("Read this", pdf)] }, 100, profile)).toBeUndefined();
  });
});
