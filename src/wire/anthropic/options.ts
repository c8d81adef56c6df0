import type {
  Effort,
  Json,
  JsonObject,
  Limits,
  OutputFormat,
  ReasoningRequest,
} from "../../conversation/conversation.ts";
import type { Findings } from "../findings.ts";
import { isObject, isPresent, stringOf, textOf } from "../json.ts";
import type { RequestHeaders } from "../wire.ts";

/** What the client wants to see of the model's thinking; `omitted` keeps the blocks and empties their text. */
export type ThinkingDisplay = "shown" | "omitted" | "hidden";

export function readReasoning(
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

/** A request that switched thinking off gets none, whatever the model does. */
export function readDisplay(
  thinking: Json | undefined,
  reasoning: ReasoningRequest,
): ThinkingDisplay {
  if (reasoning.type === "off") return "hidden";
  return isObject(thinking) && thinking["display"] === "omitted" ? "omitted" : "shown";
}

const EFFORTS: Effort[] = ["low", "medium", "high", "xhigh", "max"];

/** The `effort` of an `output_config`; undefined where there is none. */
export function readEffort(config: Json | undefined, findings: Findings): Effort | undefined {
  const value = isObject(config) ? config["effort"] : undefined;
  const effort = EFFORTS.find((known) => known === value);
  if (effort === undefined && isPresent(value)) findings.notice("ignored-effort", value);
  return effort;
}

/** `output_config.format`, or `output_format` as it was called before. */
export function readOutput(body: JsonObject, findings: Findings): OutputFormat {
  const { output_config: config, output_format: old } = body;
  const format = (isObject(config) ? config["format"] : undefined) ?? old;
  if (!isPresent(format)) return { type: "text" };
  const { type, schema } = isObject(format) ? format : { type: format, schema: undefined };
  if (type === "json_schema" && isObject(schema)) return { type: "json", schema };
  if (type === "json_schema" || type === "json_object") return { type: "json" };
  if (type !== "text") findings.notice("ignored-output-format", type);
  return { type: "text" };
}

/** `maxTokens` is required of a request for a reply and absent from one for a count. */
export function readLimits(body: JsonObject, counting: boolean, findings: Findings): Limits {
  const { max_tokens: maxTokens, tool_choice: choice } = body;
  const limits: Limits = {
    stopSequences: readStopSequences(body["stop_sequences"], findings),
    parallelToolCalls: !(isObject(choice) && choice["disable_parallel_tool_use"] === true),
  };
  if (counting) return limits;
  if (!isPresent(maxTokens)) {
    findings.refuse("max_tokens", "Field required");
  } else if (typeof maxTokens !== "number" || !Number.isSafeInteger(maxTokens)) {
    findings.refuse("max_tokens", "Input should be a valid integer");
  } else if (maxTokens < 0) {
    findings.refuse("max_tokens", "Input should be greater than or equal to 0");
  } else {
    limits.maxTokens = maxTokens;
  }
  return limits;
}

function readStopSequences(value: Json | undefined, findings: Findings): string[] {
  if (!isPresent(value)) return [];
  if (!Array.isArray(value)) {
    findings.refuse("stop_sequences", "Input should be a valid list");
    return [];
  }
  return value.flatMap((sequence, index) => {
    if (typeof sequence !== "string") {
      findings.refuse(`stop_sequences.${index}`, "Input should be a valid string");
      return [];
    }
    // An empty one would be found before the first word.
    if (sequence === "") findings.notice("empty-stop-sequence");
    return sequence === "" ? [] : [sequence];
  });
}

/**
 * What ties a session's requests together: Claude Code's and opencode's headers, else the session in
 * `metadata.user_id`, which Claude Code sends as JSON text and did send as `…_session_<uuid>`, else that id itself.
 */
export function readSessionId(
  metadata: Json | undefined,
  headers: RequestHeaders,
): string | undefined {
  for (const name of ["x-claude-code-session-id", "x-session-id", "x-session-affinity"]) {
    const id = headers.get(name)?.trim();
    if (id) return id;
  }
  const user = isObject(metadata) ? textOf(metadata["user_id"]) : undefined;
  if (user === undefined) return undefined;
  return (
    /"session_id"\s*:\s*"([^"\\]+)"/.exec(user)?.[1] ?? /_session_([\w-]+)$/.exec(user)?.[1] ?? user
  );
}
