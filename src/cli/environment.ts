import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

type Environment = Record<string, string | undefined>;

/**
 * The environment, and what systemd hands over in files (`LoadCredential=`), each named as the variable that it stands
 * for. Unlike variables those can't be read by other programs of the user, nor by children. A variable wins.
 */
export async function withServiceCredentials(env: Environment): Promise<Environment> {
  const folder = env["CREDENTIALS_DIRECTORY"];
  if (!folder) return env;
  const names = (await readdir(folder)).filter((name) => /^KIRO_(API_KEY|PROXY_\w+)$/.test(name));
  const entries = names.map(async (name): Promise<[string, string]> => {
    const text = await readFile(join(folder, name), "utf8");
    return [name, text.trim()];
  });
  return { ...Object.fromEntries(await Promise.all(entries)), ...env };
}
