import type { BlockList } from "node:net";

/** Loaded when first needed: no start needs it, and it would take 2.5 ms and 5 MB. */
const net = () => process.getBuiltinModule("node:net");

/** 4, 6, or 0 for what is no IP address. */
export function isIP(text: string): number {
  return net().isIP(text);
}

export function isIPv6(text: string): boolean {
  return isIP(text) === 6;
}

/** Some IP addresses. */
export type AddressRange = { address: string; bits: number; family: "ipv4" | "ipv6" };

/** `10.0.0.0/8`, or a single address. Undefined for anything else. */
export function parseRange(text: string): AddressRange | undefined {
  const [, address = "", digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const max = version === 4 ? 32 : 128;
  const bits = digits === undefined ? max : Number(digits);
  return bits > max ? undefined : { address, bits, family: version === 4 ? "ipv4" : "ipv6" };
}

export function blockListOf(ranges: readonly AddressRange[]): BlockList {
  const list = new (net().BlockList)();
  for (const { address, bits, family } of ranges) list.addSubnet(address, bits, family);
  return list;
}

/** An IPv4 address that comes as an IPv6 one, as it is written; others as they are. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

/** The eight 16-bit words of an IPv6 address. Undefined for one with a zone, such as `fe80::1%eth0`. */
export function wordsOf(address: string): number[] | undefined {
  // A URL has one spelling for an address: no dotted part, and what `::` leaves out is all there is to add.
  const canonical = URL.parse(`http://[${address}]`)?.hostname.slice(1, -1);
  if (canonical === undefined) return undefined;
  const [left = [], right = []] = canonical
    .split("::")
    .map((half) => half.split(":").filter((word) => word !== ""));
  const zeros = Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].map((word) => Number.parseInt(word, 16));
}
