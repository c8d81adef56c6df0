import type {
  Conversation,
  Json,
  JsonObject,
  ReasoningRequest,
} from "../../conversation/conversation.ts";
import type { Failure } from "../../conversation/failure.ts";
import { fail, ok, type Result } from "../../result.ts";
import { blocksOf } from "../blocks.ts";
import { Findings } from "../findings.ts";
import { isObject, isPresent, textOf } from "../json.ts";
import { readItems, readItemTools } from "../openai-items.ts";
import { MessageReader } from "../openai-messages.ts";
import { readFlag, readFormat, readMaxTokens, readReasoningEffort } from "../openai-options.ts";
import { readToolChoice, readTools, type Tools } from "../openai-tools.ts";
import { noticeIgnored, readStopSequences, readThinking, sessionHeader } from "../options.ts";
import { systemTexts, Transcript } from "../transcript.ts";
import type { ImageLookup, RequestHeaders } from "../wire.ts";

export type ChatRequest = {
  conversation: Conversation;
  stream: boolean;
  form: ReplyForm;
};

/** What the client expects its reply to look like. */
export type ReplyForm = {
  /** As the client said it. */
  model: string;
  /** With a last chunk for the usage. A body that is not streamed always has it. */
  usage: boolean;
  /** Thinking is shown. */
  reasoning: boolean;
  /** Calls are said as the one `function_call` that came before `tool_calls`. */
  legacy: boolean;
  /** The tools whose input is one text. */
  customTools: ReadonlySet<string>;
};

/**
 * A `POST /v1/chat/completions` body; also one that has Responses' `input` instead of `messages`, as Cursor sends for
 * some models. What no client can mean is refused, the first fault only; what long histories contain is mended with a
 * notice, because the client would send it again for ever.
 */
export function parseRequest(
  body: unknown,
  headers: RequestHeaders,
  images?: ImageLookup,
): Result<ChatRequest, Failure> {
  if (!isObject(body)) {
    return fail({ kind: "invalid-request", message: "The request body must be a JSON object" });
  }
  const findings = new Findings(images);
  const model = textOf(body["model"]);
  if (model === undefined) findings.refuse("model", "Missing required parameter");
  refuseUnsupported(body, findings);

  const stream = readFlag(body["stream"], "stream", findings) ?? false;
  const maxTokens = readLimit(body, findings);
  const legacy = isPresent(body["functions"]) && !hasTools(body);
  const [toolsField, choiceField] = legacy
    ? ["functions", "function_call"]
    : ["tools", "tool_choice"];
  const tools = readTools(body[toolsField], toolsField, findings);
  if (!isPresent(body["messages"])) readItemTools(body["input"], tools, findings);
  const toolChoice = readToolChoice(body[choiceField], choiceField, tools, findings);
  const { system, turns } = readConversation(body, tools, findings);
  const reasoning = readReasoning(body, maxTokens, findings);
  const sessionId = readSessionId(body, headers);
  const { stop, text } = body;
  const conversation: Conversation = {
    model: model ?? "",
    system: system.join("\n\n"),
    turns,
    tools: [...tools.offered.values()],
    toolChoice,
    reasoning,
    output: readFormat(
      body["response_format"] ?? (isObject(text) ? text["format"] : undefined),
      findings,
    ),
    limits: {
      stopSequences: readStopSequences(typeof stop === "string" ? [stop] : stop, "stop", findings),
      parallelToolCalls: !legacy && allowsParallelCalls(body, findings),
      ...(maxTokens === undefined ? {} : { maxTokens }),
    },
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(findings.attribution !== undefined && { attribution: findings.attribution }),
    notices: [],
  };
  const form: ReplyForm = {
    model: conversation.model,
    usage: !stream || wantsUsage(body),
    reasoning: reasoning.type !== "off" && !hidesReasoning(body),
    legacy,
    customTools: tools.custom,
  };
  if (findings.refusal !== undefined) return fail(findings.refusal);
  noticeIgnored(body, legacy ? HONOURED_LEGACY : HONOURED, IGNORED, findings);
  conversation.notices = findings.notices;
  return ok({ conversation, stream, form });
}

/** What changes the meaning of a reply, so that it can't be ignored. */
function refuseUnsupported(body: JsonObject, findings: Findings): void {
  const { n, modalities } = body;
  if (isPresent(n) && n !== 1) {
    const problem = "Unsupported value: only one choice is generated";
    findings.refuse("n", problem, "not-supported");
  }
  if (Array.isArray(modalities) && modalities.includes("audio")) {
    findings.refuse("modalities", "Unsupported value: audio is not generated", "not-supported");
  }
  if (isPresent(body["previous_response_id"])) {
    const problem = "Unsupported parameter: nothing is stored here; send the whole conversation";
    findings.refuse("previous_response_id", problem, "not-supported");
  }
}

function readLimit(body: JsonObject, findings: Findings): number | undefined {
  const names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
  const name = names.find((field) => isPresent(body[field]));
  return name === undefined ? undefined : readMaxTokens(body[name], name, findings);
}

function hasTools({ tools }: JsonObject): boolean {
  return isPresent(tools) && !(Array.isArray(tools) && tools.length === 0);
}

function allowsParallelCalls(body: JsonObject, findings: Findings): boolean {
  const { tool_choice: choice } = body;
  const flag = readFlag(body["parallel_tool_calls"], "parallel_tool_calls", findings);
  return flag !== false && !(isObject(choice) && choice["disable_parallel_tool_use"] === true);
}

function readConversation(body: JsonObject, tools: Tools, findings: Findings) {
  const { messages, input } = body;
  const transcript = new Transcript(findings);
  for (const field of ["system", "instructions"]) {
    const texts = blocksOf(body[field]).flatMap((block) => systemTexts(block, findings));
    transcript.system(texts);
  }
  if (!isPresent(messages) && isPresent(input)) {
    readItems(input, tools, transcript, findings);
  } else {
    if (isPresent(input)) findings.notice("ignored-input");
    const reader = new MessageReader(transcript, findings);
    for (const [index, message] of messageList(messages, findings).entries()) {
      reader.read(message, `messages.${index}`);
    }
  }
  return transcript.end();
}

function messageList(value: Json | undefined, findings: Findings): Json[] {
  if (Array.isArray(value) && value.length > 0) return value;
  if (Array.isArray(value)) findings.refuse("messages", "Invalid value: at least one is required");
  else if (isPresent(value)) findings.refuse("messages", "Invalid type: expected an array");
  else findings.refuse("messages", "Missing required parameter");
  return [];
}

/** The vendor's `reasoning_effort`, and what other providers' clients have made of it. */
function readReasoning(
  body: JsonObject,
  maxTokens: number | undefined,
  findings: Findings,
): ReasoningRequest {
  const { thinking, enable_thinking: flag } = body;
  const options = isObject(body["reasoning"]) ? body["reasoning"] : {};
  const { enabled, max_tokens: budget } = options;
  const asked = readReasoningEffort(body["reasoning_effort"] ?? options["effort"], findings);
  const effort = asked.type === "off" ? undefined : asked.effort;
  if (isPresent(thinking)) return readThinking(thinking, effort, maxTokens, findings);
  if (typeof budget === "number") {
    const enabledThinking = { type: "enabled", budget_tokens: budget };
    return readThinking(enabledThinking, effort, maxTokens, findings);
  }
  if (enabled === false || flag === false) return { type: "off" };
  if (asked.type === "unset" && (enabled === true || flag === true)) return { type: "adaptive" };
  return asked;
}

function hidesReasoning({ reasoning, include_reasoning: include }: JsonObject): boolean {
  return include === false || (isObject(reasoning) && reasoning["exclude"] === true);
}

function wantsUsage({ stream_options: options }: JsonObject): boolean {
  return isObject(options) && options["include_usage"] === true;
}

/** A header speaks of the session itself; the fields may be the same for many of them. */
function readSessionId(body: JsonObject, headers: RequestHeaders): string | undefined {
  return sessionHeader(headers) ?? textOf(body["prompt_cache_key"]) ?? textOf(body["user"]);
}

/** The fields that are read somewhere. */
const HONOURED = new Set([
  "model",
  "messages",
  "input",
  "instructions",
  "system",
  "stream",
  "stream_options",
  "max_completion_tokens",
  "max_tokens",
  "max_output_tokens",
  "stop",
  "n",
  "modalities",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "text",
  "reasoning_effort",
  "reasoning",
  "thinking",
  "enable_thinking",
  "include_reasoning",
  "prompt_cache_key",
  "user",
]);
const HONOURED_LEGACY = new Set([...HONOURED, "functions", "function_call"]);

/** Known fields without a meaning here; each has a notice code of its own. */
const IGNORED = new Set([
  "audio",
  "cache_control",
  "frequency_penalty",
  "function_call",
  "functions",
  "include",
  "logit_bias",
  "logprobs",
  "metadata",
  "moderation",
  "prediction",
  "presence_penalty",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "seed",
  "service_tier",
  "store",
  "temperature",
  "top_k",
  "top_logprobs",
  "top_p",
  "truncation",
  "verbosity",
  "web_search_options",
]);
