import { expect, test } from "bun:test";
import { cutOffBy } from "../../src/http/cut-off.ts";

test.each(["client", "server"])("the %s ends a request", (name) => {
  const ends = { client: new AbortController(), server: new AbortController() };
  const { signal } = cutOffBy(ends.client.signal, ends.server.signal);
  expect(signal.aborted).toBe(false);
  ends[name === "client" ? "client" : "server"].abort();
  expect(signal.aborted).toBe(true);
});

test("a request that comes when all is over is over", () => {
  const { signal } = cutOffBy(new AbortController().signal, AbortSignal.abort());
  expect(signal.aborted).toBe(true);
});

test("a request that has ended is let go", () => {
  const server = new AbortController();
  const cutOff = cutOffBy(new AbortController().signal, server.signal);
  cutOff.close();
  server.abort();
  expect(cutOff.signal.aborted).toBe(false);
});
