import { join } from "node:path";
import { ANY_KEY, KEY_VARIABLE } from "../env.ts";
import type { GatewayAddress } from "../gateway-address.ts";
import { type Edit, isObject } from "./edits.ts";

export const CLIENTS = [
  "claude-code",
  "codex",
  "opencode",
  "qwen-code",
  "continue",
  "cline",
  "cursor",
] as const;

export type ClientName = (typeof CLIENTS)[number];

export function isClient(name: string): name is ClientName {
  return CLIENTS.some((one) => one === name);
}

/** What a client is told. */
export type Target = GatewayAddress & { model: string };

type Place = { env: Record<string, string | undefined>; home: string };

export type Settings = {
  type: "settings";
  format: "json" | "toml";
  /** Where the client keeps them, the likeliest first: the first that is there counts, else the first. */
  paths(place: Place): string[];
  /** `current` is what they say now. */
  edits(target: Target, current: Record<string, unknown>): Edit[];
  /** What remains to be done. */
  after(target: Target): string[];
};

/** A client whose settings are made by hand: lines that say how. */
export type ByHand = { type: "by-hand"; lines(target: Target): string[] };

export const clients: Record<ClientName, Settings | ByHand> = {
  "claude-code": {
    type: "settings",
    format: "json",
    paths: ({ env, home }) => [
      join(env["CLAUDE_CONFIG_DIR"] || join(home, ".claude"), "settings.json"),
    ],
    edits: ({ url, key = ANY_KEY }) => [
      { path: ["env", "ANTHROPIC_BASE_URL"], value: url },
      { path: ["env", "ANTHROPIC_AUTH_TOKEN"], value: key },
    ],
    after: () => ["Start claude anew; /status shows the base URL."],
  },
  codex: {
    type: "settings",
    format: "toml",
    paths: ({ env, home }) => [join(env["CODEX_HOME"] || join(home, ".codex"), "config.toml")],
    edits: ({ url, key, model }) => [
      { path: ["model"], value: model },
      { path: ["model_provider"], value: "kiro" },
      { path: ["model_providers", "kiro", "name"], value: "kiro" },
      { path: ["model_providers", "kiro", "base_url"], value: `${url}/v1` },
      { path: ["model_providers", "kiro", "wire_api"], value: "responses" },
      ...(key === undefined
        ? []
        : [{ path: ["model_providers", "kiro", "env_key"], value: KEY_VARIABLE }]),
    ],
    after: ({ key }) =>
      key === undefined
        ? []
        : [`Codex takes the key from ${KEY_VARIABLE}: eval "$(kiro-proxy env)" sets it.`],
  },
  opencode: {
    type: "settings",
    format: "json",
    paths({ env, home }) {
      const folder = join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "opencode");
      return [join(folder, "opencode.json"), join(folder, "opencode.jsonc")];
    },
    edits: ({ url, key = ANY_KEY, model }, current) => [
      { path: ["provider", "kiro", "npm"], value: "@ai-sdk/anthropic" },
      { path: ["provider", "kiro", "name"], value: "Kiro" },
      { path: ["provider", "kiro", "options", "baseURL"], value: `${url}/v1` },
      { path: ["provider", "kiro", "options", "apiKey"], value: key },
      ...(has(current, ["provider", "kiro", "models", model])
        ? []
        : [{ path: ["provider", "kiro", "models", model], value: {} }]),
      { path: ["model"], value: `kiro/${model}` },
    ],
    after: () => ["Start opencode anew."],
  },
  "qwen-code": {
    type: "settings",
    format: "json",
    paths: ({ home }) => [join(home, ".qwen", "settings.json")],
    edits({ url, key = ANY_KEY, model }, current) {
      const provider = {
        id: model,
        name: `Kiro: ${model}`,
        baseUrl: `${url}/v1`,
        envKey: KEY_VARIABLE,
      };
      const list = ["modelProviders", "openai"];
      const listed = valueAt(current, list);
      const at = Array.isArray(listed)
        ? listed.findIndex((one: unknown) => isObject(one) && one["id"] === model)
        : undefined;
      return [
        // Behind the last one where there is none of that name: -1 is what jsonc-parser wants for that.
        at === undefined
          ? { path: list, value: [provider] }
          : { path: [...list, at], value: provider },
        { path: ["env", KEY_VARIABLE], value: key },
        { path: ["security", "auth", "selectedType"], value: "openai" },
        { path: ["model", "name"], value: model },
      ];
    },
    after: () => ["Start qwen anew; /model shows the model."],
  },
  continue: {
    type: "by-hand",
    lines: ({ url, key = ANY_KEY, model }) => [
      "In ~/.continue/config.yaml, below `models:`",
      "",
      "  - name: Kiro",
      "    provider: anthropic",
      `    model: ${model}`,
      `    apiBase: ${url}/v1/`,
      `    apiKey: ${JSON.stringify(key)}`,
      "    roles: [chat, edit, apply]",
    ],
  },
  cline: {
    type: "by-hand",
    lines: ({ url, key = ANY_KEY, model }) => [
      "In Cline's settings, under API Configuration:",
      "",
      "  API Provider         Anthropic",
      "  Anthropic API Key    " + key,
      "  Use custom base URL  " + url,
      "  Model                " + model,
    ],
  },
  cursor: {
    type: "by-hand",
    lines: ({ url, key = ANY_KEY, model }) => [
      "Cursor calls from its own servers: the gateway needs a public HTTPS address and a good apiKey.",
      "In Cursor's settings, under Models, API Keys:",
      "",
      "  OpenAI API Key            " + key,
      `  Override OpenAI Base URL  ${url}/v1`,
      "  Add a custom model        " + model,
      ...(url.startsWith("https:") && !/localhost|127\.0\.0\.1/.test(url)
        ? []
        : ["", `${url} can't be reached from there: give the public address by -url.`]),
    ],
  },
};

function valueAt(settings: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined),
    settings,
  );
}

function has(settings: unknown, path: readonly string[]): boolean {
  return valueAt(settings, path) !== undefined;
}
