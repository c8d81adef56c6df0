import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { forEachBatch, type ReplyEvent } from "../conversation/reply.ts";
import type { Gateway, Reply } from "../gateway/complete.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { TokenCounter } from "../tokens/counter.ts";
import type { Limits } from "../usage/limits.ts";
import type { Encoder, Wire } from "../wire/wire.ts";
import { type AccountDeps, type OpenAccount, openAccount } from "./account.ts";
import { type BodyLimits, readJson } from "./body.ts";
import { type CallerDeps, callerOf } from "./caller.ts";
import { createCutOffs } from "./cut-off.ts";
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
  const { runtime } = deps;
  const cutOffBy = createCutOffs(deps.closing);

  return async (exchange) => {
    const { request, id: requestId, server } = exchange;
    // Bun closes a connection that has been silent for some time, also before the head is out.
    server?.timeout(request, 0);
    const log = deps.log.child({ request: requestId });
    const open = openAccount({ requestId, wire: wire.name }, deps, log);
    const { account, notices } = open;
    let onLeft: (() => void) | undefined;
    const cutOff = cutOffBy(request.signal, () => onLeft?.());

    const finish = (...end: Parameters<OpenAccount["close"]>): void => {
      cutOff.close();
      // The next request on the connection may be long in coming, but not for ever.
      if (open.close(...end)) server?.timeout(request, IDLE_SECONDS);
    };
    /** What is cut off by us looks from inside as if the client had left. */
    const asSeen = (failure: Failure): Failure =>
      deps.closing.aborted && !request.signal.aborted ? SHUTTING_DOWN : failure;
    const headers = (more?: Record<string, string>, isLast = deps.stopping()) => {
      const all = answerHeaders(requestId);
      if (notices.length > 0) all["x-kiro-proxy-notice"] = noticeText(notices);
      if (isLast) all["connection"] = "close";
      return more === undefined ? all : Object.assign(all, more);
    };
    const refuse = (inner: Failure): Response => {
      const failure = asSeen(inner);
      const error = wire.failure(failure, requestId);
      if (request.signal.aborted) finish(499, "cancelled");
      else finish(error.status, "failed", failure);
      // The rest of a body that came too slowly can't be told from the next request.
      const isLast = error.status === 408 || deps.stopping();
      return Response.json(error.body, {
        status: error.status,
        headers: headers(error.headers, isLast),
      });
    };

    const bug = (error: unknown): void =>
      log.error("bug", {
        detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });

    try {
      let caller = callerOf(exchange, deps);
      if (caller instanceof Promise) caller = await caller;
      if (!caller.ok) return refuse(caller.failure);
      const { name, user, source } = caller.value;
      account.caller = name;
      if (user !== undefined) account.user = user.id;
      const body = await readJson(request, deps.body, runtime);
      if (!body.ok) return refuse(body.failure);
      let parsed = parseWithImages(
        (images) => wire.parse(body.value, request.headers, images),
        deps.remoteImages,
        request.signal,
      );
      if (parsed instanceof Promise) parsed = await parsed;
      if (!parsed.ok) return refuse(parsed.failure);
      const { conversation, stream } = parsed.value;
      account.model = conversation.model.slice(0, 100);
      account.stream = stream;
      for (const notice of conversation.notices) notices.push(notice);

      const promptTokens = deps.counter.quick(conversation);
      const begin = async (): Promise<Result<Reply, Failure>> => {
        if (user !== undefined) {
          const { at } = account;
          const asked = { requestId, at, wire: wire.name, model: conversation.model, promptTokens };
          const reserved = await deps.limits.reserve(user, asked, cutOff.signal);
          if (!reserved.ok) return reserved;
          open.reservation = reserved.value;
        }
        const begun = await deps.gateway.complete({
          conversation,
          source,
          caller: name,
          promptTokens,
          signal: cutOff.signal,
          onAttempt: (attempt) => void account.attempts.push(attempt),
          onNotice: (notice) => void notices.push(notice),
          log,
        });
        if (!begun.ok) return begun;
        account.upstreamModel = begun.value.model.slice(0, 100);
        account.credential = begun.value.credentialId;
        // Bun may drop a response whose client has gone without ever asking for its body.
        const { events } = begun.value;
        onLeft = () => void events.return().then(() => finish(499, "cancelled"));
        for (const notice of begun.value.notices) notices.push(notice);
        return begun;
      };
      const encoder = parsed.value.encoder({
        id: runtime.randomUUID().replaceAll("-", ""),
        createdAt: runtime.now(),
        inputTokens: promptTokens,
      });

      const begun = begin();
      if (!stream) {
        const reply = await begun;
        if (!reply.ok) return refuse(reply.failure);
        const folded = await fold(wire, encoder, reply.value, request.signal, open.note);
        if (!folded.ok) return refuse(folded.failure);
        finish(200, "complete");
        return Response.json(folded.value, { headers: headers() });
      }

      const early = await within(runtime, deps.headWithinMs, begun);
      if (early !== undefined && !early.ok) return refuse(early.failure);
      open.streaming();
      const sse = eventStream({
        runtime,
        wire,
        encoder,
        begun,
        late: early === undefined,
        signal: request.signal,
        heartbeatMs: deps.heartbeatMs,
        stalledMs: deps.stalledMs,
        asSeen,
        onEvents: open.note,
        onEnd: ({ outcome, failure }) =>
          finish(outcome === "cancelled" ? 499 : 200, outcome, failure),
        onBug: bug,
      });
      return new Response(sse, { headers: headers(EVENT_STREAM_HEADERS) });
    } catch (error) {
      bug(error);
      return refuse({ kind: "internal", message: "Internal error" });
    }
  };
}

/** The non-streaming body, from the same events through the same encoder. */
async function fold<Event>(
  wire: Wire<Event>,
  encoder: Encoder<Event>,
  reply: Reply,
  signal: AbortSignal,
  onEvents: (events: ReplyEvent[]) => void,
): Promise<Result<unknown, Failure>> {
  const wireEvents: Event[] = [];
  let failure: Failure | undefined;
  await forEachBatch(reply.events, (events) => {
    onEvents(events);
    for (const event of events) {
      if (event.type === "failed") failure = event.failure;
      else for (const wireEvent of encoder.push(event)) wireEvents.push(wireEvent);
    }
    return failure === undefined;
  });
  if (failure !== undefined) return fail(failure);
  // A departed client's reply is returned from outside, before its end.
  return signal.aborted ? fail(CLIENT_LEFT) : ok(wire.fold(wireEvents));
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
