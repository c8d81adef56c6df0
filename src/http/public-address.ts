import type { BlockList } from "node:net";
import { blockListOf, isIP, parseRange, wordsOf } from "../address.ts";

/**
 * Whether an IP address belongs to the public internet. What is no IP address does not, and neither does one of the
 * ranges that IANA's special-purpose registries say are not globally reachable.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublic().check(address, "ipv4");
    case 6: {
      const words = wordsOf(address);
      const inner = words && embeddedIPv4(words);
      if (inner !== undefined) return isPublicAddress(inner);
      return (
        words !== undefined &&
        unicast().check(address, "ipv6") &&
        !notPublic().check(address, "ipv6")
      );
    }
    default:
      return false;
  }
}

const notPublic = subnets(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Azure's agent on the host, which hands out the machine's settings: in a public range, but only to be reached from inside.
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "2001::/23",
  "2001:db8::/32",
  "3fff::/20",
);

/** All that IPv6 has given out for the internet so far. */
const unicast = subnets("2000::/3");

function subnets(...ranges: string[]): () => BlockList {
  let list: BlockList | undefined;
  return () => (list ??= blockListOf(ranges.flatMap((range) => parseRange(range) ?? [])));
}

/** The address that a packet ends at when an IPv6 address stands for an IPv4 one. */
function embeddedIPv4(words: number[]): string | undefined {
  const [first, second = 0, third = 0] = words;
  const lead = words.slice(0, 6).join(":");
  // Mapped (RFC 4291) and NAT64 (RFC 6052).
  if (lead === "0:0:0:0:0:65535" || lead === "100:65435:0:0:0:0") return dotted(words.slice(6));
  // 6to4 (RFC 3056).
  return first === 0x2002 ? dotted([second, third]) : undefined;
}

function dotted(words: number[]): string {
  return words.flatMap((word) => [word >> 8, word & 0xff]).join(".");
}
