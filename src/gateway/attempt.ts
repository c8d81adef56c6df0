import type { Conversation, Notice } from "../conversation/conversation.ts";
import type { Recorder } from "../capture/recorder.ts";
import type { Failure } from "../conversation/failure.ts";
import {
  type Batches,
  forEachBatch,
  isTerminal,
  isVisible,
  type ReplyEvent,
  type Take,
} from "../conversation/reply.ts";
import type { CredentialSource, Lease, Pool } from "../credentials/pool.ts";
import type { RefreshFault } from "../credentials/refresh.ts";
import type { Tokens } from "../credentials/tokens.ts";
import type { Batch, KiroClient } from "../kiro/client.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { requestIds } from "../kiro/identity.ts";
import type { MovedHosts } from "../kiro/moved-hosts.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { type KiroRequest, type Rendering, toKiroRequest } from "../kiro/request.ts";
import type { ResponseOptions } from "../kiro/response.ts";
import { ok, type Result } from "../result.ts";
import type { Secret } from "../secret.ts";
import type { Runtime } from "../runtime.ts";
import type { StopSignal } from "../stop-signal.ts";
import type { AttemptAccount } from "../telemetry/account.ts";
import type { Log } from "../telemetry/log.ts";
import type { Calibration } from "./calibration.ts";
import type { Deadline } from "./deadline.ts";
import { createOutput, type LeakOptions, type Output } from "./output.ts";
import { type RetryPolicy, verdictOn } from "./retry.ts";

export type CompletionRequest = {
  conversation: Conversation;
  source: CredentialSource;
  /** Who asks: a name for the log, never a key. Callers with different names never share a conversation id. */
  caller: string;
  /** The prompt's size in tokens by our own count. */
  promptTokens: number;
  /** Aborts when the client leaves. */
  signal: StopSignal;
  /** Hears of every call to the service when it is over, and of tokens that could not be had. */
  onAttempt?: (attempt: AttemptAccount) => void;
  /** Hears what only turns up in the reply. */
  onNotice?: (notice: Notice) => void;
  log: Log;
};

export type GatewayDeps = {
  pool: Pick<Pool, "acquire">;
  tokens: Tokens;
  client: KiroClient;
  /** As of now: the models in it come and go with what the accounts are offered. */
  profile: (wireProfile?: string) => UpstreamProfile;
  /** Which hosts serve which credentials; without it, the profile's own does. */
  moved?: MovedHosts;
  policy: RetryPolicy;
  runtime: Runtime;
  /** Tokens of a piece of output text, cheaply; fractions, so that pieces add up. */
  countText: (text: string) => number;
  /** Without it, the service is believed what it says of a prompt's size. */
  calibration?: Calibration;
  /** What becomes of tool calls that the model writes as text; without it they are marked. */
  leakedToolCalls?: "mark" | "convert";
  /** Absent where nothing is to be kept. */
  record?: Recorder["take"];
};

/** The credential in hand and what has been done with it for this request. Whoever holds it releases its lease. */
export type Hand = {
  lease: Lease;
  attempts: number;
  refused?: Secret;
  /** Hosts to be asked for the API, the one in use first. */
  hosts: string[];
};

/** The request in the upstream's dialect, and as the JSON text that all attempts share. */
export type Rendered = {
  kiro: KiroRequest;
  body: string;
  /** The wire profile that it was written by; undefined for the configuration's. */
  wireProfile: string | undefined;
};

export type RenderingChange = "drop-reasoning" | "new-conversation" | "conservative";

export function render(
  deps: GatewayDeps,
  request: CompletionRequest,
  wireProfile: string | undefined,
  change?: RenderingChange,
): Result<Rendered, Failure> {
  const ids = requestIds(request.conversation, request.caller);
  if (change === "new-conversation") ids.conversationId = deps.runtime.randomUUID();
  const rendering: Rendering = {
    dropReasoning: change === "drop-reasoning",
    conservative: change === "conservative",
  };
  const kiro = toKiroRequest(request.conversation, ids, deps.profile(wireProfile), rendering);
  return kiro.ok
    ? ok({ kiro: kiro.value, body: JSON.stringify(kiro.value.body), wireProfile })
    : kiro;
}

export type Outcome =
  /** The commit point is passed. The events hold the lease by now: their end settles and releases it. */
  | { type: "begun"; events: Batches<ReplyEvent[]> }
  | { type: "fault"; fault: KiroFault; token: Secret }
  | { type: "no-token"; fault: RefreshFault }
  /** Another request has found out that no calls may be made with the credential. None was made. */
  | { type: "withdrawn" };

/**
 * One attempt with the credential in hand, up to the first event that the client would see. Rejects with the deadline's
 * reason where that ends the wait for a token.
 */
export async function attempt(
  deps: GatewayDeps,
  request: CompletionRequest,
  { kiro, body, wireProfile }: Rendered,
  hand: Hand,
  number: number,
  deadline: Deadline,
): Promise<Outcome> {
  const { lease, refused } = hand;
  if (!lease.usable()) return { type: "withdrawn" };
  let access = deps.tokens.access(
    lease.credential,
    refused === undefined ? {} : { refused },
    deadline,
  );
  if (access instanceof Promise) access = await access;
  if (!access.ok) return { type: "no-token", fault: access.failure };
  // A new token may have taken a while.
  if (!lease.usable()) return { type: "withdrawn" };
  const { token } = access.value;
  const over = tellerOf(deps.runtime, request, lease);
  const response: ResponseOptions = {
    tagThinking: kiro.tagThinking,
    showThinking: kiro.thinking,
    originalToolName: kiro.originalToolName,
    context: {
      window: kiro.model.window,
      estimatedTokens: request.promptTokens,
      now: deps.runtime.now(),
    },
  };
  const recording = deps.record?.({
    credential: lease.credential.persistent ? lease.credential.id : undefined,
    caller: request.caller,
    attempt: number,
    kiro,
    body,
    secrets: [token.reveal()],
    conversation: request.conversation,
    response,
    log: request.log,
  });
  const profile = deps.profile(wireProfile);
  const [host = profile.hosts.api] = hand.hosts;
  const sent = await deps.client.send({
    access: access.value,
    profile,
    host,
    body,
    number,
    maxAttempts: deps.policy.perRequest,
    totalMs: deadline.leftMs(),
    signal: request.signal,
    response,
    ...(recording && { recording }),
  });
  if (!sent.ok) {
    over(sent.failure.kind);
    return { type: "fault", fault: sent.failure, token };
  }

  const output = createOutput({
    limits: request.conversation.limits,
    format: request.conversation.output,
    promptTokens: request.promptTokens,
    countText: deps.countText,
    correct: correctionOf(deps, kiro.model.id, request.promptTokens),
    ...leaksOf(deps, request, kiro),
  });
  const early: ReplyEvent[] = [];
  for (;;) {
    const next = await sent.value.next();
    if (next.done === true) {
      // `send` promises a `stop` or a fault before the end.
      throw new Error("the upstream client ended without a terminal event");
    }
    const { events, fault } = next.value;
    for (const event of output.push(events)) early.push(event);
    const committed = early.some(isVisible);
    if (fault !== undefined && !committed) {
      await sent.value.return();
      // Of an answer that has begun the client's own events tell.
      over(fault.kind, early.findLast((event) => event.type === "credits")?.credits);
      return { type: "fault", fault, token };
    }
    if (committed || early.some(isTerminal)) {
      const rest = new Rest(sent.value, output, lease, over, deps, { events: early, fault });
      return { type: "begun", events: rest };
    }
  }
}

/*
 * What lives as long as a stream is made in functions of its own: closures inside `attempt` would keep the request in all
 * its forms until the last event.
 */

/** Tells of the attempt when it is over. */
type Teller = (fault?: string, credits?: number) => void;

function tellerOf(
  runtime: Pick<Runtime, "monotonic">,
  { onAttempt, signal }: CompletionRequest,
  { credential: { id } }: Lease,
): Teller {
  const sentAt = runtime.monotonic();
  return (fault, credits) =>
    onAttempt?.({
      credential: id,
      ...(fault !== undefined && { fault: signal.aborted ? "client-left" : fault }),
      ms: runtime.monotonic() - sentAt,
      ...(credits !== undefined && { credits }),
    });
}

function correctionOf(
  { calibration }: GatewayDeps,
  model: string,
  promptTokens: number,
): (shown: number) => number {
  return (shown) => calibration?.correct(model, promptTokens, shown) ?? shown;
}

function leaksOf(
  deps: GatewayDeps,
  { conversation, onNotice, log }: CompletionRequest,
  { originalToolName }: KiroRequest,
): { leaks?: LeakOptions } {
  const { tools, toolChoice } = conversation;
  if (tools.length === 0 || toolChoice.type === "none") return {};
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const convert = deps.leakedToolCalls === "convert";
  return {
    leaks: {
      convert,
      toolOf: (name) => byName.get(originalToolName(name)),
      newId: () => `tooluse_${deps.runtime.randomUUID().replaceAll("-", "")}`,
      onLeak() {
        const code = convert ? "tool-call-converted-from-text" : "tool-call-left-in-text";
        log.warn("tool-call-in-text", { converted: convert });
        onNotice?.({ code });
      },
    },
  };
}

/** The rest of a reply that has begun: no retry, and a fault is the reply's own end. Owns the lease. */
class Rest implements Batches<ReplyEvent[]> {
  readonly #batches: Batches<Batch>;
  readonly #output: Output;
  readonly #lease: Lease;
  readonly #over: Teller;
  readonly #deps: Pick<GatewayDeps, "policy" | "runtime">;
  #fault: string | undefined;
  #early: Batch | undefined;
  #reading: Promise<unknown> | undefined;
  #isOver = false;

  constructor(
    batches: Batches<Batch>,
    output: Output,
    lease: Lease,
    over: Teller,
    deps: Pick<GatewayDeps, "policy" | "runtime">,
    early: { events: ReplyEvent[]; fault: KiroFault | undefined },
  ) {
    const { events, fault } = early;
    this.#batches = batches;
    this.#output = output;
    this.#lease = lease;
    this.#over = over;
    this.#deps = deps;
    // It has been through the output.
    this.#early = { events: events.concat(this.#ending(fault)) };
  }

  next(): Promise<IteratorResult<ReplyEvent[], void>> {
    const reading = this.#next();
    this.#reading = reading;
    return reading;
  }

  forEach(take: Take<ReplyEvent[]>): Promise<void> {
    const reading = this.#forEach(take);
    this.#reading = reading;
    return reading;
  }

  async return(): Promise<IteratorResult<ReplyEvent[], void>> {
    // Whoever reads hears of what went wrong.
    await this.#reading?.catch(() => undefined);
    await this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #next(): Promise<IteratorResult<ReplyEvent[], void>> {
    const early = this.#takeEarly();
    if (early !== undefined) return { done: false, value: early };
    while (!this.#isOver && !this.#output.ended) {
      const { done, value } = await this.#batches.next();
      if (done === true) break;
      const events = this.#through(value);
      if (events.length > 0) return { done: false, value: events };
    }
    await this.#end();
    return { done: true, value: undefined };
  }

  async #forEach(take: Take<ReplyEvent[]>): Promise<void> {
    try {
      const early = this.#takeEarly();
      const goesOn = early === undefined || take(early);
      const isWanted = goesOn instanceof Promise ? await goesOn : goesOn;
      if (this.#isOver || !isWanted || this.#output.ended) return;
      await forEachBatch(this.#batches, (batch) => {
        const events = this.#through(batch);
        const more = events.length === 0 || take(events);
        return this.#output.ended ? endAfter(more) : more;
      });
    } finally {
      await this.#end();
    }
  }

  #takeEarly(): ReplyEvent[] | undefined {
    const early = this.#early;
    this.#early = undefined;
    return early?.events;
  }

  #through({ events, fault }: Batch): ReplyEvent[] {
    const out = this.#output.push(events);
    for (const event of this.#ending(fault)) out.push(event);
    return out;
  }

  #ending(fault: KiroFault | undefined): ReplyEvent[] {
    if (fault === undefined) return [];
    const { policy, runtime } = this.#deps;
    this.#fault = fault.kind;
    this.#lease.settle(verdictOn(fault, policy, runtime.now()));
    return this.#output.fail(fault.failure);
  }

  async #end(): Promise<void> {
    try {
      await this.#batches.return();
    } finally {
      this.#letGo();
    }
  }

  #letGo(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lease.settle({ type: "served" });
    this.#lease.release();
    this.#over(this.#fault);
  }
}

function endAfter(goesOn: boolean | Promise<boolean>): boolean | Promise<boolean> {
  return goesOn instanceof Promise ? goesOn.then(() => false) : false;
}
