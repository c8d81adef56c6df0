import { describe, expect, test } from "bun:test";
import { createTestRuntime } from "./runtime.ts";

function draw() {
  const { runtime } = createTestRuntime();
  return [runtime.random(), runtime.random(), runtime.randomUUID(), runtime.randomUUID()];
}

describe("createTestRuntime", () => {
  test("timers fire in order of time, then of their start, with the clock at their time", async () => {
    const { runtime, advance } = createTestRuntime({ now: 1_000 });
    const fired: [string, number][] = [];
    const note = (name: string) => () => void fired.push([name, runtime.now()]);
    runtime.timer(20, note("late"));
    runtime.timer(10, note("first"));
    runtime.timer(10, note("second"));
    await advance(19);
    expect(fired).toEqual([
      ["first", 1_010],
      ["second", 1_010],
    ]);
    await advance(1);
    expect(fired).toHaveLength(3);
  });

  test("a timer that is refreshed starts anew, also after it fired; one that is cancelled is gone", async () => {
    const { runtime, advance, pending } = createTestRuntime();
    let fired = 0;
    const timer = runtime.timer(10, () => fired++);
    await advance(9);
    timer.refresh();
    await advance(9);
    expect(fired).toBe(0);
    await advance(1);
    timer.refresh();
    await advance(10);
    expect(fired).toBe(2);
    timer.refresh();
    timer.cancel();
    expect(pending()).toBe(0);
  });

  test("one advance runs a chain of sleeps", async () => {
    const { runtime, advance } = createTestRuntime();
    const woken: number[] = [];
    void (async () => {
      for (let turn = 0; turn < 3; turn++) {
        await runtime.sleep(10);
        woken.push(runtime.monotonic());
      }
    })();
    await advance(30);
    expect(woken).toEqual([10, 20, 30]);
  });

  test("an abort ends a sleep and a call that never answers, and leaves no timer", async () => {
    const { runtime, pending } = createTestRuntime({
      fetch: async () => await new Promise(() => {}),
    });
    const controller = new AbortController();
    const asleep = runtime.sleep(10, controller.signal);
    const calling = runtime.fetch("https://example.test", { signal: controller.signal });
    controller.abort(new Error("gone"));
    const outcomes = await Promise.allSettled([asleep, calling]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
    expect(pending()).toBe(0);
  });

  test("two worlds draw the same numbers and UUIDs", () => {
    expect(draw()).toEqual(draw());
    expect(new Set(draw()).size).toBe(4);
  });
});
