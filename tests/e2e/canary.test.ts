import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type ActivationServer, startActivationServer } from "../emulator/activation.ts";
import { type KiroEmulator, startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, runBinary, startGateway, stopGateways } from "./binary.ts";
import { readAll } from "./client.ts";

/**
 * Every secret has a mark in it, in whatever place a secret can be. After all that can go right and wrong, no mark may be
 * anywhere but where it belongs: the files that hold log-ins and users, the calls to the service, and the client's own
 * answer.
 */
setDefaultTimeout(180_000);

let kiro: KiroEmulator;
let activation: ActivationServer;
beforeAll(() => {
  kiro = startKiro();
  activation = startActivationServer([{ code: `${MARK}-SERVER` }]);
});
afterAll(stopGateways);
afterAll(async () => {
  await Promise.all([kiro.stop(), activation.stop()]);
});

const MARK = "CANARY";
/** Tokens, client secrets and API keys of the emulator, as the marks of what it issues. */
const SECRETS = [new RegExp(MARK, "i"), /ao[ar]\d{4}EMUL/, /EMULATEDEMULATED/, /ksk_[a-z0-9]/i];

const apiKey = `${MARK}-api-key-0123456789`;
const adminApiKey = `${MARK}-admin-key-0123456789`;
const keys = [
  apiKey,
  `act-${MARK}-user`,
  `act-${MARK}-own`,
  `act-${MARK}-server`,
  `act-${MARK}-unknown`,
  `${MARK}-wrong-key`,
];

/** A conversation with a mark wherever a client can put text. */
function bodies(stream: boolean): [string, object][] {
  const tool = { name: "read_file", description: `${MARK} tool`, input_schema: { type: "object" } };
  const input = { path: `${MARK}.txt` };
  const text = `${MARK} prompt`;
  return [
    [
      "/v1/messages",
      {
        model: "claude-sonnet-4-5",
        max_tokens: 500,
        stream,
        system: `${MARK} system`,
        metadata: { user_id: `${MARK}-metadata` },
        stop_sequences: [`${MARK}-stop`],
        tools: [tool],
        messages: [
          { role: "user", content: text },
          {
            role: "assistant",
            content: [{ type: "tool_use", id: "t1", name: "read_file", input }],
          },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: text }] },
        ],
      },
    ],
    [
      "/v1/chat/completions",
      {
        model: "claude-sonnet-4-5",
        stream,
        user: `${MARK}-user-field`,
        messages: [
          { role: "system", content: `${MARK} system` },
          { role: "user", content: text },
        ],
      },
    ],
    [
      "/v1/responses",
      { model: "claude-sonnet-4-5", stream, instructions: `${MARK} system`, input: text },
    ],
  ];
}

/** What no client should send, each with a mark in the part that is wrong. */
const broken: [string, string][] = [
  ["/v1/messages", `{"messages": [{"role": "user", "content": ${MARK}}]}`],
  ["/v1/messages", `{"model": "m", "max_tokens": "${MARK}", "messages": []}`],
  ["/v1/messages", `{"model": "m", "max_tokens": 1, "messages": "${MARK}"}`],
  [
    "/v1/chat/completions",
    `{"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://host.invalid/${MARK}"}}]}]}`,
  ],
  ["/v1/responses", `{"model": "m", "input": 7, "instructions": "${MARK}"`],
  ["/v1/responses", `{"model": "m", "input": "x", "previous_response_id": "${MARK}"}`],
  ["/v1/messages/count_tokens", `{"messages": "${MARK}"}`],
];

async function send(
  gateway: Gateway,
  path: string,
  body: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string; headers: string }> {
  const response = await fetch(gateway.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-machine-id": `${MARK}-machine`, ...headers },
    body,
  });
  const answer = await readAll(response);
  return { ...answer, headers: JSON.stringify([...answer.headers]) };
}

function marked(text: string): string | undefined {
  const found = SECRETS.map((secret) => secret.exec(text)).find((match) => match !== null);
  return found ? text.slice(Math.max(0, found.index - 150), found.index + 60) : undefined;
}

async function everything(gateway: Gateway, leaks: string[]): Promise<void> {
  const look = (where: string, text: string): void => {
    const found = marked(text);
    if (found !== undefined) leaks.push(`${where}: ${found}`);
  };
  const admin = { "x-api-key": adminApiKey };
  const get = async (path: string, headers = {}): Promise<string> =>
    await (await fetch(gateway.url + path, { headers })).text();
  look("/metrics", await get("/metrics", admin));
  look("/readyz", await get("/readyz"));
  const { paths } = JSON.parse(await get("/api/admin/openapi.json"));
  const readable = Object.keys(paths).filter((path) => "get" in paths[path]);
  for (const path of readable) {
    const known = path.replace("{id}", "nobody");
    const text = await get(`/api/admin${known}`, admin);
    // The operator looks users up by their codes.
    look(path, path.includes("user") ? text.replaceAll(/"act-CANARY-\w+"/gi, "") : text);
  }
  expect(readable.length).toBeGreaterThan(4);
}

/** Everything on the disk but what has to hold secrets. */
async function files(gateway: Gateway, leaks: string[]): Promise<string[]> {
  const names = await readdir(gateway.folder);
  for (const name of names) {
    if (/^(config|credentials|user_credentials)\.json$/.test(name)) continue;
    const found = marked(readFileSync(join(gateway.folder, name), "latin1"));
    if (found !== undefined) leaks.push(`${name}: ${found}`);
  }
  return names;
}

test("no secret and no prompt is in a log, an error, a metric, the ledger or an admin answer", async () => {
  const record = (kind: "social" | "idc" | "api-key"): object => ({
    ...kiro.accounts.credential(kind, { expired: kind === "idc" }),
    email: `${MARK}@example.invalid`,
    [`unknown${MARK}`]: MARK,
  });
  const unreachable = {
    ...record("social"),
    priority: 9,
    proxyUrl: `http://me:${MARK}@127.0.0.1:1`,
  };
  const inline = record("social");
  const config = {
    apiKey,
    adminApiKey,
    activationServerUrl: activation.url,
    logLevel: "debug",
    limits: {
      firstEventTimeoutMs: 400,
      idleTimeoutMs: 400,
      headersTimeoutMs: 400,
      totalTimeoutMs: 2_500,
    },
  };
  const options = {
    kiro,
    config,
    credentials: [record("social"), record("idc"), record("api-key"), unreachable],
    files: {
      "user_credentials.json": JSON.stringify({
        [`act-${MARK}-user`]: { user_name: "Ann", limits: { credits_per_day: 1_000 } },
        [`act-${MARK}-own`]: { user_name: "Bob", credentials: record("social") },
        [`act-${MARK}-broken`]: {
          limits: { [MARK]: 1 },
          credentials: { refreshToken: `${MARK} ` },
        },
      }),
    },
  };
  activation.codes.push({ code: `${MARK}-USER` }, { code: `${MARK}-OWN` });
  const gateway = await startGateway(options);
  const leaks: string[] = [];
  const errors = new Set<number>();
  const judge = (what: string, answer: Awaited<ReturnType<typeof send>>): void => {
    errors.add(answer.status);
    // What went well has the model's own words in it, which may repeat the prompt.
    const text = answer.status === 200 ? answer.headers : answer.headers + answer.text;
    const found = marked(text);
    if (found !== undefined) leaks.push(`${what}: ${found}`);
  };

  const all = Object.entries(scenarios);
  await Promise.all(
    all.flatMap(([name, scenario], at) =>
      [true, false].map(async (stream) => {
        const [path, body] = bodies(stream)[at % 3] ?? ["", {}];
        kiro.otherwise(scenario);
        judge(name, await send(gateway, path, JSON.stringify(body), { "x-api-key": apiKey }));
      }),
    ),
  );
  for (const [name, scenario] of all.filter(([key]) =>
    /quota|suspend|refused|403|401/i.test(key),
  )) {
    kiro.script(scenario);
    const [[path, body] = ["", {}]] = bodies(false);
    judge(name, await send(gateway, path, JSON.stringify(body), { "x-api-key": apiKey }));
  }
  kiro.otherwise(scenarios.text);
  for (const key of keys) {
    for (const [path, body] of bodies(false)) {
      judge(
        `key on ${path}`,
        await send(gateway, path, JSON.stringify(body), { "x-api-key": key }),
      );
    }
  }
  for (const [path, body] of broken) {
    judge(path, await send(gateway, path, body, { authorization: `Bearer ${apiKey}` }));
  }
  const [[path, body] = ["", {}]] = bodies(false);
  for (const json of [
    JSON.stringify(inline),
    `{"refreshToken": "${MARK}`,
    `{"region": "${MARK}"}`,
  ]) {
    const headers = { "x-kiro-credentials": json };
    judge("inline", await send(gateway, path, JSON.stringify(body), headers));
    const coded = `creds-${Buffer.from(json).toString("base64url")}`;
    judge("creds-", await send(gateway, path, JSON.stringify(body), { "x-api-key": coded }));
  }
  kiro.accounts.revokeAccess();
  kiro.accounts.revokeRefresh();
  judge("dead log-ins", await send(gateway, path, JSON.stringify(body), { "x-api-key": apiKey }));
  await everything(gateway, leaks);

  expect([...errors]).toEqual(expect.arrayContaining([200, 400, 401, 403]));
  // Also what is under way when the process dies, and what the next start says of it.
  kiro.otherwise(scenarios["silence in mid stream"]);
  const flying = send(gateway, path, JSON.stringify({ ...body, stream: true }), {
    "x-api-key": apiKey,
  }).catch(() => undefined);
  await Bun.sleep(50);
  gateway.process.kill("SIGKILL");
  await gateway.process.exited;
  await flying;
  const names = await files(gateway, leaks);
  expect(names).toContain("kiro-proxy.db");
  const output = gateway.output();
  const found = marked(output);
  if (found !== undefined) leaks.push(`log: ${found}`);
  expect(output.split("\n").length).toBeGreaterThan(100);
  expect(leaks).toEqual([]);
});

test("a configuration and files that are broken are told without what stands in them", async () => {
  const runs = await Promise.all([
    runBinary({ credentials: `[{"refreshToken": "${MARK}" "x"}]` }),
    runBinary({ files: { "user_credentials.json": `{"act-${MARK}": {"credentials": ${MARK}}}` } }),
    runBinary({ config: { apiKey: `act-${MARK}` } }),
    runBinary({ config: { proxyUrl: `ftp://me:${MARK}@host` } }),
    runBinary({ config: { host: "0.0.0.0", apiKey: "changeme", adminApiKey: MARK } }),
  ]);
  for (const { code, stdout, stderr } of runs) {
    expect(code).toBe(1);
    expect(marked(stdout + stderr)).toBeUndefined();
  }
});
