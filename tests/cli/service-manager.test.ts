import { afterAll, expect, test } from "bun:test";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServiceManager } from "../../src/cli/service-manager.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { createTestRuntime } from "../support/runtime.ts";

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-notify-"));
const told = join(folder, "told");
afterAll(async () => await rm(folder, { recursive: true }));

/** A stand-in for systemd-notify that writes down what it is to say, and to whom. */
await Bun.write(
  join(folder, "systemd-notify"),
  `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> "${told}"\n`,
);
await chmod(join(folder, "systemd-notify"), 0o755);

function world(env: Record<string, string>) {
  const { runtime, advance } = createTestRuntime();
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const log = createLog({ level: "info", format: "json", write, now: () => 0 });
  const PATH = `${folder}:${process.env["PATH"]}`;
  return { manager: createServiceManager({ env: { PATH, ...env }, runtime, log }), advance, lines };
}

async function saysNext(count: number): Promise<string[]> {
  for (;;) {
    const text = await readFile(told, "utf8").catch(() => "");
    const lines = text.split("\n").slice(0, -1);
    if (lines.length >= count) {
      await rm(told);
      return lines;
    }
    await Bun.sleep(5);
  }
}

test("systemd hears that the gateway is ready, that it lives, and that it stops", async () => {
  const { manager, advance } = world({ NOTIFY_SOCKET: "/run/n", WATCHDOG_USEC: "10000000" });
  manager.ready();
  expect(await saysNext(1)).toEqual(["/run/n READY=1"]);
  const end = new AbortController();
  const running = manager.run(end.signal);
  expect(await saysNext(1)).toEqual(["/run/n WATCHDOG=1"]);
  await advance(5_000);
  expect(await saysNext(1)).toEqual(["/run/n WATCHDOG=1"]);
  end.abort();
  await running;
  manager.stopping();
  expect(await saysNext(1)).toEqual(["/run/n STOPPING=1"]);
});

test("nobody is told anything who has not asked", async () => {
  const { manager } = world({ WATCHDOG_USEC: "10000000" });
  manager.ready();
  await manager.run(new AbortController().signal);
  manager.stopping();
  expect(await Bun.file(told).exists()).toBe(false);
});

test("a machine without systemd-notify is an error in the log and no more", () => {
  const { manager, lines } = world({ NOTIFY_SOCKET: "/run/n", PATH: "/nowhere" });
  manager.ready();
  expect(lines.join("")).toContain("notify-failed");
});
