import { z } from "zod";
import { BoundedMap } from "../bounded-map.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { KnownCodes } from "./known-codes.ts";

/** What the activation server says of a code on a machine. */
export type ActivationVerdict =
  | { type: "confirmed" }
  /** `message` is the server's own. */
  | { type: "refused"; message: string }
  /** It could not be asked. `known`: it has confirmed the code before. */
  | { type: "unavailable"; known: boolean };

export type Activation = {
  /**
   * `code` without `act-`; the machine's id may be empty. From memory where the answer is not old, so that only the first
   * request in a while waits. Never rejects.
   */
  check(code: string, machineId: string): ActivationVerdict | Promise<ActivationVerdict>;
};

const TIME_LIMIT_MS = 5_000;
const CONFIRMED_FOR_MS = 5 * 60_000;
const REFUSED_FOR_MS = 60_000;
const REMEMBERED_MAX = 10_000;
/** After so many failures in a row nobody waits for the server any more, but one in so many milliseconds. */
const FAILURES_ALLOWED = 3;
const REST_MS = 30_000;
const MESSAGE_MAX = 300;

const Answer = z.object({
  success: z.boolean(),
  message: z.string().catch(""),
  expiresAt: z.string().optional().catch(undefined),
});

/** The client of the Go build's activation server: `POST {url}/api/tunnel/check`. */
export function createActivation(deps: {
  url: string;
  known: KnownCodes;
  runtime: Pick<Runtime, "fetch" | "monotonic" | "now" | "timer">;
  log: Pick<Log, "info" | "warn">;
}): Activation {
  const { url, known, runtime, log } = deps;
  const cache = new BoundedMap<string, { verdict: ActivationVerdict; until: number }>(
    REMEMBERED_MAX,
  );
  const flights = new Map<string, Promise<ActivationVerdict>>();
  let failures = 0;
  let restUntil = 0;

  /** Undefined where the server has not given an answer that can be read. */
  const ask = async (
    code: string,
    machineId: string,
  ): Promise<z.output<typeof Answer> | undefined> => {
    const limit = new AbortController();
    const timer = runtime.timer(TIME_LIMIT_MS, () => limit.abort());
    try {
      const response = await runtime.fetch(`${url}/api/tunnel/check`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ code, machineId }),
        redirect: "error",
        signal: limit.signal,
      });
      const answer = Answer.safeParse(JSON.parse(await response.text()));
      return response.ok && answer.success ? answer.data : undefined;
    } catch {
      // Whatever it was, the server can't be asked just now.
      return undefined;
    } finally {
      timer.cancel();
    }
  };

  const failed = (): void => {
    failures += 1;
    if (failures < FAILURES_ALLOWED) return;
    restUntil = runtime.monotonic() + REST_MS;
    if (failures === FAILURES_ALLOWED) log.warn("activation-server-unavailable");
  };

  const look = async (code: string, machineId: string): Promise<ActivationVerdict> => {
    const answer = await ask(code, machineId);
    if (answer === undefined) {
      failed();
      return { type: "unavailable", known: known.has(code, machineId) };
    }
    if (failures >= FAILURES_ALLOWED) log.info("activation-server-available");
    failures = 0;
    restUntil = 0;
    const expiresAt = Date.parse(answer.expiresAt ?? "");
    if (answer.success) known.confirm(code, machineId, expiresAt);
    else known.forget(code, machineId);
    const verdict: ActivationVerdict = answer.success
      ? { type: "confirmed" }
      : { type: "refused", message: messageOf(answer.message) };
    const leftMs = Number.isNaN(expiresAt) ? CONFIRMED_FOR_MS : expiresAt - runtime.now();
    const forMs = answer.success ? Math.min(CONFIRMED_FOR_MS, leftMs) : REFUSED_FOR_MS;
    cache.set(keyOf(code, machineId), { verdict, until: runtime.monotonic() + forMs });
    return verdict;
  };

  return {
    check(given, machineId) {
      const code = given.toUpperCase();
      const key = keyOf(code, machineId);
      const cached = cache.get(key);
      const now = runtime.monotonic();
      if (cached !== undefined && cached.until > now) return cached.verdict;
      const running = flights.get(key);
      if (running !== undefined) return running;
      if (now < restUntil) return { type: "unavailable", known: known.has(code, machineId) };
      // The one that finds out whether the server is back; the others do not wait with it.
      if (failures >= FAILURES_ALLOWED) restUntil = now + REST_MS;
      const flight = look(code, machineId).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
  };
}

function keyOf(code: string, machineId: string): string {
  return `${code}\n${machineId}`;
}

/** One line of visible text; the server is not ours. */
function messageOf(text: string): string {
  const line = text.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  return line.slice(0, MESSAGE_MAX) || "The activation code was refused.";
}
