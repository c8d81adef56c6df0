import { expect, test } from "bun:test";
import { Stop } from "../src/stop-signal.ts";

test("whoever listens when it aborts hears of it, once", () => {
  const stop = new Stop();
  const heard: string[] = [];
  const gone = (): void => void heard.push("gone");
  stop.addEventListener("abort", () => {
    heard.push(`first, aborted ${stop.aborted}`);
    stop.abort();
  });
  stop.addEventListener("abort", gone);
  stop.addEventListener("abort", () => heard.push("last"));
  stop.removeEventListener("abort", gone);
  stop.removeEventListener("abort", gone);
  stop.abort();
  stop.abort();
  expect(heard).toEqual(["first, aborted true", "last"]);
});
