import { fail, ok, type Result } from "../result.ts";
import type { Config } from "./schema.ts";

/** Keys that stand in the documentation or the defaults of this and similar programs; strangers try them first. */
const SAMPLE_KEYS = new Set([
  "123456",
  "12345678",
  "sk-123456",
  "admin",
  "admin123",
  "kiro",
  "kiro-proxy",
  "password",
  "secret",
  "test",
  "token",
  "api-key",
  "apikey",
  "my-key",
  "my-api-key",
]);
/** What sample keys have in them and no random key has. */
const SAMPLE_MARK =
  /change[-_]?me|your[-_]|my-super-secret|qazwsxedcrfv|default|example|xxxx|\.\.\./i;

const SHORT = 16;

/** Whether only programs of this machine can reach a server that listens on `host`. */
export function isLoopback(host: string): boolean {
  return /^(localhost|::1|127(\.\d{1,3}){3})$/i.test(host);
}

/**
 * Whether the server may listen where the configuration says, with the keys it has. The failure is a sentence that
 * says what to do; the value is warnings. Neither holds a key.
 */
export function checkExposure(
  config: Pick<Config, "host" | "apiKey" | "adminApiKey">,
): Result<string[], string> {
  const { host, apiKey, adminApiKey } = config;
  if (isLoopback(host)) {
    if (apiKey) return ok([]);
    return ok(["no apiKey is set: every program on this machine can use the gateway"]);
  }
  if (!apiKey) {
    return fail(
      `host ${host} can be reached from other machines and there is no apiKey: ${advice("apiKey")}, or listen on 127.0.0.1`,
    );
  }
  const warnings: string[] = [];
  for (const [name, key] of Object.entries({ apiKey, adminApiKey })) {
    if (!key) continue;
    const text = key.reveal();
    if (SAMPLE_KEYS.has(text.toLowerCase()) || SAMPLE_MARK.test(text)) {
      return fail(
        `host ${host} can be reached from other machines and ${name} is a sample that everybody knows: ${advice(name)}`,
      );
    }
    if (text.length < SHORT) {
      warnings.push(
        `${name} has only ${text.length} characters and host ${host} can be reached from other machines: ${advice(name)}`,
      );
    }
  }
  return ok(warnings);
}

function advice(name: string): string {
  return `make one with \`openssl rand -hex 24\` and set it as ${name}`;
}
