import { expect, test } from "bun:test";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { account } from "../usage/accounts.ts";

function metrics() {
  return createMetrics({
    credentials: () => ({ ready: 2, cooling: 1 }),
    load: () => ({ inFlight: 3, waiting: 4 }),
    ledger: () => ({ pending: 5, lagMs: 1_500, written: 6, failedWrites: 7, lost: 8 }),
    knowsModel: (id) => id === "claude-sonnet-4.5",
    memory: () => 9,
  });
}

test("a request is counted once, when it ends", async () => {
  const { begin, render } = metrics();
  const measured = begin();
  measured.streaming();
  const during = await render();
  expect(during.contentType).toStartWith("text/plain");
  expect(during.text).toContain("kiro_proxy_requests_in_flight 1\n");
  expect(during.text).toContain("kiro_proxy_streams_open 1\n");
  const attempts = [
    { credential: "c1", fault: "throttled", ms: 100 },
    { credential: "c2", ms: 880 },
  ];
  measured.end(account({ attempts }));
  const { text } = await render();
  const lines = [
    "kiro_proxy_requests_in_flight 0",
    "kiro_proxy_streams_open 0",
    'kiro_proxy_requests_total{protocol="messages",status="200",outcome="complete"} 1',
    'kiro_proxy_attempts_total{fault="throttled"} 1',
    'kiro_proxy_attempts_total{fault="none"} 1',
    'kiro_proxy_tokens_total{model="claude-sonnet-4.5",kind="input"} 100',
    'kiro_proxy_credits_total{model="claude-sonnet-4.5"} 0.5',
    'kiro_proxy_gateway_overhead_seconds_sum{protocol="messages"} 0.02',
    'kiro_proxy_time_to_first_token_seconds_sum{protocol="messages"} 0.3',
    'kiro_proxy_request_duration_seconds_sum{protocol="messages"} 1',
  ];
  for (const line of lines) expect(text).toContain(`${line}\n`);
});

test("a model that we do not know makes no label", async () => {
  const { begin, render } = metrics();
  begin().end(account({ upstreamModel: "my prompt", failure: "upstream", outcome: "failed" }));
  const { text } = await render();
  expect(text).toContain('kiro_proxy_credits_total{model="other"} 0.5\n');
  expect(text).toContain('kiro_proxy_failures_total{failure="upstream"} 1\n');
  expect(text).not.toContain("my prompt");
});

test("states, queue, ledger and memory are read when they are asked for, again and again", async () => {
  const { render } = metrics();
  await render();
  const { text } = await render();
  const lines = [
    'kiro_proxy_credentials{state="ready"} 2',
    'kiro_proxy_credentials{state="cooling"} 1',
    'kiro_proxy_credentials{state="suspended"} 0',
    "kiro_proxy_leases 3",
    "kiro_proxy_queue_length 4",
    "kiro_proxy_ledger_pending_rows 5",
    "kiro_proxy_ledger_lag_seconds 1.5",
    "kiro_proxy_ledger_rows_total 6",
    "kiro_proxy_ledger_failed_writes_total 7",
    "kiro_proxy_ledger_lost_rows_total 8",
    "kiro_proxy_memory_bytes 9",
  ];
  for (const line of lines) expect(text).toContain(`${line}\n`);
});
