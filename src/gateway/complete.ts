import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent } from "../conversation/reply.ts";
import type { PoolEmpty } from "../credentials/pool.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import {
  attempt,
  type CompletionRequest,
  type GatewayDeps,
  type Hand,
  type Rendered,
  render,
} from "./attempt.ts";
import { clientLeft, faultFailure, moreHopeful, poolFailure, tokenFailure } from "./failures.ts";
import { type Decision, decide, decideWithoutToken } from "./retry.ts";

/**
 * An answer that has begun: at least one event that the client would see has come, so nothing is retried any more.
 * `events` owns an open socket: iterate it to its end or `return()` it. It never throws; its last batch ends with
 * `stop` or `failed`.
 */
export type Reply = {
  events: AsyncGenerator<ReplyEvent[], void, undefined>;
  model: string;
  credentialId: string;
  notices: Notice[];
  attempts: number;
};

export type Gateway = {
  complete(request: CompletionRequest): Promise<Result<Reply, Failure>>;
};

export function createGateway(deps: GatewayDeps): Gateway {
  return { complete: async (request) => await complete(deps, request) };
}

async function complete(
  deps: GatewayDeps,
  request: CompletionRequest,
): Promise<Result<Reply, Failure>> {
  const { policy, runtime } = deps;
  const { signal, log } = request;
  const rendering = render(deps, request);
  if (!rendering.ok) return rendering;
  let rendered = rendering.value;
  if (request.conversation.limits.maxTokens === 0) return ok(warmUp(rendered));

  const tried = new Set<string>();
  const take = (): Result<Hand, PoolEmpty> => {
    const lease = deps.pool.acquire(request.source, { ...wants(request, rendered), tried });
    if (!lease.ok) return lease;
    tried.add(lease.value.credential.id);
    return ok({ lease: lease.value, attempts: 0 });
  };

  const taken = take();
  if (!taken.ok) return fail(poolFailure(taken.failure, runtime.now()));
  let hand = taken.value;
  let worst: Failure | undefined;
  let attempts = 0;
  let emptyReplies = 0;
  let rerendered = false;

  for (;;) {
    const { credential } = hand.lease;
    const outcome = await attempt(deps, request, rendered, hand, attempts + 1);
    if (signal.aborted) {
      if (outcome.type === "begun") await outcome.events.return();
      hand.lease.settle({ type: "unchanged" });
      return fail(clientLeft);
    }
    if (outcome.type === "begun") {
      hand.lease.settle({ type: "served" });
      return ok({
        events: outcome.events,
        model: rendered.kiro.model.id,
        credentialId: credential.id,
        notices: rendered.kiro.notices,
        attempts: attempts + 1,
      });
    }

    let decision: Decision;
    let failure: Failure;
    if (outcome.type === "no-token") {
      failure = tokenFailure(outcome.fault, request.source);
      decision = decideWithoutToken(outcome.fault);
      log.warn("token-unavailable", { credential: credential.id, kind: outcome.fault.kind });
    } else {
      attempts += 1;
      hand.attempts += 1;
      failure = faultFailure(outcome.fault, request.source);
      decision = decide(
        outcome.fault,
        {
          attempts,
          withCredential: hand.attempts,
          refreshed: hand.refused !== undefined,
          rerendered,
          emptyReplies,
        },
        policy,
        { now: runtime.now(), random: runtime.random() },
      );
      if (outcome.fault.kind === "empty-reply") emptyReplies += 1;
      logAttempt(log, credential.id, attempts, outcome.fault, decision);
    }
    worst = moreHopeful(worst, failure);

    const { step, verdict } = decision;
    let waitMs = 0;
    switch (step.type) {
      case "answer":
        hand.lease.settle(verdict);
        return fail(failure);
      case "refresh":
        if (outcome.type === "fault") hand.refused = outcome.token;
        break;
      case "again":
        waitMs = step.waitMs;
        break;
      case "rerender": {
        rerendered = true;
        const again = render(deps, request, step.how);
        if (!again.ok) return again;
        rendered = again.value;
        break;
      }
      case "next": {
        const other = take();
        if (other.ok) {
          hand.lease.settle(verdict);
          hand = other.value;
        } else if (step.orAgainMs !== undefined) {
          waitMs = step.orAgainMs;
        } else {
          hand.lease.settle(verdict);
          return fail(worst);
        }
        break;
      }
      default:
        return step satisfies never;
    }
    if (waitMs > 0 && !(await rested(runtime, waitMs, signal))) {
      hand.lease.settle({ type: "unchanged" });
      return fail(clientLeft);
    }
  }
}

/** A reply to `max_tokens: 0`: clients send it to warm a cache up. No call is made. */
function warmUp({ kiro }: Rendered): Reply {
  return {
    events: (async function* () {
      yield [{ type: "stop" as const, reason: "max-tokens" as const }];
    })(),
    model: kiro.model.id,
    credentialId: "none",
    notices: kiro.notices,
    attempts: 0,
  };
}

function wants(
  request: CompletionRequest,
  { kiro }: Rendered,
): { model: string; sessionId?: string } {
  const { sessionId } = request.conversation;
  return { model: kiro.model.id, ...(sessionId === undefined ? {} : { sessionId }) };
}

/** False when the client left meanwhile. */
async function rested(runtime: Runtime, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await runtime.sleep(ms, signal);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

function logAttempt(
  log: Log,
  credential: string,
  number: number,
  fault: KiroFault,
  decision: Decision,
): void {
  log.warn("attempt-failed", {
    credential,
    attempt: number,
    fault: fault.kind,
    status: fault.status,
    reason: fault.reason,
    upstreamRequestId: fault.requestId,
    verdict: decision.verdict.type,
    next: decision.step.type,
  });
}
