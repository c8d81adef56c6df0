import { describe, expect, test } from "bun:test";
import { redactFrames, redactText } from "../../src/capture/redact.ts";
import { FrameDecoder } from "../../src/eventstream/decoder.ts";
import { eventFrame, exceptionFrame } from "../emulator/frames.ts";

describe("what may not be kept", () => {
  test.each([
    ["an ARN", "arn:aws:codewhisperer:us-east-1:111122223333:profile/EXAMPLEID"],
    ["an account's id", "d-0123456789"],
    ["a mail address", "some.body+kiro@mail.example.com"],
    ["a key of Kiro", "ksk_0123456789abcdef"],
    ["a key of another service", "sk-ant-0123456789abcdef"],
    ["a JWT", "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl"],
    ["an access token", `aoaAAAAAG${"a1B2".repeat(20)}:${"c3D4".repeat(10)}`],
    ["an AWS key", "AKIAIOSFODNN7EXAMPLE"],
  ])("%s is crossed out, and everything keeps its length", (_, secret) => {
    const text = JSON.stringify({ before: "kept", secret: `see ${secret}, thanks` });
    const safe = redactText(text);
    expect(safe).not.toContain(secret);
    expect(safe).toBe(text.replace(secret, "x".repeat(secret.length)));
    expect(JSON.parse(safe)).toMatchObject({ before: "kept" });
  });

  test("a bearer token goes, the word stays", () => {
    expect(redactText("Bearer abc.def")).toBe("Bearer xxxxxxx");
  });

  test("a secret that is known goes wherever it stands", () => {
    expect(redactText("a plain-secret b", ["plain-secret"])).toBe("a xxxxxxxxxxxx b");
  });

  test("ordinary text stays as it is", () => {
    const text = "Keys: sk-8, d-12; the arn: of a task-force. 你好 @you aoa";
    expect(redactText(text)).toBe(text);
  });
});

describe("frames", () => {
  const message = "Your User ID (d-0000000000) temporarily is suspended.";

  test("a redacted frame is whole, and those around it are untouched", () => {
    const before = eventFrame("assistantResponseEvent", { content: "你好" });
    const bytes = Buffer.concat([before, exceptionFrame("AccessDeniedException", { message })]);
    const safe = redactFrames(bytes);
    expect(safe.subarray(0, before.length)).toEqual(before);
    const { frames, fault } = new FrameDecoder().push(safe);
    expect(fault).toBeUndefined();
    expect(Buffer.from(frames[1]?.payload ?? []).toString()).toBe(
      JSON.stringify({ message: message.replace("d-0000000000", "x".repeat(12)) }),
    );
  });

  test("a damaged frame stays damaged", () => {
    const frame = Buffer.from(exceptionFrame("AccessDeniedException", { message }));
    frame[frame.length - 1] = (frame.at(-1) ?? 0) ^ 1;
    const { fault } = new FrameDecoder().push(redactFrames(frame));
    expect(fault?.kind).toBe("message-checksum");
  });

  test("what is no frame at all does no harm", () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(40), Buffer.from("x".repeat(40))]) {
      expect(redactFrames(bytes)).toEqual(bytes);
    }
  });
});
