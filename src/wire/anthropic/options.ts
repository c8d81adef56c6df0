import type {
  Effort,
  Json,
  JsonObject,
  Limits,
  OutputFormat,
  ReasoningRequest,
} from "../../conversation/conversation.ts";
import type { Findings } from "../findings.ts";
import { isObject, isPresent, textOf } from "../json.ts";
import { readEffort, readStopSequences, sessionHeader } from "../options.ts";
import type { RequestHeaders } from "../wire.ts";

/** What the client wants to see of the model's thinking; `omitted` keeps the blocks and empties their text. */
export type ThinkingDisplay = "shown" | "omitted" | "hidden";

/** A request that switched thinking off gets none, whatever the model does. */
export function readDisplay(
  thinking: Json | undefined,
  reasoning: ReasoningRequest,
): ThinkingDisplay {
  if (reasoning.type === "off") return "hidden";
  return isObject(thinking) && thinking["display"] === "omitted" ? "omitted" : "shown";
}

/** The `effort` of an `output_config`; undefined where there is none. */
export function readConfigEffort(config: Json | undefined, findings: Findings): Effort | undefined {
  return isObject(config) ? readEffort(config["effort"], findings) : undefined;
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
    stopSequences: readStopSequences(body["stop_sequences"], "stop_sequences", findings),
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

/**
 * What ties a session's requests together: a header, else the session in `metadata.user_id`, which Claude Code sends as
 * JSON text and did send as `…_session_<uuid>`, else that id itself.
 */
export function readSessionId(
  metadata: Json | undefined,
  headers: RequestHeaders,
): string | undefined {
  const session = sessionHeader(headers);
  if (session !== undefined) return session;
  const user = isObject(metadata) ? textOf(metadata["user_id"]) : undefined;
  if (user === undefined) return undefined;
  return (
    /"session_id"\s*:\s*"([^"\\]+)"/.exec(user)?.[1] ?? /_session_([\w-]+)$/.exec(user)?.[1] ?? user
  );
}
