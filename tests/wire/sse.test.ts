import { describe, expect, test } from "bun:test";
import { sseEvent } from "../../src/wire/sse.ts";

describe("sseEvent", () => {
  test("an event has its name, its data and a blank line", () => {
    expect(sseEvent('{"a":1}', "ping")).toBe('event: ping\ndata: {"a":1}\n\n');
  });

  test("an event without a name has data alone", () => {
    expect(sseEvent("[DONE]")).toBe("data: [DONE]\n\n");
  });

  test.each(["a\nb", "a\rb", "a\n\nevent: x"])("a line break in %j is refused", (text) => {
    expect(() => sseEvent(text)).toThrow(RangeError);
    expect(() => sseEvent("{}", text)).toThrow(RangeError);
  });
});
