import type { Conversation, Document, Turn } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { isKnownModel } from "../kiro/models.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import type { KiroRequest } from "../kiro/request.ts";
import { documentFormat } from "../kiro/user-message.ts";

/**
 * By so much our count must be over the window before a prompt is refused here. The count is seldom wrong by half, and
 * what might fit is for the service to decide.
 */
const CERTAINLY = 2;

/** Why a request is not worth a call: what the service can't take, in words that make clients mend it. */
export function precheck(
  conversation: Conversation,
  { model }: Pick<KiroRequest, "model">,
  promptTokens: number,
  profile: UpstreamProfile,
): Failure | undefined {
  const files = conversation.turns.flatMap(documentsOf);
  const last = conversation.turns.at(-1);
  // A file in an earlier turn leaves a note in its place: refused, it would end the session.
  const refused =
    files.length === 0 || last === undefined
      ? undefined
      : documentsOf(last).find((file) => documentFormat(file, profile) === undefined);
  if (refused !== undefined) {
    const kind = refused.mediaType === "application/pdf" ? "PDF" : "file";
    return {
      kind: "invalid-request",
      // Claude Code takes the file out of its history when it reads the first words.
      message: `This gateway does not support ${kind} input: ${JSON.stringify(refused.name)} (${refused.mediaType}) can't be sent to Kiro. Send its text instead.`,
    };
  }
  const { window: limit } = model;
  const isCounted = isKnownModel(conversation.model, profile) && files.length === 0;
  if (!isCounted || promptTokens <= CERTAINLY * limit) return undefined;
  const message = `prompt is too long: ${promptTokens} tokens > ${limit} maximum`;
  return { kind: "context-overflow", tokens: promptTokens, limit, message };
}

const NONE: Document[] = [];

function documentsOf({ parts }: Turn): Document[] {
  let found = NONE;
  for (const part of parts) {
    const pieces = part.type === "tool-result" ? part.content : [part];
    for (const piece of pieces) if (piece.type === "document") found = [...found, piece];
  }
  return found;
}
