import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isPublicAddress } from "../../src/http/public-address.ts";

const PRIVATE_IPV4 = [
  "0.0.0.0",
  "0.255.255.255",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.0",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.0.1",
  "169.254.169.254",
  "172.16.0.0",
  "172.31.255.255",
  "192.0.0.1",
  "192.0.0.192",
  "192.0.2.1",
  "192.88.99.1",
  "192.168.0.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.7",
  "203.0.113.7",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
];
const PUBLIC_IPV4 = [
  "1.1.1.1",
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.1",
  "168.63.129.15",
  "169.253.255.255",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.1",
  "192.167.255.255",
  "192.169.0.0",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
];

/** The forms of IPv6 that stand for an IPv4 address. */
const FORMS: Record<string, (hex: string, dotted: string) => string> = {
  "mapped, dotted": (_, dotted) => `::ffff:${dotted}`,
  "mapped, in hex": (hex) => `::ffff:${hex}`,
  "mapped, written out": (hex) => `0:0:0:0:0:ffff:${hex}`,
  NAT64: (hex) => `64:ff9b::${hex}`,
  "NAT64, dotted": (_, dotted) => `64:ff9b::${dotted}`,
  "6to4": (hex) => `2002:${hex}::1`,
};

function hexOf(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

describe("isPublicAddress", () => {
  test.each(PUBLIC_IPV4)("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each(PRIVATE_IPV4)("%s is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(Object.entries(FORMS))("IPv6 that is IPv4 (%s) is as public as that", (_, form) => {
    for (const address of PUBLIC_IPV4) {
      expect([address, isPublicAddress(form(hexOf(address), address))]).toEqual([address, true]);
    }
    for (const address of PRIVATE_IPV4) {
      expect([address, isPublicAddress(form(hexOf(address), address))]).toEqual([address, false]);
    }
  });

  test.each([
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2003::",
    "2600:0:0:1:0:0:0:1",
    "3ffe:ffff::1",
  ])("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    { name: "unspecified", address: "::" },
    { name: "loopback", address: "::1" },
    { name: "loopback, written out", address: "0:0:0:0:0:0:0:1" },
    { name: "IPv4-compatible", address: "::8.8.8.8" },
    { name: "IPv4-translated", address: "::ffff:0:8.8.8.8" },
    { name: "unique-local", address: "fc00::1" },
    { name: "unique-local of a cloud's metadata", address: "fd00:ec2::254" },
    { name: "link-local", address: "fe80::1" },
    { name: "link-local with a zone", address: "fe80::1%eth0" },
    { name: "public with a zone", address: "2606:4700::1%eth0" },
    { name: "site-local", address: "fec0::1" },
    { name: "multicast", address: "ff02::1" },
    { name: "local NAT64", address: "64:ff9b:1::808:808" },
    { name: "NAT64 with bits between", address: "64:ff9b::1:808:808" },
    { name: "discard", address: "100::1" },
    { name: "Teredo", address: "2001:0:4136:e378:8000:63bf:3fff:fdd2" },
    { name: "benchmarking", address: "2001:2::1" },
    { name: "ORCHID", address: "2001:20::1" },
    { name: "documentation", address: "2001:db8::1" },
    { name: "new documentation", address: "3fff:fff::1" },
    { name: "segment routing", address: "5f00::1" },
    { name: "not given out", address: "4000::1" },
  ])("$address ($name) is not", ({ address }) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each([
    "",
    "localhost",
    "1.1.1",
    "1.1.1.1.1",
    "01.1.1.1",
    "0x1.1.1.1",
    "1.1.1.1:80",
    "[::1]",
  ])("%j is no address", (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });

  test("the spelling of an IPv6 address does not matter", () => {
    const first = fc.constantFrom("2606", "fd00", "fe80", "2002", "0064", "0000", "2001");
    const word = fc.oneof(fc.constant("0000"), fc.constant("ffff"), fc.constant("ff9b"), hexWord());
    fc.assert(
      fc.property(first, fc.array(word, { minLength: 7, maxLength: 7 }), (lead, rest) => {
        const long = [lead, ...rest].join(":");
        const short = new URL(`http://[${long}]`).hostname.slice(1, -1);
        expect(isPublicAddress(short)).toBe(isPublicAddress(long));
        expect(isPublicAddress(short.toUpperCase())).toBe(isPublicAddress(long));
      }),
    );
  });
});

function hexWord(): fc.Arbitrary<string> {
  return fc.integer({ min: 0, max: 0xffff }).map((word) => word.toString(16).padStart(4, "0"));
}
