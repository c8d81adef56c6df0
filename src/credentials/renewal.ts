import type { Runtime } from "../runtime.ts";
import type { Pool } from "./pool.ts";
import type { Tokens } from "./tokens.ts";

const EVERY_MS = 5 * 60_000;
/** Twice the pause and more: what is skipped now has five minutes left next time, the least that a request needs. */
const AHEAD_MS = 2 * EVERY_MS;

/**
 * Renews what is about to end, one credential after the other, now and then until the signal aborts, so that the first
 * request after idle hours finds a fresh token. What gets no requests gets no renewals either. Never rejects.
 */
export async function renewInBackground(
  deps: { pool: Pick<Pool, "list" | "reload">; tokens: Tokens; runtime: Runtime },
  signal: AbortSignal,
): Promise<void> {
  const { pool, tokens, runtime } = deps;
  try {
    for (;;) {
      // Another program may have renewed a log-in that it shares with us, or somebody may have signed in again there.
      await pool.reload();
      for (const { credential, state } of pool.list()) {
        if (state.type !== "ready" || credential.login === undefined) continue;
        // Its outcome is in the log and in the pool.
        await tokens.access(credential, { aheadMs: AHEAD_MS }, { signal });
      }
      // Never later: see above. Several gateways of one network should not march in step.
      await runtime.sleep(EVERY_MS * (1 - runtime.random() / 10), signal);
    }
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}
