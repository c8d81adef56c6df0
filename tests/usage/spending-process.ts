/**
 * Spends for a user with 10 credits a day until it is killed; its argument is the ledger's path. Says `held` of a request
 * that has been let through, `done` of one whose cost is known, and `refused` once there is nothing left.
 */
import { writeSync } from "node:fs";
import { realRuntime } from "../../src/runtime.ts";
import { createLedger } from "../../src/usage/ledger.ts";
import { createLimits } from "../../src/usage/limits.ts";
import { account } from "./accounts.ts";

const [path = ""] = process.argv.slice(2);
const runtime = realRuntime();
const log = { info: () => undefined, error: () => undefined };
const ledger = createLedger({ path, retentionDays: 90, runtime, log });
const limits = createLimits({
  defaults: { creditsPerDay: 10 },
  ledger,
  runtime,
  modelId: (name) => name,
});
const stays = new AbortController().signal;

async function spend(): Promise<void> {
  for (;;) {
    const row = account({ user: "u1", at: runtime.now(), credits: 1, upstreamModel: "m" });
    const { requestId, at, wire } = row;
    const reserved = await limits.reserve(
      { id: "u1", name: "Ann", limits: {} },
      { requestId, at, wire, model: "m", promptTokens: 100 },
      stays,
    );
    if (!reserved.ok) {
      writeSync(1, `refused ${reserved.failure.kind}\n`);
      if (reserved.failure.kind === "limit-reached") return;
      continue;
    }
    writeSync(1, "held\n");
    await Bun.sleep(20);
    const cost = { begun: true, metered: true, credits: 1, promptTokens: 100, outputTokens: 1 };
    reserved.value.settle(cost);
    ledger.record(row);
    writeSync(1, "done\n");
  }
}

await Promise.all(Array.from({ length: 8 }, spend));
await ledger.close();
