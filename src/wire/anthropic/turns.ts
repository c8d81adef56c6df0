import type { Effort, Json, JsonObject, Text, Turn } from "../../conversation/conversation.ts";
import type { Findings } from "../findings.ts";
import { isObject, isPresent, stringOf, textOf } from "../json.ts";
import { assistantParts, blocksOf, toolResult, userParts } from "./blocks.ts";
import { readEffort } from "./options.ts";
import { changeTools, type ToolTable } from "./tools.ts";

/** The texts of the `system` field. */
export function readSystem(system: Json | undefined, findings: Findings): string[] {
  if (isPresent(system) && typeof system !== "string" && !Array.isArray(system)) {
    findings.refuse("system", "Input should be a valid list");
  }
  return blocksOf(system).flatMap((block) => promptText(block, findings));
}

/** Claude Code's first system block names its version. It is not meant for the model and changes with each release. */
const BILLING = /^\s*x-anthropic-billing-header:.*\n*/;

function promptText(block: Json, findings: Findings): string[] {
  const text = textOf(isObject(block) ? block["text"] : block);
  if (text === undefined) {
    findings.notice("empty-block", "system");
    return [];
  }
  if (!BILLING.test(text)) return [text];
  findings.notice("billing-header-removed");
  // As a block it goes whole; where a client has joined its blocks, the prompt follows it in the same string.
  const rest = isObject(block) ? "" : text.replace(BILLING, "");
  return rest === "" ? [] : [rest];
}

export type Messages = {
  /** From system messages ahead of all others. */
  system: string[];
  turns: Turn[];
  /** From the last system message that has one. */
  effort: Effort | undefined;
};

/**
 * The `messages`, as at least one turn; what they add to the tools goes into `table`. A system message among them becomes a note in the user
 * turn beside it, where the model meets it in its place: it is neither the user's question nor a prefill.
 */
export function readMessages(
  value: Json | undefined,
  table: ToolTable,
  findings: Findings,
): Messages {
  const messages = messageList(value, findings);
  const lastUser = messages.findLastIndex((item) => isObject(item) && item["role"] === "user");
  const system: string[] = [];
  const turns: Turn[] = [];
  let effort: Effort | undefined;
  /** Notes that came after an assistant turn and wait for the next user turn. */
  let waiting: string[] = [];
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}`;
    if (!isObject(message)) {
      findings.refuse(path, "Input should be a valid dictionary");
      continue;
    }
    const { content } = message;
    const role = stringOf(message["role"]);
    switch (role) {
      case "user":
      case "tool": {
        const parts =
          role === "user"
            ? userParts(content, `${path}.content`, findings)
            : toolMessage(message, path, findings);
        if (parts.length === 0) findings.notice("empty-message", role);
        turns.push({ role: "user", parts: [...waiting.map(systemNote), ...parts] });
        waiting = [];
        break;
      }
      case "assistant": {
        const parts = assistantParts(content, `${path}.content`, findings);
        if (parts.length === 0) findings.notice("empty-message", role);
        turns.push({ role, parts });
        break;
      }
      case "system":
      case "developer": {
        effort = readEffort(message["output_config"], findings) ?? effort;
        const texts = systemMessage(content, table, findings);
        const last = turns.at(-1);
        if (texts.length === 0) break;
        if (message["clear_at"] === "next_user_message" && index < lastUser) {
          findings.notice("cleared-system-message");
          break;
        }
        if (last !== undefined) findings.notice("system-message-moved");
        for (const text of texts) {
          if (last === undefined) system.push(text);
          else if (last.role === "user") last.parts.push(systemNote(text));
          else waiting.push(text);
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
  const lastUserTurn = turns.findLast((turn) => turn.role === "user");
  for (const text of waiting) {
    if (lastUserTurn === undefined) system.push(text);
    else lastUserTurn.parts.push(systemNote(text));
  }
  // System messages alone: whoever sent them wants an answer all the same.
  if (turns.length === 0) turns.push({ role: "user", parts: [] });
  return { system, turns, effort };
}

function messageList(value: Json | undefined, findings: Findings): Json[] {
  if (Array.isArray(value) && value.length > 0) return value;
  if (Array.isArray(value)) findings.refuse("messages", "at least one message is required");
  else if (isPresent(value)) findings.refuse("messages", "Input should be a valid list");
  else findings.refuse("messages", "Field required");
  return [];
}

/** Not a role of this API; clients of the other one send results so. */
function toolMessage(message: JsonObject, path: string, findings: Findings) {
  const { tool_call_id: id, content } = message;
  findings.notice("role-changed", "tool");
  return isPresent(id)
    ? toolResult(id, message, path, findings)
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
    return promptText(block, findings);
  });
}

/** The mark is the one that Claude Code puts around what it tells the model in a user turn. */
function systemNote(text: string): Text {
  return { type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` };
}
