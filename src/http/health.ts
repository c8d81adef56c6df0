import { Hono } from "hono";
import { claimOf } from "../auth/claim.ts";
import type { Secret } from "../secret.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { LedgerStatus } from "../usage/ledger.ts";
import type { HttpEnv } from "./env.ts";

export type HealthDeps = {
  /** How many of the pool's credentials are in each state. */
  credentials(): Record<string, number>;
  ledger(): LedgerStatus;
  /** The server takes no new requests any more. */
  stopping(): boolean;
  metrics: Pick<Metrics, "render">;
  /** Who may read the metrics: everybody, or those with this key; without a key nobody. */
  metricsFor: "everybody" | Secret | undefined;
};

/** What monitors ask: whether the process lives, whether it can serve, and how it does. No identities. */
export function healthRoutes(deps: HealthDeps): Hono<HttpEnv> {
  const health = new Hono<HttpEnv>();

  health.get("/healthz", (c) => c.json({ status: "ok" }));

  health.get("/readyz", (c) => {
    const credentials = deps.credentials();
    const { pending, lagMs, failing } = deps.ledger();
    const status = deps.stopping() ? "stopping" : credentials["ready"] ? "ready" : "not-ready";
    const ledger = { pending, lag_ms: lagMs, failing };
    return c.json({ status, credentials, ledger }, status === "ready" ? 200 : 503);
  });

  health.get("/metrics", async (c) => {
    const { metricsFor } = deps;
    if (metricsFor !== "everybody") {
      const claim = claimOf(c.req.raw.headers);
      const isAllowed = claim.type === "key" && metricsFor?.equals(claim.key.reveal());
      if (!isAllowed) return c.text("The metrics need the admin key, or metricsOpen.\n", 401);
    }
    const { contentType, text } = await deps.metrics.render();
    return c.body(text, 200, { "content-type": contentType });
  });

  return health;
}
