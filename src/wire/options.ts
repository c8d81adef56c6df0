import type { Effort, Json, JsonObject, ReasoningRequest } from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf } from "./json.ts";
import type { RequestHeaders } from "./wire.ts";

const EFFORTS: Effort[] = ["low", "medium", "high", "xhigh", "max"];

/** Undefined for what is no effort, with a notice where there is something. */
export function readEffort(value: Json | undefined, findings: Findings): Effort | undefined {
  const effort = EFFORTS.find((known) => known === value);
  if (effort === undefined && isPresent(value)) findings.notice("ignored-effort", value);
  return effort;
}

/** Anthropic's `thinking`. A budget that does not fit below `maxTokens` is clamped. */
export function readThinking(
  thinking: Json | undefined,
  effort: Effort | undefined,
  maxTokens: number | undefined,
  findings: Findings,
): ReasoningRequest {
  const wanted = effort === undefined ? {} : { effort };
  if (!isObject(thinking)) {
    if (isPresent(thinking)) findings.notice("ignored-thinking");
    return { type: "unset", ...wanted };
  }
  const { type, budget_tokens: budget } = thinking;
  switch (stringOf(type)) {
    case "disabled":
      return { type: "off" };
    case "between_tools":
      findings.notice("ignored-thinking", type);
      return { type: "off" };
    case "adaptive":
      return { type: "adaptive", ...wanted };
    case "enabled": {
      if (typeof budget !== "number") {
        findings.notice("thinking-without-budget");
        return { type: "adaptive", ...wanted };
      }
      const tokens = Math.max(1, Math.min(Math.trunc(budget), (maxTokens ?? Infinity) - 1));
      if (tokens !== budget) findings.notice("thinking-budget-clamped");
      return { type: "budget", tokens, ...wanted };
    }
    default:
      findings.notice("ignored-thinking", type);
      return { type: "unset", ...wanted };
  }
}

export function readStopSequences(
  value: Json | undefined,
  path: string,
  findings: Findings,
): string[] {
  if (!isPresent(value)) return [];
  if (!Array.isArray(value)) {
    findings.refuse(path, "Input should be a valid list");
    return [];
  }
  return value.flatMap((sequence, index) => {
    if (typeof sequence !== "string") {
      findings.refuse(`${path}.${index}`, "Input should be a valid string");
      return [];
    }
    // An empty one would be found before the first word.
    if (sequence === "") findings.notice("empty-stop-sequence");
    return sequence === "" ? [] : [sequence];
  });
}

/** Of Claude Code, of Codex, and of opencode on every wire. */
const SESSION_HEADERS = [
  "x-claude-code-session-id",
  "session-id",
  "session_id",
  "thread-id",
  "conversation_id",
  "x-session-id",
  "x-session-affinity",
];

/** What a header says of the session that a request belongs to. */
export function sessionHeader(headers: RequestHeaders): string | undefined {
  for (const name of SESSION_HEADERS) {
    const id = headers.get(name)?.trim();
    if (id) return id;
  }
  return undefined;
}

/** Names the fields that are not `honoured`: known ones with a code of their own, the others together. */
export function noticeIgnored(
  body: JsonObject,
  honoured: ReadonlySet<string>,
  ignored: ReadonlySet<string>,
  findings: Findings,
): void {
  for (const [name, value] of Object.entries(body)) {
    if (!isPresent(value) || honoured.has(name)) continue;
    if (ignored.has(name)) findings.notice(`ignored-${name.replaceAll("_", "-")}`);
    else findings.notice("ignored-field", name);
  }
}
