import { dirname, join } from "node:path";
import { z } from "zod";
import { jsonFault } from "../json-fault.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { diskFiles, errorCode, type Files, replaceFile } from "./files.ts";
import type { AccountState } from "./state.ts";
import type { StoreFault } from "./store.ts";

/** A state with the version of the log-in that it was found with. */
export type SavedState = Exclude<AccountState, { type: "ready" }> & { login: string };
export type SavedStates = ReadonlyMap<string, SavedState>;

/** Whose states they are. */
export type StatesOwner = {
  /** What is to be kept, by credential id. */
  snapshot(): SavedStates;
  /** Somebody took these ids out of the file: their states are over. */
  forget(ids: readonly string[]): void;
  /** Another process has found these out; what the owner knows to be graver stays. */
  adopt(states: SavedStates): void;
};

/** The states that a restart must not forget, in a file beside `credentials.json`. */
export type StatesFile = {
  /** What was saved last; a file that is not there is an empty one. */
  read(): Promise<Result<SavedStates, StoreFault>>;
  /** Saves what the owner says from now on, a moment after `changed`; the disk is never waited for. */
  changed(owner: StatesOwner): void;
  /** Tells the owner what others took out of the file or put into it since it was last read or written. */
  reread(owner: StatesOwner): Promise<void>;
  /** Resolves when everything is saved, or could not be. */
  flush(): Promise<void>;
};

/** With the time of the write this stays within the second that a crash may cost. */
const SAVE_AFTER_MS = 250;
const RETRY_AFTER_MS = 10_000;

/** Held while the file is read and replaced; beside it, by whoever does that. */
export const LOCK_NAME = ".credential-states.json.lock";

/** Where the states of these credentials are. */
export function statesPath(credentialsPath: string): string {
  return join(dirname(credentialsPath), "credential-states.json");
}

export function createStatesFile(deps: {
  path: string;
  runtime: Pick<Runtime, "timer" | "randomUUID">;
  log: Pick<Log, "error">;
  files?: Files;
}): StatesFile {
  const { path, runtime, log, files = diskFiles } = deps;
  /** The entries of the file as text, when it was last read or written. */
  let known = new Map<string, string>();
  let waiting: { timer: Timer; owner: StatesOwner } | undefined;
  let writing: Promise<void> = Promise.resolve();
  let lastFault: string | undefined;

  const read = async (): Promise<Result<SavedStates, StoreFault>> => {
    let text: string;
    try {
      text = await files.read(path);
    } catch (error) {
      const message = errorCode(error);
      return message === "ENOENT" ? ok(new Map()) : fail({ kind: "io", file: path, message });
    }
    return statesOf(text, path);
  };

  /**
   * A file that is not there was deleted, which ends all states, only if something else is still in its folder: a drive
   * that is gone for a moment must not lift a suspension.
   */
  const isGone = async (): Promise<boolean> => {
    try {
      return (await files.list(dirname(path))).length === 0;
    } catch (error) {
      return errorCode(error) !== "";
    }
  };

  const tell = (fault: string): void => {
    if (fault !== lastFault) log.error("states-file", { path, fault });
    lastFault = fault;
  };

  /** False where the file can't be understood or its drive is away, so that nothing may be written. */
  const reread = async (owner: StatesOwner): Promise<boolean> => {
    const states = await read();
    if (!states.ok) {
      const { failure } = states;
      const place = failure.kind === "broken" ? ` (line ${failure.line})` : "";
      tell(`${failure.message}${place}`);
      return false;
    }
    if (states.value.size === 0 && known.size > 0 && (await isGone())) return false;
    const gone = [...known.keys()].filter((id) => !states.value.has(id));
    const news = [...states.value].filter(([id, state]) => known.get(id) !== JSON.stringify(state));
    known = textsOf(states.value);
    if (gone.length > 0) owner.forget(gone);
    if (news.length > 0) owner.adopt(new Map(news));
    return true;
  };

  const write = async (owner: StatesOwner): Promise<void> => {
    let release: (() => void) | undefined;
    try {
      // Two gateways and the command line may share the file: what is read here must be what is replaced.
      release = await files.lock(join(dirname(path), LOCK_NAME));
      if (release === undefined || !(await reread(owner))) {
        return saveAfter(release === undefined ? SAVE_AFTER_MS : RETRY_AFTER_MS, owner);
      }
      const text = textOf(owner.snapshot());
      await replaceFile(files, path, text, runtime.randomUUID());
      // As it will be read: else an entry of our own would look like another's, and bring an ended state back.
      const written = statesOf(text, path);
      if (written.ok) known = textsOf(written.value);
      lastFault = undefined;
    } catch (error) {
      tell(errorCode(error));
      saveAfter(RETRY_AFTER_MS, owner);
    } finally {
      release?.();
    }
  };

  const save = async (): Promise<void> => {
    if (waiting === undefined) return;
    const { timer, owner } = waiting;
    timer.cancel();
    waiting = undefined;
    writing = writing.then(async () => await write(owner));
    await writing;
  };

  const saveAfter = (ms: number, owner: StatesOwner): void => {
    waiting ??= { owner, timer: runtime.timer(ms, () => void save()) };
  };

  return {
    async read() {
      const states = await read();
      if (states.ok) known = textsOf(states.value);
      return states;
    },
    changed: (owner) => saveAfter(SAVE_AFTER_MS, owner),
    async reread(owner) {
      writing = writing.then(async () => void (await reread(owner)));
      await writing;
    },
    async flush() {
      await save();
      await writing;
    },
  };
}

// For people, who read the file and take entries out of it.
const Instant = z.codec(z.iso.datetime(), z.number(), {
  decode: (text) => Date.parse(text),
  encode: (instant) => new Date(instant).toISOString(),
});
const login = z.string();
const Content = z.record(
  z.string(),
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("cooling"), until: Instant, refusals: z.int().min(0), login }),
    z.object({ type: z.literal("exhausted"), since: Instant, until: Instant, login }),
    z.object({ type: z.literal("needs-login"), login }),
    z.object({ type: z.literal("suspended"), login }),
  ]),
);

function statesOf(text: string, file: string): Result<SavedStates, StoreFault> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail({ kind: "broken", file, ...jsonFault(text) });
  }
  const content = Content.safeParse(json);
  if (content.success) return ok(new Map(Object.entries(content.data)));
  const [issue] = content.error.issues;
  const message = `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "can't be read"}`;
  return fail({ kind: "broken", file, line: 1, column: 1, message });
}

function textsOf(states: SavedStates): Map<string, string> {
  return new Map(Array.from(states, ([id, state]) => [id, JSON.stringify(state)]));
}

function textOf(states: SavedStates): string {
  return `${JSON.stringify(z.encode(Content, Object.fromEntries(states)), null, 2)}\n`;
}
