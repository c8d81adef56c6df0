import type { ModelRule, UpstreamProfile } from "./profile.ts";

const EFFORT_LEVELS = ["low", "medium", "high", "xhigh", "max"];

function model(id: string, displayName: string, more: Partial<ModelRule> = {}): ModelRule {
  return { id, displayName, window: 200_000, maxOutput: 64_000, ...more };
}

const KIRO_AGENT = "KiroIDE-{kiro}-{machineId}";
const MANAGEMENT_AGENT = "KiroIDE-{managementKiro}-{machineId}";

/** Of all calls that the official client for chats makes. */
const STREAMING_HEADERS = {
  "content-type": "application/json",
  "x-amz-user-agent": `aws-sdk-js/{sdk} ${KIRO_AGENT}`,
  "user-agent": `aws-sdk-js/{sdk} ua/2.1 os/{system} lang/js md/nodejs#{node} api/codewhispererstreaming#{sdk} m/E ${KIRO_AGENT}`,
  "amz-sdk-invocation-id": "{invocationId}",
  "amz-sdk-request": "attempt={attempt}; max={maxAttempts}",
};

/** What the official client was seen to do. */
export const defaultProfile: UpstreamProfile = {
  hosts: {
    api: "https://q.{region}.amazonaws.com",
    apiFallbacks: [],
    oidc: "https://oidc.{region}.amazonaws.com",
    social: "https://prod.{region}.auth.desktop.kiro.dev",
    portal: "https://app.kiro.dev",
  },
  paths: {
    chat: "/generateAssistantResponse",
    mcp: "/mcp",
    usageLimits:
      "/getUsageLimits?origin=AI_EDITOR&resourceType=AGENTIC_REQUEST&isEmailRequired=true",
    models: "/ListAvailableModels?origin=AI_EDITOR",
    profiles: "/",
  },
  apiRegions: ["us-east-1", "eu-central-1"],
  defaultRegion: "us-east-1",
  versions: {
    sdk: "1.0.34",
    oidcSdk: "3.980.0",
    kiro: "0.11.107",
    managementSdk: "1.0.0",
    managementKiro: "0.9.2",
    system: "darwin#24.6.0",
    node: "22.22.0",
  },
  headers: {
    chat: {
      "x-amzn-codewhisperer-optout": "true",
      "x-amzn-kiro-agent-mode": "vibe",
      ...STREAMING_HEADERS,
    },
    mcp: STREAMING_HEADERS,
    management: {
      "x-amz-user-agent": `aws-sdk-js/{managementSdk} ${MANAGEMENT_AGENT}`,
      "user-agent": `aws-sdk-js/{managementSdk} ua/2.1 os/{system} lang/js md/nodejs#{node} api/codewhispererruntime#{managementSdk} m/N,E ${MANAGEMENT_AGENT}`,
      "amz-sdk-invocation-id": "{invocationId}",
      "amz-sdk-request": "attempt={attempt}; max={maxAttempts}",
    },
    profiles: {
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": "AmazonCodeWhispererService.ListAvailableProfiles",
    },
    socialRefresh: {
      "content-type": "application/json",
      accept: "application/json, text/plain, */*",
      "user-agent": KIRO_AGENT,
    },
    oidcToken: {
      "content-type": "application/json",
      "x-amz-user-agent": "aws-sdk-js/{oidcSdk} KiroIDE",
      "user-agent":
        "aws-sdk-js/{oidcSdk} ua/2.1 os/{system} lang/js md/nodejs#{node} api/sso-oidc#{oidcSdk} m/E KiroIDE",
      "amz-sdk-invocation-id": "{invocationId}",
      "amz-sdk-request": "attempt={attempt}; max={maxAttempts}",
    },
  },
  profileArns: {
    builderId: "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX",
    social: "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
  },
  builderIdStartUrl: "https://view.awsapps.com/start",
  login: {
    clientName: "kiro-proxy",
    scopes: ["codewhisperer:completions", "codewhisperer:analysis", "codewhisperer:conversations"],
  },
  origin: "AI_EDITOR",
  agentTaskType: "vibe",
  chatTriggerType: "MANUAL",
  attributionLine: "remove",
  cachePoints: false,
  fillers: {
    userWithToolResults: "",
    userEmpty: "Continue",
    userImagesOnly: " ",
    assistantToolOnly: " ",
    assistantEmpty: "OK",
    systemAcknowledged: "I will follow these instructions.",
    historyStart: "Hello",
    continue:
      "Continue your last message from exactly where it ends. Do not repeat any of it and do not comment on this.",
    toolResultMissing: "No result was recorded for this call.",
    toolResultEmpty: "(empty)",
    toolHistoryDescription: "A tool that was used earlier in this conversation.",
    toolDescription: "Tool: {name}",
    conservative: {
      userWithToolResults: "Here are the tool results.",
      userImagesOnly: "See the attached files.",
      assistantToolOnly: "Using tools.",
    },
  },
  prompts: {
    descriptionPointer: '\n\n[Continued in the system prompt under "{heading}".]',
    descriptionHeading: "Description of the tool {name}, continued",
    toolChoiceNone: "Do not call any tool in your next reply. Answer in text.",
    toolChoiceAny: "Your next reply must call at least one of the available tools.",
    toolChoiceTool: "Your next reply must call the tool {name}.",
    jsonOutput: "Reply with one valid JSON object and nothing else: no prose and no code fence.",
    jsonSchemaOutput:
      "Reply with one JSON value that is valid under this JSON Schema and nothing else: no prose and no code fence.\n{schema}",
    imagePointer: "[Image {n} of this message.]",
    documentPointer: "[File {n} of this message.]",
    imageOverCount: "[An image was left out here: only the newest {max} are sent.]",
    imageOverSize: "[An image was left out here: it is larger than {max} bytes.]",
    documentOmitted: '[The file "{name}" ({mediaType}) was left out here: it can\'t be sent.]',
    strayResult: "[Result of the tool call {id}]\n{text}",
    strayError: "[Error of the tool call {id}]\n{text}",
  },
  tools: {
    nameMax: 63,
    descriptionMax: 9_216,
    schemaDropped: [
      "$schema",
      "$id",
      "$comment",
      "$ref",
      "$defs",
      "definitions",
      "$anchor",
      "$dynamicRef",
      "$dynamicAnchor",
      "$recursiveRef",
      "$recursiveAnchor",
      "$vocabulary",
    ],
    schemaRefDepth: 8,
  },
  images: { maxCount: 10, maxBytes: 10 * 1024 * 1024 },
  documents: false,
  documentFormats: {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
  },
  thinking: {
    budgetDefault: 10_000,
    budgetMin: 1_024,
    budgetMax: 24_576,
    mechanism: "both",
    tagMarker: "<thinking_mode>",
    enabledTags:
      "<thinking_mode>enabled</thinking_mode><max_thinking_length>{budget}</max_thinking_length>",
    adaptiveTags:
      "<thinking_mode>adaptive</thinking_mode><thinking_effort>{effort}</thinking_effort>",
    tagEfforts: ["low", "medium", "high"],
    effortDefault: "high",
    effortByBudget: [
      { upTo: 4_000, effort: "low" },
      { upTo: 16_000, effort: "medium" },
      { upTo: 64_000, effort: "high" },
      { upTo: Number.MAX_SAFE_INTEGER, effort: "xhigh" },
    ],
    historyTags: "<thinking>{text}</thinking>",
  },
  models: [
    model("claude-sonnet-4.5", "Claude Sonnet 4.5", {
      listedAs: "claude-sonnet-4-5-20250929",
      releasedOn: "2025-09-29",
    }),
    model("claude-opus-4.5", "Claude Opus 4.5", {
      listedAs: "claude-opus-4-5-20251101",
      releasedOn: "2025-11-24",
    }),
    model("claude-opus-4.6", "Claude Opus 4.6", {
      listedAs: "claude-opus-4-6",
      releasedOn: "2026-02-04",
      window: 1_000_000,
      effort: {
        field: "output-config",
        levels: ["low", "medium", "high", "max"],
        adaptiveOnly: true,
      },
    }),
    model("claude-haiku-4.5", "Claude Haiku 4.5", {
      listedAs: "claude-haiku-4-5-20251001",
      releasedOn: "2025-10-15",
    }),
    model("claude-sonnet-4.6", "Claude Sonnet 4.6", {
      releasedOn: "2026-02-17",
      window: 1_000_000,
      effort: { field: "output-config", levels: ["low", "medium", "high", "max"] },
    }),
    ...[
      ["claude-opus-4.7", "Claude Opus 4.7"],
      ["claude-opus-4.8", "Claude Opus 4.8"],
      ["claude-sonnet-4.8", "Claude Sonnet 4.8"],
      ["claude-sonnet-5", "Claude Sonnet 5"],
      ["claude-opus-5", "Claude Opus 5"],
      ["claude-fable-5", "Claude Fable 5"],
    ].map(([id = "", name = ""]) =>
      model(id, name, {
        window: 1_000_000,
        effort: { field: "output-config", levels: EFFORT_LEVELS },
      }),
    ),
    ...["gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna"].map((id) =>
      model(id, id, {
        window: 272_000,
        effort: {
          field: "reasoning",
          levels: ["none", ...EFFORT_LEVELS],
        },
      }),
    ),
    model("claude-sonnet-4", "Claude Sonnet 4"),
    model("claude-3.7-sonnet", "Claude 3.7 Sonnet"),
  ],
  aliases: {},
  currentModels: {
    sonnet: "claude-sonnet-4.5",
    opus: "claude-opus-4.6",
    haiku: "claude-haiku-4.5",
    fable: "claude-fable-5",
  },
  windowDefault: 200_000,
  maxOutputDefault: 64_000,
  limits: { headersMs: 60_000, firstEventMs: 120_000, idleMs: 300_000, totalMs: 720_000 },
};
