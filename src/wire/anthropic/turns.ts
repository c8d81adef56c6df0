import type { Effort, Json, JsonObject, Turn, UserPart } from "../../conversation/conversation.ts";
import { assistantParts, blocksOf, toolResult, userParts } from "../blocks.ts";
import type { Findings } from "../findings.ts";
import { isObject, isPresent, stringOf } from "../json.ts";
import { systemTexts, Transcript } from "../transcript.ts";
import { readConfigEffort } from "./options.ts";
import { changeTools, type ToolTable } from "./tools.ts";

/** The texts of the `system` field. */
export function readSystem(system: Json | undefined, findings: Findings): string[] {
  if (isPresent(system) && typeof system !== "string" && !Array.isArray(system)) {
    findings.refuse("system", "Input should be a valid list");
  }
  return blocksOf(system).flatMap((block) => systemTexts(block, findings));
}

export type Messages = {
  /** From system messages ahead of all others. */
  system: string[];
  turns: Turn[];
  /** From the last system message that has one. */
  effort: Effort | undefined;
};

/** The `messages`; what they add to the tools goes into `table`. */
export function readMessages(
  value: Json | undefined,
  table: ToolTable,
  findings: Findings,
): Messages {
  const messages = messageList(value, findings);
  const lastUser = messages.findLastIndex((item) => isObject(item) && item["role"] === "user");
  const transcript = new Transcript(findings);
  let effort: Effort | undefined;
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}`;
    if (!isObject(message)) {
      findings.refuse(path, "Input should be a valid dictionary");
      continue;
    }
    const { content } = message;
    switch (stringOf(message["role"])) {
      case "user":
        transcript.user(userParts(content, `${path}.content`, findings));
        break;
      case "tool":
        transcript.user(toolMessage(message, path, findings), "tool");
        break;
      case "assistant":
        transcript.assistant(assistantParts(content, `${path}.content`, findings));
        break;
      case "system":
      case "developer": {
        effort = readConfigEffort(message["output_config"], findings) ?? effort;
        const texts = systemMessage(content, table, findings);
        if (texts.length === 0) break;
        if (message["clear_at"] === "next_user_message" && index < lastUser) {
          findings.notice("cleared-system-message");
        } else {
          transcript.system(texts);
        }
        break;
      }
      default:
        findings.refuse(
          `${path}.role`,
          "role" in message ? "Input should be 'user' or 'assistant'" : "Field required",
        );
    }
  }
  return { ...transcript.end(), effort };
}

function messageList(value: Json | undefined, findings: Findings): Json[] {
  if (Array.isArray(value) && value.length > 0) return value;
  if (Array.isArray(value)) findings.refuse("messages", "at least one message is required");
  else if (isPresent(value)) findings.refuse("messages", "Input should be a valid list");
  else findings.refuse("messages", "Field required");
  return [];
}

/** Not a role of this API; clients of the other one send results so. */
function toolMessage(message: JsonObject, path: string, findings: Findings): UserPart[] {
  const { tool_call_id: id, content, is_error: isError } = message;
  findings.notice("role-changed", "tool");
  return isPresent(id)
    ? toolResult(id, content, isError === true, `${path}.content`, findings)
    : userParts(content, `${path}.content`, findings);
}

function systemMessage(content: Json | undefined, table: ToolTable, findings: Findings): string[] {
  return blocksOf(content).flatMap((block) => {
    if (
      isObject(block) &&
      (block["type"] === "tool_addition" || block["type"] === "tool_removal")
    ) {
      changeTools(block, table, findings);
      return [];
    }
    return systemTexts(block, findings);
  });
}
