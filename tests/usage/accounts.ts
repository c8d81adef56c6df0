import type { RequestAccount } from "../../src/telemetry/account.ts";

/** A request that has been answered, or whatever else `more` makes of it. */
export function account(more: Partial<RequestAccount> = {}): RequestAccount {
  return {
    requestId: `req_${crypto.randomUUID()}`,
    at: Date.UTC(2026, 0, 15, 12),
    wire: "messages",
    caller: "api-key",
    model: "sonnet",
    upstreamModel: "claude-sonnet-4.5",
    credential: "c1",
    stream: true,
    status: 200,
    outcome: "complete",
    attempts: [{ credential: "c1", ms: 900 }],
    usage: { inputTokens: 100, outputTokens: 20, cacheReadTokens: 0, cacheWriteTokens: 0 },
    credits: 0.5,
    firstEventMs: 300,
    durationMs: 1_000,
    ...more,
  };
}
