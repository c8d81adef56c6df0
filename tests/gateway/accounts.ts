import type { Credential } from "../../src/credentials/credential.ts";
import type { Tokens } from "../../src/credentials/tokens.ts";
import type { KiroFault } from "../../src/kiro/failure.ts";
import type { Management } from "../../src/kiro/management.ts";
import type { Quota } from "../../src/kiro/quota.ts";
import { fail, ok } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import { idcRecord, NOW, parsed } from "../credentials/samples.ts";

export const HOUR = 3_600_000;

/** A credential of a store whose token lives for a day. */
export function stored(id: string, more: object = {}): Credential {
  return { ...parsed({ ...idcRecord(id, NOW + 24 * HOUR), id, ...more }), persistent: true };
}

/** Gives every credential a token that is its id; `refuse` makes it fail. */
export function fixedTokens(): Tokens & { asked: string[]; refuse: boolean } {
  const tokens: ReturnType<typeof fixedTokens> = {
    asked: [],
    refuse: false,
    async access({ id, apiRegion, machineId }) {
      tokens.asked.push(id);
      if (tokens.refuse) return fail({ kind: "needs-login", message: "no" });
      return ok({ token: new Secret(id), apiRegion, machineId, profileArn: "placeholder" });
    },
  };
  return tokens;
}

export const FULL: Quota = {
  used: 10,
  limit: 50,
  remaining: 40,
  bonus: { used: 0, limit: 0 },
  overage: { enabled: false, used: 0 },
  plan: "KIRO PRO",
};

export function fault(kind: KiroFault["kind"]): KiroFault {
  return { kind, failure: { kind: "upstream", message: kind } };
}

type Answers = {
  [name in keyof Management]: (
    id: string,
    region: string,
  ) => ReturnType<Management[name]> | Awaited<ReturnType<Management[name]>>;
};

/** The service by hand; an answer may be changed at any time. `calls` has them as `models c1 us-east-1`. */
export function scriptedManagement(given: Partial<Answers> = {}) {
  const answers: Answers = {
    usageLimits: () => ok(FULL),
    models: () => ok([]),
    profiles: () => ok([]),
    ...given,
  };
  const calls: string[] = [];
  const load = { now: 0, most: 0 };
  const answer =
    <T>(name: string, script: () => (id: string, region: string) => Promise<T> | T) =>
    async (access: { token: Secret }, region: string): Promise<T> => {
      const id = access.token.reveal();
      calls.push(`${name} ${id} ${region}`);
      load.now += 1;
      load.most = Math.max(load.most, load.now);
      await Promise.resolve();
      try {
        return await script()(id, region);
      } finally {
        load.now -= 1;
      }
    };
  const management: Management = {
    usageLimits: answer("usageLimits", () => answers.usageLimits),
    models: answer("models", () => answers.models),
    profiles: answer("profiles", () => answers.profiles),
  };
  return { management, answers, calls, load };
}
