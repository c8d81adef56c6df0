import { open, readFile, realpath, rename, rm } from "node:fs/promises";

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
};

export const diskFiles: Files = {
  read: async (path) => await readFile(path, "utf8"),
  realPath: async (path) => await realpath(path),
  async create(path, text) {
    const file = await open(path, "wx", 0o600);
    try {
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
};
