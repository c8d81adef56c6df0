import type { Credential } from "../credentials/credential.ts";
import type { EventLog } from "../credentials/pool.ts";
import { createTokens } from "../credentials/tokens.ts";
import type { AccountFault } from "../gateway/account.ts";
import { createManagement, managementRegions } from "../kiro/management.ts";
import type { Quota } from "../kiro/quota.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Settings } from "./settings.ts";

/** Asks the service about single accounts, without a pool. */
export type Accounts = {
  /** Renews the token where it has to be, which is written to the store, and asks for the quota. */
  quota(credential: Credential, signal: AbortSignal): Promise<Result<Quota, AccountFault>>;
  /** The ARNs of its profiles in the regions where there may be some, without doubles. */
  profiles(credential: Credential, signal: AbortSignal): Promise<Result<string[], AccountFault>>;
};

const nothing = (): undefined => undefined;
const SILENT: EventLog = { info: nothing, warn: nothing, error: nothing };

export function createAccounts(settings: Settings, runtime: Runtime): Accounts {
  const { context, profile, store } = settings;
  const pool = { current: nothing, replace: nothing, judge: nothing };
  const tokens = createTokens({
    pool,
    store,
    runtime,
    log: SILENT,
    settings: { context, refresh: profile },
  });
  const management = createManagement({ runtime, profile });
  return {
    async quota(credential, signal) {
      const access = await tokens.access(credential, {}, { signal });
      if (!access.ok) return fail({ type: "no-token", fault: access.failure });
      const quota = await management.usageLimits(access.value, credential.authRegion, signal);
      return quota.ok ? quota : fail({ type: "upstream", fault: quota.failure });
    },
    async profiles(credential, signal) {
      const access = await tokens.access(credential, {}, { signal });
      if (!access.ok) return fail({ type: "no-token", fault: access.failure });
      const arns = new Set<string>();
      for (const region of managementRegions(credential.authRegion, profile)) {
        const found = await management.profiles(access.value, region, signal);
        if (!found.ok) return fail({ type: "upstream", fault: found.failure });
        for (const arn of found.value) arns.add(arn);
      }
      return ok([...arns]);
    },
  };
}
