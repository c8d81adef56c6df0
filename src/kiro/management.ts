import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Access } from "./client.ts";
import { managementCall } from "./endpoint.ts";
import { type Fields, isFields } from "./events.ts";
import type { KiroFault } from "./failure.ts";
import { callJson, UNREADABLE } from "./json-call.ts";
import type { OfferedModel } from "./models.ts";
import type { UpstreamProfile } from "./profile.ts";
import { type Quota, quotaOf } from "./quota.ts";

/** One attempt, no retry; the signal ends it. */
type Question<T> = (
  access: Access,
  region: string,
  signal?: AbortSignal,
) => Promise<Result<T, KiroFault>>;

/** What the service says of an account. */
export type Management = {
  /** The region is where the account signs in; it decides which of those that may know the account is asked first. */
  usageLimits: Question<Quota>;
  /** Every model that the account's plan offers; the region as above. */
  models: Question<OfferedModel[]>;
  /** The ARNs of the account's profiles in this region. None is an answer as well. */
  profiles: Question<string[]>;
};

/** A whole call may take this long. */
const LIMIT_MS = 10_000;
/** A list with more pages than this has no end. */
const PAGES_MAX = 10;

export function createManagement(deps: { runtime: Runtime; profile: UpstreamProfile }): Management {
  const { runtime, profile } = deps;
  const { paths } = profile;

  const call = async (
    target: { access: Access; region: string; path: string; body?: string },
    signal: AbortSignal | undefined,
  ): Promise<Result<Fields, KiroFault>> => {
    const { access, body } = target;
    return await callJson(runtime, {
      ...managementCall(profile, target, runtime.randomUUID()),
      ...(body === undefined ? {} : { body }),
      access,
      limitMs: LIMIT_MS,
      context: { window: 0, estimatedTokens: 0, now: runtime.now() },
      signal,
    });
  };

  /** An account is known in one of the regions; the others refuse its token. */
  const inEitherRegion = async (
    target: { access: Access; path: string },
    authRegion: string,
    signal: AbortSignal | undefined,
  ): Promise<Result<Fields, KiroFault>> => {
    let answer: Result<Fields, KiroFault> = fail(UNREADABLE);
    for (const region of managementRegions(authRegion, profile)) {
      answer = await call({ ...target, region }, signal);
      const elsewhere = !answer.ok && ["token-refused", "forbidden"].includes(answer.failure.kind);
      if (!elsewhere) break;
    }
    return answer;
  };

  return {
    async usageLimits(access, authRegion, signal) {
      const reply = await inEitherRegion({ access, path: paths.usageLimits }, authRegion, signal);
      if (!reply.ok) return reply;
      const quota = quotaOf(reply.value, runtime.now());
      return quota === undefined ? fail(UNREADABLE) : ok(quota);
    },
    async models(access, authRegion, signal) {
      const models: OfferedModel[] = [];
      let path = paths.models;
      for (let page = 0; page < PAGES_MAX; page++) {
        const reply = await inEitherRegion({ access, path }, authRegion, signal);
        if (!reply.ok) return reply;
        const { models: listed, nextToken } = reply.value;
        models.push(...(Array.isArray(listed) ? listed : []).flatMap(modelOf));
        if (typeof nextToken !== "string" || nextToken === "") return ok(models);
        path = `${paths.models}&nextToken=${encodeURIComponent(nextToken)}`;
      }
      // A list that was not read to its end would make models look as if the plan did not have them.
      return fail(UNREADABLE);
    },
    async profiles(access, region, signal) {
      const body = JSON.stringify({ maxResults: 10 });
      const reply = await call({ access, region, path: paths.profiles, body }, signal);
      if (!reply.ok) return reply;
      const { profiles } = reply.value;
      if (!Array.isArray(profiles)) return fail(UNREADABLE);
      return ok(profiles.flatMap((entry) => (isFields(entry) ? arnOf(entry["arn"]) : [])));
    },
  };
}

/** The regions that answer calls about accounts, those nearest to where the account signs in first. */
export function managementRegions(
  authRegion: string,
  { apiRegions }: Pick<UpstreamProfile, "apiRegions">,
): string[] {
  const near = (region: string): boolean =>
    region.startsWith("eu-") === authRegion.startsWith("eu-");
  return [...apiRegions.filter(near), ...apiRegions.filter((region) => !near(region))];
}

function modelOf(entry: unknown): OfferedModel[] {
  if (!isFields(entry)) return [];
  const { modelId, modelName, tokenLimits } = entry;
  if (!isName(modelId)) return [];
  const limits = isFields(tokenLimits) ? tokenLimits : {};
  const window = tokensOf(limits["maxInputTokens"]);
  const maxOutput = tokensOf(limits["maxOutputTokens"]);
  return [
    {
      id: modelId,
      ...(isName(modelName) && { displayName: modelName }),
      ...(window !== undefined && { window }),
      ...(maxOutput !== undefined && { maxOutput }),
    },
  ];
}

/** Names go into answers to clients and into the log. */
function isName(value: unknown): value is string {
  return typeof value === "string" && /^[^\p{C}]{1,256}$/u.test(value) && value.trim() !== "";
}

function tokensOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
}

// It goes into the body of requests and into the credentials file.
function arnOf(value: unknown): string[] {
  return typeof value === "string" && /^arn:[\x21-\x7e]{1,500}$/.test(value.trim())
    ? [value.trim()]
    : [];
}
