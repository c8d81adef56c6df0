import type { Answer, Step } from "./answers.ts";
import {
  metadata,
  reasoning,
  redactedReasoning,
  refusal,
  stream,
  text,
  toolCall,
  trailer,
  words,
} from "./answers.ts";
import { errorFrame, eventFrame, exceptionFrame } from "./frames.ts";
import type { ChatRequest } from "./request.ts";

export type Scenario = Answer | ((request: ChatRequest) => Answer);

const GREETING = "Hello from the emulator. 你好, \u{1F44B}!";
const CALL_ID = "tooluse_ZW11bGF0b3JfMDAwMQ";
const SECOND_CALL_ID = "tooluse_ZW11bGF0b3JfMDAwMg";
const SIGNATURE = "RW11bGF0ZWRTaWduYXR1cmU=";
const SILENCE = { type: "silence" } as const;
/** The wait lets what was sent before arrive: a reset throws away what is still queued. */
const CUT: Step[] = [{ type: "wait", ms: 5 }, { type: "cut" }];

const greeting = (): Uint8Array[] => [...words(GREETING), ...trailer()];

/** A reply of text and, where the scenario needs one, a call: for tests that script a conversation. */
export function says(content: string): Answer {
  return stream([...words(content), ...trailer()]);
}

export function calls(name: string, input: object, lead = "One moment."): Answer {
  return stream([text(lead), ...toolCall(CALL_ID, name, input), ...trailer()]);
}

/** Plays `first` and breaks off `bytesShort` bytes before the end of its last frame. */
function cutShort(frames: Uint8Array[], bytesShort: number, ending: Step[]): Answer {
  const bytes = Buffer.concat(frames);
  return stream([bytes.subarray(0, bytes.length - bytesShort)], { ending });
}

/** Less than a frame: Bun sends the head of an answer only together with some of its body. */
function firstBytes(): Uint8Array {
  return text("never whole").subarray(0, 8);
}

function corrupted(frame: Uint8Array): Uint8Array {
  const copy = new Uint8Array(frame);
  // A byte of the payload, so that only the message's checksum can tell.
  copy[copy.length - 6] = (copy[copy.length - 6] ?? 0) ^ 1;
  return copy;
}

const refused = (message: string, reason: string | null = null): object => ({ message, reason });

/** Every way of answering that the gateway has to cope with. The texts are the service's own where they are known. */
export const scenarios = {
  text: stream(greeting()),
  "text with token counts": stream([
    ...words(GREETING),
    metadata({
      uncachedInputTokens: 1_200,
      outputTokens: 60,
      totalTokens: 2_060,
      cacheReadInputTokens: 700,
      cacheWriteInputTokens: 100,
    }),
    ...trailer(),
  ]),
  "text without trailer": stream(words(GREETING)),
  "thinking in tags": stream([
    ...["<think", "ing>\nNeed to greet.", "</thinking>\n", "\nHello."].map(text),
    ...trailer(),
  ]),
  "reasoning with signature": stream([
    ...reasoning("Need to greet.", SIGNATURE),
    ...words(GREETING),
    ...trailer(),
  ]),
  "redacted reasoning": stream([
    redactedReasoning("UkVEQUNURUQ="),
    ...words(GREETING),
    ...trailer(),
  ]),
  "tool call": (request) =>
    stream([
      ...words("Reading it now."),
      ...toolCall(CALL_ID, request.tools[0] ?? "read_file", { path: "notes.txt" }),
      ...trailer(),
    ]),
  "two tool calls": (request) =>
    stream([
      ...toolCall(CALL_ID, request.tools[0] ?? "read_file", { path: "a.txt" }),
      ...toolCall(SECOND_CALL_ID, request.tools[0] ?? "read_file", { path: "b.txt" }),
      ...trailer(),
    ]),
  "tool call without input": (request) =>
    stream([...toolCall(CALL_ID, request.tools[0] ?? "list_files", undefined), ...trailer()]),
  "tool call with its input as an object": (request) =>
    stream([
      eventFrame("toolUseEvent", {
        toolUseId: CALL_ID,
        name: request.tools[0] ?? "read_file",
        input: { path: "notes.txt" },
        stop: true,
      }),
      ...trailer(),
    ]),
  "tool call that never finishes": (request) =>
    stream([
      text("Writing it now."),
      ...toolCall(
        CALL_ID,
        request.tools[0] ?? "write_file",
        { path: "a.txt", content: "one" },
        { stop: false },
      ).slice(0, -1),
    ]),
  echo: (request) => says(request.prompt),
  "unknown events": stream([
    eventFrame("somethingNewEvent", { content: "not for the client" }),
    eventFrame("followupPromptEvent", { followupPrompt: { content: "not for the client" } }),
    ...greeting(),
  ]),
  "full window": stream([...words(GREETING), ...trailer(100)]),

  slow: stream(greeting(), { everyMs: 20 }),
  "split frames": stream(greeting(), { chunkBytes: 37 }),
  "byte by byte": stream(words("Hello."), { chunkBytes: 1 }),
  endless: stream([], { ending: [{ type: "repeat", bytes: text("again "), everyMs: 5 }] }),
  "silence before the head": { ...stream(greeting()), before: [SILENCE] },
  "silence before the first event": stream([firstBytes()], { ending: [SILENCE] }),
  "silence in mid stream": stream(words(GREETING), { ending: [SILENCE] }),

  "empty reply": stream([]),
  "trailer only": stream(trailer()),

  "cut before the head": stream([], { ending: CUT }),
  "cut before the first event": stream([firstBytes()], { ending: CUT }),
  "cut in mid frame": cutShort(words(GREETING), 9, CUT),
  "cut between frames": stream(words(GREETING), { ending: CUT }),
  "proper end in mid frame": cutShort(words(GREETING), 9, []),
  "bad checksum": stream([...words("Hello there."), corrupted(text("broken")), ...greeting()]),
  "bad checksum first": stream([corrupted(text("broken")), ...greeting()]),
  "exception first": stream([
    exceptionFrame("ThrottlingException", refused("Rate exceeded", "INSUFFICIENT_MODEL_CAPACITY")),
  ]),
  "exception late": stream([
    ...words(GREETING),
    exceptionFrame("InternalServerException", refused("Something went wrong.")),
  ]),
  "error first": stream([errorFrame("InternalFailure", "The stream failed.")]),
  "error late": stream([...words(GREETING), errorFrame("InternalFailure", "The stream failed.")]),

  "monthly quota": refusal(402, refused("You have reached the limit.", "MONTHLY_REQUEST_COUNT")),
  "daily quota": refusal(429, refused("Daily limit reached.", "DAILY_REQUEST_COUNT")),
  "token refused": refusal(403, refused("The bearer token included in the request is invalid.")),
  suspended: refusal(
    403,
    refused(
      "Your User ID (d-0000000000) temporarily is suspended. We've locked your account as a security precaution.",
    ),
  ),
  "suspended by reason": refusal(403, refused("Access denied.", "TEMPORARILY_SUSPENDED"), {
    "x-amzn-errortype": "AccessDeniedException:",
  }),
  throttled: refusal(429, refused("Too many requests, please wait before trying again.")),
  "throttled with retry-after": refusal(
    429,
    refused("Too many requests, please wait before trying again."),
    { "retry-after": "2" },
  ),
  suspicious: refusal(
    429,
    refused(
      "Due to suspicious activity, we are imposing temporary limits on how frequently your account (d-0000000000) can send a request to Kiro while we investigate.",
    ),
  ),
  "server error": refusal(500, refused("Internal server error")),
  "service unavailable": refusal(503, refused("Service unavailable"), {
    "x-amzn-errortype": "ServiceUnavailableException",
  }),
  "no capacity": refusal(429, {
    __type: "com.amazon.aws.codewhisperer#ThrottlingException",
    ...refused("The model is busy.", "INSUFFICIENT_MODEL_CAPACITY"),
  }),
  "high load": refusal(
    500,
    refused("Encountered unexpectedly high load when processing the request, please try again."),
  ),
  "context overflow": refusal(
    400,
    refused("Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
  ),
  "unknown model": refusal(400, refused("Invalid model.", "INVALID_MODEL_ID")),
  "improperly formed": refusal(400, refused("Improperly formed request.")),
  "bad thinking signature": refusal(
    400,
    refused("Invalid thinking signature.", "THINKING_SIGNATURE_INVALID"),
  ),
  "HTML from a proxy": refusal(
    502,
    "<html><head><title>502 Bad Gateway</title></head><body>arn:aws:example</body></html>",
    { "content-type": "text/html" },
  ),
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
