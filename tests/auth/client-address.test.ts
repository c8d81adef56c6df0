import { describe, expect, test } from "bun:test";
import { createAddressLimit } from "../../src/auth/address-limit.ts";
import { createClientAddress } from "../../src/auth/client-address.ts";
import { createTestRuntime } from "../support/runtime.ts";

describe("the client's address", () => {
  const behind = createClientAddress(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

  test.each([
    ["a stranger's header is not believed", "198.51.100.7", "203.0.113.9", "198.51.100.7"],
    ["a proxy's is", "127.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["through two proxies", "127.0.0.1", "203.0.113.9, 10.1.2.3", "203.0.113.9"],
    ["what the client made up itself", "127.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"],
    ["a socket that speaks IPv6", "::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"],
    ["an IPv6 client", "fd00::1", "2001:db8::5", "2001:db8::5"],
    ["an address with a port", "127.0.0.1", "203.0.113.9:4711", "203.0.113.9"],
    ["an IPv6 address with a port", "127.0.0.1", "[2001:db8::5]:4711", "2001:db8::5"],
    ["no header", "127.0.0.1", null, "127.0.0.1"],
    ["no address in it", "127.0.0.1", "unknown, for=x", "127.0.0.1"],
    ["only proxies", "127.0.0.1", "10.0.0.1", "10.0.0.1"],
  ])("%s", (_, socket, header, expected) => {
    expect(behind(socket, header)).toBe(expected);
  });

  test("without trusted proxies it is the socket's", () => {
    expect(createClientAddress([])("::ffff:192.0.2.1", "203.0.113.9")).toBe("192.0.2.1");
  });
});

describe("a limit by address", () => {
  test("an IPv6 client's many addresses are one", () => {
    const limit = createAddressLimit(1, createTestRuntime().runtime);
    expect(limit.count("2001:db8:1:2::1")).toBeUndefined();
    expect(limit.count("2001:db8:1:2:ffff::9")).toBe(60_000);
    expect(limit.count("2001:db8:1:3::1")).toBeUndefined();
  });

  test("0 is no limit", () => {
    const limit = createAddressLimit(0, createTestRuntime().runtime);
    for (let round = 0; round < 100; round += 1) expect(limit.count("192.0.2.1")).toBeUndefined();
  });
});
