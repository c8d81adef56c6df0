import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { checkExposure } from "../config/exposure.ts";
import { type ConfigFlags, describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { describeStoreFault } from "../credentials/describe.ts";
import { watchFiles } from "../credentials/watch.ts";
import { type DemoUpstream, startDemoUpstream } from "../demo/upstream.ts";
import type { Runtime } from "../runtime.ts";
import { createLog } from "../telemetry/log.ts";
import { version } from "../version.ts";
import { compose } from "./compose.ts";
import { withServiceCredentials } from "./environment.ts";
import { firstSteps } from "./first-steps.ts";
import { listen, type Listener } from "./listener.ts";
import { createServiceManager } from "./service-manager.ts";
import { profileOf } from "./settings.ts";
import { shutdown } from "./shutdown.ts";
import { isStderrTerminal, writeToStderr } from "./stderr.ts";
import { takeOver } from "./takeover.ts";

export type ServeOptions = { flags: ConfigFlags; demo: boolean };

/** For clients with open connections to hear that these close, and for new ones to find the process that takes over. */
const LINGER_MS = 2_000;

/** Runs the server until a signal ends it. Gives the exit code: 0 after a shutdown, 1 where it could not start. */
export async function serve(options: ServeOptions, runtime: Runtime): Promise<number> {
  const env = await withServiceCredentials(process.env);
  const loaded = await loadConfig({
    flags: options.flags,
    env,
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
    format: config.logFormat ?? (isStderrTerminal() ? "text" : "json"),
    write: writeToStderr,
    now: () => runtime.now(),
  });
  for (const warning of [...warnings, ...exposure.value]) log.warn("configuration", { warning });

  const closing = new AbortController();
  const manager = createServiceManager({ env, runtime, log });
  const demo = options.demo ? await startDemo() : undefined;
  try {
    const credentialsPath = demo?.credentialsPath ?? loaded.value.credentialsPath;
    const profile = profileOf(config, demo?.upstream.url);
    const app = await compose({
      config,
      profile,
      paths: {
        credentials: credentialsPath,
        users: demo?.usersPath ?? config.userCredentialsPath,
        database: demo?.databasePath ?? config.databasePath,
        captures: config.capturePath,
        profiles: config.profilesPath,
      },
      apiKey: demo === undefined ? env["KIRO_API_KEY"] || undefined : undefined,
      closing: closing.signal,
      runtime,
      log,
    });
    if (!app.ok) {
      console.error(`Refusing to start: ${describeStoreFault(app.failure)}`);
      return 1;
    }
    const listening = await listen(config, app.value.fetch, log);
    if (!listening.ok) {
      console.error(listening.failure);
      return 1;
    }
    const listener = listening.value;
    const { origin } = listener.url;
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
    if (config.reusePort) await takeOver(Number(listener.url.port), log);
    manager.ready();
    const background = new AbortController();
    const running = Promise.all([
      app.value.run(background.signal),
      watchCertificate(config, listener, runtime, background.signal),
      manager.run(background.signal),
    ]);
    await shutdown({
      listener,
      stopping() {
        manager.stopping();
        app.value.stopping();
      },
      cutOff: () => closing.abort(),
      lingerMs: config.reusePort ? LINGER_MS : 0,
      graceMs: config.shutdownGraceMs,
      runtime,
      log,
    });
    background.abort();
    await running;
    return 0;
  } finally {
    await demo?.stop();
  }
}

async function watchCertificate(
  { tls }: Pick<Config, "tls">,
  listener: Listener,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<void> {
  if (tls === undefined) return;
  const reload = async (): Promise<void> => await listener.renew();
  await watchFiles({ paths: [tls.cert, tls.key], reload, runtime }, signal);
}

type Demo = {
  upstream: DemoUpstream;
  credentialsPath: string;
  usersPath: string;
  databasePath: string;
  stop(): Promise<void>;
};

async function startDemo(): Promise<Demo> {
  const upstream = startDemoUpstream();
  const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-demo-"));
  const credentialsPath = join(folder, "credentials.json");
  await writeFile(credentialsPath, JSON.stringify(upstream.credentials), { mode: 0o600 });
  return {
    upstream,
    credentialsPath,
    usersPath: join(folder, "user_credentials.json"),
    databasePath: join(folder, "kiro-proxy.db"),
    async stop() {
      upstream.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
