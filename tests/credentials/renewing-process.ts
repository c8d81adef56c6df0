/**
 * Renews the token of a file's one credential again and again, until it is killed. Its arguments are the file and the
 * address of the emulator. Says `got` of a refresh token that has arrived and `use` of one whose access token it would
 * now call the service with; what it has said is said even if it is killed in the next moment.
 */
import { writeSync } from "node:fs";
import { createJournal } from "../../src/credentials/journal.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import { createPool } from "../../src/credentials/pool.ts";
import { createTokens } from "../../src/credentials/tokens.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { realRuntime, type Runtime } from "../../src/runtime.ts";
import { context } from "./samples.ts";

const [path = "", url = ""] = process.argv.slice(2);
const say = (word: string, token: string): void =>
  void writeSync(1, `${word} ${token.slice(0, 16)}\n`);

const world = realRuntime();
const runtime: Runtime = {
  ...world,
  async fetch(address, init) {
    const response = await world.fetch(address, init);
    const text = await response.text();
    say("got", String(JSON.parse(text).refreshToken));
    return new Response(text, response);
  },
};
const log = { info: () => {}, warn: () => {}, error: () => {} };
const store = createJsonStore({ path, context, runtime });
const journal = createJournal({ credentialsPath: path, log });
await journal.recover(store);
const pool = await createPool({ store, runtime, log });
if (!pool.ok) throw new Error(pool.failure.message);
const hosts = {
  ...defaultProfile.hosts,
  social: `${url}/auth/{region}`,
  oidc: `${url}/oidc/{region}`,
};
const tokens = createTokens({
  pool: pool.value,
  store,
  runtime,
  log,
  journal,
  settings: { context, refresh: { ...defaultProfile, hosts } },
});

for (;;) {
  const [member] = pool.value.list();
  if (member === undefined) throw new Error("the file has no credential");
  const { accessToken } = member.credential;
  const options = accessToken === undefined ? {} : { refused: accessToken };
  const access = await tokens.access(member.credential, options);
  if (!access.ok) throw new Error(access.failure.message);
  say("use", pool.value.current(member.credential.id)?.login?.refreshToken.reveal() ?? "none");
}
