import { expect, test } from "bun:test";
import { document, withConfigTable } from "./config-table.ts";

test("the table of config keys is as the schema says it: bun run docs", async () => {
  const text = await Bun.file(document).text();
  expect(text).toBe(withConfigTable(text));
  expect(text).toContain("| `apiKey` |");
});
