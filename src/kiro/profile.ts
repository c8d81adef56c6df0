import type { Effort } from "../conversation/conversation.ts";

/**
 * Everything about the upstream that is somebody's observation and not our design: hosts, headers, versions, limits,
 * rules. It lives in `default-profile` and nowhere else, so that a wrong guess costs one line. Values in braces are filled in per call.
 */
export type UpstreamProfile = {
  hosts: {
    /** Chat, MCP and management calls. `{region}` is the API region. */
    api: string;
    /** Where the API may be instead when that host does not know the account or the call any more, in this order. */
    apiFallbacks: string[];
    /** Builder ID and IAM Identity Center tokens. `{region}` is the auth region. */
    oidc: string;
    /** Tokens of social log-ins. `{region}` is the auth region. */
    social: string;
    /** The page where users of a social account sign in. */
    portal: string;
  };
  paths: { chat: string; mcp: string; usageLimits: string; models: string; profiles: string };
  /** Regions in which the API is known to live; a credential's plain `region` counts for the API only if it is one. */
  apiRegions: string[];
  defaultRegion: string;
  versions: {
    sdk: string;
    oidcSdk: string;
    kiro: string;
    /** What the calls about an account are told: with a newer version the service wants a profile ARN and then refuses it. */
    managementSdk: string;
    managementKiro: string;
    system: string;
    node: string;
  };
  headers: {
    chat: Record<string, string>;
    /** Tools that the service itself runs. */
    mcp: Record<string, string>;
    /** Calls about an account: its quota, its models. */
    management: Record<string, string>;
    /** On top of those, for the list of its profiles, which speaks another protocol of AWS's. */
    profiles: Record<string, string>;
    socialRefresh: Record<string, string>;
    oidcToken: Record<string, string>;
  };
  /** ARNs that the official client sends where an account has none of its own. */
  profileArns: { builderId: string; social: string };
  /** Where users of a Builder ID sign in; any other start URL is a company's. */
  builderIdStartUrl: string;
  /** What a consent page calls this program, and what it asks for. */
  login: { clientName: string; scopes: string[] };
  origin: string;
  agentTaskType: string;
  chatTriggerType: string;
  /**
   * What becomes of a client's attribution line. At the head, where the client has it, it makes each prompt a new one for
   * the service's cache; the tail is the end of the current message.
   */
  attributionLine: "remove" | "tail" | "keep";
  /** Whether the end of the system prompt and of the history are marked for the service's cache. Unverified upstream, so off. */
  cachePoints: boolean;
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
    /** What stands in for the description of `{name}`. */
    toolDescription: string;
    /** Used instead where a request is rendered conservatively: nothing empty, nothing blank. */
    conservative: {
      userWithToolResults: string;
      userImagesOnly: string;
      assistantToolOnly: string;
    };
  };
  /** Sentences for what the service has no field for. They go into the system text or stand where something was. */
  prompts: {
    /** Ends a shortened description; `{heading}` is the place in the system text where it goes on. */
    descriptionPointer: string;
    descriptionHeading: string;
    toolChoiceNone: string;
    toolChoiceAny: string;
    toolChoiceTool: string;
    jsonOutput: string;
    /** `{schema}` is the client's, as JSON. */
    jsonSchemaOutput: string;
    /** In a tool result, for an image or file that went to the message: `{n}` counts from 1. */
    imagePointer: string;
    documentPointer: string;
    imageOverCount: string;
    imageOverSize: string;
    documentOmitted: string;
    /** A tool result that can't be sent as one. */
    strayResult: string;
    strayError: string;
  };
  tools: {
    nameMax: number;
    /** Code points; what is over goes to the system prompt. */
    descriptionMax: number;
    /** JSON Schema keywords that are removed at every level. */
    schemaDropped: string[];
    /** How deep `$ref`s are followed when they are inlined. */
    schemaRefDepth: number;
  };
  /** `maxBytes` of one image, decoded. */
  images: { maxCount: number; maxBytes: number };
  /** Whether files such as PDFs are sent as Kiro documents. Unverified upstream, so off. */
  documents: boolean;
  /** The service's name for a media type; a file of any other type can't be sent. */
  documentFormats: Record<string, string>;
  thinking: {
    budgetDefault: number;
    budgetMin: number;
    budgetMax: number;
    /** Where the model has no native control, tags in the system prompt ask for thinking. */
    mechanism: "tags" | "native" | "both";
    /** What a client's own tags are known by; ours are not added to them. */
    tagMarker: string;
    enabledTags: string;
    adaptiveTags: string;
    /** Efforts that the tags know; a higher one is lowered. */
    tagEfforts: string[];
    effortDefault: Effort;
    /** The effort that stands for a budget of up to so many tokens; the last one is for all above. */
    effortByBudget: { upTo: number; effort: Effort }[];
    /** An earlier thinking block that is sent as text. */
    historyTags: string;
  };
  models: ModelRule[];
  /** Further names for models, from the configuration. */
  aliases: Record<string, string>;
  /** The model that a family's name means where it says no version, or an older one. */
  currentModels: Record<string, string>;
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
  /** The service lists it for one of the accounts. */
  offered?: true;
  /**
   * How reasoning is asked for beyond the tags: `output-config` and `reasoning` name the member of
   * `additionalModelRequestFields`; `adaptive-only` models take it only with adaptive thinking.
   */
  effort?: { field: "output-config" | "reasoning"; levels: string[]; adaptiveOnly?: boolean };
};

/** Puts values in the place of a template's `{names}`; a name without a value stays as it is. */
export function fill(template: string, values: Record<string, string | number>): string {
  let text = "";
  let from = 0;
  // A pattern with a callback takes twice as long, and every call fills three.
  for (let at = template.indexOf("{"); at >= 0; at = template.indexOf("{", at + 1)) {
    const end = template.indexOf("}", at);
    if (end < 0) break;
    const value = values[template.slice(at + 1, end)];
    if (value === undefined) continue;
    text += `${template.slice(from, at)}${value}`;
    from = end + 1;
  }
  return from === 0 ? template : text + template.slice(from);
}
