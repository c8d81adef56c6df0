import { lstat, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { diskFiles, errorCode } from "../../credentials/files.ts";
import type { Runtime } from "../../runtime.ts";
import { openForReading } from "../../usage/database.ts";
import { failure, fine, type Finding, warning } from "./finding.ts";

const MIB = 1024 ** 2;

/** Whether only its owner can read the file. One that is not there gives nothing. */
export async function checkFile(check: string, path: string): Promise<Finding[]> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
    await diskFiles.read(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return [];
    const next = code === "EISDIR" ? `remove the folder ${path}` : `chown it to who runs this`;
    return [failure(check, `${path}: ${code}`, "The gateway can't read it.", next)];
  }
  // Windows has no such modes.
  if (process.platform === "win32") return [fine(check, path)];
  const mode = found.mode & 0o777;
  const shown = `${path} has mode ${mode.toString(8).padStart(4, "0")}`;
  if ((mode & 0o077) !== 0) {
    return [
      warning(
        check,
        shown,
        "Others on this machine can read or change the keys and tokens in it.",
        `chmod 600 ${path}`,
      ),
    ];
  }
  const uid = process.getuid?.();
  if (uid !== undefined && uid !== 0 && found.uid !== uid) {
    return [
      warning(
        check,
        `${path} belongs to user ${found.uid}, this runs as ${uid}`,
        "The gateway may have another user than its files.",
        `chown ${uid} ${path}`,
      ),
    ];
  }
  return [fine(check, shown)];
}

/** Whether files can be made where the credentials lie: a file is put there and taken away. */
export async function checkFolder(
  path: string,
  runtime: Pick<Runtime, "randomUUID">,
): Promise<Finding> {
  const check = "folder";
  const folder = dirname(path);
  const probe = `${folder}/.kiro-proxy-doctor.${runtime.randomUUID()}.tmp`;
  try {
    await diskFiles.create(probe, "");
    await diskFiles.remove(probe);
    return fine(check, `${folder} can be written`);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" && !(await exists(folder))) {
      return fine(check, `${folder} does not exist yet; it is made when it is needed`);
    }
    return failure(
      check,
      `${folder} can't be written (${code})`,
      "Renewed tokens can't be saved, and a log-in whose renewal is lost is dead.",
      `make it writable for who runs the gateway: chown -R kiro-proxy ${folder}, or mount it without :ro`,
    );
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** What is free where the files lie. */
export async function checkDisk(path: string): Promise<Finding> {
  const check = "disk";
  let folder = dirname(path);
  while (!(await exists(folder)) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    const { bavail, bsize } = await statfs(folder);
    const freeMiB = Math.floor((bavail * bsize) / MIB);
    const found = `${freeMiB} MiB free in ${folder}`;
    const why = "Renewed tokens and the ledger of requests have to be written.";
    const next = `make room: df -h ${folder}`;
    if (freeMiB < 10) return failure(check, found, why, next);
    return freeMiB < 200 ? warning(check, found, why, next) : fine(check, found);
  } catch (error) {
    return warning(check, `${folder}: ${errorCode(error)}`, "Its free space is unknown.", "df -h");
  }
}

/** Whether the ledger can be read. The gateway serves without it. */
export async function checkDatabase(path: string): Promise<Finding> {
  const check = "database";
  if (!(await exists(path))) return fine(check, `${path} does not exist yet; a server makes it`);
  const opened = await openForReading(path);
  if (opened.ok) {
    await opened.value.close();
    return fine(check, path);
  }
  const { code, message } = opened.failure;
  const why = "What users have spent is neither kept nor limited.";
  return code === "version"
    ? warning(check, `${path}: ${message}`, why, "start the gateway once")
    : failure(check, `${path}: ${message}`, why, `move it away; the gateway makes a new one`);
}
