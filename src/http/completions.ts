import type { Context } from "hono";
import { claimOf } from "../auth/claim.ts";
import type { Authenticate } from "../auth/authenticate.ts";
import type { Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import type { ReplyEvent, Usage } from "../conversation/reply.ts";
import type { Gateway, Reply } from "../gateway/complete.ts";
import { ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import type { TokenCounter } from "../tokens/counter.ts";
import type { Encoder, Wire } from "../wire/wire.ts";
import { type BodyLimits, readJson } from "./body.ts";
import type { HttpEnv } from "./env.ts";
import { eventStream } from "./event-stream.ts";
import { parseWithImages, type RemoteImages } from "./remote-images.ts";
import { within } from "./within.ts";

export type CompletionDeps = {
  gateway: Gateway;
  authenticate: Authenticate;
  counter: TokenCounter;
  runtime: Runtime;
  log: Log;
  body: BodyLimits;
  /** How long a streamed answer may hold its head back for a real status. */
  headWithinMs: number;
  heartbeatMs: number;
  /** How long a client may read nothing of what was sent to it. */
  stalledMs: number;
  /** Without it, requests with images to be fetched are refused. */
  remoteImages?: RemoteImages;
};

/** How long a connection may be silent between two requests. */
export const IDLE_SECONDS = 120;

/** What the log line of one request is made of. */
type Account = {
  model?: string;
  caller?: string;
  stream?: boolean;
  reply?: Reply;
  notices: Notice[];
  usage: Partial<Usage>;
  credits?: number;
  firstEventMs?: number;
};

/** One handler for all client protocols: authenticate, parse, complete, and then stream or fold. */
export function completions<Event>(wire: Wire<Event>, deps: CompletionDeps) {
  return async (c: Context<HttpEnv>): Promise<Response> => {
    const { runtime } = deps;
    const requestId = c.get("requestId");
    c.set("logged", true);
    const request = c.req.raw;
    // Bun closes a connection that has been silent for some time, also before the head is out.
    c.env.server?.timeout(request, 0);
    const startedAt = runtime.monotonic();
    const log = deps.log.child({ request: requestId });
    const account: Account = { notices: [], usage: {} };

    const finish = (status: number, outcome: string, failure?: Failure): void => {
      // The next request on the connection may be long in coming, but not for ever.
      c.env.server?.timeout(request, IDLE_SECONDS);
      const line = logLine(wire.name, account, {
        status,
        outcome,
        durationMs: Math.round(runtime.monotonic() - startedAt),
        failure: failure?.kind,
        // What is wrong with a request can only be said in the words of the request.
        message: failure?.kind === "invalid-request" ? undefined : failure?.message,
      });
      if (status >= 500) log.warn("request", line);
      else log.info("request", line);
    };
    const refuse = (failure: Failure): Response => {
      const error = wire.failure(failure, requestId);
      if (request.signal.aborted) finish(499, "cancelled");
      else finish(error.status, "failed", failure);
      return Response.json(error.body, {
        status: error.status,
        headers: { ...noticeHeader(account.notices), ...error.headers },
      });
    };

    const caller = deps.authenticate(claimOf(request.headers));
    if (!caller.ok) return refuse(caller.failure);
    account.caller = caller.value.name;
    const body = await readJson(request, deps.body, runtime);
    if (!body.ok) return refuse(body.failure);
    const parsed = await parseWithImages(
      (images) => wire.parse(body.value, request.headers, images),
      deps.remoteImages,
      request.signal,
    );
    if (!parsed.ok) return refuse(parsed.failure);
    const { conversation, stream } = parsed.value;
    account.model = conversation.model;
    account.stream = stream;
    account.notices.push(...conversation.notices);

    const promptTokens = deps.counter.quick(conversation);
    const begin = async (): Promise<Result<Reply, Failure>> => {
      const begun = await deps.gateway.complete({
        conversation,
        source: caller.value.source,
        caller: caller.value.name,
        promptTokens,
        signal: request.signal,
        log,
      });
      if (begun.ok) {
        account.reply = begun.value;
        // Bun may drop a response whose client has gone without ever asking for its body.
        const { events } = begun.value;
        request.signal.addEventListener("abort", () => void events.return(), { once: true });
        account.notices.push(...begun.value.notices);
      }
      return begun;
    };
    const onEvents = (events: ReplyEvent[]): void => {
      account.firstEventMs ??= Math.round(runtime.monotonic() - startedAt);
      note(account, events);
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
      const folded = await fold(wire, encoder, reply.value, onEvents);
      if (!folded.ok) return refuse(folded.failure);
      finish(200, "complete");
      return Response.json(folded.value, { headers: noticeHeader(account.notices) });
    }

    const early = await within(runtime, deps.headWithinMs, begun);
    if (early !== undefined && !early.ok) return refuse(early.failure);
    const sse = eventStream({
      runtime,
      wire,
      encoder,
      begun,
      late: early === undefined,
      signal: request.signal,
      heartbeatMs: deps.heartbeatMs,
      stalledMs: deps.stalledMs,
      onEvents,
      onEnd: ({ outcome, failure }) =>
        finish(outcome === "cancelled" ? 499 : 200, outcome, failure),
      onBug: (error) => log.error("bug", { detail: describe(error) }),
    });
    return new Response(sse, {
      headers: {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        ...noticeHeader(account.notices),
      },
    });
  };
}

/** The non-streaming body, from the same events through the same encoder. */
async function fold<Event>(
  wire: Wire<Event>,
  encoder: Encoder<Event>,
  reply: Reply,
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
  return ok(wire.fold(wireEvents));
}

function note(account: Account, events: ReplyEvent[]): void {
  for (const event of events) {
    if (event.type === "usage") Object.assign(account.usage, event.usage);
    if (event.type === "credits") account.credits = event.credits;
  }
}

function logLine(
  wire: string,
  account: Account,
  end: {
    status: number;
    outcome: string;
    durationMs: number;
    failure: string | undefined;
    message: string | undefined;
  },
) {
  const { reply, usage } = account;
  return {
    wire,
    ...end,
    caller: account.caller,
    model: account.model?.slice(0, 100),
    upstreamModel: reply?.model,
    credential: reply?.credentialId,
    attempts: reply?.attempts,
    stream: account.stream,
    firstEventMs: account.firstEventMs,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cacheReadTokens: usage.cacheReadTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    credits: account.credits,
    notices: codes(account.notices).join(",") || undefined,
  };
}

function codes(notices: Notice[]): string[] {
  return [...new Set(notices.map((notice) => notice.code))];
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
