import type { Batches, ReplyEvent, Take } from "../conversation/reply.ts";
import { FrameDecoder } from "../eventstream/decoder.ts";
import type { Frame } from "../eventstream/frame.ts";
import { proxyOption } from "../proxy.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime, Timer } from "../runtime.ts";
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
  /** The host to ask, a template; the profile's own unless told. */
  host?: string;
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
   * One HTTP attempt: no retry, no other credential. The batches never throw for what the world can do, and must be
   * read to their end or `return()`ed: they own an open socket.
   */
  send(attempt: Attempt): Promise<Result<Batches<Batch>, KiroFault>>;
};

/** More of an error body than this is of no use. */
const ERROR_BODY_MAX = 64 * 1024;

export function createClient(deps: { runtime: Runtime; profile: UpstreamProfile }): KiroClient {
  const { runtime } = deps;
  return {
    async send(attempt) {
      const { profile = deps.profile, recording, access } = attempt;
      const call = chatCall(profile, access, {
        attempt: attempt.number,
        maxAttempts: attempt.maxAttempts,
        invocationId: runtime.randomUUID(),
        host: attempt.host,
      });
      const watch = new Watch(runtime, profile, attempt);
      try {
        const response = await runtime.fetch(call.url, {
          method: "POST",
          headers: call.headers,
          body: withProfileArn(attempt.body, access.profileArn),
          signal: watch.signal,
          redirect: "manual",
          // The limits are ours; Bun's own idle limit would cut a long silence first.
          timeout: false,
          ...proxyOption(access.proxyUrl),
        });
        recording?.answered(response.status, response.headers);
        if (response.status !== 200) {
          const body = await readStart(response);
          watch.close();
          const { status, headers } = response;
          const fault = faultOfResponse({ status, headers, body }, attempt.response.context);
          recording?.bytes(Buffer.from(body));
          recording?.ended("whole", fault);
          return fail(fault);
        }
        watch.headersCame();
        return ok(new Answer(response, createResponse(attempt.response), watch, recording));
      } catch (error) {
        watch.close();
        const fault = faultOfNetwork(watch.cause ?? causeOf(error));
        recording?.ended("broken", fault);
        return fail(fault);
      }
    },
  };
}

type ChunkReader = { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

type Chunk = Uint8Array | "end" | "broken";

const DONE: { done: true; value: undefined } = { done: true, value: undefined };

/** The body of an answer, batch by batch. */
class Answer implements Batches<Batch> {
  readonly #reader: ChunkReader | undefined;
  readonly #machine: ResponseMachine;
  readonly #watch: Watch;
  readonly #recording: Recording | undefined;
  readonly #decoder = new FrameDecoder();
  readonly #toEvent: (frame: Frame) => KiroEvent = createEventReader();
  #reading: Promise<unknown> | undefined;
  #isOver = false;

  constructor(
    { body }: Response,
    machine: ResponseMachine,
    watch: Watch,
    recording: Recording | undefined,
  ) {
    this.#reader = body?.getReader();
    this.#machine = machine;
    this.#watch = watch;
    this.#recording = recording;
  }

  async next(): Promise<IteratorResult<Batch, void>> {
    let first: Batch | undefined;
    this.#reading = this.#read((batch) => {
      first = batch;
      return false;
    });
    await this.#reading;
    return first === undefined ? DONE : { done: false, value: first };
  }

  async forEach(take: Take<Batch>): Promise<void> {
    this.#reading = this.#read(take);
    try {
      await this.#reading;
    } finally {
      this.#end("left");
    }
  }

  async return(): Promise<IteratorResult<Batch, void>> {
    // Whoever reads hears of what went wrong.
    await this.#reading?.catch(() => undefined);
    this.#end("left");
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #read(take: Take<Batch>): Promise<void> {
    while (!this.#isOver) {
      let chunk: Chunk;
      try {
        chunk = (await this.#reader?.read())?.value ?? "end";
      } catch {
        chunk = "broken";
      }
      const batch = this.#batchOf(chunk);
      const goesOn = batch === undefined || take(batch);
      if (!(goesOn instanceof Promise ? await goesOn : goesOn)) return;
    }
  }

  /** Undefined where there is nothing to tell yet. */
  #batchOf(chunk: Chunk): Batch | undefined {
    if (chunk === "broken") {
      // A reset, or our own abort: the watch knows which.
      return this.#last("broken", {
        events: [],
        fault: faultOfNetwork(this.#watch.cause ?? "reset"),
      });
    }
    if (chunk === "end") {
      const truncated = this.#decoder.end();
      return this.#last(
        "whole",
        truncated === undefined
          ? this.#machine.end()
          : { events: [], fault: faultOfFrame(truncated) },
      );
    }
    const batch = this.#take(chunk);
    if (batch.fault !== undefined) return this.#last("left", batch);
    return batch.events.length > 0 ? batch : undefined;
  }

  #take(chunk: Uint8Array): Batch {
    this.#recording?.bytes(chunk);
    this.#watch.bytesCame();
    const { frames, fault } = this.#decoder.push(chunk);
    // Fragments of a tool call and hidden thinking are events too, though nothing is to be seen yet.
    if (frames.length > 0) this.#watch.eventCame();
    const events: ReplyEvent[] = [];
    for (const frame of frames) {
      const batch = this.#machine.push(this.#toEvent(frame), events);
      if (batch.fault !== undefined) return batch;
    }
    return fault === undefined ? { events } : { events, fault: faultOfFrame(fault) };
  }

  #last(ending: Ending, batch: Batch): Batch {
    this.#end(ending, batch.fault);
    return batch;
  }

  #end(ending: Ending, fault?: KiroFault): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.close(ending === "whole");
    this.#recording?.ended(ending, fault);
  }
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

/**
 * The time limits of one attempt, and the one signal that ends it: the client's departure or a limit. One timer for all
 * limits, which looks at the clock when it fires, instead of one for each that is restarted with every chunk.
 */
class Watch {
  /** Which limit has struck, if one has. */
  cause: NetworkCause | undefined;
  readonly #runtime: Pick<Runtime, "monotonic" | "timer">;
  readonly #limits: UpstreamProfile["limits"];
  readonly #client: AbortSignal;
  readonly #abort = new AbortController();
  readonly #leave = (): void => this.#abort.abort();
  readonly #endAt: number;
  /** When the first event, or before that the head, has to be there. */
  #eventBy: number;
  #waitsFor: NetworkCause | undefined = "headers-timeout";
  #lastBytesAt = Number.POSITIVE_INFINITY;
  #firesAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(
    runtime: Runtime,
    { limits }: UpstreamProfile,
    { signal, totalMs = limits.totalMs }: Pick<Attempt, "signal" | "totalMs">,
  ) {
    const now = runtime.monotonic();
    this.#runtime = runtime;
    this.#limits = limits;
    this.#client = signal;
    this.#endAt = now + Math.min(totalMs, limits.totalMs);
    this.#eventBy = now + limits.headersMs;
    if (signal.aborted) this.#leave();
    else signal.addEventListener("abort", this.#leave, { once: true });
    this.#arm(now);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  headersCame(): void {
    const now = this.#runtime.monotonic();
    this.#waitsFor = "first-event-timeout";
    this.#eventBy = now + this.#limits.firstEventMs;
    this.#lastBytesAt = now;
    this.#arm(now);
  }

  bytesCame(): void {
    this.#lastBytesAt = this.#runtime.monotonic();
  }

  eventCame(): void {
    this.#waitsFor = undefined;
  }

  /** To be called at the end, `isWhole` where the body has been read to its own. */
  close(isWhole = false): void {
    this.#client.removeEventListener("abort", this.#leave);
    this.#timer?.cancel();
    // `return()` on a body does not close its socket; only the abort does. After a whole body it only costs 10 µs.
    if (!isWhole) this.#abort.abort();
  }

  /** The limit that is next, and when. */
  #next(): { at: number; cause: NetworkCause } {
    const idleAt = this.#lastBytesAt + this.#limits.idleMs;
    const eventBy = this.#waitsFor === undefined ? Number.POSITIVE_INFINITY : this.#eventBy;
    if (this.#endAt <= idleAt && this.#endAt <= eventBy) {
      return { at: this.#endAt, cause: "total-timeout" };
    }
    return this.#waitsFor !== undefined && eventBy <= idleAt
      ? { at: eventBy, cause: this.#waitsFor }
      : { at: idleAt, cause: "idle-timeout" };
  }

  #arm(now: number): void {
    const { at } = this.#next();
    // One that fires too early starts another.
    if (this.#firesAt <= at) return;
    this.#timer?.cancel();
    this.#firesAt = at;
    this.#timer = this.#runtime.timer(at - now, () => this.#fire());
  }

  #fire(): void {
    const now = this.#runtime.monotonic();
    const { at, cause } = this.#next();
    this.#firesAt = Number.POSITIVE_INFINITY;
    if (now < at) return this.#arm(now);
    this.cause = cause;
    this.#abort.abort();
  }
}
