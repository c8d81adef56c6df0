/**
 * Everything about the upstream that is somebody's observation and not our design: hosts, headers, versions, limits,
 * rules. It lives here and nowhere else, so that a wrong guess costs one line. Values in braces are filled in per call.
 */
export type UpstreamProfile = {
  hosts: {
    /** Chat, MCP and management calls. `{region}` is the API region. */
    api: string;
    /** Builder ID and IAM Identity Center tokens. `{region}` is the auth region. */
    oidc: string;
    /** Tokens of social log-ins. `{region}` is the auth region. */
    social: string;
  };
  /** Regions in which the API is known to live; a credential's plain `region` counts for the API only if it is one. */
  apiRegions: string[];
  defaultRegion: string;
  versions: { sdk: string; oidcSdk: string; kiro: string; system: string; node: string };
  headers: {
    chat: Record<string, string>;
    socialRefresh: Record<string, string>;
    oidcToken: Record<string, string>;
  };
  /** ARNs that the official client sends where an account has none of its own. */
  profileArns: { builderId: string; social: string };
  origin: string;
  agentTaskType: string;
  chatTriggerType: string;
  /** Text for messages that may not be empty. */
  fillers: {
    userWithToolResults: string;
    userEmpty: string;
    userImagesOnly: string;
    assistantToolOnly: string;
    assistantEmpty: string;
    systemAcknowledged: string;
    historyStart: string;
    continue: string;
    toolResultMissing: string;
    toolResultEmpty: string;
    toolHistoryDescription: string;
  };
  tools: {
    nameMax: number;
    /** Code points; what is over goes to the system prompt. */
    descriptionMax: number;
    /** JSON Schema keywords that are removed at every level. */
    schemaDropped: string[];
  };
  images: { maxCount: number; maxBytes: number };
  /** Whether files such as PDFs are sent as Kiro documents. Unverified upstream, so off. */
  documents: boolean;
  thinking: {
    budgetDefault: number;
    budgetMin: number;
    budgetMax: number;
    /** Where the model has no native control, tags in the system prompt ask for thinking. */
    mechanism: "tags" | "native" | "both";
  };
  models: ModelRule[];
  /** Used when a rule names no window. */
  windowDefault: number;
  maxOutputDefault: number;
  limits: {
    /** Until the response head: DNS, connect, TLS and the service together. */
    headersMs: number;
    firstEventMs: number;
    idleMs: number;
    totalMs: number;
  };
};

/** One upstream model. `id` is what the service calls it. */
export type ModelRule = {
  id: string;
  displayName: string;
  /** The public id it is listed under, and its date as an ISO day. */
  listedAs?: string;
  releasedOn?: string;
  window: number;
  maxOutput: number;
  /**
   * How reasoning is asked for beyond the tags: `output-config` and `reasoning` name the member of
   * `additionalModelRequestFields`; `adaptive-only` models take it only with adaptive thinking.
   */
  effort?: { field: "output-config" | "reasoning"; levels: string[]; adaptiveOnly?: boolean };
};

const EFFORT_LEVELS = ["low", "medium", "high", "xhigh", "max"];

function model(id: string, displayName: string, more: Partial<ModelRule> = {}): ModelRule {
  return { id, displayName, window: 200_000, maxOutput: 64_000, ...more };
}

const KIRO_AGENT = "KiroIDE-{kiro}-{machineId}";

export const defaultProfile: UpstreamProfile = {
  hosts: {
    api: "https://q.{region}.amazonaws.com",
    oidc: "https://oidc.{region}.amazonaws.com",
    social: "https://prod.{region}.auth.desktop.kiro.dev",
  },
  apiRegions: ["us-east-1", "eu-central-1"],
  defaultRegion: "us-east-1",
  versions: {
    sdk: "1.0.34",
    oidcSdk: "3.980.0",
    kiro: "0.11.107",
    system: "darwin#24.6.0",
    node: "22.22.0",
  },
  headers: {
    chat: {
      "content-type": "application/json",
      "x-amzn-codewhisperer-optout": "true",
      "x-amzn-kiro-agent-mode": "vibe",
      "x-amz-user-agent": `aws-sdk-js/{sdk} ${KIRO_AGENT}`,
      "user-agent": `aws-sdk-js/{sdk} ua/2.1 os/{system} lang/js md/nodejs#{node} api/codewhispererstreaming#{sdk} m/E ${KIRO_AGENT}`,
      "amz-sdk-invocation-id": "{invocationId}",
      "amz-sdk-request": "attempt={attempt}; max={maxAttempts}",
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
  origin: "AI_EDITOR",
  agentTaskType: "vibe",
  chatTriggerType: "MANUAL",
  fillers: {
    userWithToolResults: "",
    userEmpty: "Continue",
    userImagesOnly: " ",
    assistantToolOnly: " ",
    assistantEmpty: "OK",
    systemAcknowledged: "I will follow these instructions.",
    historyStart: "Hello",
    continue: "Continue",
    toolResultMissing: "No result was recorded for this call.",
    toolResultEmpty: "(empty)",
    toolHistoryDescription: "A tool that was used earlier in this conversation.",
  },
  tools: {
    nameMax: 63,
    descriptionMax: 9_216,
    schemaDropped: ["$schema", "$id", "$comment"],
  },
  images: { maxCount: 10, maxBytes: 10 * 1024 * 1024 },
  documents: false,
  thinking: { budgetDefault: 10_000, budgetMin: 1_024, budgetMax: 24_576, mechanism: "both" },
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
  windowDefault: 200_000,
  maxOutputDefault: 64_000,
  limits: { headersMs: 60_000, firstEventMs: 120_000, idleMs: 300_000, totalMs: 720_000 },
};
