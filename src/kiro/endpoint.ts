import type { Access } from "./client.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type HttpCall = { url: string; headers: Record<string, string> };

export type CallNumbers = { attempt: number; maxAttempts: number; invocationId: string };

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
  { hosts, versions }: UpstreamProfile,
  { access, region, path }: { access: Access; region: string; path: string },
  templates: Record<string, string>,
  numbers: CallNumbers,
): HttpCall {
  const values = { ...versions, ...numbers, region, machineId: access.machineId };
  const headers: Record<string, string> = {
    authorization: `Bearer ${access.token.reveal()}`,
  };
  for (const [name, template] of Object.entries(templates)) headers[name] = fill(template, values);
  if (access.tokenType !== undefined) headers["tokentype"] = access.tokenType;
  return { url: fill(hosts.api, values) + path, headers };
}

/** The body of one attempt: the shared JSON text with this credential's ARN at its root. */
export function withProfileArn(body: string, profileArn: string | undefined): string {
  if (profileArn === undefined) return body;
  return `{"profileArn":${JSON.stringify(profileArn)},${body.slice(1)}`;
}
