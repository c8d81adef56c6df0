import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { Secret } from "../secret.ts";
import type { Log } from "../telemetry/log.ts";
import type { Credential } from "./credential.ts";
import { errorCode } from "./files.ts";
import type { Renewal } from "./record.ts";
import type { AccountStore, PutFault } from "./store.ts";

/**
 * New tokens while they are on their way into the store. The service may have killed the old ones already, and a write
 * that survives a loss of power takes a while: a process that is killed meanwhile must not have been the only one that
 * knew them.
 */
export type Journal = {
  /** Keeps them, before it returns, from whatever may happen to the process. */
  note(credential: Credential, renewal: Renewal): void;
  /** They are in the store. */
  done(credential: Credential): void;
  /** Puts what a killed process has left into the store. To be called before the first token is used. */
  recover(store: AccountStore): Promise<void>;
};

const Noted = z.object({
  /** Of the log-in that it replaces. */
  version: z.string(),
  accessToken: z.string().transform((text) => new Secret(text)),
  refreshToken: z
    .string()
    .transform((text) => new Secret(text))
    .optional(),
  expiresAt: z.number(),
  profileArn: z.string().optional(),
});

/** Files beside `credentialsPath`, one for each credential that is being renewed, mode 0600. */
export function createJournal(deps: {
  credentialsPath: string;
  log: Pick<Log, "info" | "warn">;
}): Journal {
  const { credentialsPath, log } = deps;
  const folder = dirname(credentialsPath);
  const prefix = `.${basename(credentialsPath)}.renewed-`;

  const pathOf = ({ id }: Credential): string =>
    join(
      folder,
      `${prefix}${new Bun.CryptoHasher("sha256").update(id).digest("hex").slice(0, 16)}`,
    );

  return {
    note(credential, { accessToken, refreshToken, expiresAt, profileArn }) {
      const text = JSON.stringify({
        version: credential.version,
        accessToken: accessToken.reveal(),
        refreshToken: refreshToken?.reveal(),
        expiresAt,
        profileArn,
      });
      // In one step that ends here, and without waiting for the disk: it is the process that may die.
      attempt(() => writeFileSync(pathOf(credential), text, { mode: 0o600 }));
    },
    done(credential) {
      attempt(() => rmSync(pathOf(credential), { force: true }));
    },
    async recover(store) {
      const names =
        attempt(() => readdirSync(folder))?.filter((name) => name.startsWith(prefix)) ?? [];
      if (names.length === 0) return;
      const listed = await store.list();
      if (!listed.ok) return;
      const { credentials, rejected } = listed.value;
      for (const name of names) {
        const path = join(folder, name);
        const noted = Noted.safeParse(parsed(attempt(() => readFileSync(path, "utf8")) ?? ""));
        const { version, ...renewal } = noted.success ? noted.data : { version: undefined };
        // Any other log-in is newer than this one; what can't be read may be this one's.
        const owner = credentials.find((one) => one.version === version);
        if (owner === undefined && noted.success && rejected.length > 0) continue;
        if (owner !== undefined && "accessToken" in renewal) {
          const stored = await store.put(owner, renewal);
          const credential = owner.id;
          if (stored.ok) log.info("renewal-recovered", { credential });
          else log.warn("renewal-not-recovered", { credential, ...stored.failure });
          if (!stored.ok && !isSettled(stored.failure)) continue;
        }
        attempt(() => rmSync(path, { force: true }));
      }
    },
  };
}

/** Whatever fails here fails in the store as well, which tells. */
const attempt = <T>(step: () => T): T | undefined => {
  try {
    return step();
  } catch (error) {
    errorCode(error);
    return undefined;
  }
};

/** Whether a write that failed need not be tried again: somebody has put another log-in there, or taken the record out. */
export function isSettled(fault: PutFault): boolean {
  return fault.kind === "conflict" || fault.kind === "gone";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Cut off by the end of the process; whoever was killed there had no more than this.
    return undefined;
  }
}
