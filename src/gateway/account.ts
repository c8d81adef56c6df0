import type { Credential } from "../credentials/credential.ts";
import type { Pool } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { Access, Tokens } from "../credentials/tokens.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { fail, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { retryPolicy, verdictOn } from "./retry.ts";

/** Why the service could not be asked about an account. */
export type AccountFault =
  /** There was no token to ask with. */
  { type: "no-token"; fault: RefreshFault } | { type: "upstream"; fault: KiroFault };

/**
 * Asks the service about a credential's account, with a token that is renewed where it has to be. A refused token is not
 * renewed for it: what only informs must not use up log-ins.
 */
export async function ask<T>(
  deps: { tokens: Tokens } & Judge,
  credential: Credential,
  question: (access: Access, authRegion: string) => Promise<Result<T, KiroFault>>,
): Promise<Result<T, AccountFault>> {
  const access = await deps.tokens.access(credential);
  if (!access.ok) return fail({ type: "no-token", fault: access.failure });
  const answer = await question(access.value, credential.authRegion);
  if (answer.ok) return answer;
  tell(deps, credential, answer.failure);
  return fail({ type: "upstream", fault: answer.failure });
}

type Judge = { pool: Pick<Pool, "judge">; runtime: Pick<Runtime, "now"> };

/**
 * Tells the pool where an answer about an account says that no more calls may be made. Other refusals may be meant for
 * the one call alone, or for the region that it went to.
 */
export function tell({ pool, runtime }: Judge, credential: Credential, fault: KiroFault): void {
  if (fault.kind !== "suspended" && fault.kind !== "suspicious") return;
  pool.judge(credential, verdictOn(fault, retryPolicy, runtime.now()));
}

/** What is wrong with an account, and what to do about it, as one line. */
export function describeAccountFault({ id }: Pick<Credential, "id">, fault: AccountFault): string {
  if (fault.type === "no-token") {
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
