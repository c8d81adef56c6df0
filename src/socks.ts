import { connect, createServer, type Socket } from "node:net";

/** The way to a SOCKS5 proxy for programs that only speak to HTTP proxies. */
export type SocksBridge = {
  /** An HTTP proxy on loopback that tunnels (CONNECT, so https only); the password in it keeps strangers out. */
  url: string;
  stop(): void;
};

/**
 * Bun's `fetch` knows no SOCKS, so this stands between: a tunnel that is asked for here is asked for there (RFC 1928,
 * with the user and password of RFC 1929 where `proxyUrl` has them). The proxy looks up the host's name.
 */
export async function startSocksBridge(proxyUrl: string, password: string): Promise<SocksBridge> {
  const proxy = new URL(proxyUrl);
  const expected = `Basic ${Buffer.from(`bridge:${password}`).toString("base64")}`;
  const server = createServer((client) => {
    client.on("error", () => client.destroy());
    void tunnel(client, proxy, expected).catch(() => client.destroy());
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  // The program may end while nobody is calling.
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a bridge has no port");
  return {
    url: `http://bridge:${password}@127.0.0.1:${address.port}`,
    stop: () => void server.close(),
  };
}

/** Rejects when one of the two sides leaves early; the caller then drops the client. */
async function tunnel(client: Socket, proxy: URL, expected: string): Promise<void> {
  const fromClient = read(client);
  const head = String(await fromClient.until((bytes) => bytes.indexOf("\r\n\r\n") + 4, 4));
  const target = /^CONNECT (\S+):(\d{1,5}) /.exec(head);
  const authorization = /\r\nproxy-authorization: *([^\r]*)\r\n/i.exec(head);
  if (target === null || authorization?.[1] !== expected) {
    client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    return;
  }
  const [, host = "", port = ""] = target;
  const upstream = connect(Number(proxy.port || 1080), plain(proxy.hostname));
  client.once("close", () => upstream.destroy());
  upstream.once("close", () => client.destroy());
  upstream.on("error", () => upstream.destroy());
  const fromUpstream = read(upstream);
  if (!(await agree(upstream, fromUpstream, proxy, { host: plain(host), port: Number(port) }))) {
    client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n", () => upstream.destroy());
    return;
  }
  client.write("HTTP/1.1 200 OK\r\n\r\n");
  upstream.write(fromClient.rest());
  client.write(fromUpstream.rest());
  client.pipe(upstream);
  upstream.pipe(client);
}

const VERSION = 5;
const NO_LOGIN = 0;
const PASSWORD_LOGIN = 2;
const BY_NAME = 3;
/** How long an address is by its type; a name says so itself. */
const ADDRESS_BYTES = new Map([
  [1, 4],
  [4, 16],
]);

/** Asks the SOCKS proxy for the tunnel. False when it refuses. */
async function agree(
  socket: Socket,
  from: Reader,
  proxy: URL,
  target: { host: string; port: number },
): Promise<boolean> {
  const username = Buffer.from(decodeURIComponent(proxy.username));
  const password = Buffer.from(decodeURIComponent(proxy.password));
  const host = Buffer.from(target.host);
  if (host.length > 255 || target.port > 65_535) return false;
  const method = username.length > 0 ? PASSWORD_LOGIN : NO_LOGIN;
  socket.write(Buffer.of(VERSION, 1, method));
  if ((await from.take(2))[1] !== method) return false;
  if (method === PASSWORD_LOGIN) {
    socket.write(Buffer.concat([Buffer.of(1), counted(username), counted(password)]));
    if ((await from.take(2))[1] !== 0) return false;
  }
  const port = Buffer.of(target.port >> 8, target.port & 0xff);
  socket.write(Buffer.concat([Buffer.of(VERSION, 1, 0, BY_NAME), counted(host), port]));
  const [version, status, , addressType = 0] = await from.take(4);
  if (version !== VERSION || status !== 0) return false;
  const addressBytes = ADDRESS_BYTES.get(addressType) ?? (await from.take(1))[0] ?? 0;
  await from.take(addressBytes + port.length);
  return true;
}

function counted(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** An IPv6 address without the brackets that URLs put around it. */
function plain(host: string): string {
  return host.replaceAll(/[[\]]/g, "");
}

type Reader = {
  take(bytes: number): Promise<Buffer>;
  /** Takes as many bytes as `end` says once that is at least `atLeast`. */
  until(end: (bytes: Buffer) => number, atLeast: number): Promise<Buffer>;
  /** Stops reading; gives what has come and was not taken. */
  rest(): Buffer;
};

const HEAD_MAX = 16 * 1024;

/** The bytes of a socket, piece by piece. Rejects at its end. */
function read(socket: Socket): Reader {
  let waiting = Buffer.alloc(0);
  let ended = false;
  let wake: (() => void) | undefined;
  const onData = (chunk: Buffer): void => {
    waiting = Buffer.concat([waiting, chunk]);
    wake?.();
  };
  const onEnd = (): void => {
    ended = true;
    wake?.();
  };
  socket.on("data", onData).on("end", onEnd).on("close", onEnd);
  const until: Reader["until"] = async (end, atLeast) => {
    for (;;) {
      const length = end(waiting);
      if (length >= atLeast && length <= waiting.length) {
        const taken = waiting.subarray(0, length);
        waiting = waiting.subarray(length);
        return taken;
      }
      if (ended || waiting.length > HEAD_MAX) throw new Error("the other side broke off");
      const more = Promise.withResolvers<void>();
      wake = more.resolve;
      await more.promise;
    }
  };
  return {
    until,
    take: async (bytes) => await until(() => bytes, bytes),
    rest() {
      socket.off("data", onData);
      return waiting;
    },
  };
}
