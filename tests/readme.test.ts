import { expect, test } from "bun:test";
import { readmes, withConfigTable } from "./readme.ts";

test.each(readmes)(
  "%s has the table of config keys as the schema says it: bun run docs",
  async (path) => {
    const readme = await Bun.file(path).text();
    expect(readme).toBe(withConfigTable(readme));
    expect(readme).toContain("| `apiKey` |");
  },
);
