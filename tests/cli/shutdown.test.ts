import { expect, test } from "bun:test";
import { shutdown } from "../../src/cli/shutdown.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createTestRuntime } from "../support/runtime.ts";

/** A server with one answer that runs until it is told to end; what happens to it, in order. */
function world(options: { lingerMs?: number; obedient?: boolean } = {}) {
  const { runtime, advance, settle, pending } = createTestRuntime();
  const happened: string[] = [];
  const answered = Promise.withResolvers<void>();
  const done = shutdown({
    listener: {
      running: () => 1,
      async stop(cutOff) {
        happened.push(cutOff === true ? "cut" : "close");
        if (cutOff === true) answered.resolve();
        await answered.promise;
      },
    },
    stopping: () => void happened.push("stopping"),
    cutOff() {
      happened.push("last words");
      if (options.obedient === true) answered.resolve();
    },
    lingerMs: options.lingerMs ?? 0,
    graceMs: 30_000,
    runtime,
    log: createLog({ level: "error", format: "json", write: () => undefined, now: () => 0 }),
  });
  return { happened, answered, done, advance, settle, pending };
}

test("the end waits for the answers, and no longer", async () => {
  const { happened, answered, done, settle } = world();
  process.emit("SIGTERM", "SIGTERM");
  await settle();
  expect(happened).toEqual(["stopping", "close"]);
  answered.resolve();
  await done;
  expect(happened).toEqual(["stopping", "close"]);
});

test("answers that take too long are told to end, and are cut when they do not", async () => {
  const { happened, done, advance } = world();
  process.emit("SIGTERM", "SIGTERM");
  await advance(30_000);
  expect(happened).toEqual(["stopping", "close", "last words"]);
  await advance(2_000);
  await done;
  expect(happened).toEqual(["stopping", "close", "last words", "cut"]);
});

test("a second signal waits for nothing", async () => {
  const { happened, done, settle } = world({ lingerMs: 2_000 });
  process.emit("SIGTERM", "SIGTERM");
  await settle();
  expect(happened).toEqual(["stopping"]);
  process.emit("SIGINT", "SIGINT");
  await done;
  expect(happened).toEqual(["stopping", "close", "last words", "cut"]);
});

test("a port that is taken over stays open for a moment", async () => {
  const { happened, answered, done, advance } = world({ lingerMs: 2_000 });
  process.emit("SIGTERM", "SIGTERM");
  await advance(1_999);
  expect(happened).toEqual(["stopping"]);
  await advance(1);
  expect(happened).toEqual(["stopping", "close"]);
  answered.resolve();
  await done;
});
