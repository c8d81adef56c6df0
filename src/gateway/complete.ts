import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { Batches, ReplyEvent } from "../conversation/reply.ts";
import type { Credential } from "../credentials/credential.ts";
import type { Lease, PoolEmpty } from "../credentials/pool.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { conversationKey } from "../kiro/identity.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Log } from "../telemetry/log.ts";
import {
  attempt,
  type CompletionRequest,
  type GatewayDeps,
  type Hand,
  type Rendered,
  render,
} from "./attempt.ts";
import { startDeadline } from "./deadline.ts";
import { diagnose, type Diagnosis } from "./diagnosis.ts";
import {
  clientLeft,
  faultFailure,
  moreHopeful,
  poolFailure,
  tokenFailure,
  tooLate,
} from "./failures.ts";
import { precheck } from "./precheck.ts";
import { type Decision, decide, verdictOn } from "./retry.ts";

/**
 * An answer that has begun: at least one event that the client would see has come, so nothing is retried any more.
 * `events` never throws; its last batch ends with `stop` or `failed`.
 */
export type Reply = {
  events: Batches<ReplyEvent[]>;
  model: string;
  credentialId: string;
  notices: Notice[];
  attempts: number;
};

export type Gateway = {
  complete(request: CompletionRequest): Promise<Result<Reply, Failure>>;
};

export function createGateway(deps: GatewayDeps): Gateway {
  return { complete: (request) => complete(deps, request) };
}

async function complete(
  deps: GatewayDeps,
  request: CompletionRequest,
): Promise<Result<Reply, Failure>> {
  const { pool, policy, runtime } = deps;
  const { signal, log, source, conversation } = request;
  const rendering = render(deps, request, undefined);
  if (!rendering.ok) return rendering;
  let rendered = rendering.value;
  const refusal = precheck(conversation, rendered.kiro, request.promptTokens, deps.profile());
  if (refusal !== undefined) return fail(refusal);
  if (conversation.limits.maxTokens === 0) return ok(warmUp(rendered));

  const key = conversationKey(conversation, request.caller);
  const tried = new Set<string>();
  const handed = (lease: Result<Lease, PoolEmpty>): Result<Hand, PoolEmpty> => {
    if (!lease.ok) return lease;
    const { credential } = lease.value;
    tried.add(credential.id);
    const hosts =
      deps.moved?.order(hostKey(credential), deps.profile(credential.wireProfile)) ?? [];
    return ok({ lease: lease.value, attempts: 0, hosts });
  };
  const take = (mayWait: boolean): Result<Hand, PoolEmpty> | Promise<Result<Hand, PoolEmpty>> => {
    // No call for one who has left, or for the last millisecond of a request's time.
    if (signal.aborted || deadline.leftMs() <= 0) deadline.signal.throwIfAborted();
    const want = { model: rendered.kiro.model.id, conversation: key, tried, mayWait };
    const lease = pool.acquire(source, want, deadline);
    return lease instanceof Promise ? lease.then(handed) : handed(lease);
  };
  const emptyFailure = (empty: PoolEmpty): Failure =>
    poolFailure(empty, { source, model: conversation.model, now: runtime.now() });

  const deadline = startDeadline(runtime, policy.totalMs, signal);
  let hand: Hand | undefined;
  let hasBegun = false;
  let worst: Failure | undefined;
  let attempts = 0;
  let emptyReplies = 0;
  let rerendered = false;
  try {
    let first = take(true);
    if (first instanceof Promise) first = await first;
    if (!first.ok) return fail(emptyFailure(first.failure));
    hand = first.value;
    for (;;) {
      const { lease } = hand;
      const { credential } = lease;
      if (credential.wireProfile !== rendered.wireProfile) {
        const anew = render(deps, request, credential.wireProfile);
        if (!anew.ok) return anew;
        rendered = anew.value;
      }
      const outcome = await attempt(deps, request, rendered, hand, attempts + 1, deadline);
      if (signal.aborted) {
        if (outcome.type === "begun") await outcome.events.return();
        // What the service has said of the account holds all the same; that a token is stale says nothing of it.
        if (outcome.type === "fault" && outcome.fault.kind !== "token-refused") {
          lease.settle(verdictOn(outcome.fault, policy, runtime.now()));
        }
        return fail(clientLeft);
      }
      let diagnosis: Diagnosis | undefined;
      let decision: Decision = { verdict: { type: "unchanged" }, step: { type: "next" } };
      switch (outcome.type) {
        case "begun":
          hasBegun = true;
          remember(deps, hand, rendered);
          return ok({
            events: outcome.events,
            model: rendered.kiro.model.id,
            credentialId: credential.id,
            notices: rendered.kiro.notices,
            attempts: attempts + 1,
          });
        case "withdrawn":
          break;
        case "no-token":
          worst = moreHopeful(worst, tokenFailure(outcome.fault, source));
          request.onAttempt?.({
            credential: credential.id,
            fault: `token-${outcome.fault.kind}`,
            ms: 0,
          });
          log.warn("token-unavailable", { credential: credential.id, kind: outcome.fault.kind });
          break;
        case "fault":
          attempts += 1;
          hand.attempts += 1;
          worst = moreHopeful(worst, faultFailure(outcome.fault, source));
          decision = decide(
            outcome.fault,
            {
              attempts,
              withCredential: hand.attempts,
              refreshed: hand.refused !== undefined || credential.login === undefined,
              rerendered,
              emptyReplies,
              otherHost: hand.hosts.length > 1,
            },
            policy,
            { now: runtime.now(), random: runtime.random() },
          );
          if (outcome.fault.kind === "empty-reply") emptyReplies += 1;
          logAttempt(log, credential.id, attempts, outcome.fault, decision);
          diagnosis = diagnose(outcome.fault, rendered, deps.profile());
          diagnosis?.log(log);
          break;
        default:
          return outcome satisfies never;
      }

      const { step, verdict } = decision;
      let waitMs = 0;
      switch (step.type) {
        case "answer": {
          lease.settle(verdict);
          if (outcome.type !== "fault") return fail(tooLate);
          return fail(faultFailure(diagnosis?.fault ?? outcome.fault, source));
        }
        case "refresh":
          if (outcome.type === "fault") hand.refused = outcome.token;
          break;
        case "again":
          waitMs = step.waitMs;
          break;
        case "host":
          hand.hosts = hand.hosts.slice(1);
          break;
        case "rerender": {
          rerendered = true;
          const again = render(deps, request, credential.wireProfile, step.how);
          if (!again.ok) return again;
          rendered = again.value;
          break;
        }
        case "next": {
          if (step.orAgainMs !== undefined) {
            const other = await take(false);
            if (!other.ok) {
              waitMs = step.orAgainMs;
              break;
            }
            lease.settle(verdict);
            lease.release();
            hand = other.value;
            break;
          }
          // Given back first: who waits for a credential with another in hand may wait for one who does the same.
          lease.settle(verdict);
          lease.release();
          const other = await take(true);
          if (!other.ok) {
            const empty = emptyFailure(other.failure);
            // What rests will be back, whatever the one that was asked last has said.
            return fail(
              worst === undefined || other.failure.readyAt === undefined
                ? (worst ?? empty)
                : moreHopeful(empty, worst),
            );
          }
          hand = other.value;
          break;
        }
        default:
          return step satisfies never;
      }
      if (waitMs > deadline.leftMs()) {
        lease.settle(verdict);
        return fail(worst ?? tooLate);
      }
      if (waitMs > 0) await runtime.sleep(waitMs, deadline.signal);
    }
  } catch (error) {
    // Who has waited rejects with the signal's reason.
    if (!deadline.signal.aborted || error !== deadline.signal.reason) throw error;
    return fail(signal.aborted ? clientLeft : (worst ?? tooLate));
  } finally {
    deadline.close();
    if (!hasBegun) hand?.lease.release();
  }
}

/** Credentials that clients bring along share what is known by their kind of log-in. */
function hostKey({ id, persistent, authMethod }: Credential): string {
  return persistent ? `stored ${id}` : authMethod;
}

function remember(deps: GatewayDeps, { lease, hosts: [host] }: Hand, rendered: Rendered): void {
  if (host === undefined) return;
  const isFirst = host === deps.profile(rendered.wireProfile).hosts.api;
  deps.moved?.answered(hostKey(lease.credential), host, isFirst);
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
