import type { Json, JsonObject } from "../conversation/conversation.ts";
import { blocksOf, noteOf, toolResult } from "./blocks.ts";
import type { Findings } from "./findings.ts";
import { isObject, stringOf, textOf } from "./json.ts";
import { MessageReader, toolCallPart } from "./openai-messages.ts";
import type { Transcript } from "./transcript.ts";

/** The `input` of a Responses body: one user message as a string, or items. */
export function readItems(
  input: Json | undefined,
  transcript: Transcript,
  findings: Findings,
): void {
  if (typeof input === "string") {
    transcript.user(input === "" ? [] : [{ type: "text", text: input }]);
  } else if (!Array.isArray(input)) {
    findings.refuse("input", "Invalid type: expected a string or an array of items");
  } else {
    const messages = new MessageReader(transcript, findings);
    for (const [index, item] of input.entries()) {
      const path = `input.${index}`;
      const type = isObject(item) ? (textOf(item["type"]) ?? "message") : "message";
      if (type === "message" || !isObject(item)) messages.read(item, path);
      else readItem(item, type, path, transcript, findings);
    }
  }
}

function readItem(
  item: JsonObject,
  type: string,
  path: string,
  transcript: Transcript,
  findings: Findings,
): void {
  switch (type) {
    case "function_call":
    case "custom_tool_call":
      return transcript.assistant([toolCallPart(item, findings)]);
    case "function_call_output":
    case "custom_tool_call_output": {
      const { call_id: id, output } = item;
      return transcript.results(toolResult(id, output, false, `${path}.output`, findings));
    }
    case "reasoning": {
      const text = [...blocksOf(item["summary"]), ...blocksOf(item["content"])]
        .map((part) => (isObject(part) ? stringOf(part["text"]) : ""))
        .join("");
      if (text !== "") transcript.assistant([{ type: "reasoning", text }]);
      return;
    }
    case "item_reference":
      return findings.notice("dropped-item", type);
    default:
      if (type.endsWith("_output")) transcript.user([noteOf(item, findings)]);
      else transcript.assistant([noteOf(item, findings)]);
  }
}
