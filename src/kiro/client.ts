import type { ReplyEvent } from "../conversation/reply.ts";
import { createFrameDecoder } from "../eventstream/decoder.ts";
import type { Frame } from "../eventstream/frame.ts";
import { proxyOption } from "../proxy.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import { chatCall, withProfileArn } from "./endpoint.ts";
import { createEventReader, type KiroEvent } from "./events.ts";
import {
  faultOfFrame,
  faultOfNetwork,
  faultOfResponse,
  type KiroFault,
  type NetworkCause,
} from "./failure.ts";
import type { UpstreamProfile } from "./profile.ts";
import { createResponse, type ResponseMachine, type ResponseOptions } from "./response.ts";

/** What one attempt needs to know of the credential it spends. */
export type Access = {
  token: Secret;
  /** Value of the `tokentype` header; absent for tokens of social and AWS log-ins. */
  tokenType?: "API_KEY" | "EXTERNAL_IDP";
  /** Already validated. */
  apiRegion: string;
  profileArn?: string;
  machineId: string;
  /** What all its calls go through, as `parseProxyUrl` gives it; absent where the environment decides. */
  proxyUrl?: Secret;
};

/**
 * What one chunk from the network gave. A `fault` is the end. Without a fault, the last event of the last batch is
 * `stop`. Batches keep the number of writes to the client at one per upstream chunk.
 */
export type Batch = { events: ReplyEvent[]; fault?: KiroFault };

export type Attempt = {
  access: Access;
  /** The request as JSON text, without a profile ARN. */
  body: string;
  /** Counts from 1. */
  number: number;
  maxAttempts: number;
  /** What is left of the request's time, where that is less than one attempt may take. */
  totalMs?: number;
  response: ResponseOptions;
  /** How this call is written, where that is not as the client's own profile has it. */
  profile?: UpstreamProfile;
  /** Hears what comes back, where it is to be kept. */
  recording?: Recording;
  /** The client's; its abort closes the upstream socket at once. */
  signal: AbortSignal;
};

/** How an answer ended: properly, by the connection or a time limit, or because nobody read on. */
export type Ending = "whole" | "broken" | "left";

/** What hears one attempt, in this order. None of it throws. */
export type Recording = {
  answered(status: number, headers: { get(name: string): string | null }): void;
  bytes(chunk: Uint8Array): void;
  ended(ending: Ending, fault: KiroFault | undefined): void;
};

/** The upstream behind an interface, so that another HTTP client can take its place. */
export type KiroClient = {
  /**
   * One HTTP attempt: no retry, no other credential. The generator never throws for what the world can do, and must
   * be iterated to its end or `return()`ed: it owns an open socket.
   */
  send(attempt: Attempt): Promise<Result<AsyncGenerator<Batch, void, undefined>, KiroFault>>;
};

/** More of an error body than this is of no use. */
const ERROR_BODY_MAX = 64 * 1024;

export function createClient(deps: { runtime: Runtime; profile: UpstreamProfile }): KiroClient {
  const { runtime } = deps;
  return {
    async send(attempt) {
      const { profile = deps.profile } = attempt;
      const call = chatCall(profile, attempt.access, {
        attempt: attempt.number,
        maxAttempts: attempt.maxAttempts,
        invocationId: runtime.randomUUID(),
      });
      const watch = createWatch(runtime, profile, attempt);
      const { recording } = attempt;
      try {
        const response = await runtime.fetch(call.url, {
          method: "POST",
          headers: call.headers,
          body: withProfileArn(attempt.body, attempt.access.profileArn),
          signal: watch.signal,
          redirect: "manual",
          // The limits are ours; Bun's own idle limit would cut a long silence first.
          timeout: false,
          ...proxyOption(attempt.access.proxyUrl),
        });
        const { context } = attempt.response;
        recording?.answered(response.status, response.headers);
        if (response.status !== 200) {
          const body = await readStart(response);
          watch.close();
          const { status, headers } = response;
          const fault = faultOfResponse({ status, headers, body }, context);
          recording?.bytes(Buffer.from(body));
          recording?.ended("whole", fault);
          return fail(fault);
        }
        watch.headersCame();
        return ok(read(response, createResponse(attempt.response), watch, recording));
      } catch (error) {
        watch.close();
        const fault = faultOfNetwork(watch.cause() ?? causeOf(error));
        recording?.ended("broken", fault);
        return fail(fault);
      }
    },
  };
}

async function* read(
  response: Response,
  machine: ResponseMachine,
  watch: Watch,
  recording: Recording | undefined,
): AsyncGenerator<Batch, void, undefined> {
  const decoder = createFrameDecoder();
  const toEvent = createEventReader();
  const reader = response.body?.getReader();
  let ending: Ending = "left";
  let ended: KiroFault | undefined;
  try {
    for (;;) {
      const chunk = reader === undefined ? "end" : await nextChunk(reader);
      if (chunk === "end") break;
      if (chunk === "broken") {
        ending = "broken";
        ended = faultOfNetwork(watch.cause() ?? "reset");
        yield { events: [], fault: ended };
        return;
      }
      recording?.bytes(chunk);
      watch.bytesCame();
      const { frames, fault } = decoder.push(chunk);
      const batch = feed(machine, toEvent, frames);
      if (batch.fault === undefined && fault !== undefined) batch.fault = faultOfFrame(fault);
      ended = batch.fault;
      // Fragments of a tool call and hidden thinking are events too, though nothing is to be seen yet.
      if (frames.length > 0) watch.eventCame();
      if (batch.events.length > 0 || batch.fault !== undefined) yield batch;
      if (batch.fault !== undefined) return;
    }
    ending = "whole";
    const truncated = decoder.end();
    const last =
      truncated === undefined ? machine.end() : { events: [], fault: faultOfFrame(truncated) };
    ended = last.fault;
    yield last;
  } finally {
    watch.close(ending === "whole");
    recording?.ended(ending, ended);
  }
}

type ChunkReader = { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

async function nextChunk(reader: ChunkReader): Promise<Uint8Array | "end" | "broken"> {
  try {
    const { done, value } = await reader.read();
    return done || value === undefined ? "end" : value;
  } catch {
    // A reset, or our own abort: the caller's watch knows which.
    return "broken";
  }
}

function feed(
  machine: ResponseMachine,
  toEvent: (frame: Frame) => KiroEvent,
  frames: Frame[],
): Batch {
  const events: ReplyEvent[] = [];
  for (const frame of frames) {
    const batch = machine.push(toEvent(frame));
    for (const event of batch.events) events.push(event);
    if (batch.fault !== undefined) return { events, fault: batch.fault };
  }
  return { events };
}

async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= ERROR_BODY_MAX) break;
  }
  return Buffer.concat(chunks).subarray(0, ERROR_BODY_MAX).toString("utf8");
}

/** What a `fetch` that threw has run into. */
export function causeOf(error: unknown): NetworkCause {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_PROXY_TUNNEL") return "proxy";
  return code === "ECONNRESET" ? "reset" : "connect";
}

/** The time limits of one attempt, and the one signal that ends it: the client's departure or a limit. */
type Watch = {
  signal: AbortSignal;
  /** Which limit has struck, if one has. */
  cause(): NetworkCause | undefined;
  headersCame(): void;
  bytesCame(): void;
  eventCame(): void;
  /** To be called at the end, `isWhole` where the body has been read to its own. */
  close(isWhole?: boolean): void;
};

function createWatch(
  runtime: Runtime,
  { limits }: UpstreamProfile,
  { signal: client, totalMs = limits.totalMs }: Pick<Attempt, "signal" | "totalMs">,
): Watch {
  const abort = new AbortController();
  let cause: NetworkCause | undefined;
  const strike = (limit: NetworkCause) => (): void => {
    cause = limit;
    abort.abort();
  };
  const leave = (): void => abort.abort();
  if (client.aborted) leave();
  else client.addEventListener("abort", leave, { once: true });
  const total = runtime.timer(Math.min(totalMs, limits.totalMs), strike("total-timeout"));
  let waiting = runtime.timer(limits.headersMs, strike("headers-timeout"));
  let idle: ReturnType<Runtime["timer"]> | undefined;
  return {
    signal: abort.signal,
    cause: () => cause,
    headersCame() {
      waiting.cancel();
      waiting = runtime.timer(limits.firstEventMs, strike("first-event-timeout"));
      idle = runtime.timer(limits.idleMs, strike("idle-timeout"));
    },
    bytesCame: () => idle?.refresh(),
    eventCame: () => waiting.cancel(),
    close(isWhole = false) {
      client.removeEventListener("abort", leave);
      total.cancel();
      waiting.cancel();
      idle?.cancel();
      // `return()` on a body does not close its socket; only the abort does. After a whole body it only costs 10 µs.
      if (!isWhole) abort.abort();
    },
  };
}
