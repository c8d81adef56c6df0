import type { Json, JsonObject } from "../conversation/conversation.ts";
import { blocksOf, noteOf, toolResult } from "./blocks.ts";
import type { Findings } from "./findings.ts";
import { isObject, isPresent, stringOf, textOf } from "./json.ts";
import { MessageReader, toolCallPart } from "./openai-messages.ts";
import { openedReasoning } from "./openai-reasoning.ts";
import { addTools, offeredName, type Tools } from "./openai-tools.ts";
import type { Transcript } from "./transcript.ts";

/** Adds the tools that stand among the items of an `input`, where Codex can declare some. */
export function readItemTools(input: Json | undefined, tools: Tools, findings: Findings): void {
  if (!Array.isArray(input)) return;
  for (const [index, item] of input.entries()) {
    if (isObject(item) && item["type"] === "additional_tools") {
      addTools(item["tools"], `input.${index}.tools`, tools, findings);
    }
  }
}

/** The `input` of a Responses body: one user message as a string, or items. `tools` are all of the request. */
export function readItems(
  input: Json | undefined,
  tools: Tools,
  transcript: Transcript,
  findings: Findings,
): void {
  if (typeof input === "string") {
    transcript.user(input === "" ? [] : [{ type: "text", text: input }]);
  } else if (!isPresent(input)) {
    findings.refuse("input", "Missing required parameter");
  } else if (!Array.isArray(input)) {
    findings.refuse("input", "Invalid type: expected a string or an array of items");
  } else {
    const messages = new MessageReader(transcript, findings);
    for (const [index, item] of input.entries()) {
      const path = `input.${index}`;
      const type = isObject(item) ? (textOf(item["type"]) ?? "message") : "message";
      if (type === "message" || !isObject(item)) messages.read(item, path);
      else readItem(item, type, path, tools, transcript, findings);
    }
  }
}

function readItem(
  item: JsonObject,
  type: string,
  path: string,
  tools: Tools,
  transcript: Transcript,
  findings: Findings,
): void {
  switch (type) {
    case "function_call":
    case "custom_tool_call": {
      const { name, namespace } = item;
      const call =
        typeof name === "string" && name !== ""
          ? { ...item, name: offeredName(name, textOf(namespace), tools) }
          : item;
      return transcript.assistant([toolCallPart(call, findings)]);
    }
    case "function_call_output":
    case "custom_tool_call_output": {
      const { call_id: id, output } = item;
      return transcript.results(toolResult(id, output, false, `${path}.output`, findings));
    }
    case "reasoning": {
      const sealed = textOf(item["encrypted_content"]);
      const ours = sealed === undefined ? undefined : openedReasoning(sealed);
      if (ours !== undefined) return transcript.assistant([ours]);
      if (sealed !== undefined) findings.notice("foreign-reasoning-dropped");
      const text = [...blocksOf(item["summary"]), ...blocksOf(item["content"])]
        .map((part) => (isObject(part) ? stringOf(part["text"]) : ""))
        .join("");
      if (text !== "") transcript.assistant([{ type: "reasoning", text }]);
      return;
    }
    case "item_reference":
      return findings.notice("dropped-item", type);
    case "additional_tools":
      return;
    default: {
      const note = noteOf(item, findings);
      // Such as the `compaction` of the vendor's servers, which is all ciphertext.
      if (note.text === `[${type}]`) findings.notice("dropped-item", type);
      else if (type.endsWith("_output")) transcript.user([note]);
      else transcript.assistant([note]);
    }
  }
}
