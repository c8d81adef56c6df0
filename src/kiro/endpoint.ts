import type { Access } from "./client.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type HttpCall = { url: string; headers: Record<string, string> };

export type CallNumbers = {
  attempt: number;
  maxAttempts: number;
  invocationId: string;
  /** The host to ask, a template; the profile's own unless told. */
  host?: string | undefined;
};

/** Where and with which headers `generateAssistantResponse` is called. `attempt` counts from 1. */
export function chatCall(profile: UpstreamProfile, access: Access, numbers: CallNumbers): HttpCall {
  const { paths, headers } = profile;
  return call(
    profile,
    { access, region: access.apiRegion, path: paths.chat },
    headers.chat,
    numbers,
  );
}

/** A call of one of the service's own tools. It takes an ARN, but not the one that only fills a gap in a chat. */
export function mcpCall(profile: UpstreamProfile, access: Access, numbers: CallNumbers): HttpCall {
  const { paths, headers, profileArns } = profile;
  const { profileArn, apiRegion: region } = access;
  const arn =
    profileArn === undefined || profileArn === profileArns.builderId
      ? undefined
      : { "x-amzn-kiro-profile-arn": profileArn };
  return call(profile, { access, region, path: paths.mcp }, { ...headers.mcp, ...arn }, numbers);
}

/**
 * A call about an account. It lives in few regions, so `region` is the caller's choice, and never has a profile ARN,
 * not even the right one.
 */
export function managementCall(
  profile: UpstreamProfile,
  target: { access: Access; region: string; path: string },
  invocationId: string,
): HttpCall {
  const { management, profiles } = profile.headers;
  const headers =
    target.path === profile.paths.profiles ? { ...management, ...profiles } : management;
  return call(profile, target, headers, { attempt: 1, maxAttempts: 1, invocationId });
}

function call(
  profile: UpstreamProfile,
  { access, region, path }: { access: Access; region: string; path: string },
  templates: Record<string, string>,
  { host = profile.hosts.api, ...numbers }: CallNumbers,
): HttpCall {
  const fixed = fixedFor(access, region, profile.versions, templates);
  const headers: Record<string, string> = {
    authorization: `Bearer ${access.token.reveal()}`,
    ...fixed.headers,
  };
  for (const name of fixed.varying) headers[name] = fill(headers[name] ?? "", numbers);
  if (access.tokenType !== undefined) headers["tokentype"] = access.tokenType;
  return { url: fill(host, { region }) + path, headers };
}

type Fixed = {
  region: string;
  versions: UpstreamProfile["versions"];
  templates: Record<string, string>;
  headers: Record<string, string>;
  /** Names of those with something in them that each call says anew. */
  varying: string[];
};

/** Filling all templates takes 2.8 µs a call, with what came of it at hand 1.1. */
const fixedByAccess = new WeakMap<Access, Fixed>();

function fixedFor(
  access: Access,
  region: string,
  versions: UpstreamProfile["versions"],
  templates: Record<string, string>,
): Fixed {
  const known = fixedByAccess.get(access);
  if (known?.region === region && known.versions === versions && known.templates === templates) {
    return known;
  }
  const values = { ...versions, region, machineId: access.machineId };
  const headers: Record<string, string> = {};
  for (const [name, template] of Object.entries(templates)) headers[name] = fill(template, values);
  const varying = Object.keys(headers).filter((name) => headers[name]?.includes("{"));
  const fixed = { region, versions, templates, headers, varying };
  fixedByAccess.set(access, fixed);
  return fixed;
}

/** The body of one attempt: the shared JSON text with this credential's ARN at its root. */
export function withProfileArn(body: string, profileArn: string | undefined): string {
  if (profileArn === undefined) return body;
  return `{"profileArn":${JSON.stringify(profileArn)},${body.slice(1)}`;
}
