import { dirname, join } from "node:path";
import { configDirectory, describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import { diskFiles, errorCode } from "../credentials/files.ts";
import { ok } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { localUrl } from "./gateway-address.ts";
import { complain, type Terminal } from "./terminal.ts";

export type InitOptions = {
  config: string | undefined;
  /** Reachable from other machines. */
  server: boolean;
  host: string | undefined;
  port: string | undefined;
};

/** Writes a first configuration and shows its keys, once. A file that is there stays as it is. Gives the exit code. */
export async function init(
  options: InitOptions,
  terminal: Terminal,
  runtime: Pick<Runtime, "randomUUID">,
): Promise<number> {
  const { home, platform } = terminal;
  const directory = await configDirectory({ home, platform, readFile: readTextFile });
  const path = options.config ?? join(directory, "config.json");
  const keys = {
    apiKey: newKey(runtime),
    ...(options.server && { adminApiKey: newKey(runtime) }),
  };
  const written = {
    host: options.host ?? (options.server ? "0.0.0.0" : "127.0.0.1"),
    port: /^\d+$/.test(options.port ?? "") ? Number(options.port) : (options.port ?? 13_000),
    ...keys,
  };
  const text = `${JSON.stringify(written, null, 2)}\n`;
  const readFile = async () => await Promise.resolve(ok(text));
  const checked = await loadConfig({ flags: { config: path }, env: {}, home, platform, readFile });
  if (!checked.ok) return complain(terminal, ...checked.failure.map(describeProblem));
  try {
    await diskFiles.makeFolder(dirname(path));
    await diskFiles.create(path, text);
  } catch (error) {
    const code = errorCode(error);
    return code === "EEXIST"
      ? complain(terminal, `${path} is there already; nothing was changed.`)
      : complain(terminal, `${path} can't be written: ${code}`);
  }
  const files = options.config === undefined ? "" : ` -config ${path}`;
  terminal.print(`Wrote ${path}; only its owner can read it.`);
  terminal.print("");
  terminal.print("Keys, shown this once (they stay in that file):");
  for (const [name, key] of Object.entries(keys)) terminal.print(`  ${name.padEnd(12)} ${key}`);
  terminal.print("");
  terminal.print("Next:");
  terminal.print(`  kiro-proxy login${files}    or import, for an account of Kiro`);
  terminal.print(`  kiro-proxy${files}          serves on ${localUrl(checked.value.config)}`);
  terminal.print(`  kiro-proxy setup claude-code -write${files}    or another client`);
  return 0;
}

/** 244 random bits. */
function newKey(runtime: Pick<Runtime, "randomUUID">): string {
  return `sk-kiro-${runtime.randomUUID()}${runtime.randomUUID()}`.replaceAll(/(?<=kiro-.*)-/g, "");
}
