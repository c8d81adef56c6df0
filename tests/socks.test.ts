import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { proxyOption, parseProxyUrl } from "../src/proxy.ts";
import { realRuntime } from "../src/runtime.ts";
import { startSocksBridge } from "../src/socks.ts";
import { startSocksProxy } from "./support/proxies.ts";
import { tls } from "./support/tls.ts";

const opened: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.stop();
});

function kept<T extends { stop(): unknown }>(one: T): T {
  opened.push(one);
  return one;
}

function secureServer() {
  return kept(
    Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls,
      fetch: async (request) => new Response(`${request.method} ${await request.text()}`),
    }),
  );
}

async function call(proxyUrl: string, init: BunFetchRequestInit = {}, runtime = realRuntime()) {
  const response = await runtime.fetch("https://kiro.invalid/x", {
    ...init,
    tls: { rejectUnauthorized: false },
    ...proxyOption(parseProxyUrl(proxyUrl)),
  });
  return await response.text();
}

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => "answered",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
  );
}

describe("a SOCKS5 proxy", () => {
  test("is told the name of the host, which nobody here looks up", async () => {
    const proxy = kept(await startSocksProxy(secureServer().port ?? 0));
    expect(await call(`socks5://127.0.0.1:${proxy.port}`)).toBe("GET ");
    expect(proxy.seen).toEqual(["CONNECT kiro.invalid:443"]);
  });

  test("carries large bodies, and one connection serves several calls", async () => {
    const proxy = kept(await startSocksProxy(secureServer().port ?? 0));
    const runtime = realRuntime();
    const body = "x".repeat(3_000_000);
    for (let turn = 0; turn < 2; turn++) {
      const answer = await call(
        `socks5h://127.0.0.1:${proxy.port}`,
        { method: "POST", body },
        runtime,
      );
      expect(answer.length).toBe("POST ".length + body.length);
    }
    expect(proxy.seen).toHaveLength(1);
  });

  test("gets the name and the password of its URL", async () => {
    const login = "user:p@ss wörd";
    const proxy = kept(await startSocksProxy(secureServer().port ?? 0, { login }));
    const url = `socks5://user:p%40ss%20w%C3%B6rd@127.0.0.1:${proxy.port}`;
    expect(await call(url)).toBe("GET ");
    expect(proxy.seen).toEqual([`LOGIN ${login}`, "CONNECT kiro.invalid:443"]);
  });

  test("keeps what two users have open apart", async () => {
    const runtime = realRuntime();
    const port = secureServer().port ?? 0;
    const [first, second] = [kept(await startSocksProxy(port)), kept(await startSocksProxy(port))];
    await call(`socks5://127.0.0.1:${first.port}`, {}, runtime);
    await call(`socks5://127.0.0.1:${second.port}`, {}, runtime);
    expect([first.seen.length, second.seen.length]).toEqual([1, 1]);
  });

  test.each([
    ["does not know the user", { login: "other:one" }, "user:p@"],
    ["wants a password and has none", { login: "other:one" }, ""],
    ["refuses the host", { refuses: "target" as const }, ""],
  ])("that %s lets nothing through", async (_name, options, login) => {
    const proxy = kept(await startSocksProxy(secureServer().port ?? 0, options));
    const outcome = codeOf(call(`socks5://${login}127.0.0.1:${proxy.port}`));
    expect(await outcome).toBe("ERR_PROXY_TUNNEL");
  });

  test("that breaks off is a failure, wherever it does", async () => {
    for (const cutAfter of [0, 1, 2]) {
      const proxy = kept(await startSocksProxy(secureServer().port ?? 0, { cutAfter }));
      expect(await codeOf(call(`socks5://127.0.0.1:${proxy.port}`))).not.toBe("answered");
    }
  });

  test("that is not there is a failure", async () => {
    const proxy = await startSocksProxy(1);
    proxy.stop();
    expect(await codeOf(call(`socks5://127.0.0.1:${proxy.port}`))).not.toBe("answered");
  });

  test("that never answers is left when the call is aborted", async () => {
    const abort = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const silent = kept(
      Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => abort.abort(), close: () => resolve() },
      }),
    );
    const outcome = codeOf(call(`socks5://127.0.0.1:${silent.port}`, { signal: abort.signal }));
    expect(await outcome).not.toBe("answered");
    await closed;
  });

  test("takes https only", async () => {
    const proxy = kept(await startSocksProxy(secureServer().port ?? 0));
    const option = proxyOption(parseProxyUrl(`socks5://127.0.0.1:${proxy.port}`));
    const { status } = await realRuntime().fetch("http://kiro.invalid/x", option);
    expect(status).toBe(407);
    expect(proxy.seen).toEqual([]);
  });
});

test("a stranger on this machine can't use the way to the proxy", async () => {
  const proxy = kept(await startSocksProxy(1));
  const bridge = kept(await startSocksBridge(`socks5://127.0.0.1:${proxy.port}`, "password"));
  for (const login of ["", "Proxy-Authorization: Basic Ym9iOmJvYg==\r\n"]) {
    const answer = await say(
      Number(new URL(bridge.url).port),
      `CONNECT a:1 HTTP/1.1\r\n${login}\r\n`,
    );
    expect(answer).toStartWith("HTTP/1.1 407 ");
  }
  expect(await say(Number(new URL(bridge.url).port), "x".repeat(40_000))).toBe("");
  expect(proxy.seen).toEqual([]);
});

async function say(port: number, text: string): Promise<string> {
  let answer = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  socket.on("data", (chunk) => void (answer += String(chunk)));
  socket.on("close", () => resolve());
  socket.on("error", () => resolve());
  await promise;
  return answer;
}
