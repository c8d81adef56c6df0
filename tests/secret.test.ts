import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { Secret } from "../src/secret.ts";

test("no way of printing a secret shows it", () => {
  const secret = new Secret("hunter2");
  const printed = [
    String(secret),
    JSON.stringify({ secret }),
    inspect({ nested: { secret } }),
    Bun.inspect([secret]),
    JSON.stringify(Object.entries(secret)),
  ].join(" ");
  expect(printed).not.toContain("hunter2");
  expect(printed).toContain("[secret]");
});

test("only reveal gives it away, and equals compares it whole", () => {
  const secret = new Secret("hunter2");
  expect(secret.reveal()).toBe("hunter2");
  expect(secret.equals("hunter2")).toBe(true);
  expect(secret.equals("hunter")).toBe(false);
  expect(secret.equals("")).toBe(false);
  expect(new Secret("").equals("")).toBe(true);
});
