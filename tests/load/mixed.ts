/**
 * A long mixed load on the compiled binary, with faults at random in Kiro and the activation server: `bun run load
 * [--minutes 30] [--clients 24]`. Says at the end whether everything is accounted for, and exits with 1 where it is not.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startGateway, stopGateways, until } from "../e2e/binary.ts";
import { startActivationServer } from "../emulator/activation.ts";
import { startKiro } from "../emulator/kiro.ts";
import { type ScenarioName, scenarios } from "../emulator/scenarios.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    clients: { type: "string", default: "24" },
  },
});
const minutes = Number(values.minutes);

/** In how many of a hundred answers Kiro does this; the rest are good ones. */
const FAULTS: [number, ScenarioName][] = [
  [1, "throttled with retry-after"],
  [2, "high load"],
  [3, "no capacity"],
  [3, "server error"],
  [2, "exception first"],
  [2, "exception late"],
  [2, "cut in mid frame"],
  [2, "empty reply"],
  [1, "bad checksum"],
  [1, "silence in mid stream"],
  [1, "improperly formed"],
];
const GOOD: ScenarioName[] = [
  "text",
  "text with token counts",
  "tool call",
  "reasoning with signature",
];

const kiro = startKiro();
const activation = startActivationServer(
  Array.from({ length: 6 }, (_, number) => ({ code: `USER-${number}` })),
);
kiro.otherwise((request) => {
  let dice = Math.random() * 100;
  const fault = FAULTS.find(([share]) => (dice -= share) < 0)?.[1];
  const good = GOOD[Math.floor(Math.random() * GOOD.length)] ?? "text";
  const scenario = scenarios[fault ?? good];
  return typeof scenario === "function" ? scenario(request) : scenario;
});
const sometimes = setInterval(() => {
  const dice = Math.random();
  activation.otherwise(
    dice < 0.1
      ? () => new Response("<html>", { status: 502 })
      : dice < 0.15
        ? async () => await new Promise<Response>(() => undefined)
        : undefined,
  );
}, 2_000);

const gateway = await startGateway({
  kiro,
  config: {
    activationServerUrl: activation.url,
    limits: { idleTimeoutMs: 2_000, totalTimeoutMs: 20_000 },
    userLimits: { requestsPerMinute: 300, concurrentRequests: 8 },
    authFailuresPerMinute: 30,
  },
  credentials: Array.from({ length: 8 }, () => kiro.accounts.credential("social")),
  files: {
    "user_credentials.json": JSON.stringify({
      "act-user-4": { credentials: kiro.accounts.credential("social") },
      "act-user-5": { expires_date: "2020-01-01" },
    }),
  },
});

const KEYS = [gateway.apiKey, ...Array.from({ length: 7 }, (_, n) => `act-user-${n}`), "wrong"];
const ROUTES = ["/v1/messages", "/v1/chat/completions", "/v1/responses"];
/** Of what may come, why: a status that is not here is a finding. */
const EXPECTED = new Map([
  [200, "answered, or failed in mid stream"],
  [400, "Kiro refused the request, or an empty answer came twice"],
  [401, "a wrong key"],
  [402, "used up"],
  [403, "a code that is not good, or its last day is over"],
  [429, "a limit of a user, of an address, or Kiro's"],
  [499, "the client left"],
  [502, "Kiro failed"],
  [503, "no credential could serve, or the activation server is down"],
  [504, "too slow"],
  [529, "no capacity"],
]);
const statuses = new Map<number, number>();
/** Requests whose answer has come, in whole or in part. */
let answered = 0;
let left = 0;
const unexplained: string[] = [];

function pick<T>(all: readonly T[]): T {
  const picked = all[Math.floor(Math.random() * all.length)];
  if (picked === undefined) throw new Error("nothing to pick from");
  return picked;
}

function bodyOf(route: string, stream: boolean): object {
  const text = `Say ${Math.random()} ${"word ".repeat(Math.floor(Math.random() * 400))}`;
  const model = "claude-sonnet-4-5";
  if (route === "/v1/responses") return { model, stream, input: text };
  return { model, stream, max_tokens: 1_000, messages: [{ role: "user", content: text }] };
}

async function one(): Promise<void> {
  const route = pick(ROUTES);
  const leaving = new AbortController();
  const leaves = Math.random() < 0.1;
  const timer = leaves ? setTimeout(() => leaving.abort(), Math.random() * 50) : undefined;
  try {
    const response = await fetch(gateway.url + route, {
      method: "POST",
      headers: { "x-api-key": pick(KEYS), "content-type": "application/json" },
      body: JSON.stringify(bodyOf(route, Math.random() < 0.7)),
      signal: leaving.signal,
    });
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    if (!EXPECTED.has(response.status)) unexplained.push(`${route} ${response.status}`);
    await response.text();
    answered += 1;
    if (response.status === 429) await Bun.sleep(300);
  } catch (error) {
    // A stream that fails ends with a cut, which is its honest end.
    if (leaving.signal.aborted) left += 1;
    else if (
      error instanceof Error &&
      /reset|closed/i.test(`${error.message}${String(Reflect.get(error, "code"))}`)
    )
      answered += 1;
    else unexplained.push(String(error));
  } finally {
    clearTimeout(timer);
  }
}

const end = Date.now() + minutes * 60_000;
let sent = 0;
await Promise.all(
  Array.from({ length: Number(values.clients) }, async () => {
    while (Date.now() < end) {
      sent += 1;
      await one();
      await Bun.sleep(Math.random() * 20);
    }
  }),
);
clearInterval(sometimes);
activation.otherwise(undefined);

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => new RegExp(`^${name}[ {]`).test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

let inFlight = -1;
for (let waited = 0; waited < 300 && inFlight !== 0; waited += 1) {
  inFlight = await metric("kiro_proxy_requests_in_flight");
  await Bun.sleep(100);
}
const leases = await metric("kiro_proxy_leases");
const counted = await metric("kiro_proxy_requests_total");
await until(() => kiro.connections.open === 0);
const rss = (await metric("kiro_proxy_memory_bytes")) / 1e6;
gateway.process.kill("SIGTERM");
await gateway.process.exited;
const database = new Database(join(gateway.folder, "kiro-proxy.db"), { readonly: true });
const rows = Number(Object(database.query("SELECT count(*) AS rows FROM requests").get()).rows);
const odd = database
  .query(
    "SELECT outcome, status, failure, count(*) AS rows FROM requests GROUP BY 1, 2, 3 ORDER BY 4 DESC",
  )
  .all();
database.close();
const bugs = gateway.logs.filter(({ event }) => event === "bug");

console.table(odd);
console.table(
  [...statuses]
    .toSorted(([a], [b]) => a - b)
    .map(([status, times]) => ({ status, times, why: EXPECTED.get(status) })),
);
console.log({ sent, answered, left, counted, rows, inFlight, leases, bugs: bugs.length, rss });
/** A client that leaves before its request was read has asked nothing: such requests have no row. */
const findings = [
  ...unexplained,
  ...bugs.map((line) => JSON.stringify(line)),
  ...(inFlight === 0 && leases === 0 ? [] : [`in flight: ${inFlight}, leases: ${leases}`]),
  ...(rows === counted ? [] : [`${rows} rows for ${counted} counted requests`]),
  ...(rows >= answered && rows <= answered + left
    ? []
    : [`${rows} rows for ${answered} answers and ${left} that left`]),
];
for (const finding of findings.slice(0, 20)) console.error(finding);
console.log(
  findings.length === 0
    ? "PASSED: everything is accounted for"
    : `FAILED: ${findings.length} findings`,
);
await stopGateways();
await Promise.all([kiro.stop(), activation.stop()]);
process.exit(findings.length === 0 ? 0 : 1);
