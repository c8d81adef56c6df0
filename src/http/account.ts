import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent } from "../conversation/reply.ts";
import type { Runtime } from "../runtime.ts";
import { type RequestAccount, upstreamMs } from "../telemetry/account.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Ledger } from "../usage/ledger.ts";
import type { Reservation } from "../usage/limits.ts";

export type AccountDeps = {
  runtime: Pick<Runtime, "now" | "monotonic">;
  ledger: Pick<Ledger, "record">;
  metrics: Pick<Metrics, "begin">;
};

/** The account of a request that runs. */
export type OpenAccount = {
  /** To be filled in as things become known; the end is not. */
  account: RequestAccount;
  notices: Notice[];
  /** To be settled at the end. */
  reservation: Reservation | undefined;
  /** Keeps count of a reply. */
  note: (events: ReplyEvent[]) => void;
  /** Its reply is being streamed. */
  streaming(): void;
  /** The end, for the reservation, the metrics, the ledger and the log. Only the first one counts; says whether it was. */
  close(status: number, outcome: RequestAccount["outcome"], failure?: Failure): boolean;
};

export function openAccount(
  head: { requestId: string; wire: string },
  { runtime, ledger, metrics }: AccountDeps,
  log: Pick<Log, "info" | "warn">,
): OpenAccount {
  const startedAt = runtime.monotonic();
  const account: RequestAccount = {
    ...head,
    at: runtime.now(),
    status: 500,
    outcome: "failed",
    attempts: [],
    usage: {},
    durationMs: 0,
  };
  const measured = metrics.begin();
  /** The charge of the reply itself. */
  let charge: number | undefined;
  let isOpen = true;

  function settle(reservation: Reservation | undefined): void {
    const { attempts, usage } = account;
    const charges = [...attempts.map(({ credits }) => credits), charge].filter(
      (credits) => credits !== undefined,
    );
    const credits = charges.reduce((sum, one) => sum + one, 0);
    if (charges.length > 0) account.credits = credits;
    if (reservation === undefined) return;
    const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
    const estimate = reservation.settle({
      begun: account.upstreamModel !== undefined && attempts.length > 0,
      credits,
      metered: charge !== undefined,
      ...(inputTokens !== undefined && {
        promptTokens: inputTokens + cacheReadTokens + cacheWriteTokens,
      }),
      ...(outputTokens !== undefined && { outputTokens }),
    });
    if (Object.keys(estimate).length > 0) account.estimate = estimate;
  }

  return {
    account,
    notices: [],
    reservation: undefined,
    note(events) {
      account.firstEventMs ??= runtime.monotonic() - startedAt;
      for (const event of events) {
        if (event.type === "usage") Object.assign(account.usage, event.usage);
        if (event.type === "credits") charge = event.credits;
      }
    },
    streaming: () => measured.streaming(),
    close(status, outcome, failure) {
      if (!isOpen) return false;
      isOpen = false;
      account.status = status;
      account.outcome = outcome;
      if (failure !== undefined) account.failure = failure.kind;
      account.durationMs = runtime.monotonic() - startedAt;
      const lastTried = account.attempts.at(-1)?.credential;
      if (lastTried !== undefined) account.credential ??= lastTried;
      settle(this.reservation);
      if (this.notices.length > 0) {
        account.notices = [...new Set(this.notices.map(({ code }) => code))];
      }
      measured.end(account);
      ledger.record(account);
      const line = logLine(account, failure);
      if (status >= 500) log.warn("request", line);
      else log.info("request", line);
      return true;
    },
  };
}

function logLine(account: RequestAccount, failure: Failure | undefined) {
  const { usage, attempts, firstEventMs } = account;
  return {
    wire: account.wire,
    status: account.status,
    outcome: account.outcome,
    durationMs: Math.round(account.durationMs),
    failure: account.failure,
    // What is wrong with a request can only be said in the words of the request.
    message: failure?.kind === "invalid-request" ? undefined : failure?.message,
    caller: account.caller,
    user: account.user,
    model: account.model,
    upstreamModel: account.upstreamModel,
    credential: account.credential,
    attempts: attempts.length || undefined,
    stream: account.stream,
    firstEventMs: firstEventMs === undefined ? undefined : Math.round(firstEventMs),
    upstreamMs: attempts.length === 0 ? undefined : Math.round(upstreamMs(account)),
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    credits: account.credits,
    notices: account.notices?.join(","),
  };
}
