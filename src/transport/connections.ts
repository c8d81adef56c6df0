import { BoundedMap } from "../bounded-map.ts";
import { networkError } from "./transport.ts";

/** How long a connection is kept for the next call: less than the minute after which load balancers close theirs. */
const IDLE_SECONDS = 55;
/** Connections kept, of all origins together. */
const IDLE_MAX = 256;
const ORIGINS_MAX = 100;

export type Origin = {
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

/** A request as it is sent, and how many bytes that are. */
export type RequestText = { text: string; bytes: number };

/** Who uses a connection for one call. */
export type Occupant = {
  /** Undefined once it must not be sent any more. */
  readonly request: RequestText | undefined;
  received(bytes: Buffer): void;
  /** The connection has gone: with an error, or at the other end's wish. */
  lost(error: unknown): void;
};

/** The connections that wait for a call. Those in use belong to their exchange. */
export class Connections {
  /** Connects that were given up and can't be ended, which Bun has no way to, each with an open file until the system gives up too. */
  hanging = 0;
  readonly #origins = new BoundedMap<string, Origin>(ORIGINS_MAX);
  readonly #idle = new Map<string, Connection[]>();
  #count = 0;

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

export class Connection {
  readonly #pool: Connections;
  readonly #key: string;
  #socket: Bun.Socket<Connection> | undefined;
  /** Undefined while it waits for the next call, and once it has been given up. */
  #exchange: Occupant | undefined;
  /** What the socket has not taken yet. */
  #unsent: Buffer | undefined;
  #isVerified = false;
  /** Given up while it connects. */
  #isHanging = false;

  constructor(pool: Connections, { key, hostname, port, isTls }: Origin, exchange: Occupant) {
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
  use(exchange: Occupant): void {
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
    if (this.#isVerified) this.#giveUp(networkError("a renegotiation", "EPROTO"));
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
