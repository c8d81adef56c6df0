import { type ConfigFlags, readTextFile } from "../config/load.ts";
import type { Conversation, Notice } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { precheck } from "../gateway/precheck.ts";
import { jsonFault } from "../json-fault.ts";
import type { KiroBody } from "../kiro/body.ts";
import { requestIds } from "../kiro/identity.ts";
import type { UpstreamProfile } from "../kiro/profile.ts";
import { type KiroRequest, toKiroRequest } from "../kiro/request.ts";
import { validate, type Violation } from "../kiro/validate.ts";
import { fail, ok, type Result } from "../result.ts";
import { createTokenCounter } from "../tokens/counter.ts";
import { messages } from "../wire/anthropic/messages.ts";
import { chat } from "../wire/chat/chat-completions.ts";
import { responses } from "../wire/responses/responses.ts";
import { noticeInWords } from "./notices.ts";
import type { PROTOCOLS } from "./replay.ts";
import { profileOf, readConfig } from "./settings.ts";
import { complain, type Terminal } from "./terminal.ts";

type Protocol = (typeof PROTOCOLS)[number];

export type ExplainOptions = {
  flags: ConfigFlags;
  /** `-` for standard input. */
  file: string;
  /** Without it, by what is in the request. */
  protocol: Protocol | undefined;
  json: boolean;
};

type Explanation = {
  protocol: Protocol;
  model: { asked: string; sent: string };
  tokens: number;
  window: number;
  notices: (Notice & { meaning: string })[];
  /** Why no call would be made. */
  refusal?: string;
  violations: Violation[];
  body: KiroBody;
};

/**
 * Shows what a client's request becomes at Kiro: what was changed and why, what the service might object to, and the
 * body. Nothing is sent. Gives the exit code: 1 where the request would fail as far as that can be known.
 */
export async function explain(
  { flags, file, protocol, json }: ExplainOptions,
  terminal: Terminal,
): Promise<number> {
  const loaded = await readConfig(flags, terminal);
  if (!loaded.ok) return complain(terminal, ...loaded.failure);
  const request = await readRequest(file, terminal);
  if (!request.ok) return complain(terminal, request.failure);
  const { value } = request;
  const explained = await explanation(
    value,
    protocol ?? protocolOf(value),
    profileOf(loaded.value.config),
  );
  if (!explained.ok) {
    return complain(
      terminal,
      `The gateway would refuse this request: ${explained.failure.message}`,
    );
  }
  if (json) terminal.print(JSON.stringify(explained.value, null, 2));
  else for (const line of inWords(explained.value)) terminal.print(line);
  const { refusal, violations } = explained.value;
  return refusal !== undefined || violations.some(({ certain }) => certain) ? 1 : 0;
}

async function readRequest(file: string, terminal: Terminal): Promise<Result<unknown, string>> {
  let text = "";
  if (file === "-") {
    for await (const line of terminal.lines()) text += `${line}\n`;
  } else {
    const read = await readTextFile(file);
    if (!read.ok) {
      const { failure } = read;
      return fail(
        failure.kind === "missing"
          ? `${file} does not exist.`
          : `${file} can't be read (${failure.reason}).`,
      );
    }
    text = read.value.replace(/^\uFEFF/, "");
  }
  try {
    const value: unknown = JSON.parse(text);
    return ok(value);
  } catch {
    const { line, column, message } = jsonFault(text);
    return fail(`${file} is not JSON: line ${line}, column ${column}: ${message}`);
  }
}

/** By what only one protocol has; what could be either is taken for Anthropic's. */
function protocolOf(request: unknown): Protocol {
  if (typeof request !== "object" || request === null) return "messages";
  if ("input" in request) return "responses";
  const marks = ["max_completion_tokens", "response_format", "reasoning_effort", "stream_options"];
  if (marks.some((mark) => mark in request)) return "chat";
  const text = JSON.stringify({
    tools: "tools" in request ? request.tools : [],
    roles:
      "messages" in request && Array.isArray(request.messages) ? request.messages.map(roleOf) : [],
  });
  return !("system" in request) && /"type":"function"|"(system|developer|tool)"/.test(text)
    ? "chat"
    : "messages";
}

function roleOf(message: unknown): unknown {
  return typeof message === "object" && message !== null && "role" in message
    ? message.role
    : undefined;
}

async function explanation(
  request: unknown,
  protocol: Protocol,
  profile: UpstreamProfile,
): Promise<Result<Explanation, Failure>> {
  const parsed = conversationOf(request, protocol);
  if (!parsed.ok) return parsed;
  const conversation = parsed.value;
  const converted = toKiroRequest(conversation, requestIds(conversation, "explain"), profile);
  if (!converted.ok) return converted;
  const kiro: KiroRequest = converted.value;
  const tokens = await createTokenCounter().exact(conversation);
  const refusal = precheck(conversation, kiro, tokens, profile);
  return ok({
    protocol,
    model: { asked: conversation.model, sent: kiro.model.id },
    tokens,
    window: kiro.model.window,
    notices: kiro.notices.map((notice) => ({ ...notice, meaning: noticeInWords(notice) })),
    ...(refusal !== undefined && { refusal: refusal.message }),
    violations: validate(kiro.body, profile),
    body: kiro.body,
  });
}

function conversationOf(request: unknown, protocol: Protocol): Result<Conversation, Failure> {
  const wire = { messages, chat, responses }[protocol];
  const parsed = wire.parse(request, new Headers());
  return parsed.ok ? ok(parsed.value.conversation) : parsed;
}

function inWords({ notices, violations, refusal, ...rest }: Explanation): string[] {
  const { protocol, model, tokens, window, body } = rest;
  const certain = violations.filter((one) => one.certain);
  const uncertain = violations.filter((one) => !one.certain);
  return [
    `Read as ${protocol}. The model ${model.asked} is ${model.sent} at Kiro.`,
    `About ${tokens} tokens of the ${window} that it takes.`,
    "",
    ...(refusal === undefined ? [] : [`The gateway would refuse it: ${refusal}`, ""]),
    ...section(
      "What the gateway changed, and why:",
      notices.map(
        ({ code, detail, meaning }) => `${code}${detail ? ` (${detail})` : ""}: ${meaning}`,
      ),
      "Nothing was changed.",
    ),
    ...section(
      'What Kiro would answer "Improperly formed request" to:',
      certain.map(inOneLine),
      "Nothing in it is known to be improperly formed for Kiro.",
    ),
    ...(uncertain.length === 0
      ? []
      : section(
          "What Kiro takes as far as is known; the first suspects should it refuse the request:",
          uncertain.map(inOneLine),
          "",
        )),
    "The body, without the profile ARN; long base64 is shortened:",
    JSON.stringify(body, shortened, 2),
  ];
}

function section(title: string, lines: string[], otherwise: string): string[] {
  return lines.length === 0 ? [otherwise, ""] : [title, ...lines.map((line) => `  ${line}`), ""];
}

function inOneLine({ rule, path, problem }: Violation): string {
  return `${rule}: ${path} ${problem}`;
}

const BASE64_SHOWN = 60;

function shortened(key: string, value: unknown): unknown {
  return key === "bytes" && typeof value === "string" && value.length > BASE64_SHOWN
    ? `${value.slice(0, BASE64_SHOWN)}… (${value.length} characters)`
    : value;
}
