import { writeSync } from "node:fs";

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

/** Lines on their way out. */
export type Lines = {
  write: (line: string) => void;
  /** Lets out what waits. To be called at the end of the process. */
  flush: () => void;
};

/** Lets out the lines of one turn of the event loop together: under load a write for each would be a third of their cost. */
export function createLines(write: (text: string) => void): Lines {
  let waiting = "";
  const flush = (): void => {
    const text = waiting;
    waiting = "";
    if (text !== "") write(text);
  };
  return {
    write(line) {
      if (waiting === "") setImmediate(flush);
      waiting += line;
    },
    flush,
  };
}
