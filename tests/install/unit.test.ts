import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { binary, until } from "../e2e/binary.ts";
import { createScratch, script } from "./scratch.ts";

// Shells and programs that start and stop take their time on a busy machine.
setDefaultTimeout(120_000);

const scratch = createScratch();
afterAll(() => scratch.remove());

test.skipIf(Bun.which("shellcheck") === null)("shellcheck finds nothing in the scripts", () => {
  const { stdout, exitCode } = Bun.spawnSync(["shellcheck", script, join(script, "../deploy.sh")]);
  expect(stdout.toString()).toBe("");
  expect(exitCode).toBe(0);
});

test.skipIf(Bun.which("systemd-analyze") === null)(
  "the sandbox of the service is tight, as systemd-analyze rates it: 2.0 of 10 or better",
  async () => {
    const unit = join(scratch.root, "kiro-proxy.service");
    await Bun.write(unit, (await scratch.run(["--print-unit"])).out);
    const { stdout } = Bun.spawnSync(["systemd-analyze", "security", "--offline=true", unit]);
    const rating = /exposure level for kiro-proxy.service: ([\d.]+)/.exec(stdout.toString())?.[1];
    expect(Number(rating)).toBeLessThanOrEqual(2);
  },
);

test("the real binary passes the installer's trial, and runs by the Go build's own command line", async () => {
  const program = await binary();
  copyFileSync(program, join(scratch.release, "kiro-proxy-linux-x64"));
  const sum = new Bun.CryptoHasher("sha256").update(await Bun.file(program).bytes()).digest("hex");
  scratch.write("release/SHA256SUMS", `${sum} *kiro-proxy-linux-x64\n`);
  const command =
    "/opt/kiro-proxy/kiro-go-latest -config /opt/kiro-proxy/config.json -credentials /opt/kiro-proxy/credentials.json";
  scratch.write("/etc/systemd/system/kiro-proxy.service", `[Service]\nExecStart=${command}\n`);
  scratch.write("/opt/kiro-proxy/config.json", '{"host": "127.0.0.1", "port": 0, "apiKey": "x"}');
  scratch.write("/opt/kiro-proxy/kiro-go-latest", "#!/bin/sh\n", 0o755);
  scratch.lend("sleep");
  const { code, err } = await scratch.run(["--from", scratch.release, "--no-service"]);
  expect({ code, err }).toEqual({ code: 0, err: "" });

  const child = Bun.spawn(command.replaceAll("/opt", `${scratch.root}/opt`).split(" "), {
    cwd: scratch.root,
    env: { HOME: scratch.root },
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    let log = "";
    void (async () => {
      for await (const bytes of child.stderr) log += new TextDecoder().decode(bytes);
    })();
    await until(() => log.includes('"listening"'));
    const url = /"url":"([^"]+)"/.exec(log)?.[1] ?? "";
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const health = Bun.spawnSync([
      join(scratch.root, "opt/kiro-proxy/kiro-go-latest"),
      "health",
      url,
    ]);
    expect(health.exitCode).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
