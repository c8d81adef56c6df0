import { describe, expect, test } from "bun:test";
import { createQueue } from "../../src/credentials/queue.ts";
import { createTestRuntime } from "../support/runtime.ts";

const never = new AbortController().signal;

function world(maxLength = 9) {
  const clock = createTestRuntime();
  const queue = createQueue<string>({ runtime: clock.runtime, maxLength, maxWaitMs: 10_000 });
  const free = new Set<string>();
  const served: string[] = [];
  /** Waits for any of these. */
  const join = async (name: string, wanted: string[], signal = never) => {
    const outcome = await queue.join(() => {
      const found = wanted.find((one) => free.delete(one));
      if (found !== undefined) served.push(`${name} ${found}`);
      return found;
    }, signal);
    return outcome.type;
  };
  return { ...clock, queue, free, served, join };
}

describe("a queue", () => {
  test("serves in the order of arrival", async () => {
    const { queue, free, served, join } = world();
    const all = ["1", "2", "3"].map(async (name) => await join(name, ["x"]));
    for (let turn = 0; turn < 3; turn++) {
      free.add("x");
      queue.serve();
    }
    expect(await Promise.all(all)).toEqual(["served", "served", "served"]);
    expect(served).toEqual(["1 x", "2 x", "3 x"]);
    expect(queue.length()).toBe(0);
  });

  test("lets nobody wait behind one who waits for something else", async () => {
    const { queue, free, served, join } = world();
    void join("1", ["x"]);
    const second = join("2", ["y"]);
    free.add("y");
    queue.serve();
    expect(await second).toBe("served");
    expect(served).toEqual(["2 y"]);
    expect(queue.length()).toBe(1);
  });

  test("turns away those for whom there is no room", async () => {
    const { queue, join } = world(1);
    void join("1", ["x"]);
    expect(await join("2", ["x"])).toBe("full");
    expect(queue.length()).toBe(1);
  });

  test("ends a wait in time, and a place that was left is free", async () => {
    const { queue, join, advance, pending } = world(1);
    const first = join("1", ["x"]);
    await advance(10_000);
    expect(await first).toBe("timeout");
    expect(queue.length()).toBe(0);
    expect(pending()).toBe(0);
  });

  test("is left at once by one who goes, and serves the next instead", async () => {
    const { queue, free, served, join, settle, pending } = world();
    const leaving = new AbortController();
    const first = join("1", ["x"], leaving.signal).then(String, String);
    const second = join("2", ["x"]);
    leaving.abort(new Error("gone"));
    expect(await first).toContain("gone");
    free.add("x");
    queue.serve();
    expect(await second).toBe("served");
    expect(served).toEqual(["2 x"]);
    await settle();
    expect(pending()).toBe(0);
  });

  test("gives what was taken to one who goes in the same moment, who can give it back", async () => {
    const { queue, free, join } = world();
    const leaving = new AbortController();
    const first = join("1", ["x"], leaving.signal);
    free.add("x");
    queue.serve();
    leaving.abort();
    expect(await first).toBe("served");
  });

  test("refuses one who has left already", async () => {
    const { queue, join } = world();
    const outcome = await join("1", ["x"], AbortSignal.abort(new Error("gone"))).then(
      String,
      String,
    );
    expect(outcome).toContain("gone");
    expect(queue.length()).toBe(0);
  });

  test("notices by itself what comes free with time", async () => {
    const { free, join, advance } = world();
    const first = join("1", ["x"]);
    await advance(2_500);
    free.add("x");
    await advance(1_000);
    expect(await first).toBe("served");
  });
});
