import type { Conversation } from "../../../src/conversation/conversation.ts";
import type { Failure } from "../../../src/conversation/failure.ts";
import { chat } from "../../../src/wire/chat/chat-completions.ts";

export const noHeaders = new Headers();

/** The smallest body that is accepted, with `fields` over it. */
export function bodyWith(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: "claude-sonnet-4-5", messages: [{ role: "user", content: "Hi" }], ...fields };
}

export function parsed(fields: Record<string, unknown> = {}, headers = noHeaders) {
  const result = chat.parse(bodyWith(fields), headers);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
}

export function conversationOf(fields: Record<string, unknown>, headers?: Headers): Conversation {
  return parsed(fields, headers).conversation;
}

export function withMessages(...messages: unknown[]): Conversation {
  return conversationOf({ messages });
}

export function refusalOf(fields: Record<string, unknown>): Failure {
  const result = chat.parse(bodyWith(fields), noHeaders);
  if (result.ok) throw new Error("The request was accepted.");
  return result.failure;
}

/** The error body's `error`, with its status, for a request that is refused. */
export function refusedAs(fields: Record<string, unknown>): unknown {
  const { status, body } = chat.failure(refusalOf(fields), "req_1");
  return { status, ...(body as { error: object }).error };
}

export function noticeCodes(conversation: Conversation): string[] {
  return conversation.notices.map((notice) => notice.code);
}

/** One pixel. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const GIF = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
