import { expect, test } from "bun:test";
import { within } from "../../src/http/within.ts";
import { createTestRuntime } from "../support/runtime.ts";

test("what comes in time is given, and no timer is left", async () => {
  const { runtime, pending } = createTestRuntime();
  expect(await within(runtime, 100, Promise.resolve("here"))).toBe("here");
  expect(pending()).toBe(0);
});

test("what comes late is undefined", async () => {
  const { runtime, advance } = createTestRuntime();
  const late = within(runtime, 100, new Promise(() => {}));
  await advance(100);
  expect(await late).toBeUndefined();
});

test("what fails in time fails, and no timer is left", async () => {
  const { runtime, pending } = createTestRuntime();
  const failing = within(runtime, 100, Promise.reject(new Error("no")));
  expect(await failing.catch(String)).toBe("Error: no");
  expect(pending()).toBe(0);
});
