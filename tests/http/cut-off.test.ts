import { expect, test } from "bun:test";
import { createCutOffs } from "../../src/http/cut-off.ts";

test.each(["client", "server"])("the %s ends a request", (name) => {
  const ends = { client: new AbortController(), server: new AbortController() };
  const { signal } = createCutOffs(ends.server.signal)(ends.client.signal);
  expect(signal.aborted).toBe(false);
  ends[name === "client" ? "client" : "server"].abort();
  expect(signal.aborted).toBe(true);
});

test("a request that comes when all is over is over", () => {
  const { signal } = createCutOffs(AbortSignal.abort())(new AbortController().signal);
  expect(signal.aborted).toBe(true);
});

test("a request that has ended is let go", () => {
  const server = new AbortController();
  const cutOff = createCutOffs(server.signal)(new AbortController().signal);
  cutOff.close();
  server.abort();
  expect(cutOff.signal.aborted).toBe(false);
});
