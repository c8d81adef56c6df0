/**
 * The neutral form of a request: what every wire parses into and the upstream dialect is built from.
 * Closed and normalised on purpose. What does not fit is dropped at the border with a notice, never in silence.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type ImageFormat = "png" | "jpeg" | "gif" | "webp";

export type Text = { type: "text"; text: string };
/** `base64` is standard base64 without a `data:` prefix or white space; `format` is read off the bytes. */
export type Image = { type: "image"; format: ImageFormat; base64: string };
/** A file that is not plain text, such as a PDF. `mediaType` is the client's word. */
export type Document = { type: "document"; name: string; mediaType: string; base64: string };

export type ToolCall = { type: "tool-call"; id: string; name: string; input: JsonObject };
export type ToolResult = {
  type: "tool-result";
  callId: string;
  content: (Text | Image | Document)[];
  isError: boolean;
};

/** A thinking block of an earlier reply. `signature` is absent where the client sent none or an empty one. */
export type Reasoning = { type: "reasoning"; text: string; signature?: string };
/** Thinking that the service encrypted; `data` is handed back as it came (base64). */
export type RedactedReasoning = { type: "redacted-reasoning"; data: string };

export type UserPart = Text | Image | Document | ToolResult;
export type AssistantPart = Text | Reasoning | RedactedReasoning | ToolCall;

/**
 * Turns are as the client ordered them: roles need not alternate, calls and results need not pair, text may be empty.
 * `kiro/history` mends that; no wire does.
 */
export type Turn =
  | { role: "user"; parts: UserPart[] }
  | { role: "assistant"; parts: AssistantPart[] };

/** `schema` is the client's JSON Schema as given. */
export type Tool = { name: string; description: string; schema: JsonObject };

/**
 * The web search that the gateway runs itself when the model calls the tool `name`, which is one of `tools`. A domain
 * counts with its subdomains and may go on with a path (`example.com/docs`), where `*` stands for anything.
 */
export type WebSearch = {
  name: string;
  /** The most searches in one reply. */
  maxUses?: number;
  /** Only results from here; from anywhere if there are none. */
  allowedDomains: string[];
  blockedDomains: string[];
};

export type ToolChoice =
  | { type: "auto" }
  | { type: "none" }
  | { type: "any" }
  | { type: "tool"; name: string };

export type Effort = "low" | "medium" | "high" | "xhigh" | "max";

/** What the client asked for; `unset` means that it said nothing, so a `-thinking` model name may decide. */
export type ReasoningRequest =
  | { type: "unset"; effort?: Effort }
  | { type: "off" }
  | { type: "budget"; tokens: number; effort?: Effort }
  | { type: "adaptive"; effort?: Effort };

export type OutputFormat = { type: "text" } | { type: "json"; schema?: JsonObject };

export type Limits = {
  /** Output tokens; the gateway itself ends the reply there. */
  maxTokens?: number;
  stopSequences: string[];
  /** False: the reply ends after the first tool call. */
  parallelToolCalls: boolean;
};

/**
 * Something the gateway added, moved, shortened or dropped. `code` is a stable word in kebab-case for headers and
 * counters (`ignored-top-k`, `tool-description-moved`); `detail` never holds prompt text.
 */
export type Notice = { code: string; detail?: string };

export type Conversation = {
  /** The id exactly as the client sent it. */
  model: string;
  system: string;
  /** A line of the client's for the service and not for the model: Claude Code's `x-anthropic-billing-header`. */
  attribution?: string;
  turns: Turn[];
  tools: Tool[];
  webSearch?: WebSearch;
  toolChoice: ToolChoice;
  reasoning: ReasoningRequest;
  output: OutputFormat;
  limits: Limits;
  /** What ties the requests of one session together, if the client says it. Any string. */
  sessionId?: string;
  notices: Notice[];
};
