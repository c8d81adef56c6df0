import type { Runtime } from "../runtime.ts";
import type { KiroFault } from "./failure.ts";
import type { UpstreamProfile } from "./profile.ts";

/** How long a host that answered in the place of another is asked first. */
const REMEMBERED_MS = 30 * 60_000;
const REMEMBERED_MAX = 1_000;

/** Which of a profile's hosts serves a credential. Hosts are templates, as in the profile. */
export type MovedHosts = {
  /** The hosts to ask, the best first. */
  order(credential: string, profile: UpstreamProfile): string[];
  /** It has answered; `isFirst` where it is the profile's own first host. */
  answered(credential: string, host: string, isFirst: boolean): void;
};

export function createMovedHosts(runtime: Pick<Runtime, "now">): MovedHosts {
  const known = new Map<string, { host: string; until: number }>();
  return {
    order(credential, { hosts }) {
      const all = [hosts.api, ...hosts.apiFallbacks];
      const found = known.get(credential);
      if (found === undefined || found.until <= runtime.now() || !all.includes(found.host)) {
        return all;
      }
      return [found.host, ...all.filter((host) => host !== found.host)];
    },
    answered(credential, host, isFirst) {
      const found = known.get(credential);
      if (isFirst) known.delete(credential);
      // Not with every answer anew: the first host is to be asked again now and then.
      if (isFirst || (found?.host === host && found.until > runtime.now())) return;
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(credential, { host, until: runtime.now() + REMEMBERED_MS });
    },
  };
}

/**
 * Whether an answer is one of a host that does not serve the account any more: it knows neither the path nor, after a
 * renewal, the token. A refusal that says why is the service's decision, and another host is not asked to overrule it.
 */
export function mayHaveMoved(fault: KiroFault, refreshed: boolean): boolean {
  if (fault.kind === "token-refused") {
    return refreshed && (fault.status === 401 || fault.status === 403);
  }
  return fault.kind === "rejected" && fault.status === 404;
}
