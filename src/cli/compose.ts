import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createActivation } from "../auth/activation.ts";
import { createAddressLimit } from "../auth/address-limit.ts";
import { createAuthenticate } from "../auth/authenticate.ts";
import { createClientAddress } from "../auth/client-address.ts";
import { createKnownCodes } from "../auth/known-codes.ts";
import { createUserCredentials } from "../auth/user-credentials.ts";
import { createUsers, createUsersFile } from "../auth/users.ts";
import { isLoopback } from "../config/exposure.ts";
import type { Config } from "../config/schema.ts";
import { parseInlineCredential } from "../credentials/credential.ts";
import { sentence } from "../credentials/describe.ts";
import { withApiKey } from "../credentials/environment.ts";
import { createJsonStore } from "../credentials/json-store.ts";
import { statesPath } from "../credentials/states-file.ts";
import type { StoreFault } from "../credentials/store.ts";
import { watchFiles } from "../credentials/watch.ts";
import type { GatewayDeps } from "../gateway/attempt.ts";
import { createCalibration } from "../gateway/calibration.ts";
import { createGateway } from "../gateway/complete.ts";
import { createDiscovery } from "../gateway/discovery.ts";
import { withOwnCredentials } from "../gateway/own-credentials.ts";
import { retryPolicy } from "../gateway/retry.ts";
import { withWebSearch } from "../gateway/web-search.ts";
import { createApp } from "../http/app.ts";
import { addressOf } from "../http/caller.ts";
import { createRemoteImages } from "../http/remote-images.ts";
import { createClient } from "../kiro/client.ts";
import { createManagement } from "../kiro/management.ts";
import { findListedModel, isKnownModel, listModels, resolveModel } from "../kiro/models.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { createMovedHosts } from "../kiro/moved-hosts.ts";
import { createSearchClient } from "../kiro/web-search.ts";
import { fail, ok, type Result } from "../result.ts";
import { lookupAddresses, type Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { chooseTransport } from "../transport/choose.ts";
import { createLedger } from "../usage/ledger.ts";
import { createLimits } from "../usage/limits.ts";
import { adminDeps } from "./admin.ts";
import { keep } from "./kept.ts";
import { loadWireProfiles } from "./wire-profiles.ts";
import { startRecorder } from "./recording.ts";
import { contextOf, loginSources } from "./settings.ts";

/** Heartbeats, and the longest that a streamed answer's head is held back for a real status. */
const HEARTBEAT_MS = 10_000;

/** How long what goes on beside the requests lets them go first. */
const AFTER_START_MS = 100;

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
  paths: {
    credentials: string;
    users: string;
    database: string;
    captures: string;
    profiles: string;
  };
  /** An API key of Kiro from the environment. */
  apiKey: string | undefined;
  /** Aborts when running answers have to end. */
  closing: AbortSignal;
  runtime: Runtime;
  log: Log;
}): Promise<Result<Composed, StoreFault>> {
  const { config, profile, runtime, log, paths } = deps;
  const context = contextOf(config, profile);
  const wire = await loadWireProfiles({
    folder: paths.profiles,
    standard: config.wireProfile,
    base: profile,
    runtime,
    log,
  });
  if (!wire.ok) return fail({ kind: "io", ...wire.failure });
  const sources = loginSources({ home: homedir(), platform: process.platform }, runtime);
  const file = createJsonStore({ path: paths.credentials, context, runtime, sources });
  const store = deps.apiKey === undefined ? file : withApiKey(file, deps.apiKey, context);
  const management = createManagement({ runtime, profile });
  const shared = { config, context, profile, management, runtime, log };
  const main = await keep({
    ...shared,
    store,
    paths: { credentials: paths.credentials, states: statesPath(paths.credentials) },
  });
  if (!main.ok) return main;
  const { pool, quota } = main.value;

  const usersFile = createUsersFile({ path: paths.users, runtime });
  const users = await createUsers({ file: usersFile, log });
  if (!users.ok) return users;
  const own = await keep({
    ...shared,
    store: createUserCredentials({ file: usersFile, context }),
    paths: {
      credentials: paths.users,
      states: besides(paths.users, "user-credential-states.json"),
    },
  });
  if (!own.ok) return own;
  users.value.onChange(async () => {
    // A store that can't be read is in the log.
    await own.value.pool.reload();
  });
  const known = await createKnownCodes({
    path: besides(paths.users, "known-activation-codes.json"),
    runtime,
    log,
  });

  const states = (): Record<string, number> => together(pool.states(), own.value.pool.states());
  const discovery = createDiscovery({ ...main.value, management, profile, runtime, log });
  const counter = createTokenCounter();
  const recorder = startRecorder(config.capture, { folder: paths.captures, runtime, log });
  const calls: GatewayDeps = {
    ...withOwnCredentials(main.value, own.value),
    client: createClient({ runtime, profile, transport: chooseTransport(runtime, process.env) }),
    profile: (name) => wire.value.apply(name, discovery.profile()),
    moved: createMovedHosts(runtime),
    policy: { ...retryPolicy, totalMs: config.limits.totalTimeoutMs },
    runtime,
    countText: (text) => counter.text(text),
    calibration: createCalibration(),
    leakedToolCalls: config.leakedToolCalls,
    ...(recorder && { record: recorder.take }),
  };
  const gateway = withWebSearch(createGateway(calls), {
    ...calls,
    searching: (search) =>
      createGateway({ ...calls, client: createSearchClient({ runtime, profile }, search) }),
  });
  const ledger = createLedger({
    path: paths.database,
    retentionDays: config.ledgerRetentionDays,
    runtime,
    log,
  });
  const metrics = createMetrics({
    credentials: states,
    load: () => pool.load(),
    ledger: ledger.status,
    knowsModel: (id) => isKnownModel(id, discovery.profile()),
    memory: () => process.memoryUsage.rss(),
  });
  let stopping = false;
  const failures = createAddressLimit(config.authFailuresPerMinute, runtime);
  const clientAddress = createClientAddress(config.trustProxy);
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
      credentials: states,
      ledger: ledger.status,
      stopping: () => stopping,
      metrics,
      metricsFor: (config.metricsOpen ?? isLoopback(config.host)) ? "everybody" : adminKey,
    },
    authenticate: createAuthenticate({
      ...(config.apiKey === undefined ? {} : { apiKey: config.apiKey }),
      allowClientCredentials: config.allowClientCredentials,
      users: users.value,
      ...(config.activationServerUrl !== undefined && {
        activation: createActivation({ url: config.activationServerUrl, known, runtime, log }),
      }),
      activationOutagePolicy: config.activationOutagePolicy,
      fallback: config.userQuotaFallback === "pool",
      failures,
      clientCredentials: createAddressLimit(config.clientCredentialsPerMinute, runtime),
      runtime,
      parseInline(json) {
        const credential = parseInlineCredential(json, context);
        return credential.ok ? credential : fail(sentence(credential.failure));
      },
    }),
    clientAddress,
    admin: adminDeps({
      config,
      profile,
      store,
      pool,
      quota,
      ledger,
      users: users.value,
      failed: (exchange) => failures.count(addressOf(exchange, clientAddress)),
      runtime,
      log,
    }),
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
  const reload = (): void => {
    void pool.reload();
    void users.value.reload();
  };
  return ok({
    fetch: (request, server) => app.fetch(request, { server }),
    credentials: Object.values(states()).reduce((sum, count) => sum + count, 0),
    stopping() {
      stopping = true;
    },
    async run(signal) {
      process.on("SIGHUP", reload);
      // A start is over with its first answer: to open the database would hold that up by 12 ms.
      await runtime.sleep(AFTER_START_MS, signal).catch(() => undefined);
      await ledger.open();
      const tasks = [
        ...main.value.tasks(signal),
        ...own.value.tasks(signal),
        watchFiles({ paths: [paths.users], reload: () => users.value.reload(), runtime }, signal),
        discovery.run(signal),
        wire.value.run(signal),
      ];
      await Promise.all(
        tasks.map(async (task) => {
          await task.catch((error: unknown) => log.error("bug", { detail: String(error) }));
        }),
      );
      process.off("SIGHUP", reload);
      await Promise.all([main.value.flush(), own.value.flush(), known.flush(), recorder?.flush()]);
      await ledger.close();
    },
  });
}

function besides(path: string, name: string): string {
  return join(dirname(path), name);
}

/** How many credentials are in each state, of the gateway's and the users' together. */
function together(...all: Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [state, count] of all.flatMap(Object.entries<number>)) {
    total[state] = (total[state] ?? 0) + count;
  }
  return total;
}
