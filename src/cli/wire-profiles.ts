import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { watchFiles } from "../credentials/watch.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { parseWireProfile, type WireProfile, withWireProfile } from "../kiro/wire-profile.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";

export type WireProfiles = {
  /** `base` by the profile of that name; without a name, or where there is none of it, by the configuration's. */
  apply(name: string | undefined, base: UpstreamProfile): UpstreamProfile;
  /** Takes over what has changed in the folder, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

const SUFFIX = ".json";

/**
 * The wire profiles of a folder, by the names of their files. One that can't be used never takes the place of one that
 * could. Fails where the configuration's own can't be had at the start.
 */
export async function loadWireProfiles(deps: {
  folder: string;
  /** The configuration's own. */
  standard: string | undefined;
  base: UpstreamProfile;
  runtime: Pick<Runtime, "sleep">;
  log: Log;
}): Promise<Result<WireProfiles, { file: string; message: string }>> {
  const { folder, standard, base, runtime, log } = deps;
  let profiles = new Map<string, WireProfile>();
  let applied = new Map<string, { base: UpstreamProfile; profile: UpstreamProfile }>();
  const faults = new Map<string, string>();
  const missed = new Set<string>();
  let told: object | undefined;

  const reload = async (): Promise<void> => {
    const next = new Map<string, WireProfile>();
    faults.clear();
    for (const file of await namesIn(folder)) {
      const name = file.slice(0, -SUFFIX.length);
      const read = await readProfile(join(folder, file), name, base);
      const kept = profiles.get(name);
      if (read.ok) next.set(name, read.value);
      else {
        faults.set(name, read.failure);
        if (kept !== undefined) next.set(name, kept);
        log.error("wire-profile-broken", {
          file: join(folder, file),
          fault: read.failure,
          kept: kept?.version,
        });
      }
    }
    profiles = next;
    applied = new Map();
    missed.clear();
    const names = [...profiles.values()].map(({ name, version }) => `${name} ${version}`);
    const inForce = standard === undefined ? undefined : profiles.get(standard);
    const now = {
      inForce: inForce === undefined ? "built-in" : `${inForce.name} ${inForce.version}`,
      known: names.join(", ") || undefined,
    };
    // The folder is read again when the watch begins.
    if (!Bun.deepEquals(now, told)) log.info("wire-profiles", now);
    told = now;
  };

  await reload();
  if (standard !== undefined && !profiles.has(standard)) {
    const file = join(folder, standard + SUFFIX);
    return fail({ file, message: faults.get(standard) ?? "does not exist" });
  }
  return ok({
    apply(name = standard, under) {
      if (name === undefined) return under;
      const ready = applied.get(name);
      if (ready?.base === under) return ready.profile;
      const found = profiles.get(name);
      if (found === undefined && !missed.has(name)) {
        missed.add(name);
        log.error("wire-profile-missing", { name, folder, used: standard ?? "built-in" });
      }
      const used = found ?? (standard === undefined ? undefined : profiles.get(standard));
      const profile = used === undefined ? under : withWireProfile(under, used);
      applied.set(name, { base: under, profile });
      return profile;
    },
    async run(signal) {
      await watchFiles({ paths: [folder], reload, runtime, stamp: stampOf }, signal);
    },
  });
}

async function readProfile(
  path: string,
  name: string,
  base: UpstreamProfile,
): Promise<Result<WireProfile, string>> {
  try {
    return parseWireProfile(name, await readFile(path, "utf8"), base);
  } catch {
    return fail("can't be read");
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(SUFFIX)).toSorted();
  } catch {
    // No folder, no profiles.
    return [];
  }
}

/** Changes with every file in the folder. */
async function stampOf(folder: string): Promise<string> {
  const stamps = (await namesIn(folder)).map(async (name) => {
    const { mtimeMs, size, ino } = await stat(join(folder, name)).catch(() => ({
      mtimeMs: 0,
      size: 0,
      ino: 0,
    }));
    return `${name} ${mtimeMs} ${size} ${ino}`;
  });
  return (await Promise.all(stamps)).join("\n");
}
