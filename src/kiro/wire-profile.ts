import { z } from "zod";
import { jsonFault } from "../json-fault.ts";
import { fail, ok, type Result } from "../result.ts";
import type { UpstreamProfile } from "./profile.ts";

const text = z.string();
const count = z.int().min(0);
const templates = z.record(
  z
    .string()
    .regex(/^(?!authorization$)[a-z0-9-]+$/, "must be a lower-case header name, not authorization"),
  z.string().regex(/^[\x20-\x7e]*$/, "must be printable ASCII"),
);
const host = z
  .string()
  .refine(
    isHost,
    "must be https (or loopback), without a path, query or user; {region} may stand in it",
  );
const path = z.string().regex(/^\/[\w./-]*$/, "must be a path such as /mcp");
const effort = z.enum(["low", "medium", "high", "xhigh", "max"]);

/** What a file may say otherwise: how a chat and a web search are written and where they go. Nothing of log-ins. */
const Sections = z.strictObject({
  hosts: z.strictObject({ api: host, apiFallbacks: z.array(host).max(4) }),
  paths: z.strictObject({ chat: path, mcp: path }),
  versions: z.strictObject({
    sdk: text,
    oidcSdk: text,
    kiro: text,
    managementSdk: text,
    managementKiro: text,
    system: text,
    node: text,
  }),
  headers: z.strictObject({ chat: templates, mcp: templates }),
  origin: text,
  agentTaskType: text,
  chatTriggerType: text,
  fillers: z.strictObject({
    userWithToolResults: text,
    userEmpty: text,
    userImagesOnly: text,
    assistantToolOnly: text,
    assistantEmpty: text,
    systemAcknowledged: text,
    historyStart: text,
    continue: text,
    toolResultMissing: text,
    toolResultEmpty: text,
    toolHistoryDescription: text,
    toolDescription: text,
    conservative: z.strictObject({
      userWithToolResults: text,
      userImagesOnly: text,
      assistantToolOnly: text,
    }),
  }),
  tools: z.strictObject({
    nameMax: count.min(16).max(64),
    descriptionMax: count.min(1),
    schemaDropped: z.array(text),
    schemaRefDepth: count,
  }),
  images: z.strictObject({ maxCount: count, maxBytes: count }),
  documents: z.boolean(),
  documentFormats: z.record(text, text),
  thinking: z.strictObject({
    budgetDefault: count,
    budgetMin: count,
    budgetMax: count,
    mechanism: z.enum(["tags", "native", "both"]),
    tagMarker: text,
    enabledTags: text,
    adaptiveTags: text,
    tagEfforts: z.array(text),
    effortDefault: effort,
    effortByBudget: z.array(z.strictObject({ upTo: count, effort })),
    historyTags: text,
  }),
});

/** A named set of sections, whole: what its file leaves out is as it was in the profile beneath. */
export type WireProfile = { name: string; version: string; sections: z.infer<typeof Sections> };

/**
 * Reads the text of a profile's file: an object with a `version` and any part of the sections, laid over `base`. Objects
 * are merged, all else is replaced, and null takes a header or a format away. A failure names the key.
 */
export function parseWireProfile(
  name: string,
  contents: string,
  base: UpstreamProfile,
): Result<WireProfile, string> {
  let value: unknown;
  try {
    value = JSON.parse(contents);
  } catch {
    const { line, column, message } = jsonFault(contents);
    return fail(`is not valid JSON at line ${line}, column ${column}: ${message}`);
  }
  if (!isObject(value)) return fail("must hold a JSON object");
  const { version, ...over } = value;
  if (typeof version !== "string" || !/^[\w.-]{1,64}$/.test(version)) {
    return fail('version: must be a text of letters, digits, ".", "_" and "-"');
  }
  const { hosts, paths, headers } = base;
  const beneath = {
    ...Object.fromEntries(Object.keys(Sections.shape).map((key) => [key, Reflect.get(base, key)])),
    hosts: { api: hosts.api, apiFallbacks: hosts.apiFallbacks },
    paths: { chat: paths.chat, mcp: paths.mcp },
    headers: { chat: headers.chat, mcp: headers.mcp },
  };
  const parsed = Sections.safeParse(merged(beneath, over), {
    error: (issue) =>
      issue.code === "unrecognized_keys" ? `no such key: ${issue.keys.join(", ")}` : undefined,
  });
  if (parsed.success) return ok({ name, version, sections: parsed.data });
  const [issue] = parsed.error.issues;
  const key = issue?.path.join(".") ?? "";
  return fail([key, issue?.message ?? "is wrong"].filter(Boolean).join(": "));
}

/** The profile with what a wire profile says otherwise. */
export function withWireProfile(base: UpstreamProfile, { sections }: WireProfile): UpstreamProfile {
  return {
    ...base,
    ...sections,
    hosts: { ...base.hosts, ...sections.hosts },
    paths: { ...base.paths, ...sections.paths },
    headers: { ...base.headers, ...sections.headers },
  };
}

function merged(below: unknown, over: unknown): unknown {
  if (!isObject(below) || !isObject(over)) return over;
  const result = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(over)) {
    if (value === null) result.delete(key);
    else result.set(key, merged(result.get(key), value));
  }
  return Object.fromEntries(result);
}

/** Tokens are sent there. */
function isHost(template: string): boolean {
  const url = URL.parse(template.replaceAll("{region}", "region"));
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (/[{}?#\s]/.test(template.replaceAll("{region}", "")) || template.endsWith("/")) return false;
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === "https:" ? url.pathname === "/" : url.protocol === "http:" && isLoopback;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
