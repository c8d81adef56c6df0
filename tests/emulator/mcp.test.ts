import { afterEach, beforeEach, expect, test } from "bun:test";
import { type KiroEmulator, startKiro } from "./kiro.ts";

let kiro: KiroEmulator;
beforeEach(() => {
  kiro = startKiro();
  kiro.accounts.accept("token");
});
afterEach(async () => await kiro.stop());

const PROFILE = "arn:aws:codewhisperer:us-east-1:111122223333:profile/EXAMPLEID";
const call = {
  id: "1",
  jsonrpc: "2.0",
  method: "tools/call",
  params: { name: "web_search", arguments: { query: "bun" } },
};

async function search(body: object, arn: string | undefined, token = "token"): Promise<number> {
  const response = await fetch(`${kiro.url}/api/us-east-1/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      ...(arn === undefined ? {} : { "x-amzn-kiro-profile-arn": arn }),
    },
    body: JSON.stringify(body),
  });
  return response.status;
}

test("a search that keeps the rules is answered", async () => {
  expect(await search(call, PROFILE)).toBe(200);
  expect(kiro.violations()).toEqual([]);
  expect(kiro.searches()).toHaveLength(1);
});

test.each([
  { what: "no profile", body: call, arn: undefined },
  { what: "the profile that stands for none", body: call, arn: `${PROFILE}AAAACCCCXXXX` },
  {
    what: "two queries",
    body: { ...call, params: { name: "web_search", arguments: { query: ["a", "b"] } } },
    arn: PROFILE,
  },
  { what: "another method", body: { ...call, method: "tools/list" }, arn: PROFILE },
])("a search with $what is refused", async ({ body, arn }) => {
  expect(await search(body, arn)).toBe(400);
  expect(kiro.violations()).toHaveLength(1);
});

test("a search with an unknown token is refused", async () => {
  expect(await search(call, PROFILE, "other")).toBe(403);
});
