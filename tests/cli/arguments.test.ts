import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { helpText, parseArguments } from "../../src/cli/arguments.ts";

const NONE = {
  config: undefined,
  credentials: undefined,
  host: undefined,
  port: undefined,
  logLevel: undefined,
};

function serve(flags: object = {}, demo = false) {
  return { ok: true, value: { type: "serve", flags: { ...NONE, ...flags }, demo } } as const;
}

function parse(line: string) {
  return parseArguments(line.split(" ").filter((word) => word !== ""));
}

function complaint(argv: string[]): string {
  const result = parseArguments(argv);
  return result.ok ? "none" : result.failure.message;
}

describe("serve", () => {
  test.each([
    ["", serve()],
    ["serve", serve()],
    ["-config a.json", serve({ config: "a.json" })],
    ["--config a.json", serve({ config: "a.json" })],
    ["-config=a.json", serve({ config: "a.json" })],
    ["--config=a=b.json", serve({ config: "a=b.json" })],
    ["-config a.json -credentials b.json", serve({ config: "a.json", credentials: "b.json" })],
    ["serve -port 8080 -host ::1", serve({ port: "8080", host: "::1" })],
    ["-port 8080 serve", serve({ port: "8080" })],
    ["-log-level debug", serve({ logLevel: "debug" })],
    ["-port 1 -port 2", serve({ port: "2" })],
    ["-credentials -odd-name", serve({ credentials: "-odd-name" })],
    ["--demo", serve({}, true)],
    ["-demo=true serve", serve({}, true)],
    ["--demo=false", serve()],
    ["-port 1 -- serve", serve({ port: "1" })],
  ])("%j", (line, command) => {
    expect(parse(line)).toEqual(command);
  });

  test("a path may have blanks in it", () => {
    expect(parseArguments(["-config", "/my files/a.json"])).toEqual(
      serve({ config: "/my files/a.json" }),
    );
  });
});

describe("the other commands", () => {
  test.each(["version", "-v", "--version", "serve -v", "-config x --version"])("%j", (line) => {
    expect(parse(line)).toEqual({ ok: true, value: { type: "version" } });
  });

  test.each(["help", "-h", "-help", "--help", "serve --help", "-port 1 -h"])("%j", (line) => {
    expect(parse(line)).toEqual({ ok: true, value: { type: "help" } });
  });
});

describe("what is wrong", () => {
  test.each([
    [["-confg", "x"], 'unknown flag "-confg"; did you mean -config?'],
    [["--Port", "1"], 'unknown flag "-Port"; did you mean -port?'],
    [["-zzzzzz"], 'unknown flag "-zzzzzz"; try kiro-proxy help'],
    [["sevre"], 'unknown command "sevre"; did you mean serve?'],
    [["dance"], 'unknown command "dance"; try kiro-proxy help'],
    [["constructor"], 'unknown command "constructor"; try kiro-proxy help'],
    [["-constructor"], 'unknown flag "-constructor"; try kiro-proxy help'],
    [["-port"], "-port needs a value: -port NUMBER"],
    [["-config="], "-config needs a value: -config PATH"],
    [["--demo=yes"], '-demo takes true or false, got "yes"'],
    [["serve", "again"], 'unexpected argument "again"'],
    [["version", "-port", "1"], "version has no flag -port"],
    [["-"], 'unknown command "-"; try kiro-proxy help'],
    [["---port", "1"], 'unknown command "---port"; try kiro-proxy help'],
  ])("%j", (argv, message) => {
    expect(complaint(argv)).toBe(message);
  });

  test("no arguments make it throw, and a complaint is one line", () => {
    const words = fc.oneof(
      fc.string(),
      fc.constantFrom(
        "-config",
        "--port=",
        "serve",
        "--",
        "-demo",
        "-h",
        "__proto__",
        "-__proto__",
      ),
    );
    fc.assert(
      fc.property(fc.array(words), (argv) => {
        expect(complaint(argv)).not.toContain("\n");
      }),
    );
  });
});

describe("helpText", () => {
  test("fits a screen of 80 by 24", () => {
    const lines = helpText().trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("names every command and flag, and has examples", () => {
    for (const word of [
      "serve",
      "version",
      "help",
      "-config PATH",
      "-credentials PATH",
      "-host",
      "-port",
      "-log-level",
      "-demo",
      "Examples:",
    ]) {
      expect(helpText()).toContain(word);
    }
  });
});
