import type { Turn, UserPart } from "../conversation/conversation.ts";
import { type AssistantRules, type Call, renderAssistant } from "./assistant-message.ts";
import type { KiroMessage, KiroUserMessage } from "./body.ts";
import { createUserRenderer, type UserRules } from "./user-message.ts";

export type TurnRules = AssistantRules & UserRules;

/**
 * The turns as the service wants them, whatever they were: the user begins, roles alternate, no content is empty, and
 * every call of an assistant's message has exactly one result in the user's message right after it. No text is lost:
 * what can't be sent as what it was is sent as text where it stood.
 *
 * A turn comes out the same however many follow it, so that the service may cache the start of a conversation. Only
 * images are an exception, once there are too many of them.
 */
export function renderTurns(
  turns: Turn[],
  rules: TurnRules,
): { history: KiroMessage[]; current: KiroUserMessage } {
  const { fillers } = rules.profile;
  const renderUser = createUserRenderer(turns, rules);
  const merged = mergeTurns(turns);
  const history: KiroMessage[] = [];
  let current: KiroUserMessage | undefined;
  let calls: Call[] = [];
  for (const [index, turn] of merged.entries()) {
    if (turn.role === "user") {
      current = renderUser(turn.parts, calls);
      continue;
    }
    const reply = renderAssistant(turn.parts, rules);
    // A reply that was begun with nothing is no prefill.
    if (reply.empty && index === merged.length - 1) break;
    history.push(
      { userInputMessage: current ?? renderUser([said(fillers.historyStart)], []) },
      { assistantResponseMessage: reply.message },
    );
    current = undefined;
    calls = reply.calls;
  }
  if (current !== undefined) return { history, current };
  if (history.length === 0) return { history, current: renderUser([], []) };
  rules.note("prefill-as-instruction");
  return { history, current: renderUser([said(fillers.continue)], calls) };
}

function said(text: string): UserPart {
  return { type: "text", text };
}

/** Neighbours of one role become one turn. */
function mergeTurns(turns: Turn[]): Turn[] {
  const merged: Turn[] = [];
  for (const turn of turns) {
    const last = merged.at(-1);
    if (last?.role === "user" && turn.role === "user") append(last.parts, turn.parts);
    else if (last?.role === "assistant" && turn.role === "assistant")
      append(last.parts, turn.parts);
    else if (turn.role === "user") merged.push({ role: "user", parts: [...turn.parts] });
    else merged.push({ role: "assistant", parts: [...turn.parts] });
  }
  return merged;
}

/** Not by spreading into `push`, which fails for very many parts. */
function append<Part>(to: Part[], parts: Part[]): void {
  for (const part of parts) to.push(part);
}
