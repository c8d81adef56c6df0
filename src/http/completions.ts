import type { Caller } from "../auth/authenticate.ts";
import type { Conversation, Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { type Batches, forEachBatch, type ReplyEvent } from "../conversation/reply.ts";
import type { Gateway, Reply } from "../gateway/complete.ts";
import type { Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { TokenCounter } from "../tokens/counter.ts";
import type { Limits } from "../usage/limits.ts";
import type { Encoder, Wire } from "../wire/wire.ts";
import { type AccountDeps, OpenAccount } from "./account.ts";
import { type BodyLimits, readJson } from "./body.ts";
import { type CallerDeps, callerOf } from "./caller.ts";
import { createCutOffs, type CutOff } from "./cut-off.ts";
import type { Exchange } from "./env.ts";
import { eventStream } from "./event-stream.ts";
import { parseWithImages, type RemoteImages } from "./remote-images.ts";
import { within } from "./within.ts";

export type CompletionDeps = AccountDeps &
  CallerDeps & {
    log: Log;
    gateway: Gateway;
    counter: TokenCounter;
    runtime: Runtime;
    limits: Limits;
    body: BodyLimits;
    /** How long a streamed answer may hold its head back for a real status. */
    headWithinMs: number;
    heartbeatMs: number;
    /** How long a client may read nothing of what was sent to it. */
    stalledMs: number;
    /** The server takes no new connections any more. */
    stopping(): boolean;
    /** Aborts when running answers have to end, because the server does. */
    closing: AbortSignal;
    /** Without it, requests with images to be fetched are refused. */
    remoteImages?: RemoteImages;
  };

/** Nobody reads it. */
const CLIENT_LEFT: Failure = { kind: "internal", message: "the client closed the connection" };

const SHUTTING_DOWN: Failure = {
  kind: "unavailable",
  message: "The gateway is shutting down. Try again.",
};

const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

/** How long a connection may be silent between two requests. */
export const IDLE_SECONDS = 120;

/** What is on every answer. */
export function answerHeaders(requestId: string): Record<string, string> {
  return {
    "x-content-type-options": "nosniff",
    "request-id": requestId,
    "x-request-id": requestId,
  };
}

/** Answers one request of a client protocol; never rejects. */
export type Completions = (exchange: Exchange) => Promise<Response>;

/** One handler for all client protocols: authenticate, parse, complete, and then stream or fold. */
export function completions<Event>(wire: Wire<Event>, deps: CompletionDeps): Completions {
  const cutOffBy = createCutOffs(deps.closing);
  return (exchange) => new Completion(wire, deps, cutOffBy, exchange).answer();
}

/**
 * One request and its answer. A class, so that a stream holds what it needs and no more: closures inside one function would
 * keep its variables, which are the request in all its forms, until the last event is out.
 */
class Completion<Event> {
  readonly #wire: Wire<Event>;
  readonly #deps: CompletionDeps;
  readonly #exchange: Exchange;
  readonly #log: Log;
  readonly #open: OpenAccount;
  readonly #cutOff: CutOff;
  /** The reply that has begun, to be ended when the client leaves. */
  #events: Batches<ReplyEvent[]> | undefined;

  constructor(
    wire: Wire<Event>,
    deps: CompletionDeps,
    cutOffBy: ReturnType<typeof createCutOffs>,
    exchange: Exchange,
  ) {
    const { request, id, server } = exchange;
    this.#wire = wire;
    this.#deps = deps;
    this.#exchange = exchange;
    // Bun closes a connection that has been silent for some time, also before the head is out.
    server?.timeout(request, 0);
    this.#log = deps.log.child({ request: id });
    this.#open = new OpenAccount({ requestId: id, wire: wire.name }, deps, this.#log);
    this.#cutOff = cutOffBy(request.signal, () => this.#leave());
  }

  async answer(): Promise<Response> {
    const { account, notices } = this.#open;
    const { runtime, counter, body: limits } = this.#deps;
    try {
      let caller = callerOf(this.#exchange, this.#deps);
      if (caller instanceof Promise) caller = await caller;
      if (!caller.ok) return this.#refuse(caller.failure);
      const { name, user } = caller.value;
      account.caller = name;
      if (user !== undefined) account.user = user.id;
      const body = await readJson(this.#exchange.request, limits, runtime);
      if (!body.ok) return this.#refuse(body.failure);
      let parsed = this.#parse(body.value);
      if (parsed instanceof Promise) parsed = await parsed;
      if (!parsed.ok) return this.#refuse(parsed.failure);
      const { conversation, stream } = parsed.value;
      account.model = conversation.model.slice(0, 100);
      account.stream = stream;
      for (const notice of conversation.notices) notices.push(notice);

      const promptTokens = counter.quick(conversation);
      const begun = this.#begin(conversation, caller.value, promptTokens);
      const encoder = parsed.value.encoder({
        id: runtime.randomUUID().replaceAll("-", ""),
        createdAt: runtime.now(),
        inputTokens: promptTokens,
      });
      return stream ? await this.#stream(begun, encoder) : await this.#whole(begun, encoder);
    } catch (error) {
      this.#bug(error);
      return this.#refuse({ kind: "internal", message: "Internal error" });
    }
  }

  #parse(body: unknown) {
    const { request } = this.#exchange;
    return parseWithImages(
      (images) => this.#wire.parse(body, request.headers, images),
      this.#deps.remoteImages,
      request.signal,
    );
  }

  async #begin(
    conversation: Conversation,
    { name, user, source }: Caller,
    promptTokens: number,
  ): Promise<Result<Reply, Failure>> {
    const { signal } = this.#cutOff;
    const { account, notices } = this.#open;
    if (user !== undefined) {
      const { requestId, at, wire } = account;
      const asked = { requestId, at, wire, model: conversation.model, promptTokens };
      const reserved = await this.#deps.limits.reserve(user, asked, signal);
      if (!reserved.ok) return reserved;
      this.#open.reservation = reserved.value;
    }
    const begun = await this.#deps.gateway.complete({
      conversation,
      source,
      caller: name,
      promptTokens,
      signal,
      onAttempt: (attempt) => void account.attempts.push(attempt),
      onNotice: (notice) => void notices.push(notice),
      log: this.#log,
    });
    if (!begun.ok) return begun;
    account.upstreamModel = begun.value.model.slice(0, 100);
    account.credential = begun.value.credentialId;
    this.#events = begun.value.events;
    for (const notice of begun.value.notices) notices.push(notice);
    return begun;
  }

  /** The body of an answer that is not streamed, from the same events through the same encoder. */
  async #whole(begun: Promise<Result<Reply, Failure>>, encoder: Encoder<Event>): Promise<Response> {
    const reply = await begun;
    if (!reply.ok) return this.#refuse(reply.failure);
    const wireEvents: Event[] = [];
    let failure: Failure | undefined;
    await forEachBatch(reply.value.events, (events) => {
      this.#open.note(events);
      for (const event of events) {
        if (event.type === "failed") failure = event.failure;
        else for (const wireEvent of encoder.push(event)) wireEvents.push(wireEvent);
      }
      return failure === undefined;
    });
    // A departed client's reply is returned from outside, before its end.
    if (this.#exchange.request.signal.aborted) failure ??= CLIENT_LEFT;
    if (failure !== undefined) return this.#refuse(failure);
    const body = this.#wire.fold(wireEvents);
    this.#finish(200, "complete");
    return Response.json(body, { headers: this.#headers() });
  }

  async #stream(
    begun: Promise<Result<Reply, Failure>>,
    encoder: Encoder<Event>,
  ): Promise<Response> {
    const { runtime, headWithinMs, heartbeatMs, stalledMs } = this.#deps;
    const early = await within(runtime, headWithinMs, begun);
    if (early !== undefined && !early.ok) return this.#refuse(early.failure);
    this.#open.streaming();
    const sse = eventStream({
      runtime,
      wire: this.#wire,
      encoder,
      begun,
      late: early === undefined,
      signal: this.#exchange.request.signal,
      heartbeatMs,
      stalledMs,
      asSeen: (failure) => this.#asSeen(failure),
      onEvents: (events) => this.#open.note(events),
      onEnd: ({ outcome, failure }) =>
        this.#finish(outcome === "cancelled" ? 499 : 200, outcome, failure),
      onBug: (error) => this.#bug(error),
    });
    return new Response(sse, { headers: this.#headers(EVENT_STREAM_HEADERS) });
  }

  /** Bun may drop a response whose client has gone without ever asking for its body. */
  #leave(): void {
    void this.#events
      ?.return()
      .catch((error: unknown) => this.#bug(error))
      .then(() => this.#finish(499, "cancelled"));
  }

  #finish(...end: Parameters<OpenAccount["close"]>): void {
    const { request, server } = this.#exchange;
    this.#cutOff.close();
    // The next request on the connection may be long in coming, but not for ever.
    if (this.#open.close(...end)) server?.timeout(request, IDLE_SECONDS);
  }

  /** What is cut off by us looks from inside as if the client had left. */
  #asSeen(failure: Failure): Failure {
    const { signal } = this.#exchange.request;
    return this.#deps.closing.aborted && !signal.aborted ? SHUTTING_DOWN : failure;
  }

  #refuse(inner: Failure): Response {
    const failure = this.#asSeen(inner);
    const error = this.#wire.failure(failure, this.#exchange.id);
    if (this.#exchange.request.signal.aborted) this.#finish(499, "cancelled");
    else this.#finish(error.status, "failed", failure);
    // The rest of a body that came too slowly can't be told from the next request.
    const isLast = error.status === 408 || this.#deps.stopping();
    return Response.json(error.body, {
      status: error.status,
      headers: this.#headers(error.headers, isLast),
    });
  }

  #headers(more?: Record<string, string>, isLast = this.#deps.stopping()): Record<string, string> {
    const { notices } = this.#open;
    const all = answerHeaders(this.#exchange.id);
    if (notices.length > 0) all["x-kiro-proxy-notice"] = noticeText(notices);
    if (isLast) all["connection"] = "close";
    return more === undefined ? all : Object.assign(all, more);
  }

  #bug(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error("bug", { detail });
  }
}

const NOTICE_HEADER_MAX = 1_000;

/** Names what was ignored, moved, shortened or dropped, so that nobody has to guess: `code; code: detail, detail`. */
function noticeText(notices: Notice[]): string {
  const byCode = Map.groupBy(notices, ({ code }) => code);
  const texts = Array.from(byCode, ([code, group]) => {
    const details = new Set(group.flatMap(({ detail }) => detail ?? []));
    return details.size === 0 ? code : `${code}: ${[...details].join(", ")}`;
  });
  // A header takes visible ASCII only.
  const text = texts.join("; ").replaceAll(/[^\x20-\x7e]/g, "?");
  return text.slice(0, NOTICE_HEADER_MAX);
}
