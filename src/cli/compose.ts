import { homedir } from "node:os";
import { createAuthenticate } from "../auth/authenticate.ts";
import { isLoopback } from "../config/exposure.ts";
import type { Config } from "../config/schema.ts";
import { parseInlineCredential } from "../credentials/credential.ts";
import { sentence } from "../credentials/describe.ts";
import { withApiKey } from "../credentials/environment.ts";
import { createJournal } from "../credentials/journal.ts";
import { createJsonStore } from "../credentials/json-store.ts";
import { createPool } from "../credentials/pool.ts";
import { renewInBackground } from "../credentials/renewal.ts";
import { createStatesFile, statesPath } from "../credentials/states-file.ts";
import type { StoreFault } from "../credentials/store.ts";
import { createTokens } from "../credentials/tokens.ts";
import { watchFiles } from "../credentials/watch.ts";
import type { GatewayDeps } from "../gateway/attempt.ts";
import { createGateway } from "../gateway/complete.ts";
import { createDiscovery } from "../gateway/discovery.ts";
import { withProfiles } from "../gateway/profiles.ts";
import { createQuota, type QuotaService } from "../gateway/quota.ts";
import { retryPolicy } from "../gateway/retry.ts";
import { withWebSearch } from "../gateway/web-search.ts";
import { createApp } from "../http/app.ts";
import { createRemoteImages } from "../http/remote-images.ts";
import { createClient } from "../kiro/client.ts";
import { createManagement } from "../kiro/management.ts";
import { findListedModel, isKnownModel, listModels, resolveModel } from "../kiro/models.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { createSearchClient } from "../kiro/web-search.ts";
import { fail, ok, type Result } from "../result.ts";
import { lookupAddresses, type Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { createLedger } from "../usage/ledger.ts";
import { createLimits } from "../usage/limits.ts";
import { adminDeps } from "./admin.ts";
import { contextOf, loginSources } from "./settings.ts";

/** Heartbeats, and the longest that a streamed answer's head is held back for a real status. */
const HEARTBEAT_MS = 10_000;

export type Composed = {
  fetch: (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>;
  credentials: number;
  /** To be called when the server stops to take requests: it is not ready any more. */
  stopping: () => void;
  /** What goes on beside the requests, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

/** Puts the parts together. Nothing outside this function knows all of them. */
export async function compose(deps: {
  config: Config;
  profile: UpstreamProfile;
  credentialsPath: string;
  databasePath: string;
  /** An API key of Kiro from the environment. */
  apiKey: string | undefined;
  /** Aborts when running answers have to end. */
  closing: AbortSignal;
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
  const ledger = createLedger({
    path: deps.databasePath,
    retentionDays: config.ledgerRetentionDays,
    runtime,
    log,
  });
  const metrics = createMetrics({
    credentials: () => pool.value.states(),
    load: () => pool.value.load(),
    ledger: ledger.status,
    knowsModel: (id) => isKnownModel(id, discovery.profile()),
    memory: () => process.memoryUsage.rss(),
  });
  let stopping = false;
  const adminKey = config.adminApiKey ?? config.apiKey;
  const app = createApp({
    gateway,
    counter,
    runtime,
    log,
    ledger,
    metrics,
    limits: createLimits({
      defaults: config.userLimits,
      ledger,
      runtime,
      modelId: (name) => resolveModel(name, discovery.profile()).id,
    }),
    health: {
      credentials: () => pool.value.states(),
      ledger: ledger.status,
      stopping: () => stopping,
      metrics,
      metricsFor: (config.metricsOpen ?? isLoopback(config.host)) ? "everybody" : adminKey,
    },
    authenticate: createAuthenticate({
      ...(config.apiKey === undefined ? {} : { apiKey: config.apiKey }),
      allowClientCredentials: config.allowClientCredentials,
      parseInline(json) {
        const credential = parseInlineCredential(json, context);
        return credential.ok ? credential : fail(sentence(credential.failure));
      },
    }),
    admin: adminDeps({ config, profile, store, pool: pool.value, quota, ledger, runtime, log }),
    models: {
      list: () => listModels(discovery.profile()),
      find: (id) => findListedModel(id, discovery.profile()),
    },
    corsOrigins: config.corsOrigins,
    keyless: config.apiKey === undefined,
    body: { maxBytes: config.maxBodyBytes, withinMs: config.limits.bodyTimeoutMs },
    headWithinMs: HEARTBEAT_MS,
    heartbeatMs: HEARTBEAT_MS,
    closing: deps.closing,
    stalledMs: config.limits.stalledTimeoutMs,
    ...(config.remoteImages && {
      remoteImages: createRemoteImages({ runtime, lookup: lookupAddresses }),
    }),
  });
  const credentials = Object.values(pool.value.states()).reduce((sum, count) => sum + count, 0);
  return ok({
    fetch: (request, server) => app.fetch(request, { server }),
    credentials,
    stopping() {
      stopping = true;
    },
    async run(signal) {
      await ledger.open();
      const reload = (): void => void pool.value.reload();
      process.on("SIGHUP", reload);
      const paths = [deps.credentialsPath, statesPath(deps.credentialsPath)];
      const tasks = [
        watchFiles({ paths, reload: () => pool.value.reload(), runtime }, signal),
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
      await ledger.close();
    },
  });
}
