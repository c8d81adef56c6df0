import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import Registry from "prom-client/lib/registry.js";
import { type RequestAccount, upstreamMs } from "./account.ts";

/** What is read when somebody asks for the metrics. */
export type Readings = {
  /** How many credentials are in each state. */
  credentials(): Record<string, number>;
  load(): { inFlight: number; waiting: number };
  ledger(): { pending: number; lagMs: number; written: number; failedWrites: number; lost: number };
  /** Whether a model is one that we know. Others are `other`: clients can't make up labels. */
  knowsModel(id: string): boolean;
  /** Bytes. */
  memory(): number;
};

/** One request as it runs. */
export type Measured = {
  /** Its reply is being streamed. */
  streaming(): void;
  end(account: RequestAccount): void;
};

export type Metrics = {
  begin: () => Measured;
  /** All of them in the text format of Prometheus. */
  render: () => Promise<{ contentType: string; text: string }>;
};

/** States that a credential can be in, so that one without any is a 0 and not a gap. */
const STATES = ["ready", "cooling", "exhausted", "suspended", "needs-login", "disabled"];

/** Seconds. */
const FIRST_EVENT = [0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120];
const OVERHEAD = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5, 30, 60];
const DURATION = [0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 720];

const COUNT_AT_ONCE = 100;

/**
 * Counters of requests, raised once when a request ends; all else is read when it is asked for. Every label is from a closed
 * list: no user, no credential, no text of a client.
 */
export function createMetrics(readings: Readings): Metrics {
  const registry = new Registry();
  const registers = [registry];
  let running = 0;
  let streams = 0;

  const requests = new Counter({
    name: "kiro_proxy_requests_total",
    help: "Requests that were answered, by client protocol, HTTP status and outcome.",
    labelNames: ["protocol", "status", "outcome"] as const,
    registers,
  });
  const failures = new Counter({
    name: "kiro_proxy_failures_total",
    help: "Requests that failed, by the kind of failure.",
    labelNames: ["failure"] as const,
    registers,
  });
  const attempts = new Counter({
    name: "kiro_proxy_attempts_total",
    help: "Calls to the service, by fault; none for those that gave the answer.",
    labelNames: ["fault"] as const,
    registers,
  });
  const notices = new Counter({
    name: "kiro_proxy_notices_total",
    help: "Requests in which something was added, moved, left out or marked, by what it was.",
    labelNames: ["notice"] as const,
    registers,
  });
  const tokens = new Counter({
    name: "kiro_proxy_tokens_total",
    help: "Tokens of requests, by model and kind.",
    labelNames: ["model", "kind"] as const,
    registers,
  });
  const credits = new Counter({
    name: "kiro_proxy_credits_total",
    help: "Credits that the service has charged, by model.",
    labelNames: ["model"] as const,
    registers,
  });
  const firstEvent = new Histogram({
    name: "kiro_proxy_time_to_first_token_seconds",
    help: "From a request to the first event of its reply.",
    labelNames: ["protocol"] as const,
    buckets: FIRST_EVENT,
    registers,
  });
  const duration = new Histogram({
    name: "kiro_proxy_request_duration_seconds",
    help: "From a request to the end of its answer.",
    labelNames: ["protocol"] as const,
    buckets: DURATION,
    registers,
  });
  const overhead = new Histogram({
    name: "kiro_proxy_gateway_overhead_seconds",
    help: "What requests took less what they spent with the service: the gateway's own work and waiting.",
    labelNames: ["protocol"] as const,
    buckets: OVERHEAD,
    registers,
  });

  /** A figure that is read when it is asked for. */
  const read = (name: string, help: string, value: () => number): void => {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      collect: () => gauge.set(value()),
    });
  };
  read("kiro_proxy_requests_in_flight", "Requests that are being answered.", () => running);
  read("kiro_proxy_streams_open", "Replies that are being streamed.", () => streams);
  read(
    "kiro_proxy_leases",
    "Requests that have a credential in hand.",
    () => readings.load().inFlight,
  );
  read(
    "kiro_proxy_queue_length",
    "Requests that wait for a credential.",
    () => readings.load().waiting,
  );
  read(
    "kiro_proxy_ledger_pending_rows",
    "Rows of the ledger that wait to be written.",
    () => readings.ledger().pending,
  );
  read(
    "kiro_proxy_ledger_lag_seconds",
    "How long the oldest of them has waited.",
    () => readings.ledger().lagMs / 1_000,
  );
  read("kiro_proxy_memory_bytes", "Resident memory of the process.", () => readings.memory());
  const total = (name: string, help: string, value: () => number): void => {
    const counter: Counter = new Counter({
      name,
      help,
      registers,
      collect() {
        counter.reset();
        counter.inc(value());
      },
    });
  };
  total(
    "kiro_proxy_ledger_rows_total",
    "Rows of the ledger that were written.",
    () => readings.ledger().written,
  );
  total(
    "kiro_proxy_ledger_failed_writes_total",
    "Writes to the ledger that failed; they are tried again.",
    () => readings.ledger().failedWrites,
  );
  total(
    "kiro_proxy_ledger_lost_rows_total",
    "Rows that were given up because too many waited.",
    () => readings.ledger().lost,
  );
  const states = new Gauge({
    name: "kiro_proxy_credentials",
    help: "Credentials of the pool, by state.",
    labelNames: ["state"] as const,
    registers,
    collect() {
      const counted = readings.credentials();
      for (const state of new Set([...STATES, ...Object.keys(counted)])) {
        states.set({ state }, counted[state] ?? 0);
      }
    },
  });

  function count(account: RequestAccount): void {
    const { wire: protocol, status, outcome, usage, durationMs, firstEventMs } = account;
    const { upstreamModel } = account;
    const model =
      upstreamModel !== undefined && readings.knowsModel(upstreamModel) ? upstreamModel : "other";
    requests.inc({ protocol, status, outcome });
    if (account.failure !== undefined) failures.inc({ failure: account.failure });
    for (const notice of account.notices ?? []) notices.inc({ notice });
    for (const { fault = "none" } of account.attempts) attempts.inc({ fault });
    if (usage.inputTokens) tokens.inc({ model, kind: "input" }, usage.inputTokens);
    if (usage.outputTokens) tokens.inc({ model, kind: "output" }, usage.outputTokens);
    if (usage.cacheReadTokens) tokens.inc({ model, kind: "cache-read" }, usage.cacheReadTokens);
    if (usage.cacheWriteTokens) tokens.inc({ model, kind: "cache-write" }, usage.cacheWriteTokens);
    if (account.credits) credits.inc({ model }, account.credits);
    duration.observe({ protocol }, durationMs / 1_000);
    if (firstEventMs !== undefined) firstEvent.observe({ protocol }, firstEventMs / 1_000);
    overhead.observe({ protocol }, Math.max(0, durationMs - upstreamMs(account)) / 1_000);
  }

  /** Counted together, because what is called once for each request is never warm. */
  let ended: RequestAccount[] = [];
  function countEnded(): void {
    const accounts = ended;
    ended = [];
    accounts.forEach(count);
  }

  return {
    begin() {
      let isStream = false;
      running += 1;
      return {
        streaming() {
          if (!isStream) streams += 1;
          isStream = true;
        },
        end(account) {
          running -= 1;
          if (isStream) streams -= 1;
          if (ended.push(account) >= COUNT_AT_ONCE) countEnded();
        },
      };
    },
    async render() {
      countEnded();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
