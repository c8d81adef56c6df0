import type { AppDeps } from "../../src/http/app.ts";
import { ok } from "../../src/result.ts";
import type { RequestAccount } from "../../src/telemetry/account.ts";

type UsageDeps = Pick<AppDeps, "ledger" | "limits" | "metrics" | "health">;

/** What `createApp` needs to keep account of requests: no limits, and `accounts` is the ledger. */
export function usageDeps(more: Partial<AppDeps["health"]> = {}): UsageDeps & {
  accounts: RequestAccount[];
} {
  const accounts: RequestAccount[] = [];
  return {
    accounts,
    ledger: { record: (account) => void accounts.push(account) },
    limits: { reserve: async () => ok({ settle: () => ({}) }) },
    metrics: { begin: () => ({ streaming() {}, end() {} }) },
    health: {
      credentials: () => ({ ready: 1 }),
      ledger: () => ({
        pending: 0,
        lagMs: 0,
        written: 0,
        failedWrites: 0,
        lost: 0,
        failing: false,
      }),
      stopping: () => false,
      metrics: { render: async () => ({ contentType: "text/plain", text: "figures" }) },
      metricsFor: "everybody",
      ...more,
    },
  };
}
