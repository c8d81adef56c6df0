import type { Document, Image, ToolResult, Turn, UserPart } from "../conversation/conversation.ts";
import type { Call } from "./assistant-message.ts";
import type { KiroDocument, KiroImage, KiroToolResult, KiroUserMessage } from "./body.ts";
import { isBlank } from "./document.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type UserRules = {
  profile: UpstreamProfile;
  modelId: string;
  fillers: Pick<UpstreamProfile["fillers"], "userWithToolResults" | "userImagesOnly">;
  note: (code: string) => void;
};

export type UserRenderer = (parts: UserPart[], calls: Call[]) => KiroUserMessage;

/**
 * Renders the user's messages of one conversation. They must be given in their order: images are counted.
 *
 * @param turns all of them
 */
export function createUserRenderer(turns: Turn[], rules: UserRules): UserRenderer {
  const { profile, fillers, note } = rules;
  const { prompts, images: limits } = profile;
  let surplus = countImages(turns) - limits.maxCount;

  /** Undefined where the image may be sent, else what is said in its place. */
  const refusal = (image: Image): string | undefined => {
    if (surplus-- > 0) {
      note("image-over-count");
      return fill(prompts.imageOverCount, { max: limits.maxCount });
    }
    if ((image.base64.length / 4) * 3 > limits.maxBytes) {
      note("image-over-size");
      return fill(prompts.imageOverSize, { max: limits.maxBytes });
    }
    return undefined;
  };

  /** `calls` are those of the assistant's message right before. */
  return (parts, calls) => {
    const texts: string[] = [];
    const images: KiroImage[] = [];
    const documents: KiroDocument[] = [];
    const toolResults: KiroToolResult[] = [];

    /** Attaches a file to the message; the text is for a result, which can only point to it. */
    const attach = (part: Image | Document): { sent: boolean; text: string } => {
      if (part.type === "image") {
        const refused = refusal(part);
        if (refused !== undefined) return { sent: false, text: refused };
        const count = images.push({ format: part.format, source: { bytes: part.base64 } });
        return { sent: true, text: fill(prompts.imagePointer, { n: count }) };
      }
      const name = part.name.toWellFormed();
      const format = documentFormat(part, profile);
      if (format === undefined) {
        note("document-omitted");
        const mediaType = part.mediaType.toWellFormed();
        return { sent: false, text: fill(prompts.documentOmitted, { name, mediaType }) };
      }
      const count = documents.push({ name, format, source: { bytes: part.base64 } });
      return { sent: true, text: fill(prompts.documentPointer, { n: count }) };
    };

    const textOf = (result: ToolResult): string => {
      const pieces = result.content
        .map((part) => (part.type === "text" ? part.text.toWellFormed() : attach(part).text))
        .filter((text) => !isBlank(text));
      return pieces.length === 0 ? profile.fillers.toolResultEmpty : pieces.join("\n\n");
    };

    const { answers, unanswered } = pairResults(parts, calls, note);
    for (const [index, part] of parts.entries()) {
      switch (part.type) {
        case "text":
          if (!isBlank(part.text)) texts.push(part.text.toWellFormed());
          break;
        case "image":
        case "document": {
          const attached = attach(part);
          if (!attached.sent) texts.push(attached.text);
          break;
        }
        case "tool-result": {
          const text = textOf(part);
          const toolUseId = answers.get(index);
          if (toolUseId === undefined) {
            const template = part.isError ? prompts.strayError : prompts.strayResult;
            texts.push(fill(template, { id: part.callId.toWellFormed(), text }));
          } else {
            const status = part.isError ? "error" : "success";
            toolResults.push({ toolUseId, content: [{ text }], status });
          }
          break;
        }
        default:
          part satisfies never;
      }
    }
    for (const toolUseId of unanswered) {
      const content = [{ text: profile.fillers.toolResultMissing }];
      toolResults.push({ toolUseId, content, status: "error" });
    }

    const withFiles = images.length > 0 || documents.length > 0;
    const filler = withFiles
      ? fillers.userImagesOnly
      : toolResults.length > 0
        ? fillers.userWithToolResults
        : profile.fillers.userEmpty;
    const message: KiroUserMessage = {
      content: texts.length === 0 ? filler : texts.join("\n\n"),
      modelId: rules.modelId,
      origin: profile.origin,
    };
    if (images.length > 0) message.images = images;
    if (documents.length > 0) message.documents = documents;
    if (toolResults.length > 0) message.userInputMessageContext = { toolResults };
    return message;
  };
}

/** The service's name for a file's type; undefined where the file can't be sent. */
export function documentFormat(part: Document, profile: UpstreamProfile): string | undefined {
  const mediaType = part.mediaType.toLowerCase();
  return profile.documents &&
    !isBlank(part.name) &&
    Object.hasOwn(profile.documentFormats, mediaType)
    ? profile.documentFormats[mediaType]
    : undefined;
}

function countImages(turns: Turn[]): number {
  let count = 0;
  for (const { parts } of turns) {
    for (const part of parts) {
      if (part.type === "image") count++;
      if (part.type === "tool-result") {
        for (const piece of part.content) if (piece.type === "image") count++;
      }
    }
  }
  return count;
}

const NO_RESULTS = { answers: new Map<number, string>(), unanswered: new Set<string>() };

/**
 * Which result answers which call, by position in `parts`. Where one id was used for several calls the results go to
 * them in order, and where a call has several results the last one counts.
 */
function pairResults(
  parts: UserPart[],
  calls: Call[],
  note: (code: string) => void,
): { answers: Map<number, string>; unanswered: Set<string> } {
  if (calls.length === 0 && !parts.some(({ type }) => type === "tool-result")) return NO_RESULTS;
  const unanswered = new Set(calls.map((call) => call.toolUseId));
  const open = new Map<string, { toolUseIds: string[]; next: number }>();
  for (const { id, toolUseId } of calls) {
    const known = open.get(id);
    if (known === undefined) open.set(id, { toolUseIds: [toolUseId], next: 0 });
    else known.toolUseIds.push(toolUseId);
  }
  const positions = new Map<string, number>();
  for (const [index, part] of parts.entries()) {
    if (part.type !== "tool-result") continue;
    const call = open.get(part.callId);
    const toolUseId = call?.toolUseIds[Math.min(call.next++, call.toolUseIds.length - 1)];
    if (toolUseId === undefined) {
      note("stray-tool-result");
      continue;
    }
    if (positions.has(toolUseId)) note("duplicate-tool-result");
    positions.set(toolUseId, index);
    unanswered.delete(toolUseId);
  }
  if (unanswered.size > 0) note("missing-tool-result");
  const answers = new Map<number, string>();
  for (const [toolUseId, index] of positions) answers.set(index, toolUseId);
  return { answers, unanswered };
}
