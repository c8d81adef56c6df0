import { metadata, reasoning, text, toolCall, trailer, words } from "../tests/emulator/answers.ts";

/** `closed`: every connection sends its next request as soon as it has its answer. `paced`: all streams run at once, once. */
export type Load =
  | { type: "closed"; connections: number; seconds: number }
  | { type: "paced"; streams: number; events: number; everyMs: number };

export type Workload = {
  title: string;
  /** The body of `POST /v1/messages`. */
  request: object;
  /** What the service answers; of a paced workload, what follows its events. */
  frames: Uint8Array[];
  load: Load;
};

/** In a paced event's text stands when it was sent, in microseconds since the epoch: 16 digits after this mark. */
export const SENT_MARK = "@t";

const MODEL = "claude-sonnet-4-5-20250929";
const LINE = "The gateway reads what the service sends and writes what the client expects. ";
const SECONDS = 2.5;

function lines(count: number): string {
  return LINE.repeat(Math.ceil(count / 12))
    .split(" ")
    .slice(0, count)
    .join(" ");
}

function ask(content: string, more: object = {}): object {
  return { model: MODEL, max_tokens: 8_192, messages: [{ role: "user", content }], ...more };
}

/** About 290 KB, as a coding agent sends it: a long system prompt, 30 tools, 60 messages with calls and their results. */
function agentRequest(): object {
  const tools = Array.from({ length: 30 }, (_, index) => ({
    name: `tool_${index}`,
    description: lines(160),
    input_schema: {
      type: "object",
      properties: Object.fromEntries(
        Array.from({ length: 8 }, (_unused, at) => [
          `parameter_${at}`,
          { type: at % 2 === 0 ? "string" : "number", description: lines(14) },
        ]),
      ),
      required: ["parameter_0"],
    },
  }));
  const messages = Array.from({ length: 61 }, (_, index) => {
    const id = `toolu_${String(index - (index % 2 === 0 ? 1 : 0)).padStart(8, "0")}`;
    if (index === 0) return { role: "user", content: [{ type: "text", text: lines(400) }] };
    return index % 2 === 1
      ? {
          role: "assistant",
          content: [
            { type: "text", text: lines(60) },
            { type: "tool_use", id, name: `tool_${index % 30}`, input: { parameter_0: lines(40) } },
          ],
        }
      : {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: id,
              content: [{ type: "text", text: `${lines(980)}\n\tconst answer = "${index}";` }],
            },
          ],
        };
  });
  return {
    model: MODEL,
    max_tokens: 8_192,
    stream: true,
    system: [{ type: "text", text: lines(2_400), cache_control: { type: "ephemeral" } }],
    tools,
    messages,
  };
}

function ending(outputTokens: number): Uint8Array[] {
  const usage = { uncachedInputTokens: 100, outputTokens, totalTokens: 100 + outputTokens };
  return [metadata(usage), ...trailer()];
}

function says(events: number): Uint8Array[] {
  return [...words(lines(events)), ...ending(events)];
}

function works(): Uint8Array[] {
  const calls = Array.from({ length: 4 }, (_, index) => {
    const input = { path: `src/file-${index}.ts`, content: lines(60) };
    return toolCall(`tooluse_${index}`, "write", input, { fragmentChars: 8 });
  });
  return [...words(lines(20)), ...calls.flat(), ...ending(400)];
}

const WRITE = {
  name: "write",
  description: "Writes a file.",
  input_schema: {
    type: "object",
    properties: { path: { type: "string" }, content: { type: "string" } },
    required: ["path", "content"],
  },
};

function closed(connections: number): Load {
  return { type: "closed", connections, seconds: SECONDS };
}

const PACED: Pick<Workload, "request" | "frames"> = {
  request: ask(LINE, { stream: true }),
  frames: ending(400),
};

export const workloads = {
  small: {
    title: "small, not streamed, 32 connections",
    request: ask(LINE),
    frames: [text(LINE), ...ending(16)],
    load: closed(32),
  },
  "burst-50": {
    title: "stream of 50 events at once, 32 connections",
    request: ask(LINE, { stream: true }),
    frames: says(50),
    load: closed(32),
  },
  "burst-400": {
    title: "stream of 400 events at once, 32 connections",
    request: ask(LINE, { stream: true }),
    frames: says(400),
    load: closed(32),
  },
  large: {
    title: "290 KB request, 30 tools, streamed, 8 connections",
    request: agentRequest(),
    frames: says(10),
    load: closed(8),
  },
  tools: {
    title: "stream of 4 tool calls in 200 fragments, 32 connections",
    request: ask(LINE, { stream: true, tools: [WRITE] }),
    frames: works(),
    load: closed(32),
  },
  thinking: {
    title: "stream of 200 events of thinking and 50 of text, 32 connections",
    request: ask(LINE, {
      stream: true,
      max_tokens: 32_000,
      thinking: { type: "enabled", budget_tokens: 10_000 },
    }),
    frames: [...reasoning(lines(200), "c2lnbmF0dXJl"), ...says(50)],
    load: closed(32),
  },
  "small-1": {
    title: "small, not streamed, one connection",
    request: ask(LINE),
    frames: [text(LINE), ...ending(16)],
    load: closed(1),
  },
  "large-1": {
    title: "290 KB request, streamed, one connection",
    request: agentRequest(),
    frames: says(10),
    load: closed(1),
  },
  "paced-200": {
    title: "200 streams, 400 events 20 ms apart",
    ...PACED,
    load: { type: "paced", streams: 200, events: 400, everyMs: 20 },
  },
  "paced-1000": {
    title: "1,000 streams, 400 events 20 ms apart",
    ...PACED,
    load: { type: "paced", streams: 1_000, events: 400, everyMs: 20 },
  },
} satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof workloads;

export function isWorkload(name: string): name is WorkloadName {
  return Object.hasOwn(workloads, name);
}

/** How many events of the service one request is answered with. */
export function eventsOf({ load, frames }: Workload): number {
  return frames.length + (load.type === "paced" ? load.events : 0);
}
