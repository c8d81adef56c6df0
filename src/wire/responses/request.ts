import type { Conversation, Json, JsonObject } from "../../conversation/conversation.ts";
import type { Failure } from "../../conversation/failure.ts";
import { fail, ok, type Result } from "../../result.ts";
import { blocksOf } from "../blocks.ts";
import { Findings } from "../findings.ts";
import { isObject, isPresent, textOf } from "../json.ts";
import { readItems, readItemTools } from "../openai-items.ts";
import { readFlag, readFormat, readMaxTokens, readReasoningEffort } from "../openai-options.ts";
import { type ClientName, readToolChoice, readTools } from "../openai-tools.ts";
import { noticeIgnored, sessionHeader } from "../options.ts";
import { systemTexts, Transcript } from "../transcript.ts";
import type { ImageLookup, RequestHeaders } from "../wire.ts";

export type ResponsesRequest = {
  conversation: Conversation;
  stream: boolean;
  form: ReplyForm;
};

/** What the client expects its reply to look like. */
export type ReplyForm = {
  /** As the client said it. */
  model: string;
  toolChoice: Json;
  parallelToolCalls: boolean;
  /** `sealed` thinking has no text that can be read; it is there to come back with the next request. */
  reasoning: "shown" | "sealed" | "hidden";
  /** By the names that they are offered under: the tools whose input is one text. */
  customTools: ReadonlySet<string>;
  /** By the names that they are offered under: what the client calls its tools. */
  clientNames: ReadonlyMap<string, ClientName>;
};

/**
 * A `POST /v1/responses` body. What no client can mean is refused, the first fault only; what long histories contain is
 * mended with a notice, because the client would send it again for ever.
 */
export function parseRequest(
  body: unknown,
  headers: RequestHeaders,
  images?: ImageLookup,
): Result<ResponsesRequest, Failure> {
  if (!isObject(body)) {
    return fail({ kind: "invalid-request", message: "The request body must be a JSON object" });
  }
  const findings = new Findings(images);
  const model = textOf(body["model"]);
  if (model === undefined) findings.refuse("model", "Missing required parameter");
  refuseUnsupported(body, findings);

  const { input, text } = body;
  const stream = readFlag(body["stream"], "stream", findings) ?? false;
  const maxTokens = readMaxTokens(body["max_output_tokens"], "max_output_tokens", findings);
  const tools = readTools(body["tools"], "tools", findings);
  readItemTools(input, tools, findings);
  const toolChoice = readToolChoice(body["tool_choice"], "tool_choice", tools, findings);
  const transcript = new Transcript(findings);
  transcript.system(
    blocksOf(body["instructions"]).flatMap((block) => systemTexts(block, findings)),
  );
  readItems(input, tools, transcript, findings);
  const { system, turns } = transcript.end();
  const options = isObject(body["reasoning"]) ? body["reasoning"] : {};
  const reasoning = readReasoningEffort(options["effort"], findings);
  const sessionId = sessionHeader(headers) ?? textOf(body["prompt_cache_key"]);
  const conversation: Conversation = {
    model: model ?? "",
    system: system.join("\n\n"),
    turns,
    tools: [...tools.offered.values()],
    toolChoice,
    reasoning,
    output: readFormat(isObject(text) ? text["format"] : undefined, findings),
    limits: {
      stopSequences: [],
      parallelToolCalls:
        readFlag(body["parallel_tool_calls"], "parallel_tool_calls", findings) ?? true,
      ...(maxTokens === undefined ? {} : { maxTokens }),
    },
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(findings.attribution !== undefined && { attribution: findings.attribution }),
    notices: [],
  };
  const form: ReplyForm = {
    model: conversation.model,
    toolChoice: body["tool_choice"] ?? "auto",
    parallelToolCalls: conversation.limits.parallelToolCalls,
    reasoning: reasoning.type === "off" ? "hidden" : wantsSummary(options) ? "shown" : "sealed",
    customTools: tools.custom,
    clientNames: tools.clientNames,
  };
  if (findings.refusal !== undefined) return fail(findings.refusal);
  if (isObject(text) && isPresent(text["verbosity"])) findings.notice("ignored-verbosity");
  for (const extra of blocksOf(body["include"])) {
    if (extra !== ALWAYS_INCLUDED) findings.notice("ignored-include", extra);
  }
  noticeIgnored(withoutDefaults(body), HONOURED, IGNORED, findings);
  noticeIgnored(options, HONOURED_REASONING, IGNORED, findings);
  conversation.notices = findings.notices;
  return ok({ conversation, stream, form });
}

/** What refers to something that only the vendor's servers would have. */
function refuseUnsupported(body: JsonObject, findings: Findings): void {
  if (isPresent(body["previous_response_id"])) {
    const problem = "Previous response not found: none is kept here; send the whole conversation";
    findings.refuse("previous_response_id", problem, "previous-response-not-found");
  }
  for (const field of ["conversation", "prompt"]) {
    if (!isPresent(body[field])) continue;
    const problem = "Unsupported parameter: nothing is stored here; send the whole conversation";
    findings.refuse(field, problem, "not-supported");
  }
  if (body["background"] === true) {
    const problem = "Unsupported value: a reply can't be fetched later";
    findings.refuse("background", problem, "not-supported");
  }
}

/** Nobody is shown thinking that they did not ask to see. `generate_summary` is what it was called before. */
function wantsSummary({ summary, generate_summary: old }: JsonObject): boolean {
  const wanted = summary ?? old;
  return isPresent(wanted) && wanted !== "none";
}

/** Of what a client may ask for besides the text: without it, thinking could not come back. */
const ALWAYS_INCLUDED = "reasoning.encrypted_content";

/** The fields that are read somewhere. */
const HONOURED = new Set([
  "model",
  "input",
  "include",
  "instructions",
  "stream",
  "max_output_tokens",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "text",
  "reasoning",
  "prompt_cache_key",
]);
const HONOURED_REASONING = new Set(["effort", "summary", "generate_summary"]);

/** Known fields without a meaning here; each has a notice code of its own. */
const IGNORED = new Set([
  "background",
  "client_metadata",
  "context_management",
  "max_tool_calls",
  "metadata",
  "moderation",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "service_tier",
  "store",
  "stream_options",
  "temperature",
  "top_logprobs",
  "top_p",
  "truncation",
  "user",
]);

/** Values that ask for what happens anyway. */
const DEFAULTS = new Map<string, Json>([
  ["background", false],
  ["service_tier", "auto"],
  ["store", false],
  ["truncation", "disabled"],
]);

function withoutDefaults(body: JsonObject): JsonObject {
  const fields = Object.entries(body).filter(([name, value]) => DEFAULTS.get(name) !== value);
  return Object.fromEntries(fields);
}
