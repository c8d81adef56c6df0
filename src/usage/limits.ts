import { z } from "zod";
import type { Failure } from "../conversation/failure.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { StopSignal } from "../stop-signal.ts";
import { createEstimator, estimate, type Estimate, type Estimator } from "./estimate.ts";
import type { Ledger } from "./ledger.ts";
import { createSpent, dayAfter, dayOf, monthAfter, monthOf, type Spent } from "./spent.ts";

const count = z.int().min(0).exactOptional();
const amount = z.number().min(0).exactOptional();

/** What one user may spend; a limit that is absent is the default of all users, and 0 (or no models) is no limit. */
export const userLimitsSchema = z.object({
  requestsPerMinute: count,
  concurrentRequests: count,
  /** Of prompts, whatever was read from a cache, and of replies. */
  tokensPerDay: count,
  creditsPerDay: amount,
  creditsPerMonth: amount,
  /** Ids, aliases or any other names of the models that may be used. */
  models: z.array(z.string().min(1)).exactOptional(),
});

export type UserLimits = z.output<typeof userLimitsSchema>;

export type LimitedUser = { id: string; name: string; limits: UserLimits };

export type LimitedRequest = {
  requestId: string;
  /** When it came, in milliseconds since the epoch. */
  at: number;
  wire: string;
  /** As the client wrote it. */
  model: string;
  /** By our own count. */
  promptTokens: number;
};

/** What a request has cost in the end. */
export type Cost = {
  /** The service has begun to answer: it charges for that, whether or not it said how much. */
  begun: boolean;
  /** What the service has charged, for the attempts that failed as well. */
  credits: number;
  /** The reply's own charge is among them. */
  metered: boolean;
  /** Undefined where nobody has counted them. */
  promptTokens?: number;
  outputTokens?: number;
};

/** A place among the user's requests, and a part of what may be spent. Whoever has it must settle it, once or often. */
export type Reservation = {
  /** Gives what counts beyond what the service has said. */
  settle(cost: Cost): { credits?: number; tokens?: number };
};

export type Limits = {
  /** Waits a moment where what is left is held by requests that still run. */
  reserve(
    user: LimitedUser,
    request: LimitedRequest,
    signal: StopSignal,
  ): Promise<Result<Reservation, Failure>>;
};

type Expected = { credits: Estimate; tokens: Estimate };
type Hold = { credits: number; tokens: number };

/** What is known of one user. */
type Account = {
  spent: Spent;
  open: Set<Hold>;
  /** The requests of the last minute, on the clock that never steps. */
  starts: number[];
  estimator: Estimator;
  waiting: Set<() => void>;
};

const MINUTE_MS = 60_000;
/** How long a request waits for what others hold: well below what clients take for a dead connection. */
const WAIT_MS = 5_000;
const WAITING_MAX = 500;
/** Where the end of other requests is all that helps. */
const BUSY_MS = 5_000;

/**
 * Sees to it that users stay within their limits. Each request holds what it may cost until it is known what it has
 * cost, so that requests side by side can't spend the same credits; the last one alone may cost more than was left.
 * Days and months are those of UTC.
 */
export function createLimits(deps: {
  /** Where a user has no limit of its own. */
  defaults: UserLimits;
  ledger: Pick<Ledger, "hold" | "spending">;
  runtime: Pick<Runtime, "now" | "monotonic" | "timer">;
  /** What the service calls the model of that name. */
  modelId: (name: string) => string;
}): Limits {
  const { defaults, ledger, runtime, modelId } = deps;
  const accounts = new Map<string, Promise<Account>>();
  /** Of all users: better than nothing for one who is new to a model. */
  const everybody = createEstimator();

  async function load(id: string): Promise<Account> {
    const since = { day: dayOf(runtime.now()), month: monthOf(runtime.now()) };
    const { recent, ...sums } = await ledger.spending(id, since);
    const estimator = createEstimator();
    for (const { model, ...sample } of recent) estimator.learn(model.toLowerCase(), sample);
    const spent = createSpent({ ...since, ...sums });
    return { spent, open: new Set(), starts: [], estimator, waiting: new Set() };
  }

  async function accountOf(id: string): Promise<Account> {
    const known = accounts.get(id) ?? load(id);
    accounts.set(id, known);
    return await known;
  }

  function settle(
    account: Account,
    request: LimitedRequest,
    hold: Hold,
    expected: Expected,
    cost: Cost,
  ): { credits?: number; tokens?: number } {
    const { begun, metered, credits, promptTokens, outputTokens } = cost;
    const isCounted = promptTokens !== undefined && outputTokens !== undefined;
    const guessed = {
      ...(begun && !metered && { credits: expected.credits.expected }),
      ...(begun && !isCounted && { tokens: expected.tokens.expected }),
    };
    const counted = (promptTokens ?? 0) + (outputTokens ?? 0);
    const spent = {
      credits: credits + (guessed.credits ?? 0),
      tokens: guessed.tokens ?? counted,
    };
    account.spent.add(request.at, spent, runtime.now());
    if (metered && isCounted) {
      const sample = { promptTokens: request.promptTokens, outputTokens, credits };
      account.estimator.learn(request.model, sample);
      everybody.learn(request.model, sample);
    }
    account.open.delete(hold);
    for (const wake of account.waiting) wake();
    return guessed;
  }

  return {
    async reserve(user, asked, signal) {
      const limits = { ...defaults, ...user.limits };
      const request = { ...asked, model: modelId(asked.model).toLowerCase() };
      const { models = [] } = limits;
      if (
        models.length > 0 &&
        !models.some((name) => modelId(name).toLowerCase() === request.model)
      ) {
        return fail(notAllowed(asked.model, models));
      }
      const account = await accountOf(user.id);
      const giveUpAt = runtime.monotonic() + WAIT_MS;
      for (;;) {
        const estimators = [account.estimator, everybody];
        const expected = estimate(estimators, request.model, request.promptTokens);
        const refusal = check(account, limits, expected, runtime);
        if (refusal === undefined) {
          const hold = { credits: expected.credits.most, tokens: expected.tokens.most };
          account.open.add(hold);
          if (limits.requestsPerMinute) account.starts.push(runtime.monotonic());
          if (limits.tokensPerDay || limits.creditsPerDay || limits.creditsPerMonth) {
            const credits = expected.credits.expected;
            const tokens = expected.tokens.expected;
            await ledger.hold({ ...asked, user: user.id, caller: user.id, credits, tokens });
          }
          let estimated: { credits?: number; tokens?: number } | undefined;
          return ok({
            settle: (cost) => (estimated ??= settle(account, request, hold, expected, cost)),
          });
        }
        const leftMs = giveUpAt - runtime.monotonic();
        const mayWait = refusal.waits && leftMs > 0 && account.waiting.size < WAITING_MAX;
        if (!mayWait || signal.aborted) return fail(refusal.failure);
        await change(account, leftMs, runtime, signal);
      }
    },
  };
}

type Refusal = { failure: Failure; /** The end of other requests may help. */ waits: boolean };

function check(
  account: Account,
  limits: UserLimits,
  expected: Expected,
  runtime: Pick<Runtime, "now" | "monotonic">,
): Refusal | undefined {
  const now = runtime.now();
  const monotonic = runtime.monotonic();
  const { requestsPerMinute = 0, concurrentRequests = 0 } = limits;
  if (concurrentRequests > 0 && account.open.size >= concurrentRequests) {
    const message = `You may have ${concurrentRequests} requests at a time (concurrentRequests). It is possible again when one of yours has ended.`;
    return { failure: { kind: "rate-limited", message, retryAfterMs: BUSY_MS }, waits: false };
  }
  account.starts = account.starts.filter((at) => at > monotonic - MINUTE_MS);
  if (requestsPerMinute > 0 && account.starts.length >= requestsPerMinute) {
    const first = account.starts.at(-requestsPerMinute) ?? monotonic;
    const retryAfterMs = Math.max(0, first + MINUTE_MS - monotonic);
    const message = `You may make ${requestsPerMinute} requests a minute (requestsPerMinute). The next one is possible at ${iso(now + retryAfterMs)}.`;
    return { failure: { kind: "rate-limited", message, retryAfterMs }, waits: false };
  }
  const { open } = account;
  const heldCredits = [...open].reduce((sum, hold) => sum + hold.credits, 0);
  const heldTokens = [...open].reduce((sum, hold) => sum + hold.tokens, 0);
  const sums = account.spent.sums(now);
  const budgets = [
    {
      name: "tokensPerDay",
      limit: limits.tokensPerDay,
      what: "tokens a day",
      spent: sums.tokensToday,
      wanted: heldTokens + expected.tokens.most,
      resetAt: dayAfter(now),
    },
    {
      name: "creditsPerDay",
      limit: limits.creditsPerDay,
      what: "credits a day",
      spent: sums.creditsToday,
      wanted: heldCredits + expected.credits.most,
      resetAt: dayAfter(now),
    },
    {
      name: "creditsPerMonth",
      limit: limits.creditsPerMonth,
      what: "credits a month",
      spent: sums.creditsThisMonth,
      wanted: heldCredits + expected.credits.most,
      resetAt: monthAfter(now),
    },
  ];
  let held: Refusal | undefined;
  for (const { name, limit = 0, what, spent, wanted, resetAt } of budgets) {
    if (limit === 0) continue;
    const reset = `The limit is reset at ${iso(resetAt)}.`;
    const used = `${hundredths(spent)} of your ${limit} ${what}`;
    if (spent >= limit) {
      const message = `You have spent ${used} (${name}). ${reset}`;
      const retryAfterMs = resetAt - now;
      return { failure: { kind: "limit-reached", message, retryAfterMs }, waits: false };
    }
    // A request alone may have what is left, though it may cost more: else nobody could ever spend the rest.
    if (open.size === 0 || spent + wanted <= limit) continue;
    const message = `You have spent ${used} (${name}), and requests of yours that still run may need the rest. Try again when they have ended. ${reset}`;
    held ??= { failure: { kind: "rate-limited", message, retryAfterMs: BUSY_MS }, waits: true };
  }
  return held;
}

function notAllowed(model: string, models: string[]): Failure {
  const allowed = models.map((name) => name.slice(0, 100)).join(", ");
  return {
    kind: "permission",
    message: `You may not use the model ${model.slice(0, 200)}. You may use: ${allowed}.`,
  };
}

/** Resolves when a request of the user has ended, the time is over, or the client has left. */
async function change(
  account: Account,
  ms: number,
  runtime: Pick<Runtime, "timer">,
  signal: StopSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  const timer = runtime.timer(ms, wake);
  signal.addEventListener("abort", wake, { once: true });
  account.waiting.add(wake);
  await promise;
  account.waiting.delete(wake);
  signal.removeEventListener("abort", wake);
  timer.cancel();
}

function iso(instant: number): string {
  return new Date(Math.ceil(instant / 1_000) * 1_000).toISOString().replace(".000", "");
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
