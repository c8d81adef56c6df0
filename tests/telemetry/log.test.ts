import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Secret } from "../../src/secret.ts";
import { createLog, type Log, type LogLevel } from "../../src/telemetry/log.ts";

const TIME = "2026-01-15T12:00:00.000Z";

function recorded(
  format: "json" | "text",
  level: LogLevel = "debug",
): { log: Log; lines: string[] } {
  const lines: string[] = [];
  return {
    log: createLog({
      level,
      format,
      write: (line) => lines.push(line),
      now: () => Date.parse(TIME),
    }),
    lines,
  };
}

describe("a line as JSON", () => {
  test("has time, level and event first, then the fields", () => {
    const { log, lines } = recorded("json");
    log.info("request", { status: 200, stream: true, model: "m", caller: null });
    expect(lines).toEqual([
      `{"time":"${TIME}","level":"info","event":"request","status":200,"stream":true,"model":"m","caller":null}\n`,
    ]);
  });

  test("leaves undefined fields out", () => {
    const { log, lines } = recorded("json");
    log.warn("x", { a: undefined, b: 1 });
    expect(JSON.parse(lines[0] ?? "")).toEqual({ time: TIME, level: "warn", event: "x", b: 1 });
  });

  test("is one line of JSON whatever the values are, and gives them back", () => {
    const values = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), values, (event, value) => {
        const { log, lines } = recorded("json");
        log.error(event, { value });
        const [line = ""] = lines;
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(JSON.parse(line)).toMatchObject({ event, value });
      }),
    );
  });
});

describe("a line as text", () => {
  test("reads well", () => {
    const { log, lines } = recorded("text");
    log.info("listening", { address: "http://127.0.0.1:13000/", keys: 2 });
    log.error("bug", { detail: 'he said "no"', empty: "" });
    expect(lines).toEqual([
      `${TIME} INFO  listening address=http://127.0.0.1:13000/ keys=2\n`,
      `${TIME} ERROR bug detail="he said \\"no\\"" empty=""\n`,
    ]);
  });

  test("a value can't pass for a field or a line of its own", () => {
    const { log, lines } = recorded("text");
    log.info("request", { model: "m level=ERROR\n2026 INFO fake", "a=b c": "x" });
    expect(lines).toEqual([
      `${TIME} INFO  request model="m level=ERROR\\n2026 INFO fake" "a=b c"=x\n`,
    ]);
  });
});

describe.each(["json", "text"] as const)("in %s", (format) => {
  test("a secret is never printed", () => {
    const { log, lines } = recorded(format);
    log.child({ key: new Secret("hunter2") }).info("x", { token: new Secret("hunter2") });
    expect(lines.join()).not.toContain("hunter2");
    expect(lines.join().match(/\[secret\]/g)).toHaveLength(2);
  });

  test("nothing that a terminal obeys gets through", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (name, value) => {
        const { log, lines } = recorded(format);
        log.info("x", { [`f${name}`]: value });
        expect(lines[0]?.slice(0, -1)).not.toMatch(
          /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u,
        );
      }),
      {
        examples: [
          ["", "\u009b31m\u202e"],
          ["\u001b[2J", "\r\n"],
        ],
      },
    );
  });

  test("a very long value is cut", () => {
    const { log, lines } = recorded(format);
    log.info("x", { model: "m".repeat(1_000_000) });
    expect(lines[0]?.length).toBeLessThan(4300);
  });

  test("lines below the level are not written, nor rendered", () => {
    const { log, lines } = recorded(format, "warn");
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
    expect(lines).toHaveLength(2);
  });

  test("a child adds its fields to every line, and the line's own win", () => {
    const { log, lines } = recorded(format);
    const child = log.child({ request: "req_1" }).child({ caller: "local" });
    child.info("x", { caller: "inline" });
    log.info("y");
    expect(lines[0]).toMatch(/req_1/);
    expect(lines[0]).toMatch(/inline/);
    expect(lines[0]).not.toMatch(/local/);
    expect(lines[1]).not.toMatch(/req_1/);
  });
});
