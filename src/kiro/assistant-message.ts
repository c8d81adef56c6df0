import type { AssistantPart } from "../conversation/conversation.ts";
import type { KiroAssistantMessage, KiroReasoning, KiroToolUse } from "./body.ts";
import { cleanObject, isBlank } from "./document.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type AssistantRules = {
  profile: UpstreamProfile;
  fillers: Pick<UpstreamProfile["fillers"], "assistantToolOnly">;
  /** How thinking of earlier replies goes back: as it came, as text, or not at all. */
  reasoning: "native" | "text" | "none";
  /** The service's name for a tool; called for every call in the history. */
  toolName: (name: string) => string;
  note: (code: string) => void;
};

/** The client's id for a call and the one that is sent. */
export type Call = { id: string; toolUseId: string };

/** `empty` says that the reply held nothing at all; its message has a filler then. */
export function renderAssistant(
  parts: AssistantPart[],
  rules: AssistantRules,
): { message: KiroAssistantMessage; calls: Call[]; empty: boolean } {
  const { fillers, profile, note } = rules;
  const thoughts: string[] = [];
  const texts: string[] = [];
  const toolUses: KiroToolUse[] = [];
  const calls: Call[] = [];
  const uniqueId = createUniqueIds();
  const reasoning = rules.reasoning === "native" ? nativeReasoning(parts) : undefined;

  for (const part of parts) {
    switch (part.type) {
      case "text":
        if (!isBlank(part.text)) texts.push(part.text.toWellFormed());
        break;
      case "reasoning":
        if (part === reasoning) break;
        if (rules.reasoning === "none") note("reasoning-dropped");
        else if (!isBlank(part.text)) {
          const text = part.text.toWellFormed();
          thoughts.push(fill(profile.thinking.historyTags, { text }));
          if (part.signature !== undefined) note("signed-reasoning-as-text");
        }
        break;
      case "redacted-reasoning":
        if (part !== reasoning) note("redacted-reasoning-dropped");
        break;
      case "tool-call": {
        const toolUseId = uniqueId(part.id);
        calls.push({ id: part.id, toolUseId });
        const name = rules.toolName(part.name);
        toolUses.push({ toolUseId, name, input: cleanObject(part.input) });
        break;
      }
      default:
        part satisfies never;
    }
  }

  const content = [...thoughts, ...texts].join("\n\n");
  const silent = toolUses.length === 0 && reasoning === undefined;
  const filler = silent ? profile.fillers.assistantEmpty : fillers.assistantToolOnly;
  const message: KiroAssistantMessage = { content: content === "" ? filler : content };
  if (reasoning !== undefined) message.reasoningContent = toKiroReasoning(reasoning);
  if (toolUses.length > 0) message.toolUses = toolUses;
  return { message, calls, empty: silent && content === "" };
}

type AnyReasoning = Extract<AssistantPart, { type: "reasoning" | "redacted-reasoning" }>;

/**
 * The one thinking block that a message can hold as such: the first signed one, which opened the reply, else the first
 * encrypted one. The others go as text, but for encrypted ones, which have none.
 */
function nativeReasoning(parts: AssistantPart[]): AnyReasoning | undefined {
  let redacted: AnyReasoning | undefined;
  for (const part of parts) {
    if (part.type === "reasoning" && part.signature !== undefined) return part;
    if (part.type === "redacted-reasoning") redacted ??= part;
  }
  return redacted;
}

function toKiroReasoning(part: AnyReasoning): KiroReasoning {
  return part.type === "reasoning"
    ? { reasoningText: { text: part.text.toWellFormed(), signature: part.signature ?? "" } }
    : { redactedContent: part.data };
}

/** Ids as they are, but never empty and never twice in one message. */
function createUniqueIds(): (id: string) => string {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  return (id) => {
    const base = id === "" ? "call" : id.toWellFormed();
    let unique = base;
    let count = counts.get(base) ?? 1;
    while (taken.has(unique)) unique = `${base}-${++count}`;
    counts.set(base, count);
    taken.add(unique);
    return unique;
  };
}
