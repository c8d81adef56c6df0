import { readFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { createJournal } from "../../src/credentials/journal.ts";
import { createJsonStore } from "../../src/credentials/json-store.ts";
import { realRuntime } from "../../src/runtime.ts";
import { startKiro } from "../emulator/kiro.ts";
import { context, recordingLog } from "./samples.ts";

const KILLS = 200;
const AT_ONCE = 2;

const { log } = recordingLog();
const kiro = startKiro();
const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-kill-"));
afterAll(async () => {
  await kiro.stop();
  await rm(folder, { recursive: true, force: true });
});

type SocialRecord = { refreshToken: string };

/** What became of the log-in of one process. */
type End =
  | "kept"
  /** The service had replaced it, and the answer had not arrived: no client can save that. */
  | "on its way"
  /** The answer had arrived in the moment of the kill. */
  | "arriving";

/** Has a process renew tokens until it is killed, and looks at what the next start makes of what it leaves behind. */
async function killOne(program: string, path: string, delayMs: number): Promise<End> {
  const child = Bun.spawn([process.execPath, program, path, kiro.url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said: string[] = [];
  let rest = "";
  const begun = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const bytes of child.stdout) {
      const lines = (rest + Buffer.from(bytes).toString()).split("\n");
      rest = lines.pop() ?? "";
      said.push(...lines);
      if (said.some((line) => line.startsWith("use"))) begun.resolve();
    }
    begun.resolve();
  })();
  await begun.promise;
  await Bun.sleep(delayMs);
  child.kill("SIGKILL");
  await child.exited;
  await reading;
  expect(child.signalCode).toBe("SIGKILL");
  const tokens = said.filter((line) => line.startsWith("got")).map((line) => line.slice(4));
  const used = said.filter((line) => line.startsWith("use")).map((line) => line.slice(4));
  const stored = async (): Promise<SocialRecord> => {
    const [record] = JSON.parse(await readFile(path, "utf8")) as SocialRecord[];
    if (record === undefined) throw new Error("the record is gone");
    return record;
  };
  const placeOf = (token: string): number => tokens.indexOf(token.slice(0, 16));

  // What was used is in the file, or has been replaced there by what came after it.
  expect(placeOf((await stored()).refreshToken)).toBeGreaterThanOrEqual(used.length - 1);
  expect(used).toEqual(tokens.slice(0, used.length));

  await createJournal({ credentialsPath: path, log }).recover(
    createJsonStore({ path, context, runtime: realRuntime() }),
  );
  const record = await stored();
  const renewed = kiro.accounts.exchange(record.refreshToken, { kind: "social" });
  const next =
    renewed === undefined ? kiro.accounts.credential("social") : { ...record, ...renewed };
  await writeFile(path, JSON.stringify([next]));
  if (renewed !== undefined) return "kept";
  return placeOf(record.refreshToken) === tokens.length - 1 ? "on its way" : "arriving";
}

test("a process that is killed at any moment leaves a whole file with all that it has used, and loses no log-in that had arrived", async () => {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "renewing-process.ts")],
    outdir: folder,
    target: "bun",
  });
  const program = built.outputs[0]?.path ?? "";
  const ends: End[] = [];
  const lane = async (name: number): Promise<void> => {
    const path = join(folder, `credentials-${name}.json`);
    await writeFile(path, JSON.stringify([kiro.accounts.credential("social")]));
    while (ends.length < KILLS) ends.push(await killOne(program, path, Math.random() * 15));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, async (_, name) => await lane(name)));
  const counted = Object.groupBy(ends, (end) => end);
  expect(ends.length).toBeGreaterThanOrEqual(KILLS);
  // Between the arrival and the first line of ours that runs, a kill can still come.
  expect(counted.arriving?.length ?? 0).toBeLessThan(KILLS / 10);
}, 120_000);
