/** The load generator: bare sockets and the least of HTTP that can tell when an answer is whole. */
import { nowUs } from "./clock.ts";
import { SENT_MARK, type Workload, type WorkloadName, workloads } from "./workloads.ts";

export type LoadOrder = {
  workload: WorkloadName;
  url: string;
  apiKey: string;
  /** `raw` gives the service's bytes, all others server-sent events. */
  kind: "raw" | "gateway";
  /** Instead of the workload's own. */
  seconds?: number;
  events?: number;
};

/** In milliseconds. */
export type Quantiles = { p50: number; p95: number; p99: number };

export type LoadResult = {
  requests: number;
  failures: Record<string, number>;
  seconds: number;
  total: Quantiles;
  firstEvent: Quantiles;
  /** Paced only: from the service's write of an event to its arrival. */
  lag?: Quantiles;
  /** Paced only: how much longer than planned 99 of 100 streams have taken at most. */
  stretch?: number;
};

/** What must be in an answer, ahead of its first event and near its end. */
const MARKS = {
  raw: { first: '{"', stream: "meteringEvent", whole: "meteringEvent" },
  gateway: { first: "_delta", stream: "message_stop", whole: '"stop_reason":"end_turn"' },
};
/** The last chunk as its bytes stand on the wire, and what ends a stream of paced events late at the latest. */
const LAST_CHUNK = Buffer.from("\r\n0\r\n\r\n");
const STUCK_MS = 60_000;
const LAGS_MAX = 1_000_000;

type Run = {
  order: LoadOrder;
  request: Buffer;
  first: string;
  end: string;
  port: number;
  host: string;
  totals: number[];
  firsts: number[];
  lags: Float64Array;
  lagCount: number;
  failures: Record<string, number>;
  /** Whether a connection is to send another request. */
  goesOn: () => boolean;
};

export async function run(order: LoadOrder): Promise<LoadResult> {
  const { load, request }: Workload = workloads[order.workload];
  const body = Buffer.from(JSON.stringify(request));
  const { hostname, port } = new URL(order.url);
  const head =
    `POST /v1/messages HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n` +
    `x-api-key: ${order.apiKey}\r\nanthropic-version: 2023-06-01\r\ncontent-length: ${body.length}\r\n\r\n`;
  const marks = MARKS[order.kind];
  const isStream = "stream" in request;
  const seconds = order.seconds ?? (load.type === "closed" ? load.seconds : 0);
  const startedAt = performance.now();
  const current: Run = {
    order,
    request: Buffer.concat([Buffer.from(head), body]),
    first: isStream || order.kind === "raw" ? marks.first : "{",
    end: isStream ? marks.stream : marks.whole,
    port: Number(port),
    host: hostname,
    totals: [],
    firsts: [],
    lags: new Float64Array(load.type === "paced" ? LAGS_MAX : 0),
    lagCount: 0,
    failures: {},
    goesOn: () => load.type === "closed" && performance.now() - startedAt < seconds * 1_000,
  };
  const connections = load.type === "closed" ? load.connections : load.streams;
  // Streams begin spread over a second or two: it is not the storm of connections that is measured.
  const gapMs = load.type === "closed" ? 0 : Math.max(1, 1_000 / connections);
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      if (gapMs > 0) await Bun.sleep(index * gapMs);
      await connection(current);
    }),
  );
  const elapsed = (performance.now() - startedAt) / 1_000;
  const { totals, firsts, failures } = current;
  const result: LoadResult = {
    requests: totals.length,
    failures,
    seconds: elapsed,
    total: quantiles(Float64Array.from(totals)),
    firstEvent: quantiles(Float64Array.from(firsts)),
  };
  if (load.type === "paced") {
    const plannedMs = ((order.events ?? load.events) - 1) * load.everyMs;
    const sinceFirst = Float64Array.from(totals, (total, index) => total - (firsts[index] ?? 0));
    result.lag = quantiles(current.lags.subarray(0, current.lagCount));
    result.stretch = quantiles(sinceFirst).p99 / plannedMs;
  }
  return result;
}

/** One connection, from its first request until the run is over. Resolves in any case. */
async function connection(current: Run): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { first, end, request } = current;
  let sentAt = 0;
  let unsent: Buffer | undefined;
  let inHead = true;
  let head: Buffer | undefined;
  let isOk = false;
  /** Undefined where the answer comes in chunks. */
  let missing: number | undefined;
  let firstMs: number | undefined;
  let tail: Buffer = Buffer.alloc(0);
  let over = false;
  const stuck = setTimeout(() => finish("stuck"), STUCK_MS);

  function fault(what: string): void {
    current.failures[what] = (current.failures[what] ?? 0) + 1;
  }

  function finish(what?: string): void {
    if (over) return;
    over = true;
    clearTimeout(stuck);
    if (what !== undefined) fault(what);
    socket?.terminate();
    resolve();
  }

  function write(to: Bun.Socket, bytes: Buffer): void {
    const written = Math.max(0, to.write(bytes));
    unsent = written < bytes.length ? bytes.subarray(written) : undefined;
  }

  function next(to: Bun.Socket): void {
    inHead = true;
    firstMs = undefined;
    tail = Buffer.alloc(0);
    sentAt = performance.now();
    stuck.refresh();
    write(to, request);
  }

  /** The bytes of a body; says whether they end it. */
  function takeBody(bytes: Buffer): boolean {
    if (firstMs === undefined && bytes.includes(first)) firstMs = performance.now() - sentAt;
    if (current.lags.length > 0) takeLags(current, bytes);
    const from = bytes.length < 512 ? Buffer.concat([tail, bytes]) : bytes;
    tail = from.subarray(-1_024);
    if (missing === undefined) {
      return from.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
    }
    missing -= bytes.length;
    return missing <= 0;
  }

  function take(to: Bun.Socket, bytes: Buffer): void {
    let body = bytes;
    if (inHead) {
      head = head === undefined ? bytes : Buffer.concat([head, bytes]);
      const at = head.indexOf("\r\n\r\n");
      if (at < 0) return;
      const text = head.toString("latin1", 0, at);
      isOk = text.startsWith("HTTP/1.1 200");
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      missing = length === undefined ? undefined : Number(length);
      body = head.subarray(at + 2);
      // The line end ahead of a last chunk that comes at once.
      if (missing !== undefined) body = body.subarray(2);
      inHead = false;
      head = undefined;
      if (body.length === 0 || (missing === undefined && body.length === 2)) return;
    }
    if (!takeBody(body)) return;
    if (!isOk) fault("status");
    else if (!tail.includes(end)) fault("not whole");
    else if (firstMs === undefined) fault("no event");
    else {
      current.totals.push(performance.now() - sentAt);
      current.firsts.push(firstMs);
    }
    if (current.goesOn()) next(to);
    else finish();
  }

  let socket: Bun.Socket | undefined;
  try {
    socket = await Bun.connect({
      hostname: current.host,
      port: current.port,
      socket: {
        open: next,
        data: take,
        drain(to) {
          if (unsent !== undefined) write(to, unsent);
        },
        close: () => finish("connection closed"),
        error: () => finish("connection error"),
        connectError: () => finish("no connection"),
      },
    });
    if (over) socket.terminate();
  } catch {
    finish("no connection");
  }
  await promise;
}

function takeLags(current: Run, bytes: Buffer): void {
  const now = nowUs();
  for (let at = bytes.indexOf(SENT_MARK); at >= 0; at = bytes.indexOf(SENT_MARK, at + 1)) {
    const from = at + SENT_MARK.length;
    const sent = Number(bytes.toString("latin1", from, from + 16));
    if (sent > 1e15 && current.lagCount < current.lags.length) {
      current.lags[current.lagCount] = (now - sent) / 1_000;
      current.lagCount += 1;
    }
  }
}

function quantiles(values: Float64Array): Quantiles {
  const sorted = values.toSorted();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
