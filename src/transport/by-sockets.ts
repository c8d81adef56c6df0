import { BoundedMap } from "../bounded-map.ts";
import type { Runtime } from "../runtime.ts";
import { ResponseParser } from "./response-parser.ts";
import type { BodyEnd, Call, Exchange, Head, TakeBytes, Transport } from "./transport.ts";

/** How long a connection is kept for the next call: less than the minute after which load balancers close theirs. */
const IDLE_SECONDS = 55;
/** Connections kept, of all origins together. */
const IDLE_MAX = 256;
/** What is kept of a body that nobody takes before its sender has to wait. */
const HELD_BYTES_MAX = 256 * 1024;
const ORIGINS_MAX = 100;
/** Connects that were given up and can't be ended (Bun has no way), each with an open file until the system gives up too. */
const HANGING_MAX = 32;
/**
 * A server that closes an idle connection has done so when the next request arrives. One that closes later may have worked on
 * it, and whether it is to be repeated is for others to say.
 */
const STALE_WITHIN_MS = 1_000;

/**
 * An HTTP/1.1 client over bare sockets. Against `fetch` it takes 12 to 17 % less CPU time for paced streams and 20 % for small
 * requests, a third less memory at 1,000 streams and two fifths less of their lag: bytes go from the socket to who takes them in one step, where
 * `fetch` hands them from its own thread through a queue, a stream and a promise. Certificates are verified as by `fetch`.
 *
 * @param fallback takes the calls where nothing answers to connects
 */
export function createSocketTransport(
  { monotonic }: Pick<Runtime, "monotonic">,
  fallback: Transport,
): Transport {
  const connections = new Connections(monotonic);
  return (call) =>
    connections.hanging < HANGING_MAX ? new SocketExchange(connections, call) : fallback(call);
}

type Origin = {
  key: string;
  host: string;
  hostname: string;
  port: number;
  isTls: boolean;
  path: string;
};

function originOf(address: string): Origin {
  const { protocol, host, hostname, port, pathname, search } = new URL(address);
  const isTls = protocol === "https:";
  return {
    key: `${protocol}//${host}`,
    host,
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port) || (isTls ? 443 : 80),
    isTls,
    path: pathname + search,
  };
}

const UNSENDABLE = /[^\t\x20-\x7e]/;

/** A request as it is sent, and how many bytes that are. */
type RequestText = { text: string; bytes: number };

/** Throws where a header could be read as more than one, or would not be the bytes that were counted. */
function requestText({ host, path }: Origin, { headers, body }: Call): RequestText {
  const length = Buffer.byteLength(body);
  let head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? "";
    if (UNSENDABLE.test(value) || UNSENDABLE.test(name)) {
      throw new TypeError(`the header ${name} has characters that no header may have`);
    }
    head += `${name}: ${value}\r\n`;
  }
  head += "\r\n";
  return { text: head + body, bytes: head.length + length };
}

/** The connections that wait for a call. Those in use belong to their exchange. */
class Connections {
  readonly monotonic: () => number;
  hanging = 0;
  readonly #origins = new BoundedMap<string, Origin>(ORIGINS_MAX);
  readonly #idle = new Map<string, Connection[]>();
  #count = 0;

  constructor(monotonic: () => number) {
    this.monotonic = monotonic;
  }

  /** Throws where `url` is none. */
  origin(url: string): Origin {
    let origin = this.#origins.get(url);
    if (origin === undefined) {
      origin = originOf(url);
      this.#origins.set(url, origin);
    }
    return origin;
  }

  /** The one that was used last: those at the other end may rest until they are closed. */
  take(key: string): Connection | undefined {
    const connection = this.#idle.get(key)?.pop();
    if (connection !== undefined) this.#count -= 1;
    return connection;
  }

  /** False where there are enough. */
  keep(connection: Connection, key: string): boolean {
    if (this.#count >= IDLE_MAX) return false;
    this.#count += 1;
    const list = this.#idle.get(key);
    if (list === undefined) this.#idle.set(key, [connection]);
    else list.push(connection);
    return true;
  }

  drop(connection: Connection, key: string): void {
    const list = this.#idle.get(key);
    const at = list?.indexOf(connection) ?? -1;
    if (at < 0) return;
    list?.splice(at, 1);
    this.#count -= 1;
  }
}

class Connection {
  readonly #pool: Connections;
  readonly #key: string;
  #socket: Bun.Socket<Connection> | undefined;
  /** Undefined while it waits for the next call, and once it has been given up. */
  #exchange: SocketExchange | undefined;
  /** What the socket has not taken yet. */
  #unsent: Buffer | undefined;
  #isVerified = false;
  /** Given up while it connects. */
  #isHanging = false;

  constructor(pool: Connections, { key, hostname, port, isTls }: Origin, exchange: SocketExchange) {
    this.#pool = pool;
    this.#key = key;
    this.#exchange = exchange;
    Promise.try(async () => {
      await Bun.connect<Connection>({
        hostname,
        port,
        data: this,
        socket: isTls ? TLS_HANDLERS : HANDLERS,
        ...(isTls && { tls: { serverName: hostname } }),
      });
    }).catch((error: unknown) => this.lost(error));
  }

  /** Puts the next call on an idle connection. */
  use(exchange: SocketExchange): void {
    this.#exchange = exchange;
    this.#socket?.ref();
    this.#socket?.timeout(0);
    this.#send();
  }

  /** There is a socket. Nothing is sent before it is known who is at its other end. */
  opened(socket: Bun.Socket<Connection>, isTls: boolean): void {
    this.#socket = socket;
    this.#isSettled();
    if (this.#exchange === undefined) socket.terminate();
    else if (!isTls) this.#send();
  }

  verified(isTrusted: boolean, error: Error | null): void {
    // A second one is a renegotiation, which nothing needs, and the request must not be sent again.
    if (this.#isVerified) this.#giveUp(failed("a renegotiation", "EPROTO"));
    else if (!isTrusted) this.#giveUp(error ?? new Error("the certificate is not trusted"));
    else {
      this.#isVerified = true;
      this.#send();
    }
  }

  drain(): void {
    if (this.#unsent !== undefined) this.#write(this.#unsent);
  }

  received(bytes: Buffer): void {
    // Nobody has asked for it, and it can't be told from the next answer.
    if (this.#exchange === undefined) this.#giveUp();
    else this.#exchange.received(bytes);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** It has waited long enough for a call. Not a farewell that somebody has to answer before it is closed. */
  expired(): void {
    this.#giveUp();
  }

  /** The exchange is over and wants it no more. */
  release(isReusable: boolean): void {
    const socket = this.#socket;
    this.#exchange = undefined;
    if (socket === undefined) {
      this.#isHanging = true;
      this.#pool.hanging += 1;
      return;
    }
    // A request that has been answered before it was read says nothing of the next one.
    if (isReusable && this.#unsent === undefined && this.#pool.keep(this, this.#key)) {
      socket.timeout(IDLE_SECONDS);
      socket.unref();
    } else {
      this.#giveUp();
    }
  }

  /** The connection has ended, with an error where it was not its proper end, or could not be opened. */
  lost(error?: unknown): void {
    this.#isSettled();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#pool.drop(this, this.#key);
    exchange?.lost(error);
  }

  /** It is known by now what became of the connect. */
  #isSettled(): void {
    if (this.#isHanging) this.#pool.hanging -= 1;
    this.#isHanging = false;
  }

  #send(): void {
    const request = this.#exchange?.request;
    if (request === undefined) return;
    const written = Math.max(0, this.#socket?.write(request.text) ?? 0);
    if (written < request.bytes) this.#unsent = Buffer.from(request.text).subarray(written);
  }

  #write(bytes: Buffer): void {
    const written = Math.max(0, this.#socket?.write(bytes) ?? 0);
    this.#unsent = written < bytes.length ? bytes.subarray(written) : undefined;
  }

  #giveUp(error?: unknown): void {
    // Its handler of the close knows no reason.
    this.lost(error);
    this.#socket?.terminate();
  }
}

const HANDLERS: Bun.SocketHandler<Connection> = {
  // Of those that wait for a call; without a handler Bun does nothing.
  timeout: (socket) => socket.data.expired(),
  open: (socket) => socket.data.opened(socket, false),
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drain(),
  close: (socket, error) => socket.data.lost(error),
  error() {
    // `close` follows.
  },
  connectError() {
    // `Bun.connect` rejects.
  },
};

const TLS_HANDLERS: Bun.SocketHandler<Connection> = {
  ...HANDLERS,
  open: (socket) => socket.data.opened(socket, true),
  // With the host's name among what is verified.
  handshake: (socket, isTrusted, error) => socket.data.verified(isTrusted, error),
};

class SocketExchange implements Exchange {
  readonly head: Promise<Head>;
  /** Kept until the first byte of the answer is there, for it may have to be sent again. */
  request: RequestText | undefined;
  readonly #pool: Connections;
  #origin: Origin | undefined;
  readonly #parser = new ResponseParser();
  #connection: Connection | undefined;
  #isReused = false;
  #usedAt = 0;
  #answer: { resolve(head: Head): void; reject(error: unknown): void } | undefined;
  /** What came while nobody took. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isPaused = false;
  #reader: Reader | undefined;
  /** The reader has not finished with the last piece. */
  #isBusy = false;
  #ended: "end" | "broken" | undefined;

  constructor(pool: Connections, call: Call) {
    this.#pool = pool;
    this.head = new Promise((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
    try {
      this.#origin = pool.origin(call.url);
      this.request = requestText(this.#origin, call);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#connection = pool.take(this.#origin.key);
    this.#isReused = this.#connection !== undefined;
    if (this.#connection === undefined) this.#connect();
    else {
      this.#usedAt = pool.monotonic();
      this.#connection.use(this);
    }
  }

  forEach(take: TakeBytes): Promise<BodyEnd> {
    return new Promise((resolve, reject) => {
      this.#reader = { take, resolve, reject };
      this.#handOn();
    });
  }

  close(): void {
    if (this.#ended !== undefined) return;
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.release(false);
    this.#held = [];
    this.#fail(failed("the call was given up", "ABORT_ERR"));
  }

  received(bytes: Buffer): void {
    this.request = undefined;
    const parser = this.#parser;
    const body = parser.push(bytes);
    if (parser.head !== undefined) this.#answered(parser.head);
    if (body !== undefined) this.#take(body);
    if (parser.state === "ended" || parser.state === "broken") this.#over();
  }

  /** The connection has gone: with an error, or at the other end's wish. */
  lost(error: unknown): void {
    this.#connection = undefined;
    if (this.#isStale()) {
      this.#isReused = false;
      this.#connect();
      return;
    }
    this.#parser.close(error === undefined);
    if (this.#parser.state === "ended") this.#end("end");
    else this.#fail(error ?? failed("the connection was lost", "ECONNRESET"));
  }

  /** It was closed at the other end while the request was on its way. Nothing of an answer has been seen. */
  #isStale(): boolean {
    return (
      this.#isReused &&
      this.request !== undefined &&
      this.#pool.monotonic() - this.#usedAt < STALE_WITHIN_MS
    );
  }

  #connect(): void {
    if (this.#origin === undefined) return;
    this.#connection = new Connection(this.#pool, this.#origin, this);
  }

  #answered(head: Head): void {
    this.#answer?.resolve(head);
    this.#answer = undefined;
  }

  #over(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (this.#isPaused) connection?.resume();
    this.#isPaused = false;
    connection?.release(this.#parser.reusable);
    if (this.#parser.state === "ended") this.#end("end");
    else this.#fail(failed("the answer is not HTTP/1.1", "EPROTO"));
  }

  #fail(error: unknown): void {
    this.request = undefined;
    this.#answer?.reject(error);
    this.#answer = undefined;
    this.#end("broken");
  }

  #end(how: "end" | "broken"): void {
    this.#ended ??= how;
    this.#handOn();
  }

  #take(body: Buffer): void {
    if (this.#reader !== undefined && !this.#isBusy) {
      this.#hand(this.#reader, body);
      if (this.#ended !== undefined) this.#handOn();
      return;
    }
    this.#held.push(body);
    this.#heldBytes += body.length;
    if (this.#heldBytes <= HELD_BYTES_MAX || this.#isPaused) return;
    this.#isPaused = true;
    this.#connection?.pause();
  }

  /** What is held, and then the end. */
  #handOn(): void {
    while (this.#reader !== undefined && !this.#isBusy) {
      const body = this.#held.shift();
      if (body === undefined) break;
      this.#heldBytes -= body.length;
      this.#hand(this.#reader, body);
    }
    if (this.#held.length > 0) return;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#connection?.resume();
    }
    if (this.#ended !== undefined && !this.#isBusy) this.#stop(this.#ended);
  }

  #hand(reader: Reader, body: Buffer): void {
    // It may close all this before it returns.
    this.#isBusy = true;
    let goesOn: boolean | Promise<boolean>;
    try {
      goesOn = reader.take(body);
    } catch (error) {
      this.#isBusy = false;
      this.#reader = undefined;
      reader.reject(error);
      return;
    }
    if (goesOn instanceof Promise) {
      this.#wait(reader, goesOn);
      return;
    }
    this.#isBusy = false;
    if (!goesOn) this.#stop("stopped");
  }

  #wait(reader: Reader, waiting: Promise<boolean>): void {
    waiting.then(
      (goesOn) => {
        this.#isBusy = false;
        if (goesOn) this.#handOn();
        else this.#stop("stopped");
      },
      (error: unknown) => {
        this.#isBusy = false;
        this.#reader = undefined;
        reader.reject(error);
      },
    );
  }

  #stop(how: BodyEnd): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(how);
  }
}

type Reader = {
  take: TakeBytes;
  resolve(how: BodyEnd): void;
  reject(error: unknown): void;
};

function failed(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
