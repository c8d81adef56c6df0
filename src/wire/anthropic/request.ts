import type { Conversation, Json, JsonObject } from "../../conversation/conversation.ts";
import type { Failure } from "../../conversation/failure.ts";
import { fail, ok, type Result } from "../../result.ts";
import { Findings } from "../findings.ts";
import { isObject, isPresent, textOf } from "../json.ts";
import { noticeIgnored, readThinking } from "../options.ts";
import type { ImageLookup, RequestHeaders } from "../wire.ts";
import {
  readConfigEffort,
  readDisplay,
  readLimits,
  readOutput,
  readSessionId,
  type ThinkingDisplay,
} from "./options.ts";
import { offeredSearch, offeredTools, readToolChoice, readTools } from "./tools.ts";
import { readMessages, readSystem } from "./turns.ts";

export type MessagesRequest = {
  conversation: Conversation;
  stream: boolean;
  display: ThinkingDisplay;
};

/**
 * A `POST /v1/messages` body. What no client can mean is refused in the API's own words, the first fault only; what
 * long histories contain is mended with a notice, because the client would send it again for ever.
 */
export function parseRequest(
  body: unknown,
  headers: RequestHeaders,
  images?: ImageLookup,
): Result<MessagesRequest, Failure> {
  return read(body, headers, images, false);
}

/** A `POST /v1/messages/count_tokens` body: the same without `max_tokens`. */
export function parseCountTokens(
  body: unknown,
  headers: RequestHeaders,
  images?: ImageLookup,
): Result<Conversation, Failure> {
  const request = read(body, headers, images, true);
  return request.ok ? ok(request.value.conversation) : request;
}

function read(
  body: unknown,
  headers: RequestHeaders,
  images: ImageLookup | undefined,
  counting: boolean,
): Result<MessagesRequest, Failure> {
  if (!isObject(body)) {
    return fail({ kind: "invalid-request", message: "The request body must be a JSON object" });
  }
  const unsupported = unsupportedFeature(body);
  if (unsupported !== undefined) return fail(unsupported);

  const findings = new Findings(images);
  const { thinking, stream } = body;
  const model = textOf(body["model"]);
  if (model === undefined) refuseModel(body["model"], findings);
  const limits = readLimits(body, counting, findings);
  const table = readTools(body["tools"], findings);
  const { system, turns, effort } = readMessages(body["messages"], table, findings);
  const tools = offeredTools(table);
  const webSearch = offeredSearch(table, tools);
  const reasoning = readThinking(
    thinking,
    effort ?? readConfigEffort(body["output_config"], findings),
    limits.maxTokens,
    findings,
  );
  if (isPresent(stream) && typeof stream !== "boolean") {
    findings.refuse("stream", "Input should be a valid boolean");
  }
  const sessionId = readSessionId(body["metadata"], headers);
  const conversation: Conversation = {
    model: model ?? "",
    system: [...readSystem(body["system"], findings), ...system].join("\n\n"),
    turns,
    tools,
    ...(webSearch === undefined ? {} : { webSearch }),
    toolChoice: readToolChoice(body["tool_choice"], table, tools, findings),
    reasoning,
    output: readOutput(body, findings),
    limits,
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(findings.attribution !== undefined && { attribution: findings.attribution }),
    notices: [],
  };
  if (findings.refusal !== undefined) return fail(findings.refusal);
  noticeIgnored(body, HONOURED, IGNORED, findings);
  const { output_config: config } = body;
  if (isObject(config)) noticeIgnored(config, HONOURED_CONFIG, IGNORED, findings);
  conversation.notices = findings.notices;
  return ok({ conversation, stream: stream === true, display: readDisplay(thinking, reasoning) });
}

/** Fields that change what a reply means, so that they can't be ignored. */
function unsupportedFeature(body: JsonObject): Failure | undefined {
  if (isPresent(body["thread"])) {
    const message = "thread: Threads are not supported; send the whole conversation without it";
    return { kind: "thread-unsupported", message };
  }
  if (isPresent(body["safeguards"])) {
    return { kind: "invalid-request", message: "safeguards: This field is not supported" };
  }
  return undefined;
}

function refuseModel(model: Json | undefined, findings: Findings): void {
  if (!isPresent(model)) findings.refuse("model", "Field required");
  else if (model === "") findings.refuse("model", "String should have at least 1 character");
  else findings.refuse("model", "Input should be a valid string");
}

/** The fields that are read somewhere. */
const HONOURED = new Set([
  "model",
  "max_tokens",
  "messages",
  "system",
  "stream",
  "stop_sequences",
  "metadata",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "output_format",
]);
const HONOURED_CONFIG = new Set(["effort", "format"]);
/** Known fields without a meaning here; each has a notice code of its own. */
const IGNORED = new Set([
  "temperature",
  "top_p",
  "top_k",
  "service_tier",
  "context_management",
  "mcp_servers",
  "container",
  "cache_control",
]);
