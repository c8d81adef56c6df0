import type { Conversation } from "../../../src/conversation/conversation.ts";
import type { Failure } from "../../../src/conversation/failure.ts";
import { messages } from "../../../src/wire/anthropic/messages.ts";

export const noHeaders = new Headers();

/** The smallest body that is accepted, with `fields` over it. */
export function bodyWith(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    model: "claude-sonnet-4-5",
    max_tokens: 1000,
    messages: [{ role: "user", content: "Hi" }],
    ...fields,
  };
}

export function parsed(fields: Record<string, unknown> = {}, headers = noHeaders) {
  const result = messages.parse(bodyWith(fields), headers);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
}

export function conversationOf(fields: Record<string, unknown>, headers?: Headers): Conversation {
  return parsed(fields, headers).conversation;
}

/** The conversation whose messages are one user message with this content. */
export function userSaying(...content: unknown[]): Conversation {
  return conversationOf({ messages: [{ role: "user", content }] });
}

export function refusalOf(fields: Record<string, unknown>): Failure {
  const result = messages.parse(bodyWith(fields), noHeaders);
  if (result.ok) throw new Error("The request was accepted.");
  return result.failure;
}

export function noticeCodes(conversation: Conversation): string[] {
  return conversation.notices.map((notice) => notice.code);
}

/** One pixel. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const GIF = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
