import type { Json, OutputFormat, ReasoningRequest } from "../conversation/conversation.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent } from "./json.ts";
import { readEffort } from "./options.ts";

/** This vendor's word for how much the model is to think; some of the words mean not at all. */
export function readReasoningEffort(value: Json | undefined, findings: Findings): ReasoningRequest {
  if (value === "none" || value === "minimal") return { type: "off" };
  const effort = readEffort(value, findings);
  return effort === undefined ? { type: "unset" } : { type: "adaptive", effort };
}

/**
 * Chat's `response_format` or Responses' `text.format`. The service has no such switch: the model is asked for JSON in
 * words, and a notice says so.
 */
export function readFormat(format: Json | undefined, findings: Findings): OutputFormat {
  if (!isPresent(format)) return { type: "text" };
  const { type, json_schema: wrapped, schema: flat } = isObject(format) ? format : { type: format };
  if (type === "text") return { type: "text" };
  if (type !== "json_object" && type !== "json_schema") {
    findings.notice("ignored-response-format", type);
    return { type: "text" };
  }
  findings.notice("emulated-response-format");
  const schema = isObject(wrapped) ? wrapped["schema"] : flat;
  return isObject(schema) ? { type: "json", schema } : { type: "json" };
}

/** `value` where it can be a number of output tokens. */
export function readMaxTokens(
  value: Json | undefined,
  path: string,
  findings: Findings,
): number | undefined {
  if (!isPresent(value)) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  findings.refuse(path, "Invalid value: expected an integer of at least 1");
  return undefined;
}

/** `value` where it is a boolean; clients send null for the default. */
export function readFlag(
  value: Json | undefined,
  path: string,
  findings: Findings,
): boolean | undefined {
  if (!isPresent(value)) return undefined;
  if (typeof value === "boolean") return value;
  findings.refuse(path, "Invalid type: expected a boolean");
  return undefined;
}
