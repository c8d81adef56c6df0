import { dlopen, ptr } from "bun:ffi";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../telemetry/log.ts";

const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** `return 1` as a classic BPF program: the second socket of those that share the port. A lone one gets everything all the same. */
const SECOND = new Uint16Array([0x06, 0, 1, 0]);
const LISTENING = "0A";

/**
 * From now on new connections to `port` come to this process and no longer to the one that had the port before. That
 * one can then answer what it has and close: a listener that is closed while connections still come to it resets those
 * it has not yet accepted. Linux only; elsewhere, and where it fails, both share what comes.
 */
export async function takeOver(port: number, log: Log): Promise<void> {
  if (process.platform !== "linux") return;
  try {
    const program = new BigUint64Array([1n, BigInt(ptr(SECOND))]);
    const { setsockopt } = openLibrary().symbols;
    for (const socket of await listeners(port)) {
      const done = setsockopt(
        socket,
        SOL_SOCKET,
        SO_ATTACH_REUSEPORT_CBPF,
        ptr(program),
        program.byteLength,
      );
      if (done !== 0) log.warn("takeover-failed", { detail: "the kernel refused it" });
    }
  } catch (error) {
    log.warn("takeover-failed", { detail: String(error) });
  }
}

function openLibrary() {
  const symbols = {
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  } as const;
  const errors: unknown[] = [];
  for (const name of LIBRARIES) {
    try {
      return dlopen(name, symbols);
    } catch (error) {
      errors.push(error);
    }
  }
  throw new AggregateError(errors, "no C library was found");
}

/** This process's own sockets that listen on `port`; Bun does not tell their numbers. */
async function listeners(port: number): Promise<number[]> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map(async (name) => await readFile(join("/proc/self/net", name), "utf8")),
  );
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const names = new Set<string>();
  for (const line of tables.join("\n").split("\n")) {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    if (state === LISTENING && local.endsWith(suffix)) names.add(`socket:[${inode}]`);
  }
  const own = await readdir("/proc/self/fd");
  const links = await Promise.all(
    // The folder's own descriptor is gone by now.
    own.map(async (fd) => await readlink(join("/proc/self/fd", fd)).catch(() => "")),
  );
  return own.filter((_, at) => names.has(links[at] ?? "")).map(Number);
}
