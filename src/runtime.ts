import { lookup } from "node:dns/promises";
import type { SocksBridge } from "./socks.ts";

/** A timer that has been started; `refresh` starts it anew, `cancel` ends it. Both may be called at any time. */
export type Timer = { refresh(): void; cancel(): void };

/** What the code needs of the outside world. Nothing else may read a clock, draw a random number or open a connection. */
export type Runtime = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds on a clock that never steps; only differences mean anything. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  timer(ms: number, onFire: () => void): Timer;
  randomUUID(): string;
  /** At least 0, below 1. */
  random(): number;
  /** `proxy` may name a SOCKS5 proxy as well, for `https` addresses. */
  fetch(url: string, init: BunFetchRequestInit): Promise<Response>;
};

export function realRuntime(): Runtime {
  const bridges = new Map<string, Promise<SocksBridge>>();
  /** One bridge for each proxy, so that what is kept open to one is never used for another. */
  const bridged = async (url: string, init: BunFetchRequestInit): Promise<BunFetchRequestInit> => {
    const bridge = bridges.get(url) ?? startBridge(url);
    bridges.set(url, bridge);
    try {
      return { ...init, proxy: { url: (await bridge).url, respectNoProxy: false } };
    } catch (error) {
      bridges.delete(url);
      throw error;
    }
  };
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep,
    timer(ms, onFire) {
      const timeout = setTimeout(onFire, ms);
      return { refresh: () => timeout.refresh(), cancel: () => clearTimeout(timeout) };
    },
    randomUUID: () => crypto.randomUUID(),
    random: () => Math.random(),
    fetch(url, init) {
      const socks = socksUrl(init.proxy);
      return socks === undefined
        ? fetch(url, init)
        : bridged(socks, init).then((through) => fetch(url, through));
    },
  };
}

/** All addresses that the system knows for a host name or an address itself. Rejects where it knows none. */
export async function lookupAddresses(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}

/** Loaded when first needed: hardly anybody has such a proxy. */
async function startBridge(url: string): Promise<SocksBridge> {
  const { startSocksBridge } = await import("./socks.ts");
  return await startSocksBridge(url, crypto.randomUUID());
}

function socksUrl(proxy: BunFetchRequestInit["proxy"]): string | undefined {
  if (typeof proxy !== "object" || !("url" in proxy)) return undefined;
  const url = String(proxy.url);
  return /^socks5h?:/.test(url) ? url : undefined;
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, ms);
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timeout);
    signal?.removeEventListener("abort", onAbort);
  }
}
