import { copyFile, constants } from "node:fs/promises";
import { dirname } from "node:path";
import { readTextFile } from "../../config/load.ts";
import { diskFiles, errorCode, replaceFile } from "../../credentials/files.ts";
import { fail, ok, type Result } from "../../result.ts";
import type { Runtime } from "../../runtime.ts";
import { gatewayAddress, type GatewayOptions } from "../gateway-address.ts";
import { complain, type Terminal } from "../terminal.ts";
import { type ClientName, clients, type Settings, type Target } from "./clients.ts";
import { editJson, parseJsonSettings } from "./json-settings.ts";
import { editToml } from "./toml-settings.ts";

export type SetupOptions = GatewayOptions & {
  client: ClientName;
  /** Merges into the client's own settings; else they are printed. */
  write: boolean;
  model: string | undefined;
};

const MODEL = "claude-sonnet-4-5";

/** Tells a client to use the gateway, or says how to. Gives the exit code. */
export async function setup(
  options: SetupOptions,
  terminal: Terminal,
  runtime: Pick<Runtime, "now" | "randomUUID">,
): Promise<number> {
  const address = await gatewayAddress(options, terminal);
  if (!address.ok) return complain(terminal, ...address.failure);
  const target: Target = { ...address.value, model: options.model ?? MODEL };
  const client = clients[options.client];
  if (client.type === "by-hand") {
    if (options.write) {
      terminal.complain(`${options.client} has no settings that this program may write; by hand:`);
    }
    for (const line of client.lines(target)) terminal.print(line);
    return options.write ? 1 : 0;
  }
  const { path, text } = await currentSettings(client, terminal);
  if (!options.write) {
    const fresh = editSettings(client, "", target);
    if (!fresh.ok) return complain(terminal, `${path} ${fresh.failure}`);
    terminal.print(`In ${path} (-write merges it in):`);
    terminal.print("");
    terminal.print(fresh.value.trimEnd());
  } else {
    const written = text.ok ? await write(client, path, text.value, target, runtime) : text;
    if (!written.ok) {
      return complain(
        terminal,
        `${path} ${written.failure}; nothing was changed.`,
        `kiro-proxy setup ${options.client} prints what to put in by hand.`,
      );
    }
    terminal.print(written.value);
  }
  const after = client.after(target);
  if (after.length > 0) terminal.print("");
  for (const line of after) terminal.print(line);
  return 0;
}

/** Where the client's settings are, and their text; empty where there are none. */
async function currentSettings(
  client: Settings,
  terminal: Terminal,
): Promise<{ path: string; text: Result<string, string> }> {
  const [first = "", ...others] = client.paths(terminal);
  for (const path of [first, ...others]) {
    const read = await readTextFile(path);
    if (read.ok) return { path, text: ok(read.value.replace(/^\uFEFF/, "")) };
    if (read.failure.kind === "unreadable") {
      return { path, text: fail(`can't be read (${read.failure.reason})`) };
    }
  }
  return { path: first, text: ok("") };
}

function editSettings(client: Settings, text: string, target: Target): Result<string, string> {
  if (client.format === "toml") return editToml(text, client.edits(target, {}));
  const current = parseJsonSettings(text);
  return current.ok ? editJson(text, client.edits(target, current.value)) : current;
}

/** Merges into the file, with a copy of what was there beside it. Says what it did. */
async function write(
  client: Settings,
  path: string,
  text: string,
  target: Target,
  runtime: Pick<Runtime, "now" | "randomUUID">,
): Promise<Result<string, string>> {
  const next = editSettings(client, text, target);
  if (!next.ok) return next;
  if (next.value === text) return ok(`${path} says so already.`);
  try {
    await diskFiles.makeFolder(dirname(path));
    if (text === "") {
      await replaceFile(diskFiles, path, next.value, runtime.randomUUID());
      return ok(`Wrote ${path}.`);
    }
    // Settings that are a link to somewhere stay one.
    const file = await diskFiles.realPath(path);
    const stamp = new Date(runtime.now()).toISOString().replaceAll(/[:.]/g, "-");
    const backup = `${file}.${stamp}.bak`;
    await copyFile(file, backup, constants.COPYFILE_EXCL);
    await replaceFile(diskFiles, file, next.value, runtime.randomUUID());
    return ok(`Wrote ${path}; what was there before is in ${backup}.`);
  } catch (error) {
    return fail(`can't be written (${errorCode(error)})`);
  }
}
