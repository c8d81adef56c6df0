import { expect, test } from "bun:test";
import type { Credential } from "../../src/credentials/credential.ts";
import type { CredentialSource, Lease, Pool, PoolEmpty } from "../../src/credentials/pool.ts";
import type { Tokens } from "../../src/credentials/tokens.ts";
import { withOwnCredentials } from "../../src/gateway/own-credentials.ts";
import { fail, ok, type Result } from "../../src/result.ts";

function side(name: string, answer: Result<Lease, PoolEmpty>) {
  const asked: string[] = [];
  const pool: Pick<Pool, "acquire"> = {
    async acquire(source) {
      asked.push(source.type);
      return answer;
    },
  };
  const tokens: Tokens = {
    async access({ id }) {
      asked.push(`token of ${id}`);
      return fail({ kind: "transient", message: name });
    },
  };
  return { pool, tokens, asked };
}

const lease = {} as Lease;
const want = { model: "m", tried: new Set<string>(), mayWait: true };
const until = new AbortController();

async function acquire(source: CredentialSource, own: Result<Lease, PoolEmpty>) {
  const main = side("main", ok(lease));
  const users = side("users", own);
  const result = await withOwnCredentials(main, users).pool.acquire(source, want, until);
  return { result, main: main.asked, users: users.asked };
}

const empty = (reason: PoolEmpty["reason"], states: Record<string, number>) =>
  fail({ reason, states });
const user = (fallback: boolean) => ({ type: "user", user: "user-1", fallback }) as const;

test("only a user's request sees the users' credentials", async () => {
  const { main, users } = await acquire({ type: "pool" }, ok(lease));
  expect({ main, users }).toEqual({ main: ["pool"], users: [] });
  const own = await acquire(user(true), ok(lease));
  expect({ main: own.main, users: own.users }).toEqual({ main: [], users: ["user"] });
});

test("a used-up plan falls back on the pool, where the operator wants that", async () => {
  const usedUp = empty("none-ready", { exhausted: 1, disabled: 1 });
  expect((await acquire(user(true), usedUp)).main).toEqual(["pool"]);
  expect(await acquire(user(false), usedUp)).toMatchObject({ main: [], result: usedUp });
});

test.each([
  ["a locked account", empty("none-ready", { suspended: 1, exhausted: 1 })],
  ["a dead log-in", empty("none-ready", { "needs-login": 1 })],
  ["a rest", empty("none-ready", { cooling: 1 })],
  ["an account without the model", empty("model-not-offered", { exhausted: 1 })],
  ["a busy account", empty("queue-full", { ready: 1 })],
])("%s does not", async (_, own) => {
  expect(await acquire(user(true), own)).toMatchObject({ main: [], result: own });
});

test("each credential gets its token from its own side", async () => {
  const main = side("main", ok(lease));
  const users = side("users", ok(lease));
  const { tokens } = withOwnCredentials(main, users);
  await tokens.access({ id: "a" } as Credential);
  await tokens.access({ id: "b", owner: "user-1" } as Credential);
  expect([main.asked, users.asked]).toEqual([["token of a"], ["token of b"]]);
});
