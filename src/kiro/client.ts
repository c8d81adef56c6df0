import type { Batches, ReplyEvent, Take } from "../conversation/reply.ts";
import { FrameDecoder } from "../eventstream/decoder.ts";
import type { Frame } from "../eventstream/frame.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import type { StopSignal } from "../stop-signal.ts";
import { type Exchange, networkError, type Transport } from "../transport/transport.ts";
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
  signal: StopSignal;
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

export function createClient(deps: {
  runtime: Runtime;
  profile: UpstreamProfile;
  transport: Transport;
}): KiroClient {
  const { runtime, transport } = deps;
  return {
    async send(attempt) {
      const { profile = deps.profile, recording, access } = attempt;
      const call = chatCall(profile, access, {
        attempt: attempt.number,
        maxAttempts: attempt.maxAttempts,
        invocationId: runtime.randomUUID(),
        host: attempt.host,
      });
      if (attempt.signal.aborted) {
        const fault = faultOfNetwork("connect");
        recording?.ended("broken", fault);
        return fail(fault);
      }
      const exchange = transport({
        ...call,
        body: withProfileArn(attempt.body, access.profileArn),
        proxyUrl: access.proxyUrl,
      });
      const watch = new Watch(runtime, profile, attempt, exchange);
      try {
        const { status, headers } = await exchange.head;
        recording?.answered(status, headers);
        if (status !== 200) {
          const body = await readStart(exchange);
          watch.close();
          const fault = faultOfResponse({ status, headers, body }, attempt.response.context);
          recording?.bytes(Buffer.from(body));
          recording?.ended("whole", fault);
          return fail(fault);
        }
        watch.headersCame();
        return ok(new Answer(exchange, createResponse(attempt.response), watch, recording));
      } catch (error) {
        watch.close();
        const fault = faultOfNetwork(watch.cause ?? causeOf(error));
        recording?.ended("broken", fault);
        return fail(fault);
      }
    },
  };
}

const DONE: { done: true; value: undefined } = { done: true, value: undefined };

/** The body of an answer, batch by batch. */
class Answer implements Batches<Batch> {
  readonly #exchange: Exchange;
  readonly #machine: ResponseMachine;
  readonly #watch: Watch;
  readonly #recording: Recording | undefined;
  readonly #decoder = new FrameDecoder();
  readonly #toEvent: (frame: Frame) => KiroEvent = createEventReader();
  #reading: Promise<unknown> | undefined;
  #isOver = false;

  constructor(
    exchange: Exchange,
    machine: ResponseMachine,
    watch: Watch,
    recording: Recording | undefined,
  ) {
    this.#exchange = exchange;
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
      let goesOn: boolean | Promise<boolean> = true;
      const end = await this.#exchange.forEach((chunk) => {
        goesOn = this.#hand(chunk, take);
        // What was the last batch ends the reading, not the body.
        return this.#isOver ? false : goesOn;
      });
      if (end !== "stopped" && !this.#isOver) goesOn = this.#hand(end, take);
      if (!(await goesOn)) return;
    }
  }

  #hand(chunk: Uint8Array | "end" | "broken", take: Take<Batch>): boolean | Promise<boolean> {
    const batch = this.#batchOf(chunk);
    return batch === undefined || take(batch);
  }

  /** Undefined where there is nothing to tell yet. */
  #batchOf(chunk: Uint8Array | "end" | "broken"): Batch | undefined {
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

async function readStart(exchange: Exchange): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const end = await exchange.forEach((chunk) => {
    chunks.push(chunk);
    length += chunk.length;
    return length < ERROR_BODY_MAX;
  });
  // Half of a refusal is none: it may have been a limit of ours, or the client, that cut it off.
  if (end === "broken") throw networkError("the answer broke off", "ECONNRESET");
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
  readonly #client: StopSignal;
  readonly #exchange: Exchange;
  readonly #leave = (): void => this.#exchange.close();
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
    exchange: Exchange,
  ) {
    const now = runtime.monotonic();
    this.#runtime = runtime;
    this.#limits = limits;
    this.#client = signal;
    this.#exchange = exchange;
    this.#endAt = now + Math.min(totalMs, limits.totalMs);
    this.#eventBy = now + limits.headersMs;
    signal.addEventListener("abort", this.#leave, { once: true });
    this.#arm(now);
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
    // To abort a `fetch` whose body is whole only costs 10 µs.
    if (!isWhole) this.#leave();
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
    this.#leave();
  }
}
