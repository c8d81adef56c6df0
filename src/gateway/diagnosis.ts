import type { KiroFault } from "../kiro/failure.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import type { KiroRequest } from "../kiro/request.ts";
import { validate } from "../kiro/validate.ts";
import type { Log } from "../telemetry/log.ts";

const NAMED_MAX = 5;

/**
 * The service calls a request improperly formed and says no more. Names what is wrong with it, or what may be, in the
 * error; the log gets the rules alone, because a place holds names of the client's.
 */
export function diagnosed(
  fault: KiroFault,
  { body }: Pick<KiroRequest, "body">,
  profile: UpstreamProfile,
  log: Log,
): KiroFault {
  if (fault.kind !== "malformed") return fault;
  const violations = validate(body, profile);
  const rules = [...new Set(violations.map(({ rule }) => rule))];
  log.warn("improperly-formed", {
    rules: rules.join(",") || "none",
    certain: violations.filter(({ certain }) => certain).length,
  });
  if (violations.length === 0) return fault;
  const named = violations.slice(0, NAMED_MAX).map(({ path, problem }) => `${path} ${problem}`);
  const message = `${fault.failure.message} Suspects: ${named.join("; ")}.`;
  return { ...fault, failure: { ...fault.failure, message } };
}
