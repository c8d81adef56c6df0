import type { KiroFault } from "../kiro/failure.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { validate, type Violation } from "../kiro/validate.ts";
import type { Log } from "../telemetry/log.ts";
import type { Rendered } from "./attempt.ts";

const NAMED_MAX = 5;

/** What may be wrong with a request that the service calls improperly formed, of which it says no more. */
export type Diagnosis = {
  /** For the log of each such answer: the rules alone, because a place holds names of the client's. */
  log(log: Log): void;
  /** The fault with the suspects in what the client reads. */
  fault: KiroFault;
};

/** Undefined for any other fault. */
export function diagnose(
  fault: KiroFault,
  { kiro, body }: Pick<Rendered, "kiro" | "body">,
  profile: UpstreamProfile,
): Diagnosis | undefined {
  if (fault.kind !== "malformed") return undefined;
  const violations = validate(kiro.body, profile);
  const { history = [], currentMessage } = kiro.body.conversationState;
  const messages = history.length + 1;
  const tools = currentMessage.userInputMessage.userInputMessageContext?.tools?.length ?? 0;
  const shape = `${messages} messages, ${tools} tools, ${Math.ceil(body.length / 1024)} KB`;
  const message = `${fault.failure.message} ${suspectsIn(violations)} (${shape}.)`;
  return {
    log(log) {
      log.warn("improperly-formed", {
        rules: [...new Set(violations.map(({ rule }) => rule))].join(",") || "none",
        certain: violations.filter(({ certain }) => certain).length,
        messages,
        tools,
        bytes: body.length,
      });
    },
    fault: { ...fault, failure: { ...fault.failure, message } },
  };
}

function suspectsIn(violations: Violation[]): string {
  if (violations.length === 0) return "It breaks no rule that is known.";
  const named = violations.slice(0, NAMED_MAX).map(({ path, problem }) => `${path} ${problem}`);
  return `Suspects: ${named.join("; ")}.`;
}
