/** Lines on their way out. */
export type Lines = {
  write: (line: string) => void;
  /** Lets out what waits. To be called at the end of the process. */
  flush: () => void;
};

/** Lets out the lines of one turn of the event loop together: under load, one write for several of them. */
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
