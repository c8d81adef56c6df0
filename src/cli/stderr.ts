import { fstatSync, writeSync } from "node:fs";

const STDERR = 2;

/**
 * Writes to standard error. A file takes it at once; `process.stderr`, which takes 7 ms and 8 MB to load, is for all else,
 * because a write to a pipe that nobody reads would stop the whole program.
 */
export function writeToStderr(text: string): void {
  isFile ??= is("file");
  if (!isFile) {
    process.stderr.write(text);
    return;
  }
  try {
    writeSync(STDERR, text);
  } catch {
    // The disk is full: that must not end the gateway.
  }
}

let isFile: boolean | undefined;

/** Whether a person may be reading it. `node:tty` would take 3 ms to say so. */
export function isStderrTerminal(): boolean {
  return is("device");
}

function is(what: "file" | "device"): boolean {
  try {
    const stats = fstatSync(STDERR);
    return what === "file" ? stats.isFile() : stats.isCharacterDevice();
  } catch {
    // It is closed.
    return false;
  }
}
