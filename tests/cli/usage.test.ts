import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArguments } from "../../src/cli/arguments.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { usage } from "../../src/cli/usage.ts";
import { realRuntime } from "../../src/runtime.ts";
import { createLedger } from "../../src/usage/ledger.ts";
import { account } from "../usage/accounts.ts";

const NOON = Date.UTC(2026, 0, 15, 12);
const DAY = 86_400_000;

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-usage-"));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

let config = "";
beforeEach(async () => {
  config = join(folder, crypto.randomUUID(), "config.json");
  await Bun.write(config, "{}");
  const ledger = createLedger({
    path: config.replace("config.json", "kiro-proxy.db"),
    retentionDays: 36_500,
    runtime: realRuntime(),
    log: { info: () => undefined, error: () => undefined },
  });
  ledger.record(account({ user: "u1", caller: "Ann", credits: 1 / 3 }));
  ledger.record(account({ at: NOON + DAY, user: "u2", caller: '=a "quoted", name', credits: 2 }));
  for (let n = 0; n < 1_100; n++) ledger.record(account({ at: NOON + 2 * DAY, credits: 0.25 }));
  await ledger.close();
});

async function run(words: string): Promise<{ code: number; out: string; err: string }> {
  const parsed = parseArguments(["usage", "-config", config, ...words.split(" ").filter(Boolean)]);
  if (!parsed.ok || parsed.value.type !== "usage") throw new Error(JSON.stringify(parsed));
  let out = "";
  let err = "";
  const terminal: Terminal = {
    env: {},
    home: folder,
    platform: "linux",
    print: (line) => void (out += `${line}\n`),
    complain: (line) => void (err += `${line}\n`),
    async *lines() {},
    hasBrowser: false,
    openBrowser: () => undefined,
    interrupted: new AbortController().signal,
  };
  return { code: await usage(parsed.value, terminal), out, err };
}

describe("usage", () => {
  test("is a table of days without more words", async () => {
    const { code, out } = await run("");
    expect(code).toBe(0);
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => line.split(/ +/)[0])).toEqual([
      "DAY",
      "2026-01-15",
      "2026-01-16",
      "2026-01-17",
    ]);
    expect(lines[1]).toContain("0.3333");
    expect(lines[3]).toContain("275");
  });

  test("as JSON, by user, of a time", async () => {
    const { out } = await run("-by user -format json -since 2026-01-15 -until 2026-01-16");
    expect(JSON.parse(out)).toMatchObject([
      { user: "u2", requests: 1, credits: 2 },
      { user: "u1", requests: 1 },
    ]);
    const before = await run("-format json -until 2026-01-15T12:00:00Z");
    expect(JSON.parse(before.out)).toEqual([]);
  });

  test("has every request, however many there are", async () => {
    const { out } = await run("-by request -format json");
    expect(JSON.parse(out)).toHaveLength(1_102);
  });

  test("as CSV quotes what must be, and has no formulas", async () => {
    const { out } = await run("-by request -format csv -user u2");
    const [head, row] = out.split("\n");
    expect(head).toStartWith("id,time,request_id,user_id,caller,credential,protocol,");
    expect(row).toContain(`,u2,"'=a ""quoted"", name",c1,messages,sonnet,`);
    expect(row).toEndWith('"[{""credential"":""c1"",""ms"":900}]"');
  });

  test("without a row says so", async () => {
    expect(await run("-user nobody")).toEqual({ code: 0, out: "", err: "No requests.\n" });
  });

  test("without a database says who makes it", async () => {
    await Bun.write(config, JSON.stringify({ databasePath: join(folder, "none.db") }));
    const { code, err } = await run("");
    expect(code).toBe(1);
    expect(err).toContain("none.db does not exist or can't be read");
  });
});

test.each([
  ["-by people", 'unknown value of -by "people"; try user, model, credential, day, request'],
  ["-format cvs", 'unknown format "cvs"; did you mean csv?'],
  [
    "-since yesterday",
    "-since: expected a day such as 2026-01-31 or a time such as 2026-01-31T12:00Z, got yesterday",
  ],
])("usage %s is refused", (words, message) => {
  expect(parseArguments(["usage", ...words.split(" ")])).toEqual({
    ok: false,
    failure: { message },
  });
});
