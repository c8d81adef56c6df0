import type { Credential } from "../credentials/credential.ts";
import type { EventLog } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import { createTokens } from "../credentials/tokens.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { createManagement, managementRegions } from "../kiro/management.ts";
import type { Quota } from "../kiro/quota.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Settings } from "./settings.ts";

/** Why an account could not be asked. */
export type AccountFault =
  | { type: "token"; fault: RefreshFault }
  | { type: "upstream"; fault: KiroFault };

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
      const access = await tokens.access(credential, {}, signal);
      if (!access.ok) return fail({ type: "token", fault: access.failure });
      const quota = await management.usageLimits(access.value, credential.authRegion, signal);
      return quota.ok ? quota : fail({ type: "upstream", fault: quota.failure });
    },
    async profiles(credential, signal) {
      const access = await tokens.access(credential, {}, signal);
      if (!access.ok) return fail({ type: "token", fault: access.failure });
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

/** What is wrong with an account, and what to do about it, as one line. */
export function describeAccountFault({ id }: Credential, fault: AccountFault): string {
  if (fault.type === "token") {
    const { kind, message } = fault.fault;
    return kind === "needs-login"
      ? `needs a new log-in (${message}): kiro-proxy login -id ${id}`
      : `no token just now (${message}): try again later`;
  }
  const { kind, status } = fault.fault;
  const answered = status === undefined ? "" : ` (the service answered ${status})`;
  switch (kind) {
    case "suspended":
      return `Kiro has locked the account${answered}: only Kiro's support can help`;
    case "suspicious":
      return `Kiro limits the account for suspicious activity${answered}: leave it alone for an hour`;
    case "token-refused":
      return `its token is not accepted${answered}: kiro-proxy login -id ${id}`;
    case "forbidden":
      return `the account may not do this${answered}: check its profileArn and region, or its plan`;
    case "quota":
    case "daily-quota":
      return `its plan is used up${answered}: wait for the reset`;
    case "throttled":
    case "capacity":
      return `the service asks to slow down${answered}: try again later`;
    case "unavailable":
    case "empty-reply":
      return `the service can't be reached or has a fault${answered}: check the network, then try again`;
    case "rejected":
    case "malformed":
    case "reasoning-rejected":
    case "conversation-rejected":
    case "model-unavailable":
      return `the service did not understand the question${answered}: a newer kiro-proxy may be needed`;
    default:
      return kind satisfies never;
  }
}
