import { basename, dirname, join } from "node:path";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { type Credential, type CredentialContext, parseCredential } from "./credential.ts";
import { diskFiles, type Files } from "./files.ts";
import { jsonFault } from "../json-fault.ts";
import { type CredentialFault, isRecord, renewedRecord } from "./record.ts";
import type { CredentialStore, StoreFault } from "./store.ts";

/** A whole file: one record, or a list of them. */
type Content = { root: unknown; records: unknown[] };
type Entry = { index: number; credential: Credential };

/**
 * `credentials.json`: one object or an array of objects. Writes are done one at a time; each reads the file anew,
 * changes one record and replaces the file in one step, so that a crash leaves the old file or the new one. A file that
 * can't be understood is never written to.
 */
export function createJsonStore(deps: {
  path: string;
  context: CredentialContext;
  runtime: Pick<Runtime, "randomUUID">;
  files?: Files;
}): CredentialStore {
  const { path, context, runtime, files = diskFiles } = deps;
  let lastWrite: Promise<unknown> = Promise.resolve();

  const read = async (): Promise<Result<Content | undefined, StoreFault>> => {
    let text: string;
    try {
      text = await files.read(path);
    } catch (error) {
      return codeOf(error) === "ENOENT" ? ok(undefined) : fail(ioFault(path, error));
    }
    return contentOf(text, path);
  };

  const replaceFile = async (root: unknown): Promise<StoreFault | undefined> => {
    let draft: string | undefined;
    try {
      // The temporary file must be on the target's disk, and a link to the target must stay a link.
      const target = await files.realPath(path);
      const folder = dirname(target);
      draft = join(folder, `.${basename(target)}.${runtime.randomUUID()}.tmp`);
      await files.create(draft, `${JSON.stringify(root, null, 2)}\n`);
      await files.rename(draft, target);
      draft = undefined;
      await files.syncFolder(folder);
      return undefined;
    } catch (error) {
      // What failed is told; a left-over draft harms nobody.
      if (draft !== undefined) await files.remove(draft).catch(() => undefined);
      return ioFault(path, error);
    }
  };

  const put: CredentialStore["put"] = async (previous, renewal) => {
    const content = await read();
    if (!content.ok) return content;
    if (content.value === undefined) return fail({ kind: "gone" });
    const { root, records } = content.value;
    const { entries } = entriesOf(records, context);
    const entry =
      entries.find(({ credential }) => credential.id === previous.id) ??
      entries.find(({ credential }) => credential.version === previous.version);
    if (entry === undefined) return fail({ kind: "gone" });
    if (entry.credential.version !== previous.version) return fail({ kind: "conflict" });
    const record = renewedRecord(records[entry.index], renewal, previous.machineId);
    const parsed = parseCredential(record, context);
    if (!parsed.ok) throw new Error(`a renewed record is not readable: ${parsed.failure.path}`);
    const fault = await replaceFile(
      Array.isArray(root) ? records.with(entry.index, record) : record,
    );
    return fault === undefined
      ? ok({ ...parsed.value, id: previous.id, persistent: true })
      : fail(fault);
  };

  return {
    async list() {
      const content = await read();
      if (!content.ok) return content;
      if (content.value === undefined) return ok({ credentials: [], rejected: [], missing: true });
      const { entries, rejected } = entriesOf(content.value.records, context);
      const credentials = entries.map(({ credential }) => credential);
      return ok({ credentials, rejected, missing: false });
    },
    async put(previous, renewal) {
      const write = lastWrite.then(async () => await put(previous, renewal));
      lastWrite = write.catch(() => undefined);
      return await write;
    },
  };
}

function contentOf(text: string, file: string): Result<Content, StoreFault> {
  // Editors on Windows put a byte order mark first.
  const json = text.replace(/^\uFEFF/, "");
  let root: unknown;
  try {
    root = JSON.parse(json);
  } catch {
    return fail({ kind: "broken", file, ...jsonFault(json) });
  }
  if (Array.isArray(root)) return ok({ root, records: root });
  if (isRecord(root)) return ok({ root, records: [root] });
  const message = "must be one credential object or an array of them";
  return fail({ kind: "broken", file, line: 1, column: 1, message });
}

function entriesOf(
  records: unknown[],
  context: CredentialContext,
): { entries: Entry[]; rejected: CredentialFault[] } {
  const entries: Entry[] = [];
  const rejected: CredentialFault[] = [];
  const ids = new Set<string>();
  for (const [index, record] of records.entries()) {
    const parsed = parseCredential(record, context);
    if (!parsed.ok) {
      const { path, message } = parsed.failure;
      rejected.push({ path: `[${index}]${path === "" ? "" : `.${path}`}`, message });
      continue;
    }
    const id = unused(parsed.value.id, ids);
    ids.add(id);
    entries.push({ index, credential: { ...parsed.value, id, persistent: true } });
  }
  return { entries, rejected };
}

function unused(id: string, taken: ReadonlySet<string>): string {
  if (!taken.has(id)) return id;
  for (let number = 2; ; number++) {
    const candidate = `${id}-${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}

function ioFault(file: string, error: unknown): StoreFault {
  return { kind: "io", file, message: codeOf(error) };
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  throw error;
}
