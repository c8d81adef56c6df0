import type { Access } from "./client.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type HttpCall = { url: string; headers: Record<string, string> };

/** `headers` are the same object as long as access, host and profile are, `own` are those of this call alone; no name is in both. */
export type ChatCall = HttpCall & { own: Record<string, string> };

export type CallNumbers = {
  attempt: number;
  maxAttempts: number;
  invocationId: string;
  /** The host to ask, a template; the profile's own unless told. */
  host?: string | undefined;
};

/** Where and with which headers `generateAssistantResponse` is called. `attempt` counts from 1. */
export function chatCall(profile: UpstreamProfile, access: Access, numbers: CallNumbers): ChatCall {
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
  const templates = { ...headers.mcp, ...arn };
  return merged(call(profile, { access, region, path: paths.mcp }, templates, numbers));
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
  return merged(call(profile, target, headers, { attempt: 1, maxAttempts: 1, invocationId }));
}

function merged({ url, headers, own }: ChatCall): HttpCall {
  return { url, headers: { ...headers, ...own } };
}

function call(
  profile: UpstreamProfile,
  { access, region, path }: { access: Access; region: string; path: string },
  templates: Record<string, string>,
  { host = profile.hosts.api, ...numbers }: CallNumbers,
): ChatCall {
  const { url, headers, varying } = fixedFor(access, region, host, profile.versions, templates);
  const own: Record<string, string> = {};
  for (const name in varying) own[name] = fill(varying[name] ?? "", numbers);
  return { url: url + path, headers, own };
}

type Fixed = {
  region: string;
  host: string;
  versions: UpstreamProfile["versions"];
  templates: Record<string, string>;
  url: string;
  headers: Record<string, string>;
  /** Templates with something in them that each call says anew. */
  varying: Record<string, string>;
};

/** Filling all templates takes 2.8 µs a call, with what came of it at hand 0.4. */
const fixedByAccess = new WeakMap<Access, Fixed>();

function fixedFor(
  access: Access,
  region: string,
  host: string,
  versions: UpstreamProfile["versions"],
  templates: Record<string, string>,
): Fixed {
  const known = fixedByAccess.get(access);
  if (
    known?.region === region &&
    known.host === host &&
    known.versions === versions &&
    known.templates === templates
  ) {
    return known;
  }
  const values = { ...versions, region, machineId: access.machineId };
  const headers: Record<string, string> = { authorization: `Bearer ${access.token.reveal()}` };
  const varying: Record<string, string> = {};
  for (const [name, template] of Object.entries(templates)) {
    const value = fill(template, values);
    if (value.includes("{")) varying[name] = value;
    else headers[name] = value;
  }
  if (access.tokenType !== undefined) {
    headers["tokentype"] = access.tokenType;
    delete varying["tokentype"];
  }
  const url = fill(host, { region });
  const fixed = { region, host, versions, templates, url, headers, varying };
  fixedByAccess.set(access, fixed);
  return fixed;
}

/** The body of one attempt: the shared JSON text with this credential's ARN at its root. */
export function withProfileArn(body: string, profileArn: string | undefined): string {
  if (profileArn === undefined) return body;
  return `{"profileArn":${JSON.stringify(profileArn)},${body.slice(1)}`;
}
