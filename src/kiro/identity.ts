import type { Conversation, Turn } from "../conversation/conversation.ts";
import type { KiroRequestIds } from "./request.ts";

/** Of the names that ids are made of; any UUID would do, but always the same one. */
const NAMESPACE = "3f0c6d5e-8a41-4b7c-9d52-6e1f7a90b3c4";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Ids that stay the same for all requests of one session, so that the service may recognise its own prompt cache.
 * The conversation id is the client's session id where that is a UUID, else a hash of it, else of what opens the
 * conversation. The continuation id lasts for one user prompt with all the tool rounds that follow from it.
 *
 * @param owner who is asking, so that two callers who open alike do not share an id
 */
export function requestIds(conversation: Conversation, owner: string): KiroRequestIds {
  const session = conversation.sessionId?.toLowerCase();
  const conversationId =
    session !== undefined && UUID.test(session)
      ? session
      : uuidOf(owner, session ?? `${conversation.system}\n${userText(conversation, "first")}`);
  return {
    conversationId,
    continuationId: uuidOf(conversationId, userText(conversation, "last")),
  };
}

/**
 * What all requests of one conversation have in common, and other conversations of the same session, such as those of
 * its sub-agents, have not. For use inside the process: no more than a hash.
 */
export function conversationKey(conversation: Conversation, owner: string): string {
  const { sessionId = "", system } = conversation;
  const parts = [owner, sessionId, system, userText(conversation, "first")];
  return String(Bun.hash.wyhash(parts.map(withLength).join("")));
}

/** The text of the first or last user turn that says something and is not just tool results. */
function userText(conversation: Conversation, which: "first" | "last"): string {
  const { turns } = conversation;
  const turn = which === "first" ? turns.find(says) : turns.findLast(says);
  if (turn === undefined) return "";
  return turn.parts.map((part) => (part.type === "text" ? part.text : "")).join("\n");
}

function says(turn: Turn): boolean {
  return (
    turn.role === "user" && turn.parts.some((part) => part.type === "text" && part.text !== "")
  );
}

function uuidOf(owner: string, text: string): string {
  return Bun.randomUUIDv5(withLength(owner) + withLength(text), NAMESPACE);
}

function withLength(part: string): string {
  return `${part.length}:${part}`;
}
