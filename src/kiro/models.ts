import { BoundedMap } from "../bounded-map.ts";
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
 * known one up to it, at least the family's current model; where the accounts' own lists are known, one that they
 * offer. Any other id passes unchanged: the service decides.
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

/** Whether a name is that of a model we know, built in or offered. */
export function isKnownModel(name: string, profile: UpstreamProfile): boolean {
  return findRule(name, profile) !== undefined;
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

/** The public list: every model that has a public id, newest first, plain and with thinking; then what is offered. */
export function listModels(profile: UpstreamProfile): ListedModel[] {
  const always = profile.models
    .filter((rule) => rule.listedAs !== undefined)
    .toSorted((a, b) => (b.releasedOn ?? "").localeCompare(a.releasedOn ?? ""))
    .flatMap((rule) => [listed(rule, false), listed(rule, true)]);
  const offered = profile.models.filter((rule) => rule.listedAs === undefined && rule.offered);
  return [...always, ...offered.map((rule) => listed(rule, false))];
}

/** The list's entry for an id or for any name that resolves to a listed model. */
export function findListedModel(id: string, profile: UpstreamProfile): ListedModel | undefined {
  const rule = findRule(id, profile);
  return rule?.listedAs === undefined && rule?.offered !== true
    ? undefined
    : listed(rule, asksForThinking(unaliased(id, profile)));
}

/** A model as the service lists it for an account; tokens. */
export type OfferedModel = {
  id: string;
  displayName?: string;
  window?: number;
  maxOutput?: number;
};

/**
 * The profile with what the service offers added: models that we don't know become known, and the limits that it names
 * replace ours. Where accounts are told different limits, the highest counts. `auto` is a choice and not a model.
 */
export function withOffered(
  profile: UpstreamProfile,
  offered: readonly OfferedModel[],
): UpstreamProfile {
  const found = new Map<string, OfferedModel>();
  for (const model of offered) {
    const key = model.id.toLowerCase();
    if (key === "auto") continue;
    const {
      id,
      window = 0,
      maxOutput = 0,
      displayName = model.displayName,
    } = found.get(key) ?? model;
    found.set(key, {
      id,
      ...(displayName !== undefined && { displayName }),
      window: Math.max(window, model.window ?? 0),
      maxOutput: Math.max(maxOutput, model.maxOutput ?? 0),
    });
  }
  const merged = (rule: ModelRule, model: OfferedModel): ModelRule => ({
    ...rule,
    window: model.window || rule.window,
    maxOutput: model.maxOutput || rule.maxOutput,
    offered: true,
  });
  const known = profile.models.map((rule) => {
    const model = found.get(rule.id.toLowerCase());
    found.delete(rule.id.toLowerCase());
    return model === undefined ? rule : merged(rule, model);
  });
  const { windowDefault: window, maxOutputDefault: maxOutput } = profile;
  const added = [...found.values()].map((model) =>
    merged({ id: model.id, displayName: model.displayName ?? model.id, window, maxOutput }, model),
  );
  return { ...profile, models: [...known, ...added] };
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

const RULES_MAX = 200;
const NAME_LENGTH_MAX = 200;
/** What names have come to, by profile: every request asks some four times. */
const rules = new WeakMap<UpstreamProfile, BoundedMap<string, ModelRule | "none">>();

function findRule(requested: string, profile: UpstreamProfile): ModelRule | undefined {
  if (requested.length > NAME_LENGTH_MAX) return lookUpRule(requested, profile);
  let known = rules.get(profile);
  if (known === undefined) rules.set(profile, (known = new BoundedMap(RULES_MAX)));
  let rule = known.get(requested);
  if (rule === undefined) known.set(requested, (rule = lookUpRule(requested, profile) ?? "none"));
  return rule === "none" ? undefined : rule;
}

function lookUpRule(requested: string, profile: UpstreamProfile): ModelRule | undefined {
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
  const guess = guessByFamily(asked, profile);
  if (guess === undefined || guess.offered || versionOf(guess, asked.family) === asked.version) {
    return guess;
  }
  // The name leaves the choice to us, so it falls on what an account may use, where that is known.
  const offered = profile.models
    .filter((rule) => rule.offered && versionOf(rule, asked.family) !== undefined)
    .toSorted((a, b) => (versionOf(b, asked.family) ?? 0) - (versionOf(a, asked.family) ?? 0));
  const upTo = asked.version ?? Number.POSITIVE_INFINITY;
  return (
    offered.find((rule) => (versionOf(rule, asked.family) ?? 0) <= upTo) ?? offered[0] ?? guess
  );
}

type AskedFamily = { family: string; version?: number };

function guessByFamily(asked: AskedFamily, profile: UpstreamProfile): ModelRule | undefined {
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
function parseFamily(name: string): AskedFamily | undefined {
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
