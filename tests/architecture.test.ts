import { describe, expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const LEAVES = [
  "result",
  "secret",
  "runtime",
  "version",
  "json-fault",
  "proxy",
  "socks",
  "address",
  "bounded-map",
  "stop-signal",
];

/** Which files may import a package; a path that ends with a slash stands for all below it. */
const PACKAGES: Record<string, string[]> = {
  "ai-tokenizer": ["tokens/"],
  hono: ["http/"],
  "jsonc-parser": ["cli/setup/json-settings.ts"],
  "prom-client": ["telemetry/"],
  zod: [
    "wire/",
    "kiro/events.ts",
    "credentials/",
    "auth/",
    "config/",
    "usage/",
    "http/admin",
    "capture/",
    "kiro/wire-profile.ts",
  ],
};

type Source = { path: string; room: string; text: string; imports: string[] };

const IMPORT = /\b(?:from|import)\s*\(?\s*"([^"\s]+)"/g;
const sources: Source[] = await Promise.all(
  [...new Bun.Glob("**/*.ts").scanSync(join(root, "src"))].toSorted().map(async (path) => {
    const text = await Bun.file(join(root, "src", path)).text();
    const imports = Array.from(text.matchAll(IMPORT), ([, target = ""]) => target);
    return { path, room: roomOf(path), text, imports };
  }),
);
const table = roomTable(await Bun.file(join(root, "docs/architecture.md")).text());

/** The folder directly below `src`, or the name of a file that stands there itself. */
function roomOf(path: string): string {
  return path.split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

function folderOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

/** The path of what a file imports, below `src`; undefined for a package. */
function resolved(from: string, target: string): string | undefined {
  return target.startsWith(".") ? join(from, "..", target) : undefined;
}

function roomTable(markdown: string): Map<string, string[]> {
  const rows = /<!-- rooms:start -->([^]*)<!-- rooms:end -->/.exec(markdown)?.[1] ?? "";
  const cells = rows.split("\n").map((row) => row.split("|").map((cell) => cell.trim()));
  return new Map(
    cells.flatMap(([, room = "", , allowed = ""]): [string, string[]][] => {
      const [name] = quoted(room);
      return name === undefined ? [] : [[name, quoted(allowed)]];
    }),
  );
}

function quoted(cell: string): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = ""]) => name);
}

/** Imports that a rule forbids, as `file → target`, so that a red test names the line to look for. */
function offences(forbidden: (source: Source, target: string) => boolean): string[] {
  return sources.flatMap((source) =>
    source.imports
      .filter((target) => forbidden(source, target))
      .map((target) => `${source.path} → ${target}`),
  );
}

function filesWith(pattern: RegExp, except: string[]): string[] {
  return sources
    .filter(({ path, text }) => !except.includes(path) && pattern.test(text))
    .map(({ path }) => path);
}

describe("the rooms", () => {
  test("the table in docs/architecture.md has every folder of src and no other", () => {
    const rooms = new Set(sources.filter(({ path }) => path.includes("/")).map(({ room }) => room));
    expect([...table.keys()].toSorted()).toEqual([...rooms].toSorted());
  });

  test("a room imports only from the rooms that the table allows it", () => {
    const found = offences(({ path, room }, target) => {
      const other = resolved(path, target);
      if (other === undefined) return false;
      const into = roomOf(other);
      const allowed = room === "main" ? ["cli"] : (table.get(room) ?? []);
      return ![room, ...LEAVES, ...allowed].includes(into);
    });
    expect(found).toEqual([]);
  });

  test("no import leaves src", () => {
    expect(
      offences(({ path }, target) => resolved(path, target)?.startsWith("..") === true),
    ).toEqual([]);
  });

  test("leaves import nothing of ours but leaves", () => {
    const found = offences(({ path, room }, target) => {
      const other = resolved(path, target);
      return LEAVES.includes(room) && other !== undefined && !LEAVES.includes(roomOf(other));
    });
    expect(found).toEqual([]);
  });

  test("no client protocol knows another", () => {
    const found = offences(({ path, room }, target) => {
      const other = resolved(path, target);
      // A file directly in the room is shared by all of its folders.
      const isFolder = other !== undefined && other.split("/").length > 2;
      return room === "wire" && isFolder && folderOf(other) !== folderOf(path);
    });
    expect(found).toEqual([]);
  });
});

describe("packages", () => {
  test("a package is imported only where untrusted data comes in, or where it is the room's business", () => {
    const found = offences(({ path }, target) => {
      if (/^(\.|node:|bun(:|$))/.test(target)) return false;
      const name = target
        .split("/")
        .slice(0, target.startsWith("@") ? 2 : 1)
        .join("/");
      return !(PACKAGES[name] ?? []).some((prefix) => path.startsWith(prefix));
    });
    expect(found).toEqual([]);
  });

  test("what is imported is what package.json depends on", async () => {
    const { dependencies } = await Bun.file(join(root, "package.json")).json();
    expect(Object.keys(dependencies).toSorted()).toEqual(Object.keys(PACKAGES).toSorted());
  });
});

describe("the world", () => {
  test("nobody but runtime reads the clock by a bare new Date()", () => {
    expect(filesWith(/\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)/, ["runtime.ts"])).toEqual([]);
  });

  test("nobody but main ends the process", () => {
    expect(filesWith(/\bprocess\.exit\b/, ["main.ts"])).toEqual([]);
  });
});

// Coverage counts only files that were loaded. `main.ts` is left out: to import it is to run the program.
test.each(sources.map(({ path }) => path).filter((path) => path !== "main.ts"))(
  "importing %s does nothing",
  async (path) => {
    await import(join(root, "src", path));
  },
);
