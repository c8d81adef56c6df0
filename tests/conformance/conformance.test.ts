import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Gateway, startGateway, stopGateways } from "../e2e/binary.ts";
import { startKiro } from "../emulator/kiro.ts";
import { REPORT, renderReport } from "./report.ts";
import { DEFAULT_MODEL, type Outcome, rules, scriptOf, tryRule } from "./suite.ts";

const kiro = startKiro();
const script = scriptOf(kiro);
/** The binary may have to be built first, and some rules wait for the gateway's heartbeats. */
const PATIENCE_MS = 120_000;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ kiro });
}, PATIENCE_MS);
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const PASSED: Outcome = { result: "passed" };

describe("the compiled binary, with the emulator behind it", () => {
  test.concurrent.each(rules.map((rule) => [rule.id, rule.title, rule] as const))(
    "%s: %s",
    async (_id, _title, rule) => {
      const target = { url: gateway.url, key: gateway.apiKey, model: DEFAULT_MODEL };
      expect(await tryRule(rule, target, script)).toEqual(PASSED);
    },
    PATIENCE_MS,
  );
});

test("every rule has a number of its own", () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
});

test("docs/conformance.md lists the rules as they are: bun run docs", async () => {
  expect(await Bun.file(REPORT).text()).toBe(renderReport());
});

describe("a gateway that is wrong", () => {
  /** Says yes to everything, in words of its own. */
  const stub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json({ answer: "yes" }),
  });
  afterAll(async () => await stub.stop(true));

  test("breaks most of the rules that need no scripted service, each with a reason", async () => {
    const target = { url: stub.url.origin, key: "any", model: DEFAULT_MODEL };
    const outcomes = await Promise.all(
      rules
        .filter(({ kind }) => kind === "black-box")
        .map(async (rule) => ({ id: rule.id, ...(await tryRule(rule, target)) })),
    );
    const failed = outcomes.filter(({ result }) => result === "failed");
    for (const id of ["A-07", "A-10", "A-13", "A-18", "A-25", "B-03", "B-04", "C-03", "D-01"]) {
      expect(failed).toContainEqual({
        id,
        result: "failed",
        why: expect.stringMatching(/expected|no events/),
      });
    }
  });

  test("is found out by the command as well: a table, a count, exit code 1", async () => {
    const table = await run(stub.url.origin, "any", "--only", "chat");
    expect(table.code).toBe(1);
    expect(table.stdout).toMatch(/^FAIL {2}B-03 {2}.+\n +id: expected text, got nothing$/m);
    expect(table.stdout).toMatch(/^skip {2}B-09/m);
    expect(table.stdout).not.toContain("A-01");
    expect(table.stdout).toMatch(/^\d+ passed, \d+ failed, \d+ skipped/m);

    const good = await run(gateway.url, gateway.apiKey, "--only", "responses", "--json");
    expect(good.code).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ failed: 0, rules: expect.any(Array) });

    expect(await run("not a url", "any")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("usage: "),
    });
    expect(await run(gateway.url, "any", "--only", "chatt")).toMatchObject({ code: 2 });
  });
});

async function run(...args: string[]) {
  const command = [process.execPath, `${import.meta.dir}/run.ts`, ...args];
  const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}
