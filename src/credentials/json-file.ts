import { basename, dirname, join } from "node:path";
import { jsonFault } from "../json-fault.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { parseExactly } from "./exact-json.ts";
import { errorCode, type Files, replaceFile } from "./files.ts";
import { isRecord, type JsonRecord } from "./record.ts";
import type { StoreFault } from "./store.ts";

/** A file with one JSON value. */
export type JsonDocument<Root> = {
  /** Undefined if there is no file. */
  read(): Promise<Result<Root | undefined, StoreFault>>;
  /**
   * Reads the file, has `change` say what becomes of it (without `root` nothing is written) and replaces it in one step.
   * Nobody else who does the same, in whatever process, comes between. A file that can't be understood is never written
   * to.
   */
  change<T, F>(
    change: (root: Root | undefined) => Promise<Result<{ root?: Root; value: T }, F>>,
  ): Promise<Result<T, F | StoreFault>>;
};

/** What a change makes of the records; without `records` nothing is written. */
export type Changed<T> = { records?: readonly unknown[]; value: T };

/** A file with one JSON object, or an array of them; a missing file counts as an empty list. */
export type JsonFile = {
  /** Undefined if there is no file. */
  read(): Promise<Result<readonly unknown[] | undefined, StoreFault>>;
  change<T, F>(
    change: (records: readonly unknown[]) => Promise<Result<Changed<T>, F>>,
  ): Promise<Result<T, F | StoreFault>>;
};

const LOCK_RETRY_MS = 20;
/** Others hold the lock for as long as a file takes to write. */
const LOCK_LIMIT_MS = 10_000;

type FileDeps = {
  path: string;
  runtime: Pick<Runtime, "randomUUID" | "sleep">;
  files: Files;
};

/** @param shape.expected ends the sentence that refuses a value which `accepts` does not */
export function createJsonDocument<Root>(
  deps: FileDeps,
  shape: { accepts(root: unknown): root is Root; expected: string },
): JsonDocument<Root> {
  const { path, runtime, files } = deps;
  let last: Promise<unknown> = Promise.resolve();

  const read = async (): Promise<Result<Root | undefined, StoreFault>> => {
    let text: string;
    try {
      text = await files.read(path);
    } catch (error) {
      return errorCode(error) === "ENOENT" ? ok(undefined) : fail(ioFault(path, error));
    }
    const root = parseJsonText(text, path);
    if (!root.ok) return root;
    if (shape.accepts(root.value)) return ok(root.value);
    return fail({ kind: "broken", file: path, line: 1, column: 1, message: shape.expected });
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

  const changeNow: JsonDocument<Root>["change"] = async (change) => {
    let release: (() => void) | undefined;
    try {
      const target = await targetOf();
      release = await lock(target);
      const before = await read();
      if (!before.ok) return before;
      const changed = await change(before.value);
      if (!changed.ok) return changed;
      const { root, value } = changed.value;
      if (root !== undefined) {
        const text = `${JSON.stringify(root, null, 2)}\n`;
        await replaceFile(files, target, text, runtime.randomUUID());
      }
      return ok(value);
    } catch (error) {
      return fail(ioFault(path, error));
    } finally {
      release?.();
    }
  };

  return {
    read,
    async change(change) {
      const turn = last.then(async () => await changeNow(change));
      last = Promise.allSettled([turn]);
      return await turn;
    },
  };
}

export function createJsonFile(deps: FileDeps): JsonFile {
  const file = createJsonDocument(deps, {
    accepts: isOneOrMany,
    expected: "must be one credential object or an array of them",
  });
  return {
    async read() {
      const root = await file.read();
      return root.ok ? ok(root.value && recordsOf(root.value)) : root;
    },
    async change(change) {
      return await file.change(async (root) => {
        const records = root === undefined ? [] : recordsOf(root);
        const changed = await change(records);
        if (!changed.ok) return changed;
        const { records: next, value } = changed.value;
        const [only] = next ?? [];
        const single = isRecord(root) && next?.length === 1 && isRecord(only);
        return ok({ ...(next && { root: single ? only : next }), value });
      });
    },
  };
}

type OneOrMany = JsonRecord | readonly unknown[];

function isOneOrMany(root: unknown): root is OneOrMany {
  return Array.isArray(root) || isRecord(root);
}

function recordsOf(root: OneOrMany): readonly unknown[] {
  return isRecord(root) ? [root] : root;
}

/** What the text of `file` holds, as a value or as the place where it is no JSON. */
export function parseJsonText(text: string, file: string): Result<unknown, StoreFault> {
  // Editors on Windows put a byte order mark first.
  const json = text.replace(/^\uFEFF/, "");
  try {
    return ok(parseExactly(json));
  } catch {
    return fail({ kind: "broken", file, ...jsonFault(json) });
  }
}

function ioFault(file: string, error: unknown): StoreFault {
  return { kind: "io", file, message: errorCode(error) };
}
