import type { ConfigFlags, LoadedConfig, LoadInput } from "../config/load.ts";
import { describeProblem, loadConfig, readTextFile } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { createCliSource } from "../credentials/cli-source.ts";
import type { CredentialContext } from "../credentials/credential.ts";
import { withApiKey } from "../credentials/environment.ts";
import { diskFiles } from "../credentials/files.ts";
import { createIdeSource } from "../credentials/ide-source.ts";
import { createJsonStore } from "../credentials/json-store.ts";
import type { LoginSources } from "../credentials/login-source.ts";
import type { CredentialStore } from "../credentials/store.ts";
import { defaultProfile } from "../kiro/default-profile.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";

/** Where a command runs. */
export type Surroundings = Pick<LoadInput, "env" | "home" | "platform">;

/** What every command that touches credentials needs. */
export type Settings = {
  config: Config;
  profile: UpstreamProfile;
  context: CredentialContext;
  credentialsPath: string;
  sources: LoginSources;
  store: CredentialStore;
};

/** Reads the configuration. Fails with lines for people. */
export async function readConfig(
  flags: ConfigFlags,
  { env, home, platform }: Surroundings,
): Promise<Result<LoadedConfig, string[]>> {
  const loaded = await loadConfig({ flags, env, home, platform, readFile: readTextFile });
  if (loaded.ok) return loaded;
  const problems = loaded.failure.map((problem) => `  ${describeProblem(problem)}`);
  return fail(["The configuration can't be used:", ...problems]);
}

/** Reads the configuration and opens the store. Fails with lines for people. */
export async function loadSettings(
  flags: ConfigFlags,
  { env, home, platform }: Surroundings,
  runtime: Runtime,
): Promise<Result<Settings, string[]>> {
  const loaded = await readConfig(flags, { env, home, platform });
  if (!loaded.ok) return loaded;
  const { config, credentialsPath } = loaded.value;
  const profile = profileOf(config);
  const context = contextOf(config, profile);
  const sources = loginSources({ home, platform }, runtime);
  const file = createJsonStore({ path: credentialsPath, context, runtime, sources });
  const apiKey = env["KIRO_API_KEY"] || undefined;
  const store = apiKey === undefined ? file : withApiKey(file, apiKey, context);
  return ok({ config, profile, context, credentialsPath, sources, store });
}

/** The built-in profile with what the configuration says otherwise. `apiUrl` wins over both. */
export function profileOf(config: Config, apiUrl?: string): UpstreamProfile {
  const { upstream, limits } = config;
  const { hosts, versions } = defaultProfile;
  return {
    ...defaultProfile,
    defaultRegion: config.regions[0] ?? defaultProfile.defaultRegion,
    hosts: {
      api: apiUrl ?? upstream.apiUrl ?? hosts.api,
      apiFallbacks: hosts.apiFallbacks,
      oidc: upstream.oidcUrl ?? hosts.oidc,
      social: upstream.authUrl ?? hosts.social,
      portal: upstream.portalUrl ?? hosts.portal,
    },
    versions: {
      ...versions,
      kiro: config.kiroVersion ?? versions.kiro,
      system: config.systemVersion ?? versions.system,
      // The Go build's configuration files write it as `node --version` does.
      node: config.nodeVersion?.replace(/^v/, "") ?? versions.node,
    },
    aliases: config.modelAliases,
    attributionLine: config.attributionLine,
    cachePoints: config.cachePoints,
    limits: {
      headersMs: limits.headersTimeoutMs,
      firstEventMs: limits.firstEventTimeoutMs,
      idleMs: limits.idleTimeoutMs,
      totalMs: limits.totalTimeoutMs,
    },
  };
}

export function contextOf(config: Config, profile: UpstreamProfile): CredentialContext {
  return {
    defaultRegion: profile.defaultRegion,
    regions: [...profile.apiRegions, ...config.regions],
    proxyUrl: config.proxyUrl,
    profileArns: profile.profileArns,
  };
}

/** The other programs whose log-in can be used where it is. */
export function loginSources(
  { home, platform }: Pick<Surroundings, "home" | "platform">,
  runtime: Pick<Runtime, "randomUUID">,
): LoginSources {
  return {
    "kiro-ide": createIdeSource({ home, files: diskFiles, runtime }),
    "kiro-cli": createCliSource({ home, platform }),
  };
}
