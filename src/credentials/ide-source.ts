import { basename, dirname, join } from "node:path";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { errorCode, type Files, replaceFile } from "./files.ts";
import { parseJsonText } from "./json-file.ts";
import { atHome, type LoginSource } from "./login-source.ts";
import {
  type CredentialFault,
  isGiven,
  isRecord,
  type JsonRecord,
  renewedRecord,
} from "./record.ts";
import type { StoreFault } from "./store.ts";

/** What the name of a registration may be made of: it becomes part of a path. */
const HASH = /^[0-9A-Za-z_-]+$/;

/**
 * The log-in of the Kiro IDE: `kiro-auth-token.json` in the cache of AWS's sign-in, and beside it the registration of
 * the client, in a file named by `clientIdHash`.
 */
export function createIdeSource(deps: {
  home: string;
  files: Files;
  runtime: Pick<Runtime, "randomUUID">;
}): LoginSource {
  const { home, files, runtime } = deps;
  const placeOf = (path: string | undefined): string =>
    path === undefined
      ? join(home, ".aws", "sso", "cache", "kiro-auth-token.json")
      : atHome(path, home);

  const readObject = async (file: string): Promise<Result<JsonRecord, StoreFault>> => {
    let text: string;
    try {
      text = await files.read(file);
    } catch (error) {
      return fail({ kind: "io", file, message: errorCode(error) });
    }
    const parsed = parseJsonText(text, file);
    if (!parsed.ok) return parsed;
    if (isRecord(parsed.value)) return ok(parsed.value);
    return fail({ kind: "broken", file, line: 1, column: 1, message: "must be a JSON object" });
  };

  /** Empty where it is not needed or not to be found. */
  const registrationOf = async (token: JsonRecord, file: string): Promise<JsonRecord> => {
    const { clientIdHash } = token;
    if (isGiven(token["clientId"])) return {};
    const folder = dirname(file);
    if (isGiven(clientIdHash)) {
      if (typeof clientIdHash !== "string" || !HASH.test(clientIdHash)) return {};
      const registration = await readObject(join(folder, `${clientIdHash}.json`));
      return registration.ok ? clientOf(registration.value) : {};
    }
    if (/^(social|google|github)$/i.test(String(token["authMethod"]))) return {};
    const names = await files.list(folder).catch(() => []);
    const others = names.filter((name) => name.endsWith(".json") && name !== basename(file));
    const read = await Promise.all(
      others.map(async (name) => await readObject(join(folder, name))),
    );
    const clients = read.flatMap((one) => (one.ok ? [clientOf(one.value)] : []));
    const [only, second] = clients.filter((client) => Object.keys(client).length > 0);
    // Of several nobody can say which one the token belongs to.
    return only === undefined || second !== undefined ? {} : only;
  };

  return {
    async read(path) {
      const file = placeOf(path);
      const token = await readObject(file);
      if (!token.ok) return fail(sourceFault(token.failure));
      return ok({ ...token.value, ...(await registrationOf(token.value, file)) });
    },
    async write(path, renewal, unchanged) {
      const file = placeOf(path);
      const token = await readObject(file);
      if (!token.ok) return token;
      const registration = await registrationOf(token.value, file);
      if (!unchanged({ ...token.value, ...registration })) return fail({ kind: "conflict" });
      const record = renewedRecord(token.value, renewal, undefined);
      try {
        const target = await files.realPath(file);
        await files.checkWritable(target);
        await replaceFile(files, target, JSON.stringify(record, null, 2), runtime.randomUUID());
      } catch (error) {
        return fail({ kind: "io", file, message: errorCode(error) });
      }
      return ok({ ...record, ...registration });
    },
  };
}

/** What is wrong with another program's file, as a fault of the record that points to it. */
function sourceFault(fault: StoreFault): CredentialFault {
  if (fault.kind === "broken") {
    const { file, line, column, message } = fault;
    return { path: "source", message: `${file}, line ${line}, column ${column}: ${message}` };
  }
  const what = fault.message === "ENOENT" ? "does not exist" : `can't be read: ${fault.message}`;
  return { path: "source", message: `${fault.file} ${what}` };
}

function clientOf({ clientId, clientSecret, expiresAt }: JsonRecord): JsonRecord {
  if (!isGiven(clientId) || !isGiven(clientSecret)) return {};
  return { clientId, clientSecret, clientSecretExpiresAt: expiresAt };
}
