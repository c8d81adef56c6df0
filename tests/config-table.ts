/** Writes the table of config keys into its document: `bun run docs`. */
import { join } from "node:path";
import { renderConfigTable } from "../src/config/schema.ts";

const BETWEEN = /(?<=<!-- config:start -->\n)[^]*?(?=<!-- config:end -->)/;

export const document: string = join(import.meta.dir, "../docs/configuration.md");

/** Its text with the table between its markers replaced by the schema's. */
export function withConfigTable(text: string): string {
  if (!BETWEEN.test(text)) throw new Error("the document has lost its config markers");
  return text.replace(BETWEEN, () => `\n${renderConfigTable()}\n\n`);
}

if (import.meta.main) {
  await Bun.write(document, withConfigTable(await Bun.file(document).text()));
}
