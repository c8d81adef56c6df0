import type { Conversation } from "../../../src/conversation/conversation.ts";
import type { Failure } from "../../../src/conversation/failure.ts";
import { responses } from "../../../src/wire/responses/responses.ts";

export const noHeaders = new Headers();

/** The smallest body that is accepted, with `fields` over it. */
export function bodyWith(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: "claude-sonnet-4-5", input: "Hi", ...fields };
}

export function parsed(fields: Record<string, unknown> = {}, headers = noHeaders) {
  const result = responses.parse(bodyWith(fields), headers);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
}

export function conversationOf(fields: Record<string, unknown>, headers?: Headers): Conversation {
  return parsed(fields, headers).conversation;
}

export function refusalOf(fields: Record<string, unknown>): Failure {
  const result = responses.parse(bodyWith(fields), noHeaders);
  if (result.ok) throw new Error("The request was accepted.");
  return result.failure;
}

/** The error body's `error`, with its status, for a request that is refused. */
export function refusedAs(fields: Record<string, unknown>): unknown {
  const { status, body } = responses.failure(refusalOf(fields), "req_1");
  return { status, ...(body as { error: object }).error };
}

export function noticeCodes(conversation: Conversation): string[] {
  return conversation.notices.map((notice) => notice.code);
}
