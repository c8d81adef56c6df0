import { Database } from "bun:sqlite";
import { constants } from "node:fs";
import {
  access,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** The few steps on a disk that a safe write is made of; tests stop between any two of them. Errors are Node's. */
export type Files = {
  read(path: string): Promise<string>;
  /** The file behind any symbolic links. */
  realPath(path: string): Promise<string>;
  /** Writes a new file of mode 0600 that is on the disk when this resolves; refuses one that exists. */
  create(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes a rename in the folder last. */
  syncFolder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** The names in a folder. */
  list(folder: string): Promise<string[]>;
  /** Makes a folder of mode 0700 where there is none. */
  makeFolder(path: string): Promise<void>;
  /** Fails where the file may not be written. */
  checkWritable(path: string): Promise<void>;
  /**
   * Takes the lock of that name, which no other process and nobody else in this one can have at the same time. Gives what
   * releases it, undefined while somebody has it. It ends with the process, whatever way that ends.
   */
  lock(path: string): Promise<(() => void) | undefined>;
};

export const diskFiles: Files = {
  read: async (path) => await readFile(path, "utf8"),
  realPath: async (path) => await realpath(path),
  async create(path, text) {
    const file = await open(path, "wx", 0o600);
    try {
      await giveToFolder(file, path);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename: async (from, to) => await rename(from, to),
  async syncFolder(path) {
    // Windows can't open a folder, and its rename needs no such thing.
    if (process.platform === "win32") return;
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  remove: async (path) => await rm(path, { force: true }),
  list: async (folder) => await readdir(folder),
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
  checkWritable: async (path) => await access(path, constants.W_OK),
  async lock(path) {
    // SQLite's lock on a database that stays empty: the system's own on every platform, so a crash can't leave it behind.
    const file = await open(path, "a", 0o600);
    await giveToFolder(file, path);
    await file.close();
    const database = new Database(path);
    try {
      database.run("PRAGMA busy_timeout = 0");
      database.run("BEGIN EXCLUSIVE");
    } catch (error) {
      database.close();
      if (errorCode(error) === "SQLITE_BUSY") return undefined;
      throw error;
    }
    return () => database.close();
  },
};

/**
 * What root makes belongs to whom the folder belongs to: a service with a user of its own must be able to read what
 * `sudo kiro-proxy login` has written.
 */
async function giveToFolder(file: FileHandle, path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(path));
  await file.chown(uid, gid);
}

/** Replaces the file, or makes it, in one step: a crash leaves the old one or the new one. Errors are Node's. */
export async function replaceFile(
  files: Files,
  target: string,
  text: string,
  draftId: string,
): Promise<void> {
  const folder = dirname(target);
  // The temporary file must be on the target's disk.
  const draft = join(folder, `.${basename(target)}.${draftId}.tmp`);
  try {
    await files.create(draft, text);
    await files.rename(draft, target);
  } catch (error) {
    // What failed is told; a left-over draft harms nobody.
    await Promise.allSettled([files.remove(draft)]);
    throw error;
  }
  await files.syncFolder(folder);
}

/** The system's code of an error, such as `EACCES`; an error without one is a bug and is thrown on. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  throw error;
}
