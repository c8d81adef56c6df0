import { stat } from "node:fs/promises";
import type { Runtime } from "../runtime.ts";
import { errorCode } from "./files.ts";

const EVERY_MS = 2_000;

/**
 * Has what somebody writes into files taken over within seconds, until the signal aborts. Asked for in
 * turns, because the system's own notices do not come from network drives and mounted single files, and end when an
 * editor puts a new file in the place of the old one.
 */
export async function watchFiles(
  deps: {
    paths: readonly string[];
    reload: () => Promise<unknown>;
    runtime: Pick<Runtime, "sleep">;
    stamp?: (path: string) => Promise<string>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { paths, reload, runtime, stamp = fileStamp } = deps;
  const look = async (): Promise<string> => (await Promise.all(paths.map(stamp))).join(" ");
  try {
    let seen = await look();
    // What was written between the last reading and this first look would never be noticed.
    await reload();
    for (;;) {
      await runtime.sleep(EVERY_MS, signal);
      const now = await look();
      if (now === seen) continue;
      seen = now;
      await reload();
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}

/** Changes with every write. A file that is not there has one as well, and so has one that can't be looked at. */
async function fileStamp(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch (error) {
    return errorCode(error);
  }
}
