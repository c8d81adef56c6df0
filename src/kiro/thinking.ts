import type { Effort, ReasoningRequest } from "../conversation/conversation.ts";
import type { ModelFields } from "./body.ts";
import type { ResolvedModel } from "./models.ts";
import { fill, type UpstreamProfile } from "./profile.ts";

export type ThinkingPlan = {
  /** A thinking block may be shown to the client. */
  thinking: boolean;
  /** What asks for thinking at the head of the system text; may be empty. */
  tags: string;
  /** The model's own control; absent where it has none that fits, or may not be used. */
  fields?: ModelFields;
};

const EFFORTS: readonly Effort[] = ["low", "medium", "high", "xhigh", "max"];

/**
 * How reasoning is asked for. A model refuses fields that it does not know, so they go by its rule alone; the tags are
 * plain text and do no harm. An effort without thinking sets the field and shows nothing.
 *
 * @param native false keeps the fields out
 */
export function planThinking(
  request: ReasoningRequest,
  model: ResolvedModel,
  profile: UpstreamProfile,
  native: boolean,
): ThinkingPlan {
  const { thinking: rules } = profile;
  const asked =
    request.type === "unset" && model.thinkingByName ? byName(request, model, profile) : request;
  const thinking = asked.type === "budget" || asked.type === "adaptive";
  const fields =
    native && rules.mechanism !== "tags" ? fieldsFor(asked, model, profile) : undefined;
  const tags =
    thinking && (rules.mechanism !== "native" || fields === undefined)
      ? tagsFor(asked, profile)
      : "";
  return { thinking, tags, ...(fields !== undefined && { fields }) };
}

/** A `-thinking` name says how much no better than "on", so it must not lower the effort that the model has anyway. */
function byName(
  request: ReasoningRequest & { type: "unset" },
  model: ResolvedModel,
  { thinking }: UpstreamProfile,
): ReasoningRequest {
  const effort = request.effort ?? thinking.effortDefault;
  return model.effort?.adaptiveOnly === true
    ? { type: "adaptive", effort }
    : { type: "budget", tokens: thinking.budgetDefault, effort };
}

function fieldsFor(
  asked: ReasoningRequest,
  { effort: control }: ResolvedModel,
  profile: UpstreamProfile,
): ModelFields | undefined {
  if (control === undefined || asked.type === "off") return undefined;
  if (asked.type === "unset" && asked.effort === undefined) return undefined;
  if (control.adaptiveOnly === true && asked.type !== "adaptive") return undefined;
  const effort = atMost(effortOf(asked, profile), control.levels);
  if (effort === undefined) return undefined;
  switch (control.field) {
    case "output-config":
      return { output_config: { effort } };
    case "reasoning":
      return { reasoning: { effort } };
    default:
      return control.field satisfies never;
  }
}

function tagsFor(
  asked: ReasoningRequest & { type: "budget" | "adaptive" },
  profile: UpstreamProfile,
): string {
  const { thinking } = profile;
  if (asked.type === "budget") {
    const budget = Math.min(
      Math.max(Math.trunc(asked.tokens), thinking.budgetMin),
      thinking.budgetMax,
    );
    return fill(thinking.enabledTags, { budget });
  }
  const effort = atMost(effortOf(asked, profile), thinking.tagEfforts) ?? thinking.effortDefault;
  return fill(thinking.adaptiveTags, { effort });
}

function effortOf(
  asked: Exclude<ReasoningRequest, { type: "off" }>,
  { thinking }: UpstreamProfile,
): Effort {
  if (asked.effort !== undefined) return asked.effort;
  if (asked.type !== "budget") return thinking.effortDefault;
  const { tokens } = asked;
  return (
    thinking.effortByBudget.find(({ upTo }) => tokens <= upTo)?.effort ?? thinking.effortDefault
  );
}

/** The effort itself, or the next lower one among `levels`. */
function atMost(effort: Effort, levels: string[]): Effort | undefined {
  return EFFORTS.slice(0, EFFORTS.indexOf(effort) + 1).findLast((level) => levels.includes(level));
}
