import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthenticate } from "../auth/authenticate.ts";
import { checkExposure } from "../config/exposure.ts";
import { type ConfigFlags, describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { parseCredential, type CredentialContext } from "../credentials/credential.ts";
import { withApiKey } from "../credentials/environment.ts";
import { createJsonStore } from "../credentials/json-store.ts";
import { createPool } from "../credentials/pool.ts";
import type { StoreFault } from "../credentials/store.ts";
import { createTokens } from "../credentials/tokens.ts";
import { type DemoUpstream, startDemoUpstream } from "../demo/upstream.ts";
import { createGateway } from "../gateway/complete.ts";
import { retryPolicy } from "../gateway/retry.ts";
import { createApp } from "../http/app.ts";
import { createClient } from "../kiro/client.ts";
import { findListedModel, listModels } from "../kiro/models.ts";
import { defaultProfile, type UpstreamProfile } from "../kiro/profile.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { version } from "../version.ts";
import { firstSteps } from "./first-steps.ts";

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
    const profile = profileOf(config, demo?.upstream);
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
    log.info("listening", { url: origin, version, demo: options.demo });
    if (demo !== undefined || app.value.credentials === 0) {
      console.log(firstSteps({ url: origin, credentialsPath, demo: demo !== undefined }));
    }
    await shutdown(server, config.shutdownGraceMs, runtime, log);
    return 0;
  } finally {
    await demo?.stop();
  }
}

type Composed = {
  fetch(request: Request, server: Bun.Server<undefined>): Response | Promise<Response>;
  credentials: number;
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
  const context: CredentialContext = {
    defaultRegion: config.regions[0] ?? profile.defaultRegion,
    regions: [...profile.apiRegions, ...config.regions],
    profileArns: profile.profileArns,
  };
  const file = createJsonStore({ path: deps.credentialsPath, context, runtime });
  const store = deps.apiKey === undefined ? file : withApiKey(file, deps.apiKey, context);
  const pool = await createPool({ store, runtime, log });
  if (!pool.ok) return pool;
  const tokens = createTokens({
    pool: pool.value,
    store,
    runtime,
    log,
    settings: { context, refresh: profile },
  });
  const counter = createTokenCounter();
  const gateway = createGateway({
    pool: pool.value,
    tokens,
    client: createClient({ runtime, profile }),
    profile,
    policy: retryPolicy,
    runtime,
    countText: (text) => counter.text(text),
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
        const credential = parseCredential(json, context);
        return credential.ok ? credential : fail(sentence(credential.failure));
      },
    }),
    models: {
      list: () => listModels(profile),
      find: (id) => findListedModel(id, profile),
    },
    corsOrigins: config.corsOrigins,
    keyless: config.apiKey === undefined,
    maxBodyBytes: config.maxBodyBytes,
    headWithinMs: HEARTBEAT_MS,
    heartbeatMs: HEARTBEAT_MS,
  });
  const credentials = Object.values(pool.value.states()).reduce((sum, count) => sum + count, 0);
  return ok({ fetch: (request, server) => app.fetch(request, { server }), credentials });
}

/** The built-in profile with what the configuration says otherwise. */
function profileOf(config: Config, demo: DemoUpstream | undefined): UpstreamProfile {
  const { upstream, limits } = config;
  const { hosts, versions } = defaultProfile;
  return {
    ...defaultProfile,
    defaultRegion: config.regions[0] ?? defaultProfile.defaultRegion,
    hosts: {
      api: demo?.url ?? upstream.apiUrl ?? hosts.api,
      oidc: upstream.oidcUrl ?? hosts.oidc,
      social: upstream.authUrl ?? hosts.social,
    },
    versions: {
      ...versions,
      kiro: config.kiroVersion ?? versions.kiro,
      system: config.systemVersion ?? versions.system,
      // The Go build's configuration files write it as `node --version` does.
      node: config.nodeVersion?.replace(/^v/, "") ?? versions.node,
    },
    aliases: config.modelAliases,
    limits: {
      headersMs: limits.headersTimeoutMs,
      firstEventMs: limits.firstEventTimeoutMs,
      idleMs: limits.idleTimeoutMs,
      totalMs: limits.totalTimeoutMs,
    },
  };
}

function listen(config: Config, app: Composed, log: Log): Bun.Server<undefined> | undefined {
  try {
    return Bun.serve({
      hostname: config.host,
      port: config.port,
      fetch: (request, server) => app.fetch(request, server),
      // Between requests; the routes that stream switch it off for themselves.
      idleTimeout: 120,
      // Above our own limit, so that a body over it gets our answer and not an empty one.
      maxRequestBodySize: config.maxBodyBytes * 2,
      // Else Bun prints the source around every error and answers with a page.
      development: false,
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

function sentence(fault: { path: string; message: string }): string {
  return fault.path === "" ? fault.message : `${fault.path}: ${fault.message}`;
}

function describeStoreFault(fault: StoreFault): string {
  return fault.kind === "broken"
    ? `${fault.file}, line ${fault.line}, column ${fault.column}: ${fault.message}`
    : `${fault.file}: ${fault.message}`;
}
