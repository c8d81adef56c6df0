import { type Capture, parseCapture } from "../capture/format.ts";
import { readTextFile } from "../config/load.ts";
import { isVisible, type ReplyEvent } from "../conversation/reply.ts";
import { createOutput } from "../gateway/output.ts";
import { type Batch, createClient } from "../kiro/client.ts";
import type { KiroFault } from "../kiro/failure.ts";
import { defaultProfile } from "../kiro/default-profile.ts";
import type { Runtime } from "../runtime.ts";
import { Secret } from "../secret.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { createFetchTransport } from "../transport/by-fetch.ts";
import { messages } from "../wire/anthropic/messages.ts";
import { chat } from "../wire/chat/chat-completions.ts";
import { responses } from "../wire/responses/responses.ts";
import type { Wire } from "../wire/wire.ts";
import type { Terminal } from "./terminal.ts";

export const PROTOCOLS = ["messages", "chat", "responses"] as const;

export type ReplayOptions = {
  file: string;
  protocol: (typeof PROTOCOLS)[number];
  /** The answer as it would be without streaming. */
  json: boolean;
};

/** Shows what a client would have seen of a captured attempt. Gives the exit code. */
export async function replay(
  { file, protocol, json }: ReplayOptions,
  terminal: Pick<Terminal, "print" | "complain">,
  runtime: Runtime,
): Promise<number> {
  const text = await readTextFile(file);
  if (!text.ok) {
    const why = text.failure.kind === "missing" ? "does not exist" : "can't be read";
    terminal.complain(`${file} ${why}`);
    return 1;
  }
  const capture = parseCapture(text.value);
  if (!capture.ok) {
    terminal.complain(`${file} ${capture.failure}`);
    return 1;
  }
  const { events, fault } = await read(capture.value, runtime);
  switch (protocol) {
    case "messages":
      show(messages, { events, json }, capture.value, terminal);
      break;
    case "chat":
      show(chat, { events, json }, capture.value, terminal);
      break;
    case "responses":
      show(responses, { events, json }, capture.value, terminal);
      break;
    default:
      protocol satisfies never;
  }
  tell(capture.value, fault, terminal);
  return 0;
}

/** The neutral events of one attempt, by the code that serves clients. Only the network is another. */
async function read(
  capture: Capture,
  runtime: Runtime,
): Promise<{ events: ReplyEvent[]; fault: KiroFault | undefined }> {
  const { reading, response } = capture;
  const counter = createTokenCounter();
  const output = createOutput({
    limits: reading,
    format: { type: reading.json ? "json" : "text" },
    promptTokens: reading.promptTokens,
    countText: (text) => counter.text(text),
  });
  const client = createClient({
    runtime,
    profile: defaultProfile,
    transport: createFetchTransport({ fetch: async () => answer(response) }),
  });
  const sent = await client.send({
    access: { token: new Secret("none"), apiRegion: "us-east-1", machineId: "" },
    body: "{}",
    number: capture.attempt,
    maxAttempts: capture.attempt,
    response: {
      tagThinking: reading.tagThinking,
      showThinking: reading.showThinking,
      originalToolName: (name) =>
        Object.hasOwn(reading.toolNames, name) ? (reading.toolNames[name] ?? name) : name,
      context: {
        window: reading.window,
        estimatedTokens: reading.promptTokens,
        now: Date.parse(capture.capturedAt),
      },
    },
    signal: new AbortController().signal,
  });
  const batches: Batch[] = [];
  if (!sent.ok) batches.push({ events: [], fault: sent.failure });
  else for await (const batch of sent.value) batches.push(batch);
  const events: ReplyEvent[] = [];
  let fault: KiroFault | undefined;
  for (const batch of batches) {
    events.push(...output.push(batch.events));
    if (batch.fault === undefined) continue;
    fault = batch.fault;
    events.push(...output.fail(fault.failure));
  }
  return { events, fault };
}

/** Rejects where there was no answer, as `fetch` did. */
function answer({ status, headers, chunks, ending }: Capture["response"]): Response {
  if (status === null) throw new Error("no answer was captured");
  const left = chunks.values();
  const body = new ReadableStream<Uint8Array>({
    // One by one: an error throws away what still waits to be read.
    pull(controller) {
      const { value, done } = left.next();
      if (done !== true) controller.enqueue(Buffer.from(value, "base64"));
      else if (ending === "broken") controller.error(new Error("the connection broke"));
      else controller.close();
    },
  });
  return new Response(body, { status, headers });
}

function show<Event>(
  wire: Wire<Event>,
  { events, json }: { events: ReplyEvent[]; json: boolean },
  capture: Capture,
  terminal: Pick<Terminal, "print" | "complain">,
): void {
  const question = { role: "user", content: "captured" };
  const request = wire.parse(
    {
      model: capture.request.model,
      max_tokens: 1,
      stream: !json,
      ...(wire.name === "responses" ? { input: [question] } : { messages: [question] }),
    },
    new Headers(),
  );
  if (!request.ok) throw new Error(`the least request was refused: ${request.failure.message}`);
  const encoder = request.value.encoder({
    id: "captured",
    createdAt: Date.parse(capture.capturedAt),
    inputTokens: capture.reading.promptTokens,
  });
  const failed = events.find((event) => event.type === "failed");
  const begun = events.some(isVisible);
  if (failed !== undefined && (json || !begun)) {
    const { status, body } = wire.failure(failed.failure, "captured");
    terminal.print(`HTTP ${status}`);
    terminal.print(JSON.stringify(body, null, 2));
    return;
  }
  const shown = events.flatMap((event) => encoder.push(event));
  if (json) {
    terminal.print(JSON.stringify(wire.fold(shown), null, 2));
    return;
  }
  const text = shown.map((event) => wire.frame(event)).join("");
  terminal.print((failed === undefined ? text + wire.trailer : text).trimEnd());
}

/** What was found out then and now, on standard error: the answer itself can be piped on. */
function tell(
  capture: Capture,
  fault: KiroFault | undefined,
  terminal: Pick<Terminal, "complain">,
): void {
  const { capturedAt, credential, caller, attempt, response } = capture;
  terminal.complain(
    `Captured ${capturedAt}: credential ${credential}, caller ${caller}, attempt ${attempt}.`,
  );
  if (response.cut) terminal.complain("More came than the capture had room for.");
  if (response.ending !== "whole") terminal.complain(`The answer was ${ENDINGS[response.ending]}.`);
  terminal.complain(`Fault then: ${named(capture.fault ?? undefined)}`);
  terminal.complain(`Fault now:  ${named(fault && { ...fault, message: fault.failure.message })}`);
}

const ENDINGS = { broken: "broken off", left: "not read to its end" };

function named(
  fault: { kind: string; message: string; status?: number; reason?: string } | undefined,
): string {
  if (fault === undefined) return "none";
  const { kind, message, status, reason } = fault;
  const more = [status === undefined ? "" : `HTTP ${status}`, reason ?? ""].filter(Boolean);
  return `${kind}${more.length === 0 ? "" : ` (${more.join(", ")})`}: ${message}`;
}
