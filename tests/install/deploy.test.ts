import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createScratch, publish, type Scratch, standIn } from "./scratch.ts";

// Shells and programs that start and stop take their time on a busy machine.
setDefaultTimeout(120_000);

const script = join(import.meta.dir, "../../deploy.sh");
const PROGRAM = "/opt/kiro-proxy/kiro-proxy";

/** What sshd needs; without it there is no server to deploy to. */
const sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].find((path) => Bun.which(path) !== null);
const isPossible = sshd !== undefined && Bun.which("scp") !== null && process.getuid?.() === 0;
if (!isPossible) console.warn("deploy.sh is not tested: that needs root, sshd and scp");

type Deployment = { code: number; out: string; err: string };

async function deploy(args: string[]): Promise<Deployment> {
  const child = Bun.spawn(["sh", script, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { code, out, err };
}

test("--dry-run prints every step and does none", async () => {
  const { code, out } = await deploy([
    "--target",
    "linux-arm64",
    "--dry-run",
    "root@nowhere.invalid",
  ]);
  expect(code).toBe(0);
  expect(
    out
      .trim()
      .split("\n")
      .map((line) => line.split(" ").slice(0, 3).join(" ")),
  ).toEqual(["+ bun install", "+ bun build.ts", "+ scp -q", "+ ssh root@nowhere.invalid"]);
});

describe.skipIf(!isPossible)("to a server", () => {
  let scratch: Scratch;
  let server: Bun.Subprocess;
  let reach: string[];

  beforeAll(async () => {
    scratch = createScratch();
    scratch.lend("mktemp", "scp", "sleep");
    const key = join(scratch.root, "../key");
    for (const file of [key, `${key}-host`]) {
      Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file]);
    }
    const probe = Bun.serve({ port: 0, fetch: () => new Response() });
    const { port } = probe;
    await probe.stop(true);
    scratch.write(
      "sshd_config",
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${key}-host`,
        `AuthorizedKeysFile ${key}.pub`,
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        `PidFile none`,
        "Subsystem sftp internal-sftp",
        // What the service manager is, and whose machine it is, say the stand-ins.
        `SetEnv PATH=${scratch.root}/../bin SCRATCH=${scratch.root}/..`,
      ].join("\n"),
    );
    mkdirSync("/run/sshd", { recursive: true });
    server = Bun.spawn([sshd ?? "", "-D", "-f", join(scratch.root, "../sshd_config")], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    await listening(Number(port));
    const options = [`Port=${port}`, `IdentityFile=${key}`, "StrictHostKeyChecking=no"];
    reach = [...options, "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"].flatMap((one) => [
      "-o",
      one,
    ]);
  });
  afterAll(async () => {
    server.kill();
    await server.exited;
    scratch.remove();
  });

  const run = async (): Promise<Deployment> =>
    await deploy([...reach, "--from", scratch.release, "root@127.0.0.1", "--root", scratch.root]);

  test("asks for its platform, installs there, upgrades, and goes back", async () => {
    publish(scratch, { "linux-x64": standIn() });
    const first = await run();
    expect(first.code).toBe(0);
    expect(await scratch.read(PROGRAM)).toBe(standIn());

    const next = standIn({ version: "2.0.0" });
    publish(scratch, { "linux-x64": next });
    expect((await run()).out).toContain("Installed kiro-proxy 2.0.0");
    expect(await scratch.read(PROGRAM)).toBe(next);

    publish(scratch, { "linux-x64": standIn({ version: "3.0.0", works: "trial" }) });
    const failed = await run();
    expect(failed.err).toContain("the old binary is back");
    expect(failed.code).toBe(1);
    expect(await scratch.read(PROGRAM)).toBe(next);
  });

  test("a file that changed on its way is refused there", async () => {
    publish(scratch, { "linux-x64": standIn({ version: "4.0.0" }) });
    expect((await run()).code).toBe(0);
    publish(scratch, { "linux-x64": standIn({ version: "5.0.0" }) });
    const before = await scratch.snapshot();
    scratch.write("release/kiro-proxy-linux-x64", "something else");
    const { code, err } = await run();
    expect(err).toContain("damaged or was tampered with");
    expect(code).toBe(1);
    expect(await scratch.snapshot()).toEqual(before);
  });

  test("a server that can't be reached is said to be one", async () => {
    const { code, err } = await deploy(["-o", "Port=1", ...reach, "root@127.0.0.1"]);
    expect(err).toContain("can't ask root@127.0.0.1");
    expect(code).toBe(1);
  });
});

/** Waits until somebody listens on the port. */
async function listening(port: number): Promise<void> {
  const socket = { data: () => undefined };
  for (;;) {
    try {
      (await Bun.connect({ hostname: "127.0.0.1", port, socket })).end();
      return;
    } catch {
      await Bun.sleep(10);
    }
  }
}
