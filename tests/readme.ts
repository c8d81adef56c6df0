/** Writes the table of config keys into the READMEs: `bun run docs`. */
import { join } from "node:path";
import { renderConfigTable } from "../src/config/schema.ts";

const BETWEEN = /(?<=<!-- config:start -->\n)[^]*?(?=<!-- config:end -->)/;

export const readmes: string[] = ["README.md", "README.zh-CN.md"].map((name) =>
  join(import.meta.dir, "..", name),
);

/** The README with the table between its markers replaced by the schema's. */
export function withConfigTable(readme: string): string {
  if (!BETWEEN.test(readme)) throw new Error("the README has lost its config markers");
  return readme.replace(BETWEEN, () => `\n${renderConfigTable()}\n\n`);
}

if (import.meta.main) {
  for (const path of readmes) await Bun.write(path, withConfigTable(await Bun.file(path).text()));
}
