import type { Failure } from "../conversation/failure.ts";
import { type Batches, forEachBatch, type ReplyEvent } from "../conversation/reply.ts";
import type { Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Encoder, Wire } from "../wire/wire.ts";
import { within } from "./within.ts";

/** How a streamed answer ended, for the log. */
export type StreamEnd = { outcome: "complete" | "failed" | "cancelled"; failure?: Failure };

/**
 * Between the error event and the cut, unless the client leaves first, as SDKs do on the event. A reset overtakes what a
 * busy client has not read yet, and the error would be lost with it.
 */
const BEFORE_CUT_MS = 500;

/**
 * A reply as a response body. What comes in one batch leaves in one write: a write costs more than everything else
 * done for an event. A reply that fails ends with the wire's error event and then a cut connection, never a clean end,
 * because several clients take a clean end for a complete answer.
 *
 * @param begun the reply, or the failure that came instead after the response head had left
 */
export function eventStream<Event>(deps: {
  runtime: Runtime;
  wire: Wire<Event>;
  encoder: Encoder<Event>;
  begun: Promise<Result<{ events: Batches<ReplyEvent[]> }, Failure>>;
  /** The head has left before the reply began, so the first heartbeat is due at once. */
  late: boolean;
  signal: AbortSignal;
  heartbeatMs: number;
  /** How long the client may read nothing, with more to be sent than the connection takes. */
  stalledMs: number;
  /** A failure in the words for the client. */
  asSeen(failure: Failure): Failure;
  onEvents(events: ReplyEvent[]): void;
  onEnd(end: StreamEnd): void;
  onBug(error: unknown): void;
}): ReadableStream<Uint8Array> {
  const { runtime, wire, encoder, signal } = deps;

  async function pump(sink: Sink): Promise<StreamEnd> {
    let draining: Promise<unknown> | undefined;
    const write = (text: string): void => {
      const written = sink.write(text);
      void sink.flush();
      if (written instanceof Promise) draining = written;
    };
    /** When the next heartbeat is due. The timer is not started anew with every event: one that fires early starts another. */
    let dueAt = runtime.monotonic() + (deps.late ? 0 : deps.heartbeatMs);
    const beat = (): void => {
      const now = runtime.monotonic();
      if (now >= dueAt) {
        // A client that does not read gets no more heartbeats either.
        if (draining === undefined && !signal.aborted) write(encoder.heartbeat());
        dueAt = now + deps.heartbeatMs;
      }
      heartbeat = runtime.timer(dueAt - now, beat);
    };
    let heartbeat = runtime.timer(deps.late ? 0 : deps.heartbeatMs, beat);
    /** Encodes and writes; gives the end if these events hold it. */
    const send = (events: ReplyEvent[]): StreamEnd | undefined => {
      deps.onEvents(events);
      let text = "";
      let end: StreamEnd | undefined;
      for (const inner of events) {
        const event =
          inner.type === "failed" ? { ...inner, failure: deps.asSeen(inner.failure) } : inner;
        for (const wireEvent of encoder.push(event)) text += wire.frame(wireEvent);
        if (event.type === "stop") end = { outcome: "complete" };
        if (event.type === "failed") end = { outcome: "failed", failure: event.failure };
      }
      if (end?.outcome === "complete") text += wire.trailer;
      if (text !== "") write(text);
      dueAt = runtime.monotonic() + deps.heartbeatMs;
      return end;
    };
    /** Whether the client has taken in time what was sent to it. */
    const drained = async (waiting: Promise<unknown>): Promise<boolean> => {
      const taken = await within(runtime, deps.stalledMs, untilDrained(waiting, signal));
      draining = undefined;
      return taken === true;
    };

    try {
      const begun = await deps.begun;
      if (!begun.ok) {
        if (signal.aborted) return { outcome: "cancelled" };
        const failure = deps.asSeen(begun.failure);
        send([{ type: "failed", failure }]);
        return { outcome: "failed", failure };
      }
      let end: StreamEnd | undefined;
      await forEachBatch(begun.value.events, (events) => {
        if (signal.aborted) return false;
        end = send(events);
        if (draining === undefined) return end === undefined;
        return drained(draining).then((isTaken) => {
          if (!isTaken) end = { outcome: "cancelled" };
          return end === undefined;
        });
      });
      // A departed client's reply is returned from outside, also while this waits for it to drain.
      if (signal.aborted) return { outcome: "cancelled" };
      if (end === undefined) throw new Error("a reply ended without a terminal event");
      return end;
    } finally {
      heartbeat.cancel();
    }
  }

  return new ReadableStream({
    type: "direct",
    async pull(sink: Sink) {
      const end = await pump(sink).catch((error: unknown): StreamEnd => {
        deps.onBug(error);
        return { outcome: "failed", failure: { kind: "internal", message: "Internal error" } };
      });
      deps.onEnd(end);
      if (end.outcome === "complete") {
        sink.close();
        return;
      }
      if (end.outcome === "failed") {
        await runtime.sleep(BEFORE_CUT_MS, signal).catch(() => undefined);
      }
      // Not a clean end, also for a client that has stopped reading and may yet come back to it.
      sink.close(new Error("the reply is not complete"));
    },
  } as const);
}

/** Bun's controller of a direct stream: `write` gives a promise when the client does not keep up. */
type Sink = {
  write(text: string): number | Promise<number>;
  flush(): number | Promise<number>;
  close(error?: Error): void;
};

/** Whether the client still reads: false where it leaves first. */
async function untilDrained(draining: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onAbort = (): void => resolve(false);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([draining.then(() => true), promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
