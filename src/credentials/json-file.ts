import { basename, dirname, join } from "node:path";
import { jsonFault } from "../json-fault.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { errorCode, type Files, replaceFile } from "./files.ts";
import { isRecord } from "./record.ts";
import type { StoreFault } from "./store.ts";

/** What a change makes of the records; without `records` nothing is written. */
export type Changed<T> = { records?: readonly unknown[]; value: T };

/** A file with one JSON object, or an array of them. */
export type JsonFile = {
  /** Undefined if there is no file. */
  read(): Promise<Result<unknown[] | undefined, StoreFault>>;
  /**
   * Reads the file, has `change` say what becomes of it and replaces it in one step; a missing file counts as an empty
   * list. Nobody else who does the same, in whatever process, comes between. A file that can't be understood is never
   * written to.
   */
  change<T, F>(
    change: (records: readonly unknown[]) => Promise<Result<Changed<T>, F>>,
  ): Promise<Result<T, F | StoreFault>>;
};

type Content = { single: boolean; records: unknown[] };

const LOCK_RETRY_MS = 20;
/** Others hold the lock for as long as a file takes to write. */
const LOCK_LIMIT_MS = 10_000;

export function createJsonFile(deps: {
  path: string;
  runtime: Pick<Runtime, "randomUUID" | "sleep">;
  files: Files;
}): JsonFile {
  const { path, runtime, files } = deps;
  let last: Promise<unknown> = Promise.resolve();

  const read = async (): Promise<Result<Content | undefined, StoreFault>> => {
    let text: string;
    try {
      text = await files.read(path);
    } catch (error) {
      return errorCode(error) === "ENOENT" ? ok(undefined) : fail(ioFault(path, error));
    }
    return contentOf(text, path);
  };

  /** A link to the file must stay a link, and lead to the same lock. */
  const targetOf = async (): Promise<string> => {
    try {
      return await files.realPath(path);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      await files.makeFolder(dirname(path));
      return path;
    }
  };

  const lock = async (target: string): Promise<() => void> => {
    const name = join(dirname(target), `.${basename(target)}.lock`);
    for (let waitedMs = 0; ; waitedMs += LOCK_RETRY_MS) {
      const release = await files.lock(name);
      if (release !== undefined) return release;
      if (waitedMs >= LOCK_LIMIT_MS) {
        throw Object.assign(new Error("the lock is held"), { code: "ELOCKED" });
      }
      await runtime.sleep(LOCK_RETRY_MS);
    }
  };

  const changeNow: JsonFile["change"] = async (change) => {
    let release: (() => void) | undefined;
    try {
      const target = await targetOf();
      release = await lock(target);
      const content = await read();
      if (!content.ok) return content;
      const { single, records } = content.value ?? { single: false, records: [] };
      const changed = await change(records);
      if (!changed.ok) return changed;
      const next = changed.value.records;
      if (next !== undefined) {
        const root = single && next.length === 1 ? next[0] : next;
        const text = `${JSON.stringify(root, null, 2)}\n`;
        await replaceFile(files, target, text, runtime.randomUUID());
      }
      return ok(changed.value.value);
    } catch (error) {
      return fail(ioFault(path, error));
    } finally {
      release?.();
    }
  };

  return {
    async read() {
      const content = await read();
      return content.ok ? ok(content.value?.records) : content;
    },
    async change(change) {
      const turn = last.then(async () => await changeNow(change));
      last = Promise.allSettled([turn]);
      return await turn;
    },
  };
}

/** What the text of `file` holds, as a value or as the place where it is no JSON. */
export function parseJsonText(text: string, file: string): Result<unknown, StoreFault> {
  // Editors on Windows put a byte order mark first.
  const json = text.replace(/^\uFEFF/, "");
  try {
    return ok(JSON.parse(json));
  } catch {
    return fail({ kind: "broken", file, ...jsonFault(json) });
  }
}

function contentOf(text: string, file: string): Result<Content, StoreFault> {
  const root = parseJsonText(text, file);
  if (!root.ok) return root;
  if (Array.isArray(root.value)) return ok({ single: false, records: root.value });
  if (isRecord(root.value)) return ok({ single: true, records: [root.value] });
  const message = "must be one credential object or an array of them";
  return fail({ kind: "broken", file, line: 1, column: 1, message });
}

function ioFault(file: string, error: unknown): StoreFault {
  return { kind: "io", file, message: errorCode(error) };
}
