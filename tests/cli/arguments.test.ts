import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { commands } from "../../src/cli/commands.ts";
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

  test.each(["help", "-h", "-help", "--help", "-port 1 -h"])("%j", (line) => {
    expect(parse(line)).toEqual({ ok: true, value: { type: "help" } });
  });

  test.each(["help login", "login --help", "login -social google -h", "-h login", "help -- login"])(
    "%j is about login",
    (line) => {
      const help = { ok: true, value: { type: "help" } } as const;
      const about = { ok: true, value: { type: "help", command: "login" } } as const;
      // Behind the flag nothing is read any more.
      expect(parse(line)).toEqual(line === "-h login" ? help : about);
    },
  );

  const files = { config: undefined, credentials: undefined };

  test.each([
    { line: "login", more: {} },
    { line: "login -social google", more: { social: "google" } },
    {
      line: "login -idc -start-url https://c.example/start -region eu-west-1 -profile arn:x -id a",
      more: {
        idc: true,
        startUrl: "https://c.example/start",
        region: "eu-west-1",
        profileArn: "arn:x",
        id: "a",
      },
    },
    { line: "login --browser", more: { browser: true } },
    { line: "login --browser=false", more: { browser: false } },
    {
      line: "-credentials c.json login",
      more: { flags: { config: undefined, credentials: "c.json" } },
    },
  ])("$line", ({ line, more }) => {
    const none = {
      flags: files,
      social: undefined,
      idc: false,
      startUrl: undefined,
      region: undefined,
      profileArn: undefined,
      id: undefined,
      browser: undefined,
    };
    expect(parse(line)).toEqual({ ok: true, value: { type: "login", ...none, ...more } });
  });

  test.each([
    { line: "import", more: {} },
    { line: "import a.json --dry-run", more: { file: "a.json", dryRun: true } },
    { line: "import --kiro-ide --link", more: { kiroIde: true, link: true } },
    { line: "import -kiro-cli data.sqlite3", more: { kiroCli: true, file: "data.sqlite3" } },
  ])("$line", ({ line, more }) => {
    const none = { file: undefined, kiroIde: false, kiroCli: false, link: false, dryRun: false };
    expect(parse(line)).toEqual({
      ok: true,
      value: { type: "import", flags: files, ...none, ...more },
    });
  });

  test.each([
    { line: "credentials", action: { type: "list" }, json: false },
    { line: "credentials list --json", action: { type: "list" }, json: true },
    { line: "credentials show a", action: { type: "show", id: "a" }, json: false },
    { line: "credentials test", action: { type: "test", id: undefined }, json: false },
    { line: "credentials quota a -json", action: { type: "quota", id: "a" }, json: true },
    { line: "credentials enable a", action: { type: "enable", id: "a" }, json: false },
    { line: "credentials disable a", action: { type: "disable", id: "a" }, json: false },
    { line: "credentials remove -- -a", action: { type: "remove", id: "-a" }, json: false },
  ])("$line", ({ line, action, json }) => {
    expect(parse(line)).toEqual({
      ok: true,
      value: { type: "credentials", flags: files, action, json },
    });
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
    [["login", "again"], 'unexpected argument "again"'],
    [["import", "a", "b"], 'unexpected argument "b"'],
    [["import", "-demo"], "import has no flag -demo"],
    [["help", "logn"], 'unknown command "logn"; did you mean login?'],
    [["help", "login", "b"], 'unexpected argument "b"'],
    [["credentials", "lits"], 'unknown action "lits"; did you mean list?'],
    [["credentials", "list", "a"], 'unexpected argument "a"'],
    [["credentials", "show", "a", "b"], 'unexpected argument "b"'],
    [
      ["credentials", "remove"],
      "credentials remove needs an id: kiro-proxy credentials list shows them",
    ],
    [["setup"], /setup needs a client: claude-code, codex, /],
    [["setup", "claude"], /unknown client "claude"; try claude-code, codex, /],
    [["setup", "codx"], 'unknown client "codx"; did you mean codex?'],
    [["setup", "codex", "cursor"], 'unexpected argument "cursor"'],
    [["completions"], "completions needs a shell: bash, zsh, fish"],
    [["completions", "bsh"], 'unknown shell "bsh"; did you mean bash?'],
    [["env", "-shell", "tcsh"], /unknown shell "tcsh"/],
    [["doctor", "-demo"], "doctor has no flag -demo"],
    [["init", "-credentials", "x"], "init has no flag -credentials"],
    [["-"], 'unknown command "-"; try kiro-proxy help'],
    [["---port", "1"], 'unknown command "---port"; try kiro-proxy help'],
  ])("%j", (argv, message) => {
    if (message instanceof RegExp) expect(complaint(argv)).toMatch(message);
    else expect(complaint(argv)).toBe(message);
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
  test.each([undefined, ...Object.keys(commands)])("fits a screen of 80 by 24 (%s)", (command) => {
    const lines = helpText(command).trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("on one command has its flags and examples", () => {
    for (const word of ["-social NAME", "-start-url URL", "Examples:", "kiro-proxy login"]) {
      expect(helpText("login")).toContain(word);
    }
  });

  test("names every command, says how to see the flags, and has examples", () => {
    for (const word of [...Object.keys(commands), "help COMMAND", "-port", "Examples:"]) {
      expect(helpText()).toContain(word);
    }
  });
});
