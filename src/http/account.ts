import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent } from "../conversation/reply.ts";
import type { Runtime } from "../runtime.ts";
import { type RequestAccount, upstreamMs } from "../telemetry/account.ts";
import type { Log } from "../telemetry/log.ts";
import type { Measured, Metrics } from "../telemetry/metrics.ts";
import type { Ledger } from "../usage/ledger.ts";
import type { Reservation } from "../usage/limits.ts";

export type AccountDeps = {
  runtime: Pick<Runtime, "now" | "monotonic">;
  ledger: Pick<Ledger, "record">;
  metrics: Pick<Metrics, "begin">;
};

/** The account of a request that runs. */
export class OpenAccount {
  /** To be filled in as things become known; the end is not. */
  readonly account: RequestAccount;
  readonly notices: Notice[] = [];
  /** To be settled at the end. */
  reservation: Reservation | undefined;
  readonly #deps: AccountDeps;
  readonly #log: Pick<Log, "info" | "warn">;
  readonly #startedAt: number;
  readonly #measured: Measured;
  /** The charge of the reply itself. */
  #charge: number | undefined;
  #isOpen = true;

  constructor(
    { requestId, wire }: { requestId: string; wire: string },
    deps: AccountDeps,
    log: Pick<Log, "info" | "warn">,
  ) {
    this.#deps = deps;
    this.#log = log;
    this.#startedAt = deps.runtime.monotonic();
    this.#measured = deps.metrics.begin();
    this.account = {
      requestId,
      wire,
      at: deps.runtime.now(),
      status: 500,
      outcome: "failed",
      attempts: [],
      usage: {},
      durationMs: 0,
    };
  }

  /** Keeps count of a reply. */
  note(events: ReplyEvent[]): void {
    const { account } = this;
    account.firstEventMs ??= this.#deps.runtime.monotonic() - this.#startedAt;
    for (const event of events) {
      if (event.type === "usage") Object.assign(account.usage, event.usage);
      if (event.type === "credits") this.#charge = event.credits;
    }
  }

  /** Its reply is being streamed. */
  streaming(): void {
    this.#measured.streaming();
  }

  /** The end, for the reservation, the metrics, the ledger and the log. Only the first one counts; says whether it was. */
  close(status: number, outcome: RequestAccount["outcome"], failure?: Failure): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    const { account } = this;
    account.status = status;
    account.outcome = outcome;
    if (failure !== undefined) account.failure = failure.kind;
    account.durationMs = this.#deps.runtime.monotonic() - this.#startedAt;
    const lastTried = account.attempts.at(-1)?.credential;
    if (lastTried !== undefined) account.credential ??= lastTried;
    this.#settle();
    if (this.notices.length > 0) {
      account.notices = [...new Set(this.notices.map(({ code }) => code))];
    }
    this.#measured.end(account);
    this.#deps.ledger.record(account);
    const line = logLine(account, failure);
    if (status >= 500) this.#log.warn("request", line);
    else this.#log.info("request", line);
    return true;
  }

  #settle(): void {
    const { attempts, usage } = this.account;
    let credits = this.#charge;
    for (const attempt of attempts) {
      if (attempt.credits !== undefined) credits = (credits ?? 0) + attempt.credits;
    }
    if (credits !== undefined) this.account.credits = credits;
    if (this.reservation === undefined) return;
    const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
    const estimate = this.reservation.settle({
      begun: this.account.upstreamModel !== undefined && attempts.length > 0,
      credits: credits ?? 0,
      metered: this.#charge !== undefined,
      ...(inputTokens !== undefined && {
        promptTokens: inputTokens + cacheReadTokens + cacheWriteTokens,
      }),
      ...(outputTokens !== undefined && { outputTokens }),
    });
    if (Object.keys(estimate).length > 0) this.account.estimate = estimate;
  }
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
