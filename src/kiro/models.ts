import type { ModelRule, UpstreamProfile } from "./profile.ts";

export type ResolvedModel = {
  /** What the service calls it, or the client's own word where that means nothing to us. */
  id: string;
  /** Tokens. */
  window: number;
  maxOutput: number;
  /** The name asks for thinking; it counts where the request itself says nothing. */
  thinkingByName: boolean;
  effort?: NonNullable<ModelRule["effort"]>;
};

/**
 * The upstream model that a client means. Case, vendor prefixes, dates, `-latest`, `-thinking`, `[1m]` and the inverted
 * order (`claude-4.5-opus-high`) do not matter. A version of a known family that is not known itself becomes the newest
 * known one up to it, at least the family's current model. Any other id passes unchanged: the service decides.
 */
export function resolveModel(requested: string, profile: UpstreamProfile): ResolvedModel {
  const rule = findRule(requested, profile);
  return {
    id: rule?.id ?? unaliased(requested, profile),
    window: rule?.window ?? profile.windowDefault,
    maxOutput: rule?.maxOutput ?? profile.maxOutputDefault,
    thinkingByName: asksForThinking(unaliased(requested, profile)),
    ...(rule?.effort !== undefined && { effort: rule.effort }),
  };
}

export type ListedModel = {
  id: string;
  displayName: string;
  /** ISO 8601. */
  createdAt: string;
  window: number;
  maxOutput: number;
  thinking: boolean;
};

/** The public list, newest first: every model that has a public id, plain and with thinking. */
export function listModels(profile: UpstreamProfile): ListedModel[] {
  return profile.models
    .filter((rule) => rule.listedAs !== undefined)
    .toSorted((a, b) => (b.releasedOn ?? "").localeCompare(a.releasedOn ?? ""))
    .flatMap((rule) => [listed(rule, false), listed(rule, true)]);
}

/** The list's entry for an id or for any name that resolves to a listed model. */
export function findListedModel(id: string, profile: UpstreamProfile): ListedModel | undefined {
  const rule = findRule(id, profile);
  return rule?.listedAs === undefined
    ? undefined
    : listed(rule, asksForThinking(unaliased(id, profile)));
}

function listed(rule: ModelRule, thinking: boolean): ListedModel {
  return {
    id: `${rule.listedAs ?? rule.id}${thinking ? "-thinking" : ""}`,
    displayName: `${rule.displayName}${thinking ? " (thinking)" : ""}`,
    createdAt: `${rule.releasedOn ?? "1970-01-01"}T00:00:00Z`,
    window: rule.window,
    maxOutput: rule.maxOutput,
    thinking,
  };
}

/** An alias counts once: what it stands for is not looked up again. */
function unaliased(name: string, { aliases }: UpstreamProfile): string {
  return (Object.hasOwn(aliases, name) ? aliases[name] : undefined) ?? name;
}

function asksForThinking(name: string): boolean {
  return name.toLowerCase().includes("thinking");
}

function findRule(requested: string, profile: UpstreamProfile): ModelRule | undefined {
  const name = unaliased(requested, profile).trim().toLowerCase();
  const plain = name
    // `bedrock/us.anthropic.claude-…-v1:0`, `anthropic/claude-…`, `claude-…@date`, `claude-…[1m]`
    .slice(name.lastIndexOf("/") + 1)
    .replace(/^(?:[\w-]+\.)*anthropic\./, "")
    .replace(/\[\d+m\]$/, "")
    .replace("-thinking", "");
  return byId(name, profile) ?? byId(plain, profile) ?? byFamily(plain, profile);
}

function byId(name: string, { models }: UpstreamProfile): ModelRule | undefined {
  return models.find((rule) => rule.id.toLowerCase() === name || rule.listedAs === name);
}

const FAMILY_FIRST =
  /^(claude[-_])?([a-z]+)(?:[-_](\d{1,2})(?:[-_.](\d{1,2}))?(?![\d.]))?(?=$|[-_@:[])/;
const VERSION_FIRST = /^claude[-_](\d{1,2})(?:[-_.](\d{1,2}))?[-_]([a-z]+)/;
const UPSTREAM_ID = /^claude-([a-z]+)-(\d+)(?:\.(\d+))?$/;

function byFamily(name: string, profile: UpstreamProfile): ModelRule | undefined {
  const asked = parseFamily(name);
  if (asked === undefined) return undefined;
  const currentId = Object.hasOwn(profile.currentModels, asked.family)
    ? profile.currentModels[asked.family]
    : undefined;
  const current = profile.models.find((rule) => rule.id === currentId);
  if (current === undefined || asked.version === undefined) return current;

  const currentVersion = versionOf(current, asked.family) ?? 0;
  let best = current;
  let bestVersion = 0;
  for (const rule of profile.models) {
    const version = versionOf(rule, asked.family);
    if (version === undefined || version > asked.version || version < bestVersion) continue;
    // What is older than the current model and not public is reached by its exact id only.
    if (version < currentVersion && !(version === asked.version && rule.listedAs !== undefined)) {
      continue;
    }
    best = rule;
    bestVersion = version;
  }
  return best;
}

/** Versions compare as numbers: 4.5 is 405. */
function parseFamily(name: string): { family: string; version?: number } | undefined {
  const inverted = VERSION_FIRST.exec(name);
  if (inverted !== null) {
    const [, major = "", minor, family = ""] = inverted;
    return { family, version: versionNumber(major, minor) };
  }
  const match = FAMILY_FIRST.exec(name);
  if (match === null) return undefined;
  const [whole, claude, family = "", major, minor] = match;
  // A bare family name (`opus`, `sonnet-4.5`) must be all there is: `opus-mt-en` is somebody else's model.
  if (claude === undefined && whole !== name) return undefined;
  return major === undefined ? { family } : { family, version: versionNumber(major, minor) };
}

function versionOf(rule: ModelRule, family: string): number | undefined {
  const match = UPSTREAM_ID.exec(rule.id);
  if (match === null || match[1] !== family) return undefined;
  return versionNumber(match[2] ?? "", match[3]);
}

function versionNumber(major: string, minor: string | undefined): number {
  return Number(major) * 100 + Number(minor ?? 0);
}
