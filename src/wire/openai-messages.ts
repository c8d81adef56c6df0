import type { AssistantPart, Json, JsonObject } from "../conversation/conversation.ts";
import {
  assistantParts,
  blocksOf,
  noteOf,
  parsedJson,
  toolInput,
  toolResult,
  userParts,
} from "./blocks.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf, textOf } from "./json.ts";
import { customInput } from "./openai-tools.ts";
import { systemTexts, type Transcript } from "./transcript.ts";

/**
 * Reads the messages of Chat, which Responses has among its items too, into a transcript. It remembers the calls of
 * legacy functions: these have no ids, so a result belongs to the last call of its name.
 */
export class MessageReader {
  readonly #transcript: Transcript;
  readonly #findings: Findings;
  readonly #functionCalls = new Map<string, string>();

  constructor(transcript: Transcript, findings: Findings) {
    this.#transcript = transcript;
    this.#findings = findings;
  }

  /** `path` leads to the message, as in `messages.0`. */
  read(message: Json, path: string): void {
    const findings = this.#findings;
    if (!isObject(message)) {
      findings.refuse(path, "Invalid type: expected an object");
      return;
    }
    const { content } = message;
    const role = textOf(message["role"]);
    const at = `${path}.content`;
    switch (role) {
      case "system":
      case "developer":
        return this.#transcript.system(
          blocksOf(content).flatMap((block) => systemTexts(block, findings)),
        );
      case "assistant":
        return this.#transcript.assistant(this.#assistantParts(message, path));
      case "tool":
      case "function": {
        const id = role === "tool" ? message["tool_call_id"] : this.#functionCall(message);
        return this.#transcript.results(toolResult(id, content, false, at, findings));
      }
      case undefined:
        return findings.refuse(`${path}.role`, "Missing required parameter");
      default:
        if (role !== "user") findings.notice("role-changed", role);
        return this.#transcript.user(userParts(content, at, findings));
    }
  }

  #functionCall({ name }: JsonObject): Json {
    return this.#functionCalls.get(stringOf(name)) ?? name ?? null;
  }

  #assistantParts(message: JsonObject, path: string): AssistantPart[] {
    const findings = this.#findings;
    const { tool_calls: calls, function_call: legacy } = message;
    const parts = assistantParts(message["content"], `${path}.content`, findings);
    const thinking = textOf(message["reasoning_content"]) ?? textOf(message["reasoning"]);
    if (thinking !== undefined) parts.unshift({ type: "reasoning", text: thinking });
    const refusal = textOf(message["refusal"]);
    if (refusal !== undefined) parts.push({ type: "text", text: refusal });
    for (const call of blocksOf(calls)) {
      if (isObject(call)) parts.push(toolCallPart(call, findings));
      else findings.notice("ignored-tool-call");
    }
    if (isObject(legacy)) {
      const id = `function_call_${path.replaceAll(".", "_")}`;
      this.#functionCalls.set(stringOf(legacy["name"]), id);
      parts.push(toolCallPart({ ...legacy, id }, findings));
    }
    return parts;
  }
}

/**
 * An entry of `tool_calls`, or a Responses item that is a call: of a function or of a custom tool, wrapped or flat. One
 * without an id or a name is told as text.
 */
export function toolCallPart(call: JsonObject, findings: Findings): AssistantPart {
  const body = [call["function"], call["custom"]].find(isObject) ?? call;
  const id = textOf(call["call_id"]) ?? textOf(call["id"]);
  const name = textOf(body["name"]);
  if (id === undefined || name === undefined)
    return noteOf({ type: "tool_call", ...body }, findings);
  const { arguments: args, input: text } = body;
  const input =
    typeof text === "string" && !isPresent(args)
      ? customInput(text)
      : argumentsOf(args ?? text, findings);
  return { type: "tool-call", id, name, input };
}

/** Arguments are an object as JSON text; clients also send the object itself, nothing, and what a model left broken. */
function argumentsOf(args: Json | undefined, findings: Findings): JsonObject {
  const parsed = typeof args === "string" ? parsedJson(args) : undefined;
  if (isObject(parsed)) return parsed;
  return args === "" ? {} : toolInput(args, findings);
}
