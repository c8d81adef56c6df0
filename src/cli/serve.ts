import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthenticate } from "../auth/authenticate.ts";
import { checkExposure } from "../config/exposure.ts";
import { type ConfigFlags, describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { parseInlineCredential } from "../credentials/credential.ts";
import { withApiKey } from "../credentials/environment.ts";
import { createJournal } from "../credentials/journal.ts";
import { createJsonStore } from "../credentials/json-store.ts";
import { createPool } from "../credentials/pool.ts";
import { renewInBackground } from "../credentials/renewal.ts";
import type { Reloaded } from "../credentials/roster.ts";
import { createStatesFile, statesPath } from "../credentials/states-file.ts";
import type { StoreFault } from "../credentials/store.ts";
import { createTokens } from "../credentials/tokens.ts";
import { watchFiles } from "../credentials/watch.ts";
import { type DemoUpstream, startDemoUpstream } from "../demo/upstream.ts";
import type { GatewayDeps } from "../gateway/attempt.ts";
import { createGateway } from "../gateway/complete.ts";
import { createDiscovery } from "../gateway/discovery.ts";
import { withProfiles } from "../gateway/profiles.ts";
import { createOverview } from "../gateway/overview.ts";
import { createQuota, type QuotaService } from "../gateway/quota.ts";
import { retryPolicy } from "../gateway/retry.ts";
import { withWebSearch } from "../gateway/web-search.ts";
import { createApp } from "../http/app.ts";
import { createRemoteImages } from "../http/remote-images.ts";
import { createClient } from "../kiro/client.ts";
import { createManagement } from "../kiro/management.ts";
import { findListedModel, listModels } from "../kiro/models.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { createSearchClient } from "../kiro/web-search.ts";
import { fail, ok, type Result } from "../result.ts";
import { lookupAddresses, type Runtime } from "../runtime.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { version } from "../version.ts";
import { firstSteps } from "./first-steps.ts";
import { contextOf, describeStoreFault, loginSources, profileOf, sentence } from "./settings.ts";

export type ServeOptions = { flags: ConfigFlags; demo: boolean };

/** Heartbeats, and the longest that a streamed answer's head is held back for a real status. */
const HEARTBEAT_MS = 10_000;

/** Runs the server until a signal ends it. Gives the exit code: 0 after a shutdown, 1 where it could not start. */
export async function serve(options: ServeOptions, runtime: Runtime): Promise<number> {
  const loaded = await loadConfig({
    flags: options.flags,
    env: process.env,
    readFile: readTextFile,
    platform: process.platform,
    home: homedir(),
  });
  if (!loaded.ok) {
    console.error("The configuration can't be used:");
    for (const problem of loaded.failure) console.error(`  ${describeProblem(problem)}`);
    return 1;
  }
  const { config, warnings } = loaded.value;
  const exposure = checkExposure(config);
  if (!exposure.ok) {
    console.error(`Refusing to start: ${exposure.failure}`);
    return 1;
  }
  const log = createLog({
    level: config.logLevel,
    format: config.logFormat ?? (process.stderr.isTTY ? "text" : "json"),
    write: (line) => void process.stderr.write(line),
    now: () => runtime.now(),
  });
  for (const warning of [...warnings, ...exposure.value]) log.warn("configuration", { warning });

  const demo = options.demo ? await startDemo() : undefined;
  try {
    const credentialsPath = demo?.credentialsPath ?? loaded.value.credentialsPath;
    const profile = profileOf(config, demo?.upstream.url);
    const app = await compose({
      config,
      profile,
      credentialsPath,
      apiKey: demo === undefined ? process.env["KIRO_API_KEY"] || undefined : undefined,
      runtime,
      log,
    });
    if (!app.ok) {
      console.error(`Refusing to start: ${describeStoreFault(app.failure)}`);
      return 1;
    }
    const server = listen(config, app.value, log);
    if (server === undefined) return 1;
    const { origin } = server.url;
    log.info("listening", {
      url: origin,
      version,
      demo: options.demo,
      config: loaded.value.path,
      credentials: credentialsPath,
    });
    if (demo !== undefined || app.value.credentials === 0) {
      console.log(firstSteps({ url: origin, credentialsPath, demo: demo !== undefined }));
    }
    const background = new AbortController();
    const running = app.value.run(background.signal);
    await shutdown(server, config.shutdownGraceMs, runtime, log);
    background.abort();
    await running;
    return 0;
  } finally {
    await demo?.stop();
  }
}

type Composed = {
  fetch(request: Request, server: Bun.Server<undefined>): Response | Promise<Response>;
  credentials: number;
  /** What goes on beside the requests, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** Puts the parts together. Nothing outside this function knows all of them. */
async function compose(deps: {
  config: Config;
  profile: UpstreamProfile;
  credentialsPath: string;
  /** An API key of Kiro from the environment. */
  apiKey: string | undefined;
  runtime: Runtime;
  log: Log;
}): Promise<Result<Composed, StoreFault>> {
  const { config, profile, runtime, log } = deps;
  const context = contextOf(config, profile);
  const sources = loginSources({ home: homedir(), platform: process.platform }, runtime);
  const file = createJsonStore({ path: deps.credentialsPath, context, runtime, sources });
  const store = deps.apiKey === undefined ? file : withApiKey(file, deps.apiKey, context);
  const journal = createJournal({ credentialsPath: deps.credentialsPath, log });
  await journal.recover(store);
  const statesFile = createStatesFile({ path: statesPath(deps.credentialsPath), runtime, log });
  let quota: QuotaService | undefined;
  const pool = await createPool({
    store,
    statesFile,
    runtime,
    log,
    onExhausted: (credential) => void quota?.read(credential, { maxAgeMs: 0 }),
    settings: {
      rotation: config.rotation,
      maxConcurrent: config.maxConcurrentPerCredential,
      queueLength: config.queueLength,
      queueTimeoutMs: config.queueTimeoutMs,
    },
  });
  if (!pool.ok) return pool;
  const tokens = createTokens({
    pool: pool.value,
    store,
    runtime,
    log,
    journal,
    settings: { context, refresh: profile },
  });
  const management = createManagement({ runtime, profile });
  const known = { pool: pool.value, tokens, management, runtime, log };
  quota = createQuota(known);
  const discovery = createDiscovery({ ...known, quota, profile });
  const counter = createTokenCounter();
  const calls: GatewayDeps = {
    pool: pool.value,
    tokens: withProfiles(tokens, { ...known, store, profile }),
    client: createClient({ runtime, profile }),
    profile: discovery.profile,
    policy: { ...retryPolicy, totalMs: config.limits.totalTimeoutMs },
    runtime,
    countText: (text) => counter.text(text),
  };
  const gateway = withWebSearch(createGateway(calls), {
    ...calls,
    searching: (search) =>
      createGateway({ ...calls, client: createSearchClient({ runtime, profile }, search) }),
  });
  const app = createApp({
    gateway,
    counter,
    runtime,
    log,
    authenticate: createAuthenticate({
      ...(config.apiKey === undefined ? {} : { apiKey: config.apiKey }),
      allowClientCredentials: config.allowClientCredentials,
      parseInline(json) {
        const credential = parseInlineCredential(json, context);
        return credential.ok ? credential : fail(sentence(credential.failure));
      },
    }),
    admin: {
      key: config.adminApiKey ?? config.apiKey,
      credentials: createOverview({ pool: pool.value, quota, runtime }),
      async reloadCredentials() {
        const reloaded = await pool.value.reload();
        return reloaded.ok ? told(reloaded.value) : fail(describeStoreFault(reloaded.failure));
      },
    },
    models: {
      list: () => listModels(discovery.profile()),
      find: (id) => findListedModel(id, discovery.profile()),
    },
    corsOrigins: config.corsOrigins,
    keyless: config.apiKey === undefined,
    maxBodyBytes: config.maxBodyBytes,
    headWithinMs: HEARTBEAT_MS,
    heartbeatMs: HEARTBEAT_MS,
    ...(config.remoteImages && {
      remoteImages: createRemoteImages({ runtime, lookup: lookupAddresses }),
    }),
  });
  const credentials = Object.values(pool.value.states()).reduce((sum, count) => sum + count, 0);
  return ok({
    fetch: (request, server) => app.fetch(request, { server }),
    credentials,
    async run(signal) {
      const reload = (): void => void pool.value.reload();
      process.on("SIGHUP", reload);
      const paths = [deps.credentialsPath, statesPath(deps.credentialsPath)];
      const tasks = [
        watchFiles({ paths, pool: pool.value, runtime }, signal),
        renewInBackground({ pool: pool.value, tokens, runtime }, signal),
        discovery.run(signal),
      ];
      await Promise.all(
        tasks.map(async (task) => {
          await task.catch((error: unknown) => log.error("bug", { detail: String(error) }));
        }),
      );
      process.off("SIGHUP", reload);
      await statesFile.flush();
    },
  });
}

/** What a reload has come to, in a sentence for the operator. */
function told({ added, changed, removed, ...now }: Reloaded): Result<string, string> {
  const done = `${now.credentials} credentials (${added} added, ${changed} changed, ${removed} removed)`;
  if (now.missing) return fail(`credentials.json is not there; still ${done}`);
  return now.rejected.length === 0
    ? ok(done)
    : fail(`${now.rejected.map(sentence).join("; ")}. Else taken over: ${done}`);
}

function listen(config: Config, app: Composed, log: Log): Bun.Server<undefined> | undefined {
  try {
    return Bun.serve({
      hostname: config.host,
      port: config.port,
      fetch: (request, server) => app.fetch(request, server),
      // Between requests; the routes that stream switch it off for themselves.
      idleTimeout: 120,
      // The limit is ours, with an answer that clients can read: Bun's own is empty, and cuts some clients off.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Else Bun prints the source around every error and answers with a page.
      development: false,
      // Else `development: false` lets a second gateway on the port, and it gets every other connection.
      reusePort: false,
    });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    log.error("cannot-listen", { host: config.host, port: config.port, code });
    console.error(
      code === "EADDRINUSE"
        ? `Port ${config.port} is in use: stop the other program or choose another with -port.`
        : `Can't listen on ${config.host}:${config.port} (${code}).`,
    );
    return undefined;
  }
}

/** Waits for SIGTERM or SIGINT, then for the running answers, but not longer than `graceMs`. */
async function shutdown(
  server: Bun.Server<undefined>,
  graceMs: number,
  runtime: Runtime,
  log: Log,
): Promise<void> {
  const { promise: signal, resolve } = Promise.withResolvers<string>();
  process.once("SIGTERM", () => resolve("SIGTERM"));
  process.once("SIGINT", () => resolve("SIGINT"));
  log.info("stopping", { signal: await signal, running: server.pendingRequests });
  const grace = new AbortController();
  const stopped = server.stop().finally(() => grace.abort());
  await runtime.sleep(graceMs, grace.signal).catch(() => undefined);
  if (!grace.signal.aborted) {
    log.warn("answers-cut-off", { running: server.pendingRequests });
    void server.stop(true);
  }
  await stopped;
  log.info("stopped");
}

type Demo = { upstream: DemoUpstream; credentialsPath: string; stop(): Promise<void> };

async function startDemo(): Promise<Demo> {
  const upstream = startDemoUpstream();
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-demo-"));
  const credentialsPath = join(folder, "credentials.json");
  await writeFile(credentialsPath, JSON.stringify(upstream.credentials), { mode: 0o600 });
  return {
    upstream,
    credentialsPath,
    async stop() {
      upstream.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
