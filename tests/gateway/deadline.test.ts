import { describe, expect, test } from "bun:test";
import { startDeadline } from "../../src/gateway/deadline.ts";
import { createTestRuntime } from "../support/runtime.ts";

describe("a deadline", () => {
  test("ends when the time is up", async () => {
    const { runtime, advance } = createTestRuntime();
    const deadline = startDeadline(runtime, 100, new AbortController().signal);
    await advance(99);
    expect([deadline.signal.aborted, deadline.leftMs()]).toEqual([false, 1]);
    await advance(51);
    expect([deadline.signal.aborted, deadline.leftMs()]).toEqual([true, 0]);
  });

  test("ends when the client leaves, also one who has left already", () => {
    const { runtime } = createTestRuntime();
    const client = new AbortController();
    const { signal } = startDeadline(runtime, 100, client.signal);
    client.abort();
    expect(signal.aborted).toBe(true);
    expect(startDeadline(runtime, 100, client.signal).signal.aborted).toBe(true);
  });

  test("leaves nothing behind when it is closed", async () => {
    const { runtime, pending, advance } = createTestRuntime();
    const client = new AbortController();
    const deadline = startDeadline(runtime, 100, client.signal);
    const { signal } = deadline;
    expect(pending()).toBe(1);
    deadline.close();
    expect(pending()).toBe(0);
    client.abort();
    await advance(200);
    expect(signal.aborted).toBe(false);
  });

  test("that is over when it is first asked for has aborted", async () => {
    const { runtime, advance } = createTestRuntime();
    const deadline = startDeadline(runtime, 100, new AbortController().signal);
    await advance(100);
    expect(deadline.signal.aborted).toBe(true);
    deadline.close();
  });

  test("that nobody waits for watches nothing", () => {
    const { runtime, pending } = createTestRuntime();
    const deadline = startDeadline(runtime, 100, new AbortController().signal);
    expect([pending(), deadline.leftMs()]).toEqual([0, 100]);
    deadline.close();
  });
});
