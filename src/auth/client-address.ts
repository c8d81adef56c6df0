import { blockListOf, isIP, isIPv6, parseRange, plainAddress } from "../address.ts";

/** What `X-Forwarded-For` is believed of. */
export type ClientAddress = (socketAddress: string, forwardedFor: string | null) => string;

/**
 * The address of the client: the socket's, or where that is a trusted proxy's, the last one that the proxies have noted
 * and that is not a proxy itself. What stands left of it may be anybody's invention.
 */
export function createClientAddress(trustProxy: readonly string[]): ClientAddress {
  if (trustProxy.length === 0) return plainAddress;
  const list = blockListOf(trustProxy.flatMap((range) => parseRange(range) ?? []));
  const isProxy = (address: string): boolean =>
    isIP(address) !== 0 && list.check(address, isIPv6(address) ? "ipv6" : "ipv4");

  return (socketAddress, forwardedFor) => {
    let client = plainAddress(socketAddress);
    for (const hop of (forwardedFor ?? "").split(",").toReversed()) {
      if (!isProxy(client)) break;
      const address = plainAddress(hop.trim().replace(/^\[(.*)\](:\d+)?$|^([\d.]+):\d+$/, "$1$3"));
      if (isIP(address) === 0) break;
      client = address;
    }
    return client;
  };
}
