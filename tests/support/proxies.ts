import { connect, createServer, type Server, type Socket } from "node:net";

/** A proxy on loopback that leads everything to one port, whatever was asked for. */
export type TestProxy = {
  port: number;
  /** What was asked for: `CONNECT host:port` or `GET http://…`, and for SOCKS the names and passwords too. */
  seen: string[];
  stop(): void;
};

export type Refusal = "login" | "target";

/** An HTTP proxy; `status` other than 200 refuses. */
export async function startHttpProxy(target: number, status = 200): Promise<TestProxy> {
  const seen: string[] = [];
  return await listen(seen, (client) => {
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return;
      client.off("data", onData);
      const [line = "", ...headers] = head.slice(0, end).split("\r\n");
      const login = headers.find((header) => /^proxy-authorization:/i.test(header));
      const [method = "", url = ""] = line.split(" ");
      seen.push([method, url, ...(login === undefined ? [] : [decoded(login)])].join(" "));
      if (status !== 200) {
        client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
        return;
      }
      const upstream = join(client, target);
      if (method === "CONNECT") {
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        return;
      }
      const { pathname, search } = new URL(url);
      // One request for each connection, so that each is seen.
      const rest = headers.filter((header) => !/^(proxy-|connection:)/i.test(header)).join("\r\n");
      const after = head.slice(end);
      upstream.write(
        `${method} ${pathname}${search} HTTP/1.1\r\n${rest}\r\nconnection: close${after}`,
        "latin1",
      );
    };
    client.on("data", onData);
  });
}

/** A SOCKS5 proxy. With `login` it wants just that; `refuses` says at which step it refuses. */
export async function startSocksProxy(
  target: number,
  options: { login?: string; refuses?: Refusal; cutAfter?: number } = {},
): Promise<TestProxy> {
  const seen: string[] = [];
  return await listen(seen, (client) => {
    let waiting = Buffer.alloc(0);
    let step: "methods" | "login" | "target" = "methods";
    // A byte at a time: the other side must not count on whole answers.
    const say = (...bytes: number[]): void => {
      const sent = bytes.slice(0, options.cutAfter ?? bytes.length);
      for (const byte of sent) client.write(Buffer.of(byte));
      if (options.cutAfter !== undefined) client.end();
    };
    const onData = (chunk: Buffer): void => {
      waiting = Buffer.concat([waiting, chunk]);
      if (step === "methods" && waiting.length >= 2 + (waiting[1] ?? 0)) {
        const wanted = options.login === undefined ? 0 : 2;
        const offered = waiting.subarray(2, 2 + (waiting[1] ?? 0)).includes(wanted);
        waiting = waiting.subarray(2 + (waiting[1] ?? 0));
        say(5, offered ? wanted : 255);
        step = wanted === 2 ? "login" : "target";
      }
      if (step === "login" && waiting.length > 2) {
        const name = waiting[1] ?? 0;
        const password = waiting[2 + name] ?? 0;
        if (waiting.length < 3 + name + password) return;
        const login = `${waiting.toString("utf8", 2, 2 + name)}:${waiting.toString("utf8", 3 + name, 3 + name + password)}`;
        waiting = waiting.subarray(3 + name + password);
        seen.push(`LOGIN ${login}`);
        say(1, login === options.login && options.refuses !== "login" ? 0 : 1);
        step = "target";
      }
      if (step === "target" && waiting.length > 5) {
        const name = waiting[4] ?? 0;
        if (waiting.length < 7 + name) return;
        seen.push(
          `CONNECT ${waiting.toString("utf8", 5, 5 + name)}:${waiting.readUInt16BE(5 + name)}`,
        );
        client.off("data", onData);
        // The address that it answers with is a name here, the rarest of the three kinds.
        say(5, options.refuses === "target" ? 5 : 0, 0, 3, 2, 97, 98, 0, 0);
        if (options.refuses === undefined) join(client, target);
      }
    };
    client.on("data", onData);
  });
}

function join(client: Socket, port: number): Socket {
  const upstream = connect(port, "127.0.0.1");
  client.pipe(upstream);
  upstream.pipe(client);
  upstream.on("error", () => client.destroy());
  client.on("close", () => upstream.destroy());
  return upstream;
}

async function listen(seen: string[], onClient: (client: Socket) => void): Promise<TestProxy> {
  const clients = new Set<Socket>();
  const server: Server = createServer((client) => {
    clients.add(client);
    client.on("error", () => client.destroy());
    client.on("close", () => clients.delete(client));
    onClient(client);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    seen,
    stop() {
      server.close();
      for (const client of clients) client.destroy();
    },
  };
}

function decoded(header: string): string {
  const [, encoded = ""] = /Basic (.+)$/.exec(header) ?? [];
  return Buffer.from(encoded, "base64").toString();
}
