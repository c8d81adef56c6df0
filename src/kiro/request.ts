import type { Conversation, Notice, Tool } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { fail, ok, type Result } from "../result.ts";
import type { KiroBody, KiroMessage, KiroUserMessage } from "./body.ts";
import { isBlank } from "./document.ts";
import { renderTurns } from "./history.ts";
import { type ResolvedModel, resolveModel } from "./models.ts";
import { fill, type UpstreamProfile } from "./profile.ts";
import { planThinking } from "./thinking.ts";
import { createToolNames, declareTools, type ToolNames } from "./tools.ts";

/** UUIDs. The conversation's lasts for a session; the continuation's for one prompt and the tool rounds after it. */
export type KiroRequestIds = { conversationId: string; continuationId: string };

export type Rendering = {
  /** Without the thinking blocks of earlier replies. */
  dropReasoning?: boolean;
  /** Nothing that the service might object to: no empty content, plain schemas, no field that it can do without. */
  conservative?: boolean;
};

export type KiroRequest = {
  body: KiroBody;
  model: ResolvedModel;
  /** A thinking block may be shown to the client. */
  thinking: boolean;
  /** Tags were asked for: the reply's text must be split. */
  tagThinking: boolean;
  /** A tool's name as the client knows it, from the one in a reply. */
  originalToolName: ToolNames["toClient"];
  /** The conversation's own and what was added, moved or left out here. */
  notices: Notice[];
};

/**
 * The request for one conversation. Whatever a client may have in its history is mended, because it would send it again
 * for ever; `invalid-request` is for what nothing can be made of: no turns, or a forced tool that is not there.
 *
 * The body shares strings with the conversation and leaves it as it is.
 */
export function toKiroRequest(
  conversation: Conversation,
  ids: KiroRequestIds,
  profile: UpstreamProfile,
  rendering: Rendering = {},
): Result<KiroRequest, Failure> {
  const { turns, toolChoice: choice } = conversation;
  if (turns.length === 0) return invalid("messages: at least one message is required");
  const forced =
    choice.type === "tool"
      ? conversation.tools.find(({ name }) => name === choice.name)
      : undefined;
  if (choice.type === "tool" && forced === undefined) {
    return invalid(`Tool '${choice.name}' not found in provided tools`);
  }

  const conservative = rendering.conservative === true;
  const notices = createNotices(conversation.notices);
  const { note } = notices;
  const model = resolveModel(conversation.model, profile);
  const plan = planThinking(conversation.reasoning, model, profile, !conservative);
  const names = createToolNames(
    conversation.tools.map((tool) => tool.name),
    profile.tools.nameMax,
  );

  const called = new Set<string>();
  const { history, current } = renderTurns(turns, {
    profile,
    modelId: model.id,
    fillers: conservative ? profile.fillers.conservative : profile.fillers,
    reasoning: rendering.dropReasoning === true ? "none" : conservative ? "text" : "native",
    toolName(name) {
      const kiroName = names.toKiro(name);
      called.add(kiroName);
      return kiroName;
    },
    note,
  });

  const offered = offeredTools(conversation, forced, called.size > 0);
  const declared = declareTools(offered, called, names, profile, conservative, note);
  if (declared.tools.length > 0) {
    current.userInputMessageContext = {
      ...current.userInputMessageContext,
      tools: declared.tools,
    };
  }

  const tagged = conversation.system.includes(profile.thinking.tagMarker);
  const tags = tagged ? "" : plan.tags;
  if (tags !== "") note("thinking-tags-added");
  const line = conversation.attribution?.toWellFormed();
  if (line !== undefined) placeAttribution(line, current, profile, note);
  const kept = line !== undefined && profile.attributionLine === "keep" ? `${line}\n` : "";
  const system = systemText(tags, kept + conversation.system.toWellFormed(), [
    ...declared.sections,
    ...instructions(conversation, offered, names, profile, note),
  ]);

  const messages = [...systemPair(system, model.id, profile), ...history];
  if (profile.cachePoints && !conservative) {
    markForCache(messages.slice(0, system === "" ? 0 : 1));
    markForCache(messages.slice(-1));
  }
  const body: KiroBody = {
    conversationState: {
      conversationId: ids.conversationId,
      ...(!conservative && {
        agentContinuationId: ids.continuationId,
        agentTaskType: profile.agentTaskType,
      }),
      chatTriggerType: profile.chatTriggerType,
      ...(messages.length > 0 && { history: messages }),
      currentMessage: { userInputMessage: current },
    },
    ...(plan.fields !== undefined && { additionalModelRequestFields: plan.fields }),
  };
  return ok({
    body,
    model,
    thinking: plan.thinking,
    tagThinking: plan.thinking && (tagged || tags !== ""),
    originalToolName: names.toClient,
    notices: notices.all,
  });
}

function invalid(message: string): Result<never, Failure> {
  return fail({ kind: "invalid-request", message });
}

/** Notices without repetition: a history with fifty stray results has one. */
function createNotices(given: Notice[]): {
  all: Notice[];
  note: (code: string, detail?: string) => void;
} {
  const all = [...given];
  const seen = new Set<string>();
  return {
    all,
    note(code, detail) {
      const key = `${code} ${detail}`;
      if (seen.has(key)) return;
      seen.add(key);
      all.push(detail === undefined ? { code } : { code, detail });
    },
  };
}

/** The service has no tool choice: tools that may not be called are not offered, as far as the history allows. */
function offeredTools(
  { tools, toolChoice }: Conversation,
  forced: Tool | undefined,
  historyHasCalls: boolean,
): Tool[] {
  if (forced !== undefined) return [forced];
  return toolChoice.type === "none" && !historyHasCalls ? [] : tools;
}

/** Sentences for what the service has no field for. */
function instructions(
  { toolChoice, output }: Conversation,
  offered: Tool[],
  names: ToolNames,
  { prompts }: UpstreamProfile,
  note: (code: string) => void,
): string[] {
  const sentences: string[] = [];
  if (toolChoice.type !== "auto" && offered.length > 0) {
    const template = {
      none: prompts.toolChoiceNone,
      any: prompts.toolChoiceAny,
      tool: prompts.toolChoiceTool,
    }[toolChoice.type];
    const name = toolChoice.type === "tool" ? names.toKiro(toolChoice.name) : "";
    sentences.push(fill(template, { name }));
    note("tool-choice-as-instruction");
  }
  if (output.type === "json") {
    sentences.push(
      output.schema === undefined
        ? prompts.jsonOutput
        : fill(prompts.jsonSchemaOutput, { schema: JSON.stringify(output.schema) }),
    );
    note("json-output-as-instruction");
  }
  return sentences;
}

/** Not among the tools, where the service was seen to refuse it. */
function markForCache(messages: KiroMessage[]): void {
  for (const message of messages) {
    const marked =
      "userInputMessage" in message ? message.userInputMessage : message.assistantResponseMessage;
    marked.cachePoint = { type: "default" };
  }
}

/** Away from the head of the prompt, unless it is to be kept there. */
function placeAttribution(
  line: string,
  current: KiroUserMessage,
  { attributionLine }: UpstreamProfile,
  note: (code: string) => void,
): void {
  switch (attributionLine) {
    case "keep":
      return;
    case "remove":
      return note("attribution-line-removed");
    case "tail":
      current.content = isBlank(current.content) ? line : `${current.content}\n\n${line}`;
      return note("attribution-line-moved");
    default:
      return attributionLine satisfies never;
  }
}

/** The client's text stays as it is and in one piece. */
function systemText(tags: string, given: string, sections: string[]): string {
  const head = [tags, given].filter((text) => !isBlank(text)).join("\n");
  return [head, ...sections].filter((text) => text !== "").join("\n\n");
}

/** The service has no field for a system prompt: it opens the conversation and is agreed to. */
function systemPair(content: string, modelId: string, profile: UpstreamProfile): KiroMessage[] {
  if (content === "") return [];
  return [
    { userInputMessage: { content, modelId, origin: profile.origin } },
    { assistantResponseMessage: { content: profile.fillers.systemAcknowledged } },
  ];
}
