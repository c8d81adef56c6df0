import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createScratch, publish, type Scratch, script, standIn } from "./scratch.ts";

// Shells and programs that start and stop take their time on a busy machine.
setDefaultTimeout(120_000);

let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
  publish(scratch, { "linux-x64": standIn(), "linux-arm64": standIn() });
});
afterEach(() => scratch.remove());

const PROGRAM = "/opt/kiro-proxy/kiro-proxy";
const UNIT = "/etc/systemd/system/kiro-proxy.service";

function mode(path: string): number {
  return statSync(join(scratch.root, path)).mode & 0o777;
}

/** An installed 1.0.0 that runs. */
async function installed(): Promise<void> {
  expect((await scratch.run()).code).toBe(0);
  await scratch.told();
}

describe("a first install", () => {
  const shells = [["dash"], ["bash", "--posix"], ["busybox", "sh"]].filter(
    ([program = ""]) => Bun.which(program) !== null,
  );
  test.each(shells.map((shell) => [shell]))(
    "puts the program, a configuration and the service in place (%j)",
    async (shell) => {
      const { code, out, err } = await scratch.run(undefined, { shell });
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(await scratch.read(PROGRAM)).toBe(standIn());
      expect(mode(PROGRAM)).toBe(0o755);
      const config = JSON.parse(await scratch.read("/opt/kiro-proxy/config.json"));
      expect(config).toEqual({ apiKey: "made-by-init" });
      expect(out).toContain("Keys: made-by-init");
      expect(mode("/opt/kiro-proxy/config.json")).toBe(0o600);
      expect(await scratch.read(UNIT)).toBe((await scratch.run(["--print-unit"])).out);
      expect(Object.keys(await scratch.snapshot())).toContain(
        "usr/local/bin/kiro-proxy l 777 /opt/kiro-proxy/kiro-proxy",
      );
      const told = await scratch.told();
      expect(told).toContain(`chown -h 990:991 ${scratch.root}/opt/kiro-proxy`);
      expect(told).toContain(`chown -h 990:991 ${scratch.root}/opt/kiro-proxy/config.json`);
      expect(told.join()).not.toContain("chown -h 990:991 /opt/kiro-proxy/kiro-proxy");
      expect(told.filter((line) => line.startsWith("systemctl"))).toEqual([
        "systemctl daemon-reload",
        "systemctl enable --quiet kiro-proxy",
        "systemctl restart kiro-proxy",
      ]);
    },
  );

  test("changes no file that is there", async () => {
    const files = {
      "config.json": '{"port": 13001}',
      "credentials.json": "[]",
      "user_credentials.json": "{}",
    };
    for (const [name, text] of Object.entries(files))
      scratch.write(`/opt/kiro-proxy/${name}`, text);
    expect((await scratch.run()).code).toBe(0);
    for (const [name, text] of Object.entries(files)) {
      expect(await scratch.read(`/opt/kiro-proxy/${name}`)).toBe(text);
    }
    expect(await scratch.told()).toContain(
      `chown -h 990:991 ${scratch.root}/opt/kiro-proxy/credentials.json`,
    );
  });

  test("once more changes nothing and restarts nothing", async () => {
    await installed();
    const before = await scratch.snapshot();
    const { code, out } = await scratch.run();
    expect(code).toBe(0);
    expect(out).toContain("is up to date");
    expect(await scratch.snapshot()).toEqual(before);
    expect((await scratch.told()).join()).not.toContain("restart");
  });

  test("without systemd, or with --no-service, sets no service up", async () => {
    expect((await scratch.run(["--from", scratch.release, "--no-service"])).code).toBe(0);
    expect(scratch.exists(PROGRAM)).toBe(true);
    expect(scratch.exists(UNIT)).toBe(false);
    expect(await scratch.told()).toEqual([]);
  });

  test("of a user goes to ~/.local and needs no root", async () => {
    scratch.fake("id", "#!/bin/sh\necho 1000\n");
    scratch.write("/run/user/1000/systemd/x", "");
    const { code, out, err } = await scratch.run();
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(await scratch.read("/home/me/.local/bin/kiro-proxy")).toBe(standIn());
    expect(scratch.exists("/home/me/.kiro-proxy/config.json")).toBe(true);
    const unit = await scratch.read("/home/me/.config/systemd/user/kiro-proxy.service");
    expect(unit).toContain("ExecStart=%h/.local/bin/kiro-proxy -config %h/.kiro-proxy/config.json");
    expect(unit).not.toMatch(/^(User|Protect\w+)=/m);
    expect(out).toContain("to your PATH");
    expect(scratch.exists("/opt")).toBe(false);
  });

  test("whose service does not start leaves the data only", async () => {
    publish(scratch, { "linux-x64": standIn({ works: "trial" }) });
    const { code, err } = await scratch.run();
    expect(code).toBe(1);
    expect(err).toContain("journalctl -u kiro-proxy");
    for (const path of [PROGRAM, UNIT, "/usr/local/bin/kiro-proxy"]) {
      expect([path, scratch.exists(path)]).toEqual([path, false]);
    }
    expect(scratch.exists("/opt/kiro-proxy/config.json")).toBe(true);
  });
});

describe("what is not right changes nothing", () => {
  /** Runs it, expects a failure that says `message`, and the machine as it was. */
  async function refused(message: RegExp, ...run: Parameters<Scratch["run"]>): Promise<void> {
    await installed();
    publish(scratch, { "linux-x64": standIn({ version: "2.0.0" }) });
    const before = await scratch.snapshot();
    await prepare?.();
    const { code, err } = await scratch.run(...run);
    expect(err).toMatch(message);
    expect(code).toBe(1);
    expect(await scratch.snapshot()).toEqual(before);
    expect(await scratch.told()).toEqual([]);
  }
  let prepare: (() => void | Promise<void>) | undefined;
  afterEach(() => void (prepare = undefined));

  test("a binary that is not what SHA256SUMS says", async () => {
    prepare = () => writeFileSync(join(scratch.release, "kiro-proxy-linux-x64"), "evil");
    await refused(/damaged or was tampered with/);
  });

  test("a binary that was cut short", async () => {
    prepare = () => truncateSync(join(scratch.release, "kiro-proxy-linux-x64"), 50);
    await refused(/damaged or was tampered with/);
  });

  test("a release without checksums", async () => {
    prepare = () => scratch.write("release/SHA256SUMS", "");
    await refused(/has no kiro-proxy-linux-x64, which this machine needs, but:/);
  });

  test("a release for other platforms, which are named", async () => {
    prepare = () => publish(scratch, { "darwin-arm64": standIn() });
    await refused(/needs, but: kiro-proxy-darwin-arm64/);
  });

  test("a folder that is not there", async () => {
    await refused(/there is no folder \/nowhere/, ["--from", "/nowhere"]);
  });

  test("a binary that does not run here", async () => {
    prepare = () => publish(scratch, { "linux-x64": standIn({ works: "never" }) });
    await refused(/does not run on this machine/);
  });

  test("a binary that does not answer", async () => {
    prepare = () => publish(scratch, { "linux-x64": standIn({ works: "version" }) });
    await refused(/starts, but does not answer/);
  });

  test("another version than the one that was asked for", async () => {
    await refused(/kiro-proxy 2\.0\.0 .*, not version 3\.0\.0/, [
      "--from",
      scratch.release,
      "--version",
      "3.0.0",
    ]);
  });

  test("a disk that is full", async () => {
    prepare = () => publish(scratch, { "linux-x64": standIn({ version: "2", padding: 200_000 }) });
    // A limit on the size of files fails in the same place.
    await refused(/is the disk full\?/, undefined, {
      before: "trap '' XFSZ; ulimit -f 100",
      shell: ["bash"],
    });
  });

  test("an address that others on the way can answer for", async () => {
    await refused(/is not https/, ["--from", "http://releases.example"]);
  });

  test.each([
    [["--form", "x"], /unknown flag --form/],
    [["--from"], /--from needs a value/],
    [["--purge"], /--purge goes with --uninstall/],
    [[], /say where the release is/],
  ])("the flags %j", async (args, message) => {
    const before = await scratch.snapshot();
    const { code, err } = await scratch.run(args);
    expect(err).toMatch(message);
    expect(code).toBe(1);
    expect(await scratch.snapshot()).toEqual(before);
  });
});

describe("the platform", () => {
  test.each([
    ["Linux", "aarch64", "GNU libc", "linux-arm64"],
    ["Linux", "x86_64", "musl libc (x86_64)", "linux-x64-musl"],
    ["Linux", "aarch64", "musl libc (aarch64)", "linux-arm64-musl"],
    ["Darwin", "arm64", "", "darwin-arm64"],
    ["Darwin", "x86_64", "", "darwin-x64"],
  ])("%s on %s (%s) gets %s", async (system, machine, libc, platform) => {
    scratch.fake("uname", `#!/bin/sh\n[ "$1" = -m ] && echo ${machine} || echo ${system}\n`);
    scratch.fake("ldd", `#!/bin/sh\necho '${libc}' >&2\nexit 1\n`);
    scratch.fake("sysctl", "#!/bin/sh\nexit 1\n");
    publish(scratch, { [platform]: standIn({ version: platform }) });
    const { code, out } = await scratch.run(["--from", scratch.release, "--no-service"]);
    expect(out).toContain(`Taking kiro-proxy-${platform} `);
    expect(code).toBe(0);
  });

  test.each([
    ["Linux", "riscv64", /no binary for riscv64/],
    ["FreeBSD", "amd64", /no binary for FreeBSD/],
  ])("%s on %s is told that there is no binary", async (system, machine, message) => {
    scratch.fake("uname", `#!/bin/sh\n[ "$1" = -m ] && echo ${machine} || echo ${system}\n`);
    expect((await scratch.run()).err).toMatch(message);
  });
});

describe("an upgrade", () => {
  test("replaces the program, keeps the old one and restarts", async () => {
    await installed();
    const next = standIn({ version: "2.0.0" });
    publish(scratch, { "linux-x64": next });
    const { code, out } = await scratch.run();
    expect(code).toBe(0);
    expect(out).toContain("Installed kiro-proxy 2.0.0");
    expect(await scratch.read(PROGRAM)).toBe(next);
    expect(await scratch.read(`${PROGRAM}.previous`)).toBe(standIn());
    expect((await scratch.told()).filter((line) => line.includes("restart"))).toHaveLength(1);
  });

  test("goes back to the old program and the old unit when the service does not work", async () => {
    await installed();
    const older = `${await scratch.read(UNIT)}# an older text\n`;
    scratch.write(UNIT, older);
    publish(scratch, { "linux-x64": standIn({ version: "2.0.0", works: "trial" }) });
    const { code, err } = await scratch.run();
    expect(code).toBe(1);
    expect(err).toContain("the old binary is back, and the service runs with it");
    expect(await scratch.read(PROGRAM)).toBe(standIn());
    expect(await scratch.read(UNIT)).toBe(older);
    expect((await scratch.told()).filter((line) => line.includes("restart"))).toHaveLength(2);
  });

  test("goes back when a service that was ready does not get so again", async () => {
    await installed();
    publish(scratch, { "linux-x64": standIn({ version: "2.0.0", works: "unready" }) });
    expect((await scratch.run()).code).toBe(1);
    expect(await scratch.read(PROGRAM)).toBe(standIn());
  });

  test("leaves a service stopped that somebody has stopped", async () => {
    await installed();
    scratch.write("state", "inactive\n");
    publish(scratch, { "linux-x64": standIn({ version: "2.0.0" }) });
    const { code, out } = await scratch.run();
    expect(code).toBe(0);
    expect(out).toContain("stopped and stays so");
    expect((await scratch.told()).join()).not.toContain("restart");
  });

  test("takes the version that is asked for from its own folder", async () => {
    publish(scratch, { "linux-x64": standIn({ version: "3.1.0" }) }, "release/v3.1.0");
    const { code, out } = await scratch.run(["--from", scratch.release, "--version", "v3.1.0"]);
    expect(out).toContain("Installed kiro-proxy 3.1.0");
    expect(code).toBe(0);
  });
});

describe("where the Go build was", () => {
  const GO = "/opt/kiro-proxy/kiro-go-latest";
  const unit = `[Unit]
Description=Kiro Proxy

[Service]
Type=simple
WorkingDirectory=/opt/kiro-proxy
ExecStart=${GO} -config /opt/kiro-proxy/config.json -credentials /opt/kiro-proxy/credentials.json
Restart=always

[Install]
WantedBy=multi-user.target
`;
  const files = {
    [UNIT]: unit,
    "/opt/kiro-proxy/config.json":
      '{"host": "0.0.0.0", "port": 13000, "apiKey": "x", "kiroVersion": "0.8.0"}',
    "/opt/kiro-proxy/credentials.json": '[{"refreshToken": "x", "authMethod": "social"}]',
    "/opt/kiro-proxy/user_credentials.json": '{"act-user001": {}}',
  };
  beforeEach(() => {
    for (const [path, text] of Object.entries(files)) scratch.write(path, text);
    scratch.write(GO, "#!/bin/sh\n# the Go build\n", 0o755);
    scratch.write("state", "active\n");
  });

  test("its binary is replaced, and nothing else is changed", async () => {
    const { code, err } = await scratch.run();
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(await scratch.read(GO)).toBe(standIn());
    expect(await scratch.read(`${GO}.previous`)).toContain("the Go build");
    for (const [path, text] of Object.entries(files)) expect(await scratch.read(path)).toBe(text);
    expect(await scratch.told()).toEqual([
      "systemctl daemon-reload",
      "systemctl restart kiro-proxy",
    ]);
    expect((await scratch.run()).out).toContain("is up to date");
  });

  test("it comes back when the new binary does not work as a service", async () => {
    publish(scratch, { "linux-x64": standIn({ works: "trial" }) });
    expect((await scratch.run()).code).toBe(1);
    expect(await scratch.read(GO)).toContain("the Go build");
    for (const [path, text] of Object.entries(files)) expect(await scratch.read(path)).toBe(text);
  });

  test("once its unit is gone, the service gets a unit of ours with a user of its own", async () => {
    scratch.write("/etc/systemd/system/kiro-proxy.service.go", unit);
    Bun.spawnSync(["rm", join(scratch.root, UNIT)]);
    expect((await scratch.run()).code).toBe(0);
    expect(await scratch.read(UNIT)).toContain("User=kiro-proxy");
    const told = await scratch.told();
    for (const name of ["config.json", "credentials.json", "user_credentials.json"]) {
      expect(told).toContain(`chown -h 990:991 ${scratch.root}/opt/kiro-proxy/${name}`);
    }
  });
});

describe("--uninstall", () => {
  test("leaves the data", async () => {
    await installed();
    scratch.write("/opt/kiro-proxy/credentials.json", "[]");
    const { code, out } = await scratch.run(["--uninstall"]);
    expect(code).toBe(0);
    expect(out).toContain("The data stay in");
    const left = Object.keys(await scratch.snapshot()).filter((line) => / [fl] /.test(line));
    expect(left.map((line) => line.split(" ")[0])).toEqual([
      "etc/passwd",
      "opt/kiro-proxy/config.json",
      "opt/kiro-proxy/credentials.json",
    ]);
    expect(await scratch.told()).toEqual([
      "systemctl disable --quiet --now kiro-proxy",
      "systemctl daemon-reload",
    ]);
  });

  test("with --purge takes the data and the user as well", async () => {
    await installed();
    expect((await scratch.run(["--uninstall", "--purge"])).code).toBe(0);
    expect(scratch.exists("/opt/kiro-proxy")).toBe(false);
    expect(await scratch.told()).toContain("userdel");
  });

  test("where nothing is does nothing", async () => {
    const before = await scratch.snapshot();
    expect((await scratch.run(["--uninstall"])).code).toBe(0);
    expect(await scratch.snapshot()).toEqual(before);
  });
});

describe("from an address", () => {
  const downloaders = ["curl", "wget"].filter((tool) => Bun.which(tool) !== null);
  test.each(downloaders)("by %s, with the script through a pipe", async (tool) => {
    scratch.lend(tool);
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const file = Bun.file(join(scratch.release, new URL(request.url).pathname));
        return (await file.exists()) ? new Response(file) : new Response("", { status: 404 });
      },
    });
    try {
      const piped = await Bun.file(script).text();
      const from = `http://127.0.0.1:${server.port}/`;
      const { code, err } = await scratch.run(["--from", from], { piped });
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(await scratch.read(PROGRAM)).toBe(standIn());

      // A server that has no such file.
      const missing = await scratch.run(["--from", from, "--version", "9.9.9"], { piped });
      expect(missing.err).toContain("SHA256SUMS; nothing was changed");
      expect(missing.code).toBe(1);
    } finally {
      await server.stop(true);
    }
  });

  test("a machine without curl and wget is told so", async () => {
    const { code, err } = await scratch.run(["--from", "https://127.0.0.1:1"]);
    expect(err).toContain("needs curl or wget");
    expect(code).toBe(1);
  });

  test("a script that comes in part does nothing, wherever it breaks off", async () => {
    const text = await Bun.file(script).text();
    const last = text.trimEnd().length;
    const ends = Array.from(text.matchAll(/\n/g), ({ index }) => index).filter((at) => at < last);
    // And anywhere in the last line.
    for (let cut = ends.at(-1) ?? 0; cut < last; cut += 1) ends.push(cut);
    const before = await scratch.snapshot();
    for (const end of ends) {
      const { out } = await scratch.run(undefined, { piped: text.slice(0, end) });
      expect([end, out]).toEqual([end, ""]);
    }
    expect(await scratch.snapshot()).toEqual(before);
    expect(await scratch.told()).toEqual([]);
  });
});
