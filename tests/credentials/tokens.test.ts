import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import * as fc from "fast-check";
import type { Credential } from "../../src/credentials/credential.ts";
import type { Files } from "../../src/credentials/files.ts";
import { createPool } from "../../src/credentials/pool.ts";
import type { RefreshFault } from "../../src/credentials/refresh.ts";
import { type Access, createTokens } from "../../src/credentials/tokens.ts";
import type { Result } from "../../src/result.ts";
import { Secret } from "../../src/secret.ts";
import { createTestRuntime, type ScriptedFetch } from "../support/runtime.ts";
import {
  at,
  bodyOf,
  context,
  entraRecord,
  idcRecord,
  memoryStore,
  MINUTE,
  NOW,
  OWN_ARN,
  parsed,
  recordingLog,
  settings,
  socialRecord,
  token,
} from "./samples.ts";

type Answer = Result<Access, RefreshFault>;

/** An issuer whose refresh tokens are good for one use: `r0` gives `r1` and `a1`, and a used one is refused. */
function issuer() {
  let issued = 0;
  let current = token("r0");
  const used: string[] = [];
  const answer: ScriptedFetch = (_url, init) => {
    const { refreshToken } = JSON.parse(bodyOf(init)) as { refreshToken: string };
    used.push(refreshToken);
    if (refreshToken !== current) return Response.json({ error: "invalid_grant" }, { status: 400 });
    issued += 1;
    current = token(`r${issued}`);
    return Response.json({ accessToken: `a${issued}`, refreshToken: current, expiresIn: 3_600 });
  };
  return { answer, used, rotate: (next: string) => void (current = next) };
}

function expired(more: object = {}) {
  return { ...socialRecord("a0", NOW), refreshToken: token("r0"), id: "one", ...more };
}

async function worldOf(options: {
  records: unknown;
  fetch: ScriptedFetch;
  before?: (step: keyof Files) => void | Promise<void>;
}) {
  const world = createTestRuntime({ now: NOW, fetch: options.fetch });
  const memory = memoryStore(options.records, world.runtime, options.before);
  const { log, lines } = recordingLog();
  const deps = { store: memory.store, runtime: world.runtime, log };
  const created = await createPool(deps);
  if (!created.ok) throw new Error(created.failure.message);
  const pool = created.value;
  const tokens = createTokens({ ...deps, pool, settings });
  const lease = (): Credential => {
    const [member] = pool.list();
    if (member === undefined) throw new Error("the pool is empty");
    return member.credential;
  };
  return { ...world, ...memory, pool, tokens, lease, lines };
}

function tokenOf(answer: Answer): string {
  if (!answer.ok) throw new Error(answer.failure.message);
  return answer.value.token.reveal();
}

function down(): Response {
  return new Response("", { status: 503 });
}

describe("a credential of the store", () => {
  test("is used as it is while its token has more than five minutes", async () => {
    const records = expired({ expiresAt: at(NOW + 5 * MINUTE + 1) });
    const { tokens, lease, calls, steps } = await worldOf({ records, fetch: down });
    steps.length = 0;
    expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
    expect(calls).toHaveLength(0);
    expect(steps).toEqual([]);
  });

  test.each([
    { name: "five minutes before the end", expiresAt: at(NOW + 5 * MINUTE) },
    { name: "long after it", expiresAt: at(NOW - 900 * MINUTE) },
    { name: "where the end is unreadable", expiresAt: "soon" },
    { name: "where the end is missing", expiresAt: null },
  ])("is renewed $name, saved, and given to all later requests", async ({ expiresAt }) => {
    const { answer } = issuer();
    const { tokens, lease, calls, records } = await worldOf({
      records: [expired({ expiresAt })],
      fetch: answer,
    });
    const before = lease();
    expect(tokenOf(await tokens.access(before))).toBe("a1");
    expect(records()).toMatchObject([
      { id: "one", accessToken: "a1", refreshToken: token("r1"), expiresAt: at(NOW + 60 * MINUTE) },
    ]);
    expect(tokenOf(await tokens.access(before))).toBe("a1");
    expect(tokenOf(await tokens.access(lease()))).toBe("a1");
    expect(calls).toHaveLength(1);
  });

  test("is renewed again and again, each time with the token that came last", async () => {
    const { answer, used } = issuer();
    const { tokens, lease, advance } = await worldOf({ records: expired(), fetch: answer });
    for (const name of ["a1", "a2", "a3"]) {
      expect(tokenOf(await tokens.access(lease()))).toBe(name);
      await advance(56 * MINUTE);
    }
    expect(used).toEqual([token("r0"), token("r1"), token("r2")]);
  });

  test("keeps a profile that the reply names, and calls the API in its region at once", async () => {
    const world = await worldOf({
      records: expired({ profileArn: null }),
      fetch: () => Response.json({ accessToken: "a1", profileArn: OWN_ARN }),
    });
    const answer = await world.tokens.access(world.lease());
    expect(answer).toMatchObject({ value: { profileArn: OWN_ARN, apiRegion: "eu-central-1" } });
    expect(world.records()).toMatchObject({ profileArn: OWN_ARN });
  });

  test("never has a stand-in profile written to its record", async () => {
    const world = await worldOf({
      records: { ...idcRecord("a0", NOW), id: "one" },
      fetch: () => Response.json({ accessToken: "a1" }),
    });
    const answer = await world.tokens.access(world.lease());
    expect(answer).toMatchObject({ value: { profileArn: context.profileArns.builderId } });
    expect(world.records()).not.toHaveProperty("profileArn");
  });

  test("has its new token on the disk before anybody gets it", async () => {
    const { answer } = issuer();
    const hold = Promise.withResolvers<void>();
    const { tokens, lease, settle, content } = await worldOf({
      records: expired(),
      fetch: answer,
      before: async (step) => {
        if (step === "syncFolder") await hold.promise;
      },
    });
    let got: Answer | undefined;
    const asked = Promise.try(() => tokens.access(lease())).then((value) => (got = value));
    await settle();
    expect(got).toBeUndefined();
    expect(
      tokenOf(await tokens.access(parsed({ ...socialRecord("other", NOW + 60 * MINUTE) }))),
    ).toBe("other-access");
    hold.resolve();
    await asked;
    expect([...content.values()].join()).toContain(token("r1"));
    expect(tokenOf(got!)).toBe("a1");
  });
});

describe("many requests at once", () => {
  test("a thousand on an ended token cause one exchange, and all get the new token", async () => {
    const { answer } = issuer();
    const { tokens, lease, calls } = await worldOf({ records: expired(), fetch: answer });
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async () => await tokens.access(lease())),
    );
    expect(new Set(answers.map(tokenOf))).toEqual(new Set(["a1"]));
    expect(calls).toHaveLength(1);
  });

  test("each credential has its own exchange, and a slow one holds up nobody else's", async () => {
    const slow = Promise.withResolvers<Response>();
    const { tokens, pool } = await worldOf({
      records: [expired(), { ...expired(), id: "two", refreshToken: token("s0") }],
      fetch: async (_url, init) =>
        bodyOf(init).includes(token("r0"))
          ? await slow.promise
          : Response.json({ accessToken: "b1" }),
    });
    const first = tokens.access(pool.current("one")!);
    expect(tokenOf(await tokens.access(pool.current("two")!))).toBe("b1");
    slow.resolve(Response.json({ accessToken: "a1" }));
    expect(tokenOf(await first)).toBe("a1");
  });

  test("a failure is shared by those who wait, and not remembered", async () => {
    let up = false;
    const { answer } = issuer();
    const { tokens, lease, calls } = await worldOf({
      records: expired(),
      fetch: (url, init) => (up ? answer(url, init) : down()),
    });
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => await tokens.access(lease())),
    );
    for (const one of answers) expect(one).toMatchObject({ failure: { kind: "transient" } });
    expect(calls).toHaveLength(1);
    up = true;
    expect(tokenOf(await tokens.access(lease()))).toBe("a1");
  });

  test("whatever the order in which things happen, and whoever leaves, there is one exchange", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ leaves: fc.boolean(), refused: fc.boolean() }), {
          minLength: 2,
          maxLength: 8,
        }),
        async (scheduler, callers) => {
          const { answer, used } = issuer();
          let scheduling = false;
          const world = await worldOf({
            records: expired(),
            fetch: async (url, init) =>
              await scheduler.schedule(Promise.resolve(answer(url, init)), "reply"),
            before: async (step) => {
              if (scheduling) await scheduler.schedule(Promise.resolve(), step);
            },
          });
          scheduling = true;
          const old = new Secret("a0-access");
          const asked = callers.map(async ({ leaves, refused }) => {
            await scheduler.schedule(Promise.resolve(), "arrives");
            const controller = new AbortController();
            const options = refused ? { refused: old } : {};
            const access = Promise.try(() =>
              world.tokens.access(world.lease(), options, controller),
            );
            if (leaves)
              void scheduler.schedule(Promise.resolve(), "leaves").then(() => controller.abort());
            return await access.then(tokenOf, (error: Error) => error.name);
          });
          await scheduler.waitFor(Promise.all(asked));
          const outcomes = await Promise.all(asked);
          for (const [index, outcome] of outcomes.entries()) {
            expect(callers[index]?.leaves ? ["a1", "AbortError"] : ["a1"]).toContain(outcome);
          }
          // Whoever left: the exchange that was begun still ends in the store.
          await scheduler.waitIdle();
          expect(used).toEqual([token("r0")]);
          expect(world.records()).toMatchObject({ accessToken: "a1", refreshToken: token("r1") });
        },
      ),
      { numRuns: 80 },
    );
  });

  test("one who leaves gets the reason at once, and the others their token", async () => {
    const reply = Promise.withResolvers<Response>();
    const { tokens, lease, calls } = await worldOf({
      records: expired(),
      fetch: async () => await reply.promise,
    });
    const controller = new AbortController();
    const leaving = Promise.try(() => tokens.access(lease(), {}, controller));
    const staying = tokens.access(lease());
    controller.abort(new Error("the client left"));
    const reason = await leaving.then(
      () => "a token",
      (error: Error) => error.message,
    );
    expect(reason).toBe("the client left");
    reply.resolve(Response.json({ accessToken: "a1" }));
    expect(tokenOf(await staying)).toBe("a1");
    expect(calls[0]?.init.signal?.aborted).toBe(false);
  });

  test("one who has left already starts nothing", async () => {
    const { tokens, lease, calls } = await worldOf({ records: expired(), fetch: down });
    const signal = AbortSignal.abort(new Error("left"));
    const left = Promise.try(() => tokens.access(lease(), {}, { signal }));
    expect(await left.then(String, String)).toContain("left");
    expect(calls).toHaveLength(0);
  });
});

describe("a refused token", () => {
  const valid = expired({ expiresAt: at(NOW + 50 * MINUTE) });
  const refused = new Secret("a0-access");

  test("is replaced by one exchange, however many were refused with it", async () => {
    const { answer } = issuer();
    const { tokens, lease, calls } = await worldOf({ records: valid, fetch: answer });
    const credential = lease();
    const ask = async () => tokenOf(await tokens.access(credential, { refused }));
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(["a1", "a1", "a1"]);
    expect(await ask()).toBe("a1");
    expect(calls).toHaveLength(1);
  });

  test("is not given again while the log-in service is down, though others may try it", async () => {
    const { tokens, lease } = await worldOf({ records: valid, fetch: down });
    expect(await tokens.access(lease(), { refused })).toMatchObject({
      failure: { kind: "transient" },
    });
    expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
  });

  test("is not given again when the exchange gives the same one", async () => {
    const { tokens, lease } = await worldOf({
      records: valid,
      fetch: () => Response.json({ accessToken: "a0-access" }),
    });
    expect(await tokens.access(lease(), { refused })).toMatchObject({
      failure: { kind: "transient" },
    });
  });

  test.each([
    { name: "an API key", record: { kiroApiKey: "a0-access", id: "one" } },
    { name: "a lone access token", record: { accessToken: "a0-access", id: "one" } },
  ])("of $name can't be replaced", async ({ record }) => {
    const { tokens, lease, calls } = await worldOf({ records: record, fetch: down });
    expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
    expect(await tokens.access(lease(), { refused })).toMatchObject({
      failure: { kind: "needs-login" },
    });
    expect(await tokens.access(parsed(record), { refused })).toMatchObject({
      failure: { kind: "needs-login" },
    });
    expect(calls).toHaveLength(0);
  });
});

describe("when the exchange fails", () => {
  test("a token that has not really ended is used, and one that has is not", async () => {
    const records = expired({ expiresAt: at(NOW + MINUTE) });
    const { tokens, lease, advance, calls } = await worldOf({ records, fetch: down });
    expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
    await advance(MINUTE);
    expect(await tokens.access(lease())).toMatchObject({ failure: { kind: "transient" } });
    expect(calls).toHaveLength(2);
  });

  test("for good, only a new log-in helps, which the next request finds in the store", async () => {
    const { answer, rotate } = issuer();
    rotate("elsewhere");
    const world = await worldOf({ records: expired(), fetch: answer });
    const { tokens, pool, lease, edit } = world;
    const credential = lease();
    expect(await tokens.access(credential)).toMatchObject({ failure: { kind: "needs-login" } });
    expect(world.calls).toHaveLength(1);
    edit(expired({ accessToken: "again", expiresAt: at(NOW + 60 * MINUTE) }));
    expect(tokenOf(await tokens.access(credential))).toBe("again");
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("because another process has used the token, its newer one is taken from the store", async () => {
    const { answer, rotate, used } = issuer();
    const theirs = expired({ accessToken: "theirs", refreshToken: token("r9") });
    const world = await worldOf({
      records: expired(),
      fetch: (url, init) => {
        // They were faster by a moment.
        if (used.length === 0) {
          rotate(token("r9"));
          world.edit(theirs);
        }
        return answer(url, init);
      },
    });
    expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a1");
    expect(used).toEqual([token("r0"), token("r9")]);
    expect(world.records()).toMatchObject({ accessToken: "a1", refreshToken: token("r1") });
  });

  test("because the service asks for patience, the caller hears for how long", async () => {
    const { tokens, lease } = await worldOf({
      records: expired(),
      fetch: () => new Response("", { status: 429, headers: { "retry-after": "30" } }),
    });
    expect(await tokens.access(lease())).toMatchObject({
      failure: { kind: "transient", retryAfterMs: 30_000 },
    });
  });
});

const hangs = async (): Promise<Response> => await Promise.withResolvers<Response>().promise;

describe("a log-in service that is in trouble", () => {
  const ending = expired({ expiresAt: at(NOW + 4 * MINUTE) });

  test("is waited for once, while the old token is still good", async () => {
    const { tokens, lease, advance, calls } = await worldOf({ records: ending, fetch: hangs });
    const first = tokens.access(lease());
    await advance(20_000);
    expect(tokenOf(await first)).toBe("a0-access");
    for (let second = 0; second < 29; second++) {
      expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
      await advance(1_000);
    }
    expect(calls).toHaveLength(1);
    await advance(1_000);
    const next = tokens.access(lease());
    await advance(20_000);
    expect(tokenOf(await next)).toBe("a0-access");
    expect(calls).toHaveLength(2);
  });

  test("is not waited for by every request on an ended token either", async () => {
    const { tokens, lease, advance, calls } = await worldOf({ records: expired(), fetch: hangs });
    const first = tokens.access(lease());
    await advance(20_000);
    expect(await first).toMatchObject({ failure: { kind: "transient" } });
    await advance(19_999);
    expect(await tokens.access(lease())).toMatchObject({ failure: { kind: "transient" } });
    expect(calls).toHaveLength(1);
    await advance(1);
    void tokens.access(lease());
    await advance(1);
    expect(calls).toHaveLength(2);
  });

  test("is asked again for a token that was refused", async () => {
    const { answer } = issuer();
    let isDown = true;
    const world = await worldOf({
      records: ending,
      fetch: (url, init) => (isDown ? down() : answer(url, init)),
    });
    expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a0-access");
    isDown = false;
    const refused = new Secret("a0-access");
    expect(tokenOf(await world.tokens.access(world.lease(), { refused }))).toBe("a1");
  });

  test("is told in the log once, and again when it is in other trouble", async () => {
    let status = 503;
    const { tokens, lease, lines } = await worldOf({
      records: expired(),
      fetch: () => new Response("", { status }),
    });
    for (const next of [503, 503, 500, 500, 503]) {
      status = next;
      await tokens.access(lease());
    }
    expect(lines.map(({ event, message }) => `${event}: ${String(message)}`)).toEqual([
      "token-not-renewed: Kiro's log-in service: it answered 503",
      "token-not-renewed: Kiro's log-in service: it answered 500",
      "token-not-renewed: Kiro's log-in service: it answered 503",
    ]);
  });
});

const source = (name: string) =>
  ({ type: "inline", credential: parsed(expired({ refreshToken: token(name) })) }) as const;

describe("a dead log-in", () => {
  test("is told to the pool, and left when another is in the store", async () => {
    const { answer, rotate } = issuer();
    rotate("elsewhere");
    const { tokens, pool, lease, edit } = await worldOf({ records: expired(), fetch: answer });
    await tokens.access(lease());
    expect(pool.states()).toEqual({ "needs-login": 1 });
    edit(expired({ refreshToken: token("r7") }));
    await pool.reload();
    expect(pool.states()).toEqual({ ready: 1 });
  });

  test("is one whose last token has ended and can't be renewed, but not one that was refused", async () => {
    const records = { accessToken: "a0-access", id: "one", expiresAt: at(NOW + MINUTE) };
    const { tokens, pool, lease, advance } = await worldOf({ records, fetch: down });
    await tokens.access(lease(), { refused: new Secret("a0-access") });
    expect(pool.states()).toEqual({ ready: 1 });
    await advance(MINUTE);
    await tokens.access(lease());
    expect(pool.states()).toEqual({ "needs-login": 1 });
  });

  test("of a client is remembered for that log-in alone", async () => {
    const { answer, rotate } = issuer();
    rotate("elsewhere");
    const { tokens, pool } = await worldOf({ records: [], fetch: answer });
    const want = { model: "m", tried: new Set<string>(), mayWait: false };
    const until = new AbortController();
    const first = await pool.acquire(source("dead"), want, until);
    if (!first.ok) throw new Error(first.failure.reason);
    expect(await tokens.access(first.value.credential)).toMatchObject({
      failure: { kind: "needs-login" },
    });
    expect(first.value.usable()).toBe(false);
    expect(await pool.acquire(source("dead"), want, until)).toMatchObject({
      failure: { reason: "none-ready", states: { "needs-login": 1 } },
    });
    expect(await pool.acquire(source("other"), want, until)).toMatchObject({ ok: true });
  });
});

test("a token can be asked for longer ahead", async () => {
  const { answer } = issuer();
  const records = expired({ expiresAt: at(NOW + 10 * MINUTE) });
  const { tokens, lease } = await worldOf({ records, fetch: answer });
  expect(tokenOf(await tokens.access(lease()))).toBe("a0-access");
  expect(tokenOf(await tokens.access(lease(), { aheadMs: 10 * MINUTE }))).toBe("a1");
});

test("a token that could not be saved survives a reload, also one that changes something else", async () => {
  const { answer, used } = issuer();
  const world = await worldOf({
    records: [expired()],
    fetch: answer,
    before: (step) => {
      if (step === "create") throw Object.assign(new Error("full"), { code: "ENOSPC" });
    },
  });
  expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a1");
  await world.pool.reload();
  expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a1");
  world.edit([expired({ priority: 3 })]);
  await world.pool.reload();
  expect(world.lease().priority).toBe(3);
  await world.advance(60 * MINUTE);
  expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a2");
  expect(used).toEqual([token("r0"), token("r1")]);
});

describe("what somebody else wrote", () => {
  test("is taken without an exchange where it is fresh", async () => {
    const { tokens, lease, edit, calls } = await worldOf({ records: expired(), fetch: down });
    edit(expired({ accessToken: "theirs", expiresAt: at(NOW + 60 * MINUTE) }));
    expect(tokenOf(await tokens.access(lease()))).toBe("theirs");
    expect(calls).toHaveLength(0);
  });

  test("during the exchange wins over what we got", async () => {
    const { answer } = issuer();
    const world = await worldOf({
      records: expired(),
      fetch: (url, init) => {
        world.edit(expired({ accessToken: "theirs", expiresAt: at(NOW + 60 * MINUTE) }));
        return answer(url, init);
      },
    });
    expect(tokenOf(await world.tokens.access(world.lease()))).toBe("theirs");
    expect(world.records()).toMatchObject({ accessToken: "theirs", refreshToken: token("r0") });
  });

  test("all the time does not keep a request busy for ever", async () => {
    let edits = 0;
    const world = await worldOf({
      records: expired(),
      fetch: () => {
        edits += 1;
        world.edit(expired({ refreshToken: token(`e${edits}`) }));
        return Response.json({ accessToken: "a", refreshToken: token("lost") });
      },
    });
    expect(await world.tokens.access(world.lease())).toMatchObject({
      failure: { kind: "transient" },
    });
    expect(edits).toBe(2);
  });
});

describe("when the new token can't be saved", () => {
  test("it is used from memory, which is told loudly, and saved with the next one", async () => {
    const { answer, used } = issuer();
    let full = true;
    const world = await worldOf({
      records: expired(),
      fetch: answer,
      before: (step) => {
        if (full && step === "create") throw Object.assign(new Error("full"), { code: "ENOSPC" });
      },
    });
    const { tokens, lease, lines, advance, records } = world;
    expect(tokenOf(await tokens.access(lease()))).toBe("a1");
    expect(tokenOf(await tokens.access(lease()))).toBe("a1");
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: "error",
        event: "renewed-token-not-saved",
        credential: "one",
        message: "ENOSPC",
      }),
    );
    expect(records()).toMatchObject({ refreshToken: token("r0") });
    full = false;
    await advance(60 * MINUTE);
    expect(tokenOf(await tokens.access(lease()))).toBe("a2");
    expect(used).toEqual([token("r0"), token("r1")]);
    expect(records()).toMatchObject({ accessToken: "a2", refreshToken: token("r2") });
  });

  test.each([
    { name: "the record is gone", spoil: "[]" },
    { name: "the file is broken by then", spoil: "[{" },
  ])("because $name, the file is left alone", async ({ spoil }) => {
    const { answer } = issuer();
    const world = await worldOf({ records: [expired()], fetch: answer });
    world.content.set("/data/credentials.json", spoil);
    expect(tokenOf(await world.tokens.access(world.lease()))).toBe("a1");
    expect(world.lines.some(({ event }) => event === "renewed-token-not-saved")).toBe(true);
    expect(world.content.get("/data/credentials.json")).toBe(spoil);
  });
});

describe("a client's own credential", () => {
  test("is renewed once, in memory alone, though the client goes on sending the old one", async () => {
    const { answer, used } = issuer();
    const world = await worldOf({ records: [], fetch: answer });
    const before = world.content.get("/data/credentials.json");
    world.steps.length = 0;
    const first = await Promise.all(
      [1, 2, 3].map(async () => await world.tokens.access(parsed(expired()))),
    );
    expect(first.map(tokenOf)).toEqual(["a1", "a1", "a1"]);
    expect(tokenOf(await world.tokens.access(parsed(expired())))).toBe("a1");
    await world.advance(60 * MINUTE);
    expect(tokenOf(await world.tokens.access(parsed(expired())))).toBe("a2");
    expect(used).toEqual([token("r0"), token("r1")]);
    expect(world.content.get("/data/credentials.json")).toBe(before);
    expect(world.steps).toEqual([]);
  });

  test("never gives or touches a token of the pool, whatever id it claims", async () => {
    const { answer } = issuer();
    const pooled = expired({ accessToken: "pooled", expiresAt: at(NOW + 60 * MINUTE) });
    const { tokens, pool, lines } = await worldOf({ records: pooled, fetch: answer });
    const thief = parsed({ id: "one", accessToken: "x", expiresAt: at(NOW - 1) });
    expect(await tokens.access(thief)).toMatchObject({ failure: { kind: "needs-login" } });
    expect(tokenOf(await tokens.access(parsed({ ...expired(), id: "one" })))).toBe("a1");
    expect(lines).toMatchObject([{ event: "token-renewed", credential: "inline" }]);
    expect(pool.current("one")?.accessToken?.reveal()).toBe("pooled");
  });

  test("counts as it is sent once the client has renewed it itself", async () => {
    const { answer } = issuer();
    const { tokens } = await worldOf({ records: [], fetch: answer });
    expect(tokenOf(await tokens.access(parsed(expired())))).toBe("a1");
    const own = expired({ accessToken: "own", expiresAt: at(NOW + 90 * MINUTE) });
    expect(tokenOf(await tokens.access(parsed(own)))).toBe("own");
  });

  test("that claims to last for ever and is refused is renewed once", async () => {
    const { answer, used } = issuer();
    const { tokens } = await worldOf({ records: [], fetch: answer });
    const record = expired({ expiresAt: "2099-01-01T00:00:00Z" });
    const refused = new Secret("a0-access");
    expect(tokenOf(await tokens.access(parsed(record), { refused }))).toBe("a1");
    expect(tokenOf(await tokens.access(parsed(record)))).toBe("a1");
    expect(used).toHaveLength(1);
  });

  test("keeps its machine id when it is renewed", async () => {
    const { answer } = issuer();
    const { tokens, advance } = await worldOf({ records: [], fetch: answer });
    const record = { refreshToken: token("r0") };
    const { machineId } = parsed(record);
    for (let hour = 0; hour < 3; hour++) {
      expect(await tokens.access(parsed(record))).toMatchObject({ value: { machineId } });
      await advance(60 * MINUTE);
    }
  });

  test("is forgotten when a thousand others came after it, but not while it is in use", async () => {
    const seen: string[] = [];
    const { tokens } = await worldOf({
      records: [],
      fetch: (_url, init) => {
        const { refreshToken } = JSON.parse(bodyOf(init)) as { refreshToken: string };
        seen.push(refreshToken);
        return Response.json({ accessToken: `for-${refreshToken}` });
      },
    });
    const ask = async (name: string) => await tokens.access(parsed({ refreshToken: name }));
    await ask("idle");
    await ask("busy");
    for (let index = 0; index < 1_500; index++) {
      await ask(`n${index}`);
      if (index % 100 === 0) await ask("busy");
    }
    expect(seen).toHaveLength(1_502);
    await ask("busy");
    expect(seen).toHaveLength(1_502);
    await ask("idle");
    expect(seen).toHaveLength(1_503);
  });
});

describe("what a call is made with", () => {
  const long = at(NOW + 60 * MINUTE);
  const { builderId, social } = context.profileArns;
  const unprofiled = { profileArn: undefined };
  test.each([
    { name: "social with a profile", record: socialRecord(), profileArn: OWN_ARN },
    { name: "social without", record: { ...socialRecord(), ...unprofiled }, profileArn: social },
    {
      name: "idc with a profile",
      record: { ...idcRecord(), profileArn: OWN_ARN },
      profileArn: OWN_ARN,
    },
    { name: "idc without", record: idcRecord(), profileArn: builderId },
    {
      name: "idc with the social one",
      record: { ...idcRecord(), profileArn: social },
      profileArn: builderId,
    },
    {
      name: "external-idp",
      record: entraRecord(),
      profileArn: builderId,
      tokenType: "EXTERNAL_IDP",
    },
    {
      name: "external-idp with a profile",
      record: { ...entraRecord(), profileArn: OWN_ARN },
      profileArn: OWN_ARN,
      tokenType: "EXTERNAL_IDP",
    },
    {
      name: "an API key",
      record: { kiroApiKey: "ksk", profileArn: OWN_ARN },
      profileArn: undefined,
      tokenType: "API_KEY",
    },
  ])("$name", async ({ record, profileArn, tokenType }) => {
    const { tokens } = await worldOf({ records: [], fetch: down });
    const answer = await tokens.access(parsed({ ...record, expiresAt: long }));
    if (!answer.ok) throw new Error(answer.failure.message);
    expect(answer.value.profileArn).toBe(profileArn as string);
    expect(answer.value.tokenType).toBe(tokenType as "API_KEY");
    expect(answer.value.machineId).toMatch(/^[0-9a-f]{64}$/);
  });
});

test("no secret is in a log line or in what is handed out", async () => {
  const { answer, rotate } = issuer();
  let full = true;
  const world = await worldOf({
    records: [expired()],
    fetch: answer,
    before: (step) => {
      if (full && step === "rename") throw Object.assign(new Error("full"), { code: "ENOSPC" });
    },
  });
  const { tokens, lease, lines, advance } = world;
  const given: unknown[] = [await tokens.access(lease())];
  full = false;
  await advance(60 * MINUTE);
  given.push(await tokens.access(lease()), await tokens.access(parsed(expired())));
  rotate("elsewhere");
  await advance(60 * MINUTE);
  given.push(await tokens.access(lease()));
  expect(lines.length).toBeGreaterThan(4);
  const printed = JSON.stringify([lines, given]) + inspect([lines, given, tokens], { depth: 9 });
  expect(printed).not.toMatch(/\b(a0-access|a1|a2|x{9,})\b/);
  // The ARN is part of what a call is made with, but not for the log.
  expect(JSON.stringify(lines)).not.toContain(OWN_ARN);
});
