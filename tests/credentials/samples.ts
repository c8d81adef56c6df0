import { dirname } from "node:path";
import {
  type Credential,
  type CredentialContext,
  parseCredential,
} from "../../src/credentials/credential.ts";
import type { Files } from "../../src/credentials/files.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import type { EventLog } from "../../src/credentials/pool.ts";
import type { TokenSettings } from "../../src/credentials/tokens.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import type { Runtime } from "../../src/runtime.ts";

export const NOW = Date.UTC(2026, 0, 15, 12);
export const MINUTE = 60_000;

export const context: CredentialContext = {
  defaultRegion: "us-east-1",
  regions: [...defaultProfile.apiRegions, "us-west-2"],
  profileArns: defaultProfile.profileArns,
};
export const settings: TokenSettings = { context, refresh: defaultProfile };

/** Text as long as a real token, which no check may take for a shortened one. */
export function token(name: string): string {
  return `${name}-${"x".repeat(100)}`;
}

export function at(instant: number): string {
  return new Date(instant).toISOString();
}

export const OWN_ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/OWN";

export function socialRecord(name = "aor", expiresAt = NOW) {
  return {
    accessToken: `${name}-access`,
    refreshToken: token(name),
    profileArn: OWN_ARN,
    expiresAt: at(expiresAt),
    authMethod: "social",
    provider: "Google",
  };
}

export function idcRecord(name = "aor", expiresAt = NOW) {
  return {
    accessToken: `${name}-access`,
    refreshToken: token(name),
    expiresAt: at(expiresAt),
    authMethod: "idc",
    clientId: `${name}-client`,
    clientSecret: `${name}-client-secret`,
    region: "eu-west-1",
  };
}

export function entraRecord(name = "0.A", expiresAt = NOW) {
  return {
    accessToken: `${name}-access`,
    refreshToken: token(name),
    expiresAt: at(expiresAt),
    authMethod: "external_idp",
    clientId: `${name}-client`,
    tokenEndpoint: "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
    scopes: ["api://kiro/scope", "offline_access"],
  };
}

export function parsed(record: unknown): Credential {
  const result = parseCredential(record, context);
  if (!result.ok) throw new Error(`${result.failure.path} ${result.failure.message}`);
  return result.value;
}

export type MemoryFiles = { files: Files; content: Map<string, string>; steps: string[] };

/** A disk in memory. `before` may throw to stop the world ahead of a step; `steps` lists what was done. */
export function memoryFiles(
  initial: Record<string, string>,
  before: (step: keyof Files, path: string) => void | Promise<void> = () => {},
): MemoryFiles {
  const content = new Map(Object.entries(initial));
  const steps: string[] = [];
  const locks = new Set<string>();
  const missing = Object.assign(new Error("missing"), { code: "ENOENT" });
  const step = async (name: keyof Files, path: string): Promise<void> => {
    await before(name, path);
    steps.push(name);
  };
  const files: Files = {
    async read(path) {
      await step("read", path);
      const text = content.get(path);
      if (text === undefined) throw missing;
      return text;
    },
    async realPath(path) {
      await step("realPath", path);
      if (!content.has(path)) throw missing;
      return path;
    },
    async create(path, text) {
      // A crash inside leaves half of it.
      content.set(path, text.slice(0, text.length / 2));
      await step("create", path);
      content.set(path, text);
    },
    async rename(from, to) {
      await step("rename", from);
      const text = content.get(from);
      if (text === undefined) throw missing;
      content.set(to, text);
      content.delete(from);
    },
    async syncFolder(path) {
      await step("syncFolder", path);
    },
    async remove(path) {
      await step("remove", path);
      content.delete(path);
    },
    list: async (folder) =>
      [...content.keys()]
        .filter((path) => dirname(path) === folder)
        .map((path) => path.slice(folder.length + 1)),
    makeFolder: async () => {},
    async checkWritable(path) {
      await step("checkWritable", path);
    },
    async lock(path) {
      if (locks.has(path)) return undefined;
      locks.add(path);
      return () => void locks.delete(path);
    },
  };
  return { files, content, steps };
}

export const FILE = "/data/credentials.json";

export function memoryStore(
  records: unknown,
  runtime: Pick<Runtime, "randomUUID" | "sleep">,
  before?: (step: keyof Files, path: string) => void | Promise<void>,
) {
  const memory = memoryFiles({ [FILE]: JSON.stringify(records) }, before);
  const store = createJsonStore({ path: FILE, context, runtime, files: memory.files });
  return {
    ...memory,
    store,
    records: (): unknown => JSON.parse(memory.content.get(FILE) ?? "null"),
    edit: (changed: unknown): void => void memory.content.set(FILE, JSON.stringify(changed)),
  };
}

export type LogLine = { level: string; event: string; [field: string]: unknown };

export function recordingLog(): { log: EventLog; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (level: string) => (event: string, fields?: object) =>
    void lines.push({ level, event, ...fields });
  return { lines, log: { info: write("info"), warn: write("warn"), error: write("error") } };
}

export function bodyOf(init: BunFetchRequestInit): string {
  if (typeof init.body !== "string") throw new Error("the body is no text");
  return init.body;
}
