import { z } from "zod";
import { BoundedMap } from "../bounded-map.ts";
import { diskFiles, errorCode, type Files, replaceFile } from "../credentials/files.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";

/** The codes that the activation server has confirmed, each with the machine it was for; they survive a restart. */
export type KnownCodes = {
  /** False once the day is over that the server has named as the code's last. */
  has(code: string, machineId: string): boolean;
  /** `expiresAt` in milliseconds since the epoch, NaN where the server names none. */
  confirm(code: string, machineId: string, expiresAt: number): void;
  forget(code: string, machineId: string): void;
  /** Writes what has not been written yet. */
  flush(): Promise<void>;
};

const CODES_MAX = 50_000;
const SAVE_AFTER_MS = 1_000;

/** Digest to the end of the code in milliseconds since the epoch, null for none. */
const Saved = z.record(z.string(), z.number().nullable());

/** Keeps digests in a file of mode 0600. One that can't be read is an empty one, since all in it can be asked for again. */
export async function createKnownCodes(deps: {
  path: string;
  runtime: Pick<Runtime, "now" | "timer" | "randomUUID">;
  log: Pick<Log, "warn">;
  files?: Files;
}): Promise<KnownCodes> {
  const { path, runtime, log, files = diskFiles } = deps;
  const codes = new BoundedMap<string, number | null>(CODES_MAX);
  let timer: Timer | undefined;
  let saving: Promise<void> = Promise.resolve();

  const save = async (): Promise<void> => {
    timer?.cancel();
    timer = undefined;
    try {
      const text = JSON.stringify(Object.fromEntries(codes));
      await replaceFile(files, path, text, runtime.randomUUID());
    } catch (error) {
      log.warn("known-codes-not-saved", { path, code: errorCode(error) });
    }
  };
  const changed = (): void => {
    timer ??= runtime.timer(SAVE_AFTER_MS, () => void (saving = saving.then(save)));
  };

  for (const [digest, expiresAt] of await readSaved(path, files, log)) codes.set(digest, expiresAt);
  return {
    has(code, machineId) {
      const expiresAt = codes.get(digestOf(code, machineId));
      return expiresAt !== undefined && (expiresAt === null || expiresAt > runtime.now());
    },
    confirm(code, machineId, expiresAt) {
      const digest = digestOf(code, machineId);
      const end = Number.isNaN(expiresAt) ? null : expiresAt;
      if (codes.get(digest) === end) return;
      codes.set(digest, end);
      changed();
    },
    forget(code, machineId) {
      if (codes.delete(digestOf(code, machineId))) changed();
    },
    async flush() {
      if (timer !== undefined) saving = saving.then(save);
      await saving;
    },
  };
}

async function readSaved(
  path: string,
  files: Files,
  log: Pick<Log, "warn">,
): Promise<[string, number | null][]> {
  try {
    return Object.entries(Saved.parse(JSON.parse(await files.read(path))));
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (!missing) log.warn("known-codes-unreadable", { path });
    return [];
  }
}

function digestOf(code: string, machineId: string): string {
  return new Bun.CryptoHasher("sha256")
    .update(`${code.toUpperCase()}\n${machineId}`)
    .digest("base64url");
}
