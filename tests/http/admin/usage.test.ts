import { expect, test } from "bun:test";
import { fail } from "../../../src/result.ts";
import { adminWorld, entry } from "./world.ts";

test("usage is added up by what is asked for, a last day counts as a whole", async () => {
  const { call, asked } = await adminWorld();
  const { body } = await call("GET", "/usage?by=model&from=2026-01-01&to=2026-01-31&user=u1");
  expect(body).toMatchObject({ by: "model", total: { requests: 1 }, rows: [{ key: "api-key" }] });
  await call("GET", "/usage?to=2026-01-31T12:00:00%2B02:00");
  expect(asked).toEqual([
    { by: "model", since: Date.UTC(2026, 0, 1), until: Date.UTC(2026, 1, 1), user: "u1" },
    { by: "user", until: Date.UTC(2026, 0, 31, 10) },
  ]);
});

test("requests come in pages, each with its attempts", async () => {
  const { call, asked } = await adminWorld();
  expect((await call("GET", "/requests")).body).toEqual({ entries: [entry], next: 7 });
  await call("GET", "/requests?limit=2&before=7");
  expect(asked).toEqual([{ limit: 50 }, { limit: 2, before: 7 }]);
});

test.each([
  ["/usage?by=week", 'by: Invalid option: expected one of "user"|"model"|"credential"|"day"'],
  ["/usage?from=2026-02-30", "from: must be a day"],
  ["/usage?from=1", "from: must be a day"],
  ["/usage?form=2026-01-01", 'query: has no "form"; known are by, from, to, user'],
  ["/usage?user=", "user: Too small"],
  ["/usage?__proto__=1", 'query: has no "__proto__"'],
  ["/requests?limit=0", "limit: must be a whole number from 1 to 500"],
  ["/requests?limit=1.5", "limit: must be a whole number"],
  ["/requests?limit=1&limit=2", "limit: must be a whole number"],
  ["/requests?before=x", "before: "],
])("%s is refused: %s", async (path, says) => {
  const { call, asked } = await adminWorld();
  const { status, body } = await call("GET", path);
  expect([status, body]).toEqual([400, { error: expect.stringContaining(says) }]);
  expect(asked).toEqual([]);
});

const broken = async () => fail({ code: "SQLITE_IOERR", message: "disk I/O error" });

test("a ledger that can't be read is no empty one", async () => {
  const ledger = { usage: broken, totals: broken, entries: broken };
  const { call } = await adminWorld([], { usage: { ledger } });
  for (const path of ["/usage", "/requests"]) {
    const { status, body } = await call("GET", path);
    expect([status, body]).toEqual([503, { error: expect.stringContaining("disk I/O error") }]);
  }
});
