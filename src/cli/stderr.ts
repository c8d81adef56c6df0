import { fstatSync, writeSync } from "node:fs";

const STDERR = 2;
/** How often a pipe that is full is tried again, a millisecond apart. */
const TRIES = 100;

/** Writes to standard error at once. `process.stderr` would take 7 ms and 8 MB to load, and does no more for pipes and files. */
export function writeToStderr(text: string): void {
  let left = Buffer.from(text);
  for (let tries = 0; left.length > 0 && tries < TRIES;) {
    try {
      left = left.subarray(writeSync(STDERR, left));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      // Nobody reads it any more, or the disk is full: that must not end the gateway.
      if (code !== "EAGAIN") return;
      tries += 1;
      Bun.sleepSync(1);
    }
  }
}

/** Whether a person may be reading it. `node:tty` would take 3 ms to say so of a terminal alone. */
export function isStderrTerminal(): boolean {
  try {
    return fstatSync(STDERR).isCharacterDevice();
  } catch {
    // It is closed.
    return false;
  }
}
