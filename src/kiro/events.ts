import type { Frame } from "../eventstream/frame.ts";
import { stringHeader } from "../eventstream/headers.ts";

/**
 * One event of the service's answer, decoded. What we don't know is `ignored`: the service adds kinds, and that must
 * not break a stream. `exception` and `error` are terminal.
 */
export type KiroEvent =
  | { type: "text"; text: string }
  | { type: "reasoning"; text?: string; signature?: string; redacted?: string }
  /** One fragment of a call. `input` is a fragment of JSON text, or the whole input where the service sent an object. */
  | { type: "tool-use"; id: string; name: string; input?: string; whole?: boolean; stop: boolean }
  | {
      type: "metadata";
      inputTokens?: number;
      outputTokens?: number;
      cacheReadTokens?: number;
      cacheWriteTokens?: number;
      contextPercentage?: number;
      stopReason?: string;
    }
  | { type: "context-usage"; percentage: number }
  | { type: "metering"; credits: number }
  | { type: "invalid-state"; reason: string; message: string }
  | { type: "exception"; exceptionType: string; message: string; reason?: string }
  | { type: "error"; code: string; message: string }
  /** A known kind that means nothing to a client (links, follow-up prompts), or an unknown one. */
  | { type: "ignored"; eventType: string }
  /** A frame of a known kind whose payload does not parse. */
  | { type: "malformed"; eventType: string };

export type Fields = Record<string, unknown>;

/**
 * Reads the frames of one stream. Shapes are those of AWS's published client and of what the service was seen to send beyond
 * it (a tool input as an object, a stop reason in the metadata). Absent members are what the client's model makes optional; a
 * member of the wrong type is `malformed`. A frame without a message type is an event, as peers have it.
 */
export function createEventReader(): (frame: Frame) => KiroEvent {
  let last: Kind | undefined;
  return (frame) => {
    if (last === undefined || !frame.hasHeaders(last.headers)) last = kindOf(frame);
    return eventOf(frame, last.messageType, last.eventType);
  };
}

/** What a block of headers says. */
type Kind = { headers: Uint8Array; messageType: string; eventType: string };

/** All streams have the same few blocks. Reading them anew would be half the time of an event. */
const knownKinds: Kind[] = [];
const KNOWN_MAX = 32;

function kindOf(frame: Frame): Kind {
  const known = knownKinds.find(({ headers }) => frame.hasHeaders(headers));
  if (known !== undefined) return known;
  const { headers } = frame;
  const kind = {
    // A copy, so that the bytes that came are not kept for it.
    headers: new Uint8Array(headers),
    messageType: stringHeader(headers, ":message-type") ?? "event",
    eventType: stringHeader(headers, ":event-type") ?? "",
  };
  if (knownKinds.length < KNOWN_MAX) knownKinds.push(kind);
  return kind;
}

function eventOf(frame: Frame, messageType: string, eventType: string): KiroEvent {
  switch (messageType) {
    case "event": {
      const read = READERS.get(eventType);
      if (read === undefined) return { type: "ignored", eventType };
      const fields = parseFields(frame.text);
      return (fields && read(fields, eventType)) ?? { type: "malformed", eventType };
    }
    case "exception":
      return exception(stringHeader(frame.headers, ":exception-type"), frame.text);
    case "error":
      return {
        type: "error",
        code: stringHeader(frame.headers, ":error-code") ?? "UnknownError",
        message: stringHeader(frame.headers, ":error-message") ?? "",
      };
    default:
      return { type: "ignored", eventType: messageType };
  }
}

/** Undefined where the fields are of no use. */
type Reader = (fields: Fields, eventType: string) => KiroEvent | undefined;

const READERS = new Map<string, Reader>([
  ["assistantResponseEvent", text],
  ["codeEvent", text],
  ["toolUseEvent", toolUse],
  ["reasoningContentEvent", reasoning],
  ["metadataEvent", metadata],
  ["messageMetadataEvent", metadata],
  ["contextUsageEvent", contextUsage],
  ["meteringEvent", metering],
  ["invalidStateEvent", invalidState],
]);

function text(fields: Fields): KiroEvent | undefined {
  const content = fields["content"] ?? "";
  return typeof content === "string" ? { type: "text", text: content } : undefined;
}

function toolUse(fields: Fields): KiroEvent | undefined {
  const { toolUseId: id, name, input } = fields;
  if (typeof id !== "string" || id === "" || typeof name !== "string") return undefined;
  const stop = fields["stop"] === true;
  if (input === undefined || input === null) return { type: "tool-use", id, name, stop };
  if (typeof input === "string") return { type: "tool-use", id, name, input, stop };
  if (!isFields(input)) return undefined;
  return { type: "tool-use", id, name, input: JSON.stringify(input), whole: true, stop };
}

function reasoning(fields: Fields): KiroEvent | undefined {
  const said = fields["text"] ?? "";
  const signature = fields["signature"] ?? "";
  const redacted = fields["redactedContent"] ?? "";
  if (typeof said !== "string" || typeof signature !== "string") return undefined;
  if (typeof redacted !== "string") return undefined;
  return {
    type: "reasoning",
    ...(said !== "" && { text: said }),
    ...(signature !== "" && { signature }),
    ...(redacted !== "" && { redacted }),
  };
}

const COUNTS = [
  ["inputTokens", "uncachedInputTokens"],
  ["outputTokens", "outputTokens"],
  ["cacheReadTokens", "cacheReadInputTokens"],
  ["cacheWriteTokens", "cacheWriteInputTokens"],
] as const;

function metadata(fields: Fields): KiroEvent | undefined {
  const counts = fields["tokenUsage"] ?? {};
  if (!isFields(counts)) return undefined;
  const event: Extract<KiroEvent, { type: "metadata" }> = { type: "metadata" };
  for (const [member, field] of COUNTS) {
    const count = counts[field];
    if (isAmount(count)) event[member] = Math.round(count);
  }
  const { contextUsagePercentage } = counts;
  if (isAmount(contextUsagePercentage)) event.contextPercentage = contextUsagePercentage;
  const { stopReason } = fields;
  if (typeof stopReason === "string") event.stopReason = stopReason;
  return event;
}

function contextUsage(fields: Fields, eventType: string): KiroEvent | undefined {
  const percentage = fields["contextUsagePercentage"] ?? undefined;
  if (percentage === undefined) return { type: "ignored", eventType };
  return isAmount(percentage) ? { type: "context-usage", percentage } : undefined;
}

function metering(fields: Fields, eventType: string): KiroEvent | undefined {
  const credits = fields["usage"] ?? undefined;
  const unit = fields["unit"] ?? "credit";
  if (credits === undefined || unit !== "credit") return { type: "ignored", eventType };
  return isAmount(credits) ? { type: "metering", credits } : undefined;
}

function invalidState({ reason, message }: Fields): KiroEvent {
  return { type: "invalid-state", reason: stringOr(reason, ""), message: stringOr(message, "") };
}

/** The event is an exception whatever its payload is; a payload that is not JSON is its message. */
function exception(exceptionType = "UnknownException", payload: string): KiroEvent {
  const { message, Message, reason } = parseFields(payload) ?? { message: payload };
  return {
    type: "exception",
    exceptionType,
    message: stringOr(message, stringOr(Message, "")),
    ...(typeof reason === "string" && { reason }),
  };
}

/** The members of a JSON object; undefined for all other text. */
export function parseFields(json: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && Number.isFinite(value);
}

function stringOr(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}
