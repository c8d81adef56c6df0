import { eventFrame } from "./frames.ts";

/** What the emulator does, one after the other, once the head of an answer is out. */
export type Step =
  | { type: "bytes"; bytes: Uint8Array }
  | { type: "wait"; ms: number }
  /** Sends nothing and keeps the connection open until the client leaves. */
  | { type: "silence" }
  /** Resets the connection: the body has no proper end. */
  | { type: "cut" }
  /** The same bytes again and again until the client leaves. */
  | { type: "repeat"; bytes: Uint8Array; everyMs: number };

/** How one request is answered: data, so that a scenario can be printed, stored and compared. */
export type Answer = {
  /** What happens before the head is sent. */
  before: Extract<Step, { type: "wait" | "silence" }>[];
  status: number;
  headers: Record<string, string>;
  steps: Step[];
};

export type Pacing = {
  /** Each frame is a write of its own, this long after the one before. Without it all go out at once. */
  everyMs?: number;
  /** The bytes are cut into pieces of this size, whatever the frames, a millisecond apart. */
  chunkBytes?: number;
  /** What follows the last frame; by default the body ends properly. */
  ending?: Step[];
};

const STREAM_HEADERS = {
  "content-type": "application/vnd.amazon.eventstream",
  "x-amzn-requestid": "emulated-0000",
};

/** A 200 with these frames as its event stream. */
export function stream(frames: Uint8Array[], pacing: Pacing = {}): Answer {
  return {
    before: [],
    status: 200,
    headers: STREAM_HEADERS,
    steps: [...paced(frames, pacing), ...(pacing.ending ?? [])],
  };
}

/** An answer that is not a stream. An object is sent as JSON. */
export function refusal(
  status: number,
  body: object | string,
  headers: Record<string, string> = {},
): Answer {
  const content = typeof body === "string" ? body : JSON.stringify(body);
  return {
    before: [],
    status,
    headers: {
      "content-type": "application/json",
      "x-amzn-requestid": "emulated-0001",
      ...headers,
    },
    steps: [{ type: "bytes", bytes: Buffer.from(content) }],
  };
}

function paced(frames: Uint8Array[], { everyMs, chunkBytes }: Pacing): Step[] {
  if (chunkBytes !== undefined) return spaced(pieces(Buffer.concat(frames), chunkBytes), 1);
  if (everyMs !== undefined) return spaced(frames, everyMs);
  return frames.length === 0 ? [] : [{ type: "bytes", bytes: Buffer.concat(frames) }];
}

function spaced(parts: Uint8Array[], ms: number): Step[] {
  return parts.flatMap((bytes): Step[] => [
    { type: "wait", ms },
    { type: "bytes", bytes },
  ]);
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

/** Text in one event. */
export function text(content: string): Uint8Array {
  return eventFrame("assistantResponseEvent", { content });
}

/** Text in one event per word, as the service sends it. */
export function words(content: string): Uint8Array[] {
  return wordsOf(content).map(text);
}

/** Thinking in the service's own events; the signature has one for itself. */
export function reasoning(thought: string, signature?: string): Uint8Array[] {
  return [
    ...wordsOf(thought).map((part) => eventFrame("reasoningContentEvent", { text: part })),
    ...(signature === undefined ? [] : [eventFrame("reasoningContentEvent", { signature })]),
  ];
}

export function redactedReasoning(base64: string): Uint8Array {
  return eventFrame("reasoningContentEvent", { redactedContent: base64 });
}

/** A call as the service sends it: the name alone, the input's JSON in fragments that end anywhere, then the stop. */
export function toolCall(
  id: string,
  name: string,
  input: object | undefined,
  { fragmentChars = 7, stop = true }: { fragmentChars?: number; stop?: boolean } = {},
): Uint8Array[] {
  const json = input === undefined ? "" : JSON.stringify(input);
  const fragments = json.match(new RegExp(`[^]{1,${fragmentChars}}`, "gu")) ?? [];
  return [
    eventFrame("toolUseEvent", { toolUseId: id, name }),
    ...fragments.map((part) => eventFrame("toolUseEvent", { toolUseId: id, name, input: part })),
    ...(stop ? [eventFrame("toolUseEvent", { toolUseId: id, name, stop: true })] : []),
  ];
}

export type TokenUsage = {
  uncachedInputTokens: number;
  outputTokens: number;
  totalTokens: number;
  cacheReadInputTokens?: number;
  cacheWriteInputTokens?: number;
};

export function metadata(tokenUsage: TokenUsage): Uint8Array {
  return eventFrame("metadataEvent", { tokenUsage });
}

/** What ends an ordinary reply: how full the window is, in per cent, and what the reply cost. */
export function trailer(percentage = 1.05, credits = 0.0731): Uint8Array[] {
  return [
    eventFrame("contextUsageEvent", { contextUsagePercentage: percentage }),
    eventFrame("meteringEvent", { usage: credits, unit: "credit", unitPlural: "credits" }),
  ];
}

function wordsOf(content: string): string[] {
  return content.match(/\s*\S+|\s+$/g) ?? [];
}
