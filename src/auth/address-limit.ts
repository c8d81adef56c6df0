import { isIPv6, plainAddress, wordsOf } from "../address.ts";
import { BoundedMap } from "../bounded-map.ts";
import type { Runtime } from "../runtime.ts";

/** Counts what comes from one address in a minute. An IPv6 address counts as its /64, which is what one customer has. */
export type AddressLimit = {
  /** Counts one more; gives for how many milliseconds to wait if it is one too many. */
  count(address: string): number | undefined;
};

const WINDOW_MS = 60_000;
const ADDRESSES_MAX = 10_000;

/** @param perMinute 0 for any number */
export function createAddressLimit(
  perMinute: number,
  runtime: Pick<Runtime, "monotonic">,
): AddressLimit {
  const windows = new BoundedMap<string, { since: number; count: number }>(ADDRESSES_MAX);
  return {
    count(address) {
      if (perMinute === 0) return undefined;
      const key = networkOf(address);
      const now = runtime.monotonic();
      let window = windows.get(key);
      if (window === undefined || now - window.since >= WINDOW_MS) {
        window = { since: now, count: 0 };
        windows.set(key, window);
      }
      window.count += 1;
      return window.count > perMinute ? window.since + WINDOW_MS - now : undefined;
    },
  };
}

function networkOf(address: string): string {
  const plain = plainAddress(address);
  return isIPv6(plain) ? (wordsOf(plain)?.slice(0, 4).join(":") ?? plain) : plain;
}
