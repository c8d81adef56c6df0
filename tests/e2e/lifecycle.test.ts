import { afterAll, describe, expect, test } from "bun:test";
import { stream, trailer, words } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { says, scenarios } from "../emulator/scenarios.ts";
import { runBinary, startGateway, stopGateways, until } from "./binary.ts";
import { ask, follow, post, prompt } from "./client.ts";

const kiro = startKiro();
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

describe("the start", () => {
  test("a host that others can reach needs a key", async () => {
    const { code, stderr } = await runBinary({ config: { host: "0.0.0.0", apiKey: undefined } });
    expect(code).toBe(1);
    expect(stderr).toContain("Refusing to start: host 0.0.0.0");
    expect(stderr).toContain("openssl rand");
  });

  test("a host that others can reach needs a key of one's own", async () => {
    const apiKey = "change-me-please";
    const { code, stderr } = await runBinary({ config: { host: "0.0.0.0", apiKey } });
    expect(code).toBe(1);
    expect(stderr).toContain("apiKey is a sample");
    expect(stderr).not.toContain(apiKey);
  });

  test("a broken credentials.json is named with line and column, and left as it is", async () => {
    const broken = '[\n  {"refreshToken": "secret-canary"},\n  {"refreshToken": }\n]\n';
    const { code, stderr, files } = await runBinary({ credentials: broken });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Refusing to start: \S+credentials\.json, line 3, column \d+/);
    expect(stderr).not.toContain("secret-canary");
    expect(files["credentials.json"]).toBe(broken);
  });

  test("all that is wrong with the configuration is said at once", async () => {
    const config = { port: "13000x", logLevel: "loud", upstream: { apiUrl: "ftp://x" }, limits: 5 };
    const { code, stderr } = await runBinary({ config });
    expect(code).toBe(1);
    for (const key of ["port", "logLevel", "upstream.apiUrl", "limits"]) {
      expect(stderr).toMatch(new RegExp(`^ +${key}: expected .+, got `, "m"));
    }
  });

  test("a configuration that is not JSON is named with its line", async () => {
    const files = { "config.json": '{\n  "port": 1,\n}\n' };
    const { code, stderr } = await runBinary({ files });
    expect(code).toBe(1);
    expect(stderr).toMatch(/config\.json is not valid JSON at line 3/);
  });

  test("a port in use is said in words", async () => {
    const { port } = new URL((await startGateway({ kiro })).url);
    const { code, stderr } = await runBinary({ args: ["-port", port] });
    expect(code).toBe(1);
    expect(stderr).toContain(`Port ${port} is in use`);
  });

  test("D-04: without credentials it starts, says how to get them, and lists the models", async () => {
    const own = await startGateway({ kiro, credentials: null });
    expect(own.logs).toContainEqual(expect.objectContaining({ event: "credentials-missing" }));
    await until(() => own.output().includes("--demo"));
    expect(own.output()).toContain(own.credentialsPath);
    const answer = await ask(own, prompt("Hi"));
    expect(answer.status).toBe(503);
    expect(answer.text).toContain("credentials.json");
    const headers = { "x-api-key": own.apiKey };
    const models = await fetch(`${own.url}/v1/models`, { headers });
    expect(models.status).toBe(200);
    expect(await Bun.file(own.credentialsPath).exists()).toBe(false);
  });

  test("--version and --help answer and exit with 0", async () => {
    const versioned = await runBinary({ args: ["--version"] });
    expect(versioned).toMatchObject({ code: 0, stderr: "" });
    expect(versioned.stdout).toMatch(/^kiro-proxy \d+\.\d+\.\d+ \(/);
    const helped = await runBinary({ args: ["--help"] });
    expect(helped).toMatchObject({ code: 0, stderr: "" });
    expect(helped.stdout).toContain("Usage: kiro-proxy");
  });

  test("an unknown flag is an error with the nearest one named", async () => {
    const { code, stderr } = await runBinary({ args: ["--prot", "1"] });
    expect(code).toBe(2);
    expect(stderr).toContain("-port");
  });

  test("a .env in the working directory is not read, the environment is", async () => {
    const entry = "KIRO_PROXY_API_KEY";
    const own = await startGateway({
      kiro,
      files: { ".env": `${entry}=key-from-dot-env\n` },
    });
    expect((await ask(own, prompt("Hi"))).status).toBe(200);
    const other = await startGateway({ kiro, env: { [entry]: "key-from-environment" } });
    expect((await ask(other, prompt("Hi"))).status).toBe(401);
    const headers = { "x-api-key": "key-from-environment" };
    expect((await ask(other, prompt("Hi"), { headers })).status).toBe(200);
  });

  test("the demo answers a streamed request, says what it is, and leaves nothing behind", async () => {
    const own = await startGateway({ args: ["--demo"] });
    await until(() => own.output().includes("ANTHROPIC_BASE_URL"));
    expect(own.output()).toContain("DEMO: no Kiro account is used");
    const answer = await ask(own, prompt("Hello!", { stream: true }));
    expect(answer.status).toBe(200);
    expect(answer.text).toContain("[demo]");
    expect(answer.events.at(-1)?.event).toBe("message_stop");
    own.process.kill("SIGTERM");
    expect(await own.process.exited).toBe(0);
    const left = [...new Bun.Glob("**").scanSync({ cwd: own.folder, dot: true })];
    expect(left).toEqual(["config.json"]);
  });
});

describe("the end", () => {
  test("SIGTERM lets running streams finish, takes no new ones, and exits with 0", async () => {
    const own = await startGateway({ kiro });
    kiro.script(stream([...words("One two three four five six."), ...trailer()], { everyMs: 150 }));
    const reading = follow(await post(own, prompt("Hi", { stream: true })));
    await until(() => reading.text.includes("One"));
    own.process.kill("SIGTERM");
    await own.logged(({ event }) => event === "stopping");
    expect(await post(own, prompt("Hi")).catch(() => "refused")).toBe("refused");
    const answer = await reading.ended;
    expect(answer.cut).toBe(false);
    expect(answer.events.at(-1)?.event).toBe("message_stop");
    expect(answer.text).toContain("six.");
    expect(await own.process.exited).toBe(0);
    expect(own.logs.at(-1)).toMatchObject({ event: "stopped" });
  });

  test("SIGTERM ends what does not finish in time with an error event and a cut, and closes the upstream", async () => {
    const own = await startGateway({ kiro, config: { shutdownGraceMs: 200 } });
    kiro.script(scenarios.endless);
    const reading = follow(await post(own, prompt("Hi", { stream: true, max_tokens: 1_000_000 })));
    await until(() => reading.text.includes("again"));
    own.process.kill("SIGTERM");
    const answer = await reading.ended;
    expect(answer.cut).toBe(true);
    expect(answer.events.at(-1)).toMatchObject({
      event: "error",
      data: {
        error: { type: "overloaded_error", message: expect.stringContaining("shutting down") },
      },
    });
    expect(await own.process.exited).toBe(0);
    await until(() => kiro.connections.open === 0);
  });

  test("a request that has not begun by then gets a status that clients retry", async () => {
    const own = await startGateway({ kiro, config: { shutdownGraceMs: 200 } });
    kiro.script(scenarios["silence before the head"]);
    const asking = ask(own, prompt("Hi"));
    await until(() => kiro.connections.open > 0);
    own.process.kill("SIGTERM");
    const answer = await asking;
    expect(answer.status).toBe(503);
    expect(answer.text).toContain("shutting down");
    expect(await own.process.exited).toBe(0);
  });

  test("a second signal ends all at once", async () => {
    const own = await startGateway({ kiro, config: { shutdownGraceMs: 3_600_000 } });
    kiro.script(scenarios.endless);
    const reading = follow(await post(own, prompt("Hi", { stream: true, max_tokens: 1_000_000 })));
    await until(() => reading.text.includes("again"));
    own.process.kill("SIGTERM");
    await own.logged(({ event }) => event === "stopping");
    own.process.kill("SIGINT");
    expect((await reading.ended).cut).toBe(true);
    expect(await own.process.exited).toBe(0);
  });

  test("SIGINT ends an idle gateway at once, open connections or not", async () => {
    const own = await startGateway({ kiro });
    expect((await ask(own, prompt("Hi"))).status).toBe(200);
    own.process.kill("SIGINT");
    expect(await own.process.exited).toBe(0);
  });
});

test("nothing secret and nothing that was said gets into the log", async () => {
  const [first, second, inline] = [
    kiro.accounts.credential("idc", { id: "first", expired: true }),
    kiro.accounts.credential("social", { id: "second", priority: 1 }),
    kiro.accounts.credential("api-key"),
  ];
  const dead = { ...first, id: "dead", refreshToken: "deadRefresh".repeat(20) };
  const own = await startGateway({
    kiro,
    credentials: [first, second, dead],
    config: { logLevel: "debug" },
  });
  kiro.script(
    says("canary-reply"),
    scenarios["exception late"],
    scenarios["monthly quota"],
    scenarios.suspended,
  );
  const tools = [{ name: "canary-tool", input_schema: { type: "object" } }];
  const said = prompt("canary-prompt", {
    system: "canary-system",
    tools,
    metadata: { user_id: "canary-user" },
  });
  const ownAccount = { "x-kiro-credentials": JSON.stringify(inline) };
  await ask(own, said);
  await ask(own, { ...said, stream: true });
  await ask(own, said);
  await ask(own, said, { headers: ownAccount });
  await ask(own, said, { headers: { "x-kiro-credentials": '{"refreshToken": "canary-broken' } });
  await ask(own, said, { headers: { "x-api-key": "canary-wrong-key" } });
  await ask(own, said, { path: "/v1/messages?key=canary-query" });
  await ask(own, '{"model": "canary-broken');
  await ask(own, { ...said, messages: "canary-messages", max_tokens: "canary-tokens" });
  const last = await ask(own, said, { path: "/v1/canary-path" });
  expect(last.status).toBe(404);
  await until(() => own.logs.filter(({ event }) => event === "request").length >= 9);

  const { accessToken, refreshToken } = JSON.parse(await Bun.file(own.credentialsPath).text())[0];
  const secrets = [first, second, dead, inline, { accessToken, refreshToken }]
    .flatMap((record) => Object.entries(record))
    .filter(([name]) => /token$|secret|key$|arn/i.test(name))
    .map(([, value]) => String(value));
  expect(new Set(secrets).size).toBeGreaterThan(8);
  for (const secret of [...secrets, own.apiKey, "canary", "Hello from the emulator"]) {
    expect(own.output()).not.toContain(secret);
  }
}, 20_000);
