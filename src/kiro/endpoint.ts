import type { Access } from "./client.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type HttpCall = { url: string; headers: Record<string, string> };

/** Where and with which headers `generateAssistantResponse` is called. `attempt` counts from 1. */
export function chatCall(
  profile: UpstreamProfile,
  access: Access,
  call: { attempt: number; maxAttempts: number; invocationId: string },
): HttpCall {
  const { versions } = profile;
  const values: Record<string, string> = {
    region: access.apiRegion,
    sdk: versions.sdk,
    kiro: versions.kiro,
    system: versions.system,
    node: versions.node,
    machineId: access.machineId,
    invocationId: call.invocationId,
    attempt: String(call.attempt),
    maxAttempts: String(call.maxAttempts),
  };
  const headers: Record<string, string> = {
    authorization: `Bearer ${access.token.reveal()}`,
  };
  for (const [name, template] of Object.entries(profile.headers.chat)) {
    headers[name] = fill(template, values);
  }
  if (access.tokenType !== undefined) headers["tokentype"] = access.tokenType;
  return { url: fill(profile.hosts.api, values) + profile.paths.chat, headers };
}

/** The body of one attempt: the shared JSON text with this credential's ARN at its root. */
export function withProfileArn(body: string, profileArn: string | undefined): string {
  if (profileArn === undefined) return body;
  return `{"profileArn":${JSON.stringify(profileArn)},${body.slice(1)}`;
}
