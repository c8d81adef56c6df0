import type { ImageFormat, JsonObject } from "../conversation/conversation.ts";

/**
 * The body of `generateAssistantResponse`, without the profile ARN. Shapes and required members are those of AWS's
 * `@aws/codewhisperer-streaming-client`; only what this gateway sends is listed. Members stand in the order in which
 * they are written, so that a longer conversation serialises to the same bytes for as long as it is the same.
 */
export type KiroBody = {
  conversationState: {
    conversationId: string;
    agentContinuationId?: string;
    agentTaskType?: string;
    chatTriggerType: string;
    /** Absent where there is none; else it starts with a user's message, alternates, and ends with an assistant's. */
    history?: KiroMessage[];
    currentMessage: { userInputMessage: KiroUserMessage };
  };
  additionalModelRequestFields?: ModelFields;
};

export type ModelFields = { output_config: { effort: string } } | { reasoning: { effort: string } };

export type KiroMessage =
  | { userInputMessage: KiroUserMessage }
  | { assistantResponseMessage: KiroAssistantMessage };

export type KiroUserMessage = {
  content: string;
  modelId: string;
  origin: string;
  images?: KiroImage[];
  documents?: KiroDocument[];
  cachePoint?: KiroCachePoint;
  userInputMessageContext?: {
    toolResults?: KiroToolResult[];
    /** On the current message only. */
    tools?: KiroTool[];
  };
};

/** The prompt up to here may be cached. */
export type KiroCachePoint = { type: "default" };

export type KiroImage = { format: ImageFormat; source: { bytes: string } };

export type KiroDocument = { name: string; format: string; source: { bytes: string } };

export type KiroToolResult = {
  toolUseId: string;
  content: { text: string }[];
  status: "success" | "error";
};

export type KiroTool = {
  toolSpecification: { name: string; description: string; inputSchema: { json: JsonObject } };
};

export type KiroAssistantMessage = {
  content: string;
  reasoningContent?: KiroReasoning;
  cachePoint?: KiroCachePoint;
  toolUses?: KiroToolUse[];
};

/** A message holds one of the two, once. */
export type KiroReasoning =
  | { reasoningText: { text: string; signature: string } }
  | { redactedContent: string };

export type KiroToolUse = { toolUseId: string; name: string; input: JsonObject };
