import { expect, test } from "bun:test";
import { listenForRedirect } from "../../src/cli/redirect.ts";

function listen(ports: number[]) {
  const listener = listenForRedirect(ports);
  if (listener === undefined) throw new Error("no port was free");
  return listener;
}

function portOf({ base }: { base: string }): number {
  return Number(new URL(base).port);
}

test("a port that is taken is passed over, and where all are there is no listener", async () => {
  const first = listen([0]);
  const second = listen([portOf(first), 0]);
  expect(portOf(second)).not.toBe(portOf(first));
  expect(listenForRedirect([portOf(first), portOf(second)])).toBeUndefined();
  await Promise.all([first.stop(), second.stop()]);
});

test("the browser that comes back gets a page, and the log-in its address", async () => {
  const listener = listen([0]);
  const came = listener.redirect("s1");
  const answer = await fetch(`${listener.base}/signin/callback?code=c&state=s1`);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain("close this page");
  expect((await came).searchParams.get("code")).toBe("c");
  await listener.stop();
});

test.each([
  "",
  "nonsense",
  "http://127.0.0.1:1/oauth/callback?state=s2&code=c",
  "http://x/?state=s1",
])("what is pasted has to be of this log-in, and %j is not", async (pasted) => {
  const listener = listen([0]);
  void listener.redirect("s1");
  expect(listener.take(pasted)).toBe(false);
  expect(listener.take("  http://127.0.0.1:9/oauth/callback?state=s1&error=no \n")).toBe(true);
  await listener.stop();
});

test("before a log-in has begun nothing counts", async () => {
  const listener = listen([0]);
  expect(listener.take(`${listener.base}/oauth/callback?code=c`)).toBe(false);
  expect((await fetch(`${listener.base}/oauth/callback?state=undefined`)).status).toBe(404);
  await listener.stop();
});
