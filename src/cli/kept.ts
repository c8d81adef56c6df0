import type { Config } from "../config/schema.ts";
import type { CredentialContext } from "../credentials/credential.ts";
import { createJournal } from "../credentials/journal.ts";
import { createPool, type Pool } from "../credentials/pool.ts";
import { renewInBackground } from "../credentials/renewal.ts";
import { createStatesFile } from "../credentials/states-file.ts";
import type { AccountStore, StoreFault } from "../credentials/store.ts";
import { createTokens, type Tokens } from "../credentials/tokens.ts";
import { watchFiles } from "../credentials/watch.ts";
import { withProfiles } from "../gateway/profiles.ts";
import { createQuota, type QuotaService } from "../gateway/quota.ts";
import type { Management } from "../kiro/management.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";

/** The credentials of one store, kept working. */
export type Kept = {
  pool: Pool;
  tokens: Tokens;
  quota: QuotaService;
  /** What goes on beside the requests, until the signal aborts. */
  tasks(signal: AbortSignal): Promise<void>[];
  /** Writes what is not on the disk yet. */
  flush(): Promise<void>;
};

export async function keep(deps: {
  store: AccountStore;
  /** The store's file, and the one for what is known of its accounts. */
  paths: { credentials: string; states: string };
  config: Config;
  context: CredentialContext;
  profile: UpstreamProfile;
  management: Management;
  runtime: Runtime;
  log: Log;
}): Promise<Result<Kept, StoreFault>> {
  const { store, paths, config, context, profile, management, runtime, log } = deps;
  const journal = createJournal({ credentialsPath: paths.credentials, log });
  await journal.recover(store);
  const statesFile = createStatesFile({ path: paths.states, runtime, log });
  let quota: QuotaService | undefined;
  const created = await createPool({
    store,
    statesFile,
    runtime,
    log,
    onExhausted: (credential) => void quota?.read(credential, { maxAgeMs: 0 }),
    settings: {
      rotation: config.rotation,
      maxConcurrent: config.maxConcurrentPerCredential,
      queueLength: config.queueLength,
      queueTimeoutMs: config.queueTimeoutMs,
    },
  });
  if (!created.ok) return created;
  const pool = created.value;
  const settings = { context, refresh: profile };
  const tokens = createTokens({ pool, store, runtime, log, journal, settings });
  const known = { pool, tokens, management, runtime, log };
  quota = createQuota(known);
  return ok({
    pool,
    tokens: withProfiles(tokens, { ...known, store, profile }),
    quota,
    tasks: (signal) => [
      watchFiles({ paths: Object.values(paths), reload: () => pool.reload(), runtime }, signal),
      renewInBackground({ pool, tokens, runtime }, signal),
    ],
    flush: async () => await statesFile.flush(),
  });
}
