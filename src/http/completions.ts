import type { Context } from "hono";
import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent } from "../conversation/reply.ts";
import type { Gateway, Reply } from "../gateway/complete.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { TokenCounter } from "../tokens/counter.ts";
import type { Limits } from "../usage/limits.ts";
import type { Encoder, Wire } from "../wire/wire.ts";
import { type AccountDeps, type OpenAccount, openAccount } from "./account.ts";
import { type BodyLimits, readJson } from "./body.ts";
import { type CallerDeps, callerOf } from "./caller.ts";
import { cutOffBy } from "./cut-off.ts";
import type { HttpEnv } from "./env.ts";
import { eventStream } from "./event-stream.ts";
import { parseWithImages, type RemoteImages } from "./remote-images.ts";
import { within } from "./within.ts";

export type CompletionDeps = AccountDeps &
  CallerDeps & {
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

/** How long a connection may be silent between two requests. */
export const IDLE_SECONDS = 120;

/** One handler for all client protocols: authenticate, parse, complete, and then stream or fold. */
export function completions<Event>(wire: Wire<Event>, deps: CompletionDeps) {
  return async (c: Context<HttpEnv>): Promise<Response> => {
    const { runtime } = deps;
    const requestId = c.get("requestId");
    c.set("logged", true);
    const request = c.req.raw;
    // Bun closes a connection that has been silent for some time, also before the head is out.
    c.env.server?.timeout(request, 0);
    const log = deps.log.child({ request: requestId });
    const open = openAccount({ requestId, wire: wire.name }, { ...deps, log });
    const { account, notices } = open;
    const cutOff = cutOffBy(request.signal, deps.closing);

    const finish = (...end: Parameters<OpenAccount["close"]>): void => {
      cutOff.close();
      // The next request on the connection may be long in coming, but not for ever.
      if (open.close(...end)) c.env.server?.timeout(request, IDLE_SECONDS);
    };
    /** What is cut off by us looks from inside as if the client had left. */
    const asSeen = (failure: Failure): Failure =>
      deps.closing.aborted && !request.signal.aborted ? SHUTTING_DOWN : failure;
    const refuse = (inner: Failure): Response => {
      const failure = asSeen(inner);
      const error = wire.failure(failure, requestId);
      if (request.signal.aborted) finish(499, "cancelled");
      else finish(error.status, "failed", failure);
      return Response.json(error.body, {
        status: error.status,
        headers: { ...noticeHeader(notices), ...error.headers },
      });
    };

    const answer = async (): Promise<Response> => {
      const caller = await callerOf(c, deps);
      if (!caller.ok) return refuse(caller.failure);
      const { name, user, source } = caller.value;
      account.caller = name;
      if (user !== undefined) account.user = user.id;
      const body = await readJson(request, deps.body, runtime);
      if (!body.ok) return refuse(body.failure);
      const parsed = await parseWithImages(
        (images) => wire.parse(body.value, request.headers, images),
        deps.remoteImages,
        request.signal,
      );
      if (!parsed.ok) return refuse(parsed.failure);
      const { conversation, stream } = parsed.value;
      account.model = conversation.model.slice(0, 100);
      account.stream = stream;
      notices.push(...conversation.notices);

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
        const leave = (): void => void events.return().then(() => finish(499, "cancelled"));
        request.signal.addEventListener("abort", leave, { once: true });
        notices.push(...begun.value.notices);
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
        return Response.json(folded.value, { headers: noticeHeader(notices) });
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
        onBug: (error) => log.error("bug", { detail: describe(error) }),
      });
      return new Response(sse, {
        headers: {
          "content-type": "text/event-stream; charset=utf-8",
          "cache-control": "no-cache",
          "x-accel-buffering": "no",
          ...noticeHeader(notices),
        },
      });
    };

    try {
      return await answer();
    } catch (error) {
      finish(500, "failed", { kind: "internal", message: "Internal error" });
      throw error;
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
  for await (const events of reply.events) {
    onEvents(events);
    for (const event of events) {
      if (event.type === "failed") return { ok: false, failure: event.failure };
      wireEvents.push(...encoder.push(event));
    }
  }
  // A departed client's reply is returned from outside, before its end.
  return signal.aborted ? fail(CLIENT_LEFT) : ok(wire.fold(wireEvents));
}

const NOTICE_HEADER_MAX = 1_000;

/** Names what was ignored, moved, shortened or dropped, so that nobody has to guess: `code; code: detail, detail`. */
function noticeHeader(notices: Notice[]): Record<string, string> {
  if (notices.length === 0) return {};
  const byCode = Map.groupBy(notices, ({ code }) => code);
  const texts = Array.from(byCode, ([code, group]) => {
    const details = new Set(group.flatMap(({ detail }) => detail ?? []));
    return details.size === 0 ? code : `${code}: ${[...details].join(", ")}`;
  });
  // A header takes visible ASCII only.
  const text = texts.join("; ").replaceAll(/[^\x20-\x7e]/g, "?");
  return { "x-kiro-proxy-notice": text.slice(0, NOTICE_HEADER_MAX) };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
