import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Conversation } from "../conversation/conversation.ts";
import type { Ending, Recording } from "../kiro/client.ts";
import type { KiroFault } from "../kiro/failure.ts";
import type { KiroRequest } from "../kiro/request.ts";
import type { ResponseOptions } from "../kiro/response.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";
import { version } from "../version.ts";
import type { Capture } from "./format.ts";
import { redactBytes, redactFrames, redactText } from "./redact.ts";

export type CaptureSettings = {
  /** Ids of credentials and names of users whose attempts are kept; `*` for all of them. */
  credentials: readonly string[];
  users: readonly string[];
  /** Also attempts that went well. */
  all: boolean;
  maxFiles: number;
  maxFileBytes: number;
  maxTotalBytes: number;
};

/** One attempt about to be made. */
export type Take = {
  /** Absent for a credential that a client brought along. */
  credential: string | undefined;
  caller: string;
  attempt: number;
  kiro: KiroRequest;
  body: string;
  /** What may not be kept, wherever it turns up. */
  secrets: readonly string[];
  conversation: Conversation;
  response: ResponseOptions;
  log: Log;
};

export type Recorder = {
  /** What hears the attempt, if it is one to be kept. */
  take: (take: Take) => Recording | undefined;
  /** Resolves when all that has ended is written. */
  flush(): Promise<void>;
};

const SUFFIX = ".capture.json";
const KEPT_HEADERS = ["content-type", "retry-after", "x-amzn-errortype", "x-amzn-requestid"];

/**
 * Keeps failing attempts as files of their own. What is kept holds the text of prompts and answers, so it is off unless
 * an operator names whose, and old files make room for new ones.
 */
export function createRecorder(
  settings: CaptureSettings,
  deps: { folder: string; runtime: Pick<Runtime, "now" | "randomUUID">; log: Log },
): Recorder {
  const { folder, runtime } = deps;
  const { maxFileBytes } = settings;
  let writing: Promise<void> = Promise.resolve();

  const isWanted = ({ credential, caller }: Take): boolean =>
    (credential !== undefined && includes(settings.credentials, credential)) ||
    includes(settings.users, caller);

  /** Makes room first, so that the limits hold at all times. */
  const store = async (text: string): Promise<string> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = (await readdir(folder)).filter((name) => name.endsWith(SUFFIX)).toSorted();
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(folder, name))).size),
    );
    let count = names.length + 1;
    let total = sizes.reduce((sum, size) => sum + size, Buffer.byteLength(text));
    for (const [index, name] of names.entries()) {
      if (count <= settings.maxFiles && total <= settings.maxTotalBytes) break;
      await rm(join(folder, name), { force: true });
      count -= 1;
      total -= sizes[index] ?? 0;
    }
    const time = new Date(runtime.now()).toISOString().replaceAll(":", "-");
    const path = join(folder, `${time}-${runtime.randomUUID().slice(0, 8)}${SUFFIX}`);
    await writeFile(path, text, { mode: 0o600, flag: "wx" });
    return path;
  };

  const keep = (take: Take, heard: Heard, ending: Ending, fault: KiroFault | undefined): void => {
    writing = writing.then(async () => {
      try {
        const capture = captureOf(take, heard, { ending, fault, now: runtime.now() });
        const whole = JSON.stringify(capture);
        // The frames are what a replay needs; the request gives way first.
        const fits = Buffer.byteLength(whole) <= maxFileBytes;
        const text = fits
          ? whole
          : JSON.stringify({ ...capture, request: { ...capture.request, body: null } });
        take.log.warn("captured", { file: await store(`${text}\n`), fault: fault?.kind });
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "bug";
        deps.log.error("capture-not-written", { folder, code });
      }
    });
  };

  return {
    take(take) {
      if (!isWanted(take)) return undefined;
      const heard: Heard = { status: null, headers: {}, chunks: [], bytes: 0, cut: false };
      return {
        answered(status, headers) {
          heard.status = status;
          for (const name of KEPT_HEADERS) {
            const value = headers.get(name);
            if (value !== null) heard.headers[name] = redactText(value, take.secrets);
          }
        },
        bytes(chunk) {
          // Base64 takes a third more, and half is left to the request.
          heard.cut ||= (heard.bytes + chunk.length) * 1.4 > maxFileBytes / 2;
          if (heard.cut) return;
          heard.bytes += chunk.length;
          heard.chunks.push(chunk);
        },
        ended(ending, fault) {
          if (fault !== undefined || settings.all) keep(take, heard, ending, fault);
        },
      };
    },
    flush: async () => await writing,
  };
}

type Heard = {
  status: number | null;
  headers: Record<string, string>;
  chunks: Uint8Array[];
  bytes: number;
  cut: boolean;
};

function captureOf(
  take: Take,
  heard: Heard,
  end: { ending: Ending; fault: KiroFault | undefined; now: number },
): Capture {
  const { conversation, response, secrets } = take;
  const { limits } = conversation;
  const { fault } = end;
  const bytes = Buffer.concat(heard.chunks);
  const safe = heard.status === 200 ? redactFrames(bytes, secrets) : redactBytes(bytes, secrets);
  let at = 0;
  const chunks = heard.chunks.map(({ length }) =>
    safe.subarray(at, (at += length)).toString("base64"),
  );
  const body: unknown = JSON.parse(redactText(take.body, secrets));
  return {
    format: "kiro-proxy capture 1",
    capturedAt: new Date(end.now).toISOString(),
    gateway: version,
    credential: take.credential ?? "of the client",
    caller: take.caller,
    attempt: take.attempt,
    request: { model: take.kiro.model.id, body },
    response: {
      status: heard.status,
      headers: heard.headers,
      chunks,
      ending: end.ending,
      cut: heard.cut,
    },
    reading: {
      tagThinking: response.tagThinking,
      showThinking: response.showThinking,
      window: response.context.window,
      promptTokens: response.context.estimatedTokens,
      json: conversation.output.type === "json",
      ...(limits.maxTokens !== undefined && { maxTokens: limits.maxTokens }),
      stopSequences: limits.stopSequences,
      parallelToolCalls: limits.parallelToolCalls,
      toolNames: renamedTools(take.kiro),
    },
    fault:
      fault === undefined
        ? null
        : {
            kind: fault.kind,
            message: fault.failure.message,
            ...(fault.status !== undefined && { status: fault.status }),
            ...(fault.reason !== undefined && { reason: fault.reason }),
          },
  };
}

function renamedTools({ body, originalToolName }: KiroRequest): Record<string, string> {
  const { userInputMessageContext } = body.conversationState.currentMessage.userInputMessage;
  const tools = userInputMessageContext?.tools ?? [];
  return Object.fromEntries(
    tools
      .map(({ toolSpecification: { name } }): [string, string] => [name, originalToolName(name)])
      .filter(([name, original]) => name !== original),
  );
}

function includes(list: readonly string[], name: string): boolean {
  return list.includes("*") || list.includes(name);
}
