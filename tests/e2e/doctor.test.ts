import { afterAll, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { startKiro } from "../emulator/kiro.ts";
import { binary, runBinary, startGateway, stopGateways } from "./binary.ts";

const kiro = startKiro();
afterAll(async () => {
  await stopGateways();
  await kiro.stop();
});

test("beside a gateway that runs, the doctor finds it and says that all is well", async () => {
  const gateway = await startGateway({ kiro });
  const { port } = new URL(gateway.url);
  const config = join(gateway.folder, "same.json");
  const written = { port: Number(port), apiKey: gateway.apiKey, upstream: kiro.upstream };
  await Bun.write(config, JSON.stringify(written));
  for (const path of [config, gateway.credentialsPath]) await chmod(path, 0o600);
  const child = Bun.spawn(
    [await binary(), "doctor", "-config", config, "-credentials", gateway.credentialsPath],
    {
      env: { PATH: process.env["PATH"] ?? "", HOME: gateway.folder },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const out = await child.stdout.text();
  expect(out).toContain(`ok    port: a kiro-proxy answers on http://127.0.0.1:${port}`);
  expect(out).toEndWith("\n0 failures, 0 warnings.\n");
  expect(await child.exited).toBe(0);
  expect(out).not.toMatch(/EMULATEDEMULATED/);
  expect(out).not.toContain(gateway.apiKey);
  expect(kiro.chats()).toEqual([]);
});

test("an upstream that is dead and a port that is taken make it fail", async () => {
  using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hi") });
  const { code, stdout } = await runBinary({
    kiro,
    config: {
      port: other.port,
      upstream: { ...kiro.upstream, apiUrl: "http://127.0.0.1:1" },
    },
    args: ["doctor", "-json"],
  });
  const { findings } = JSON.parse(stdout);
  const failed = findings.filter(({ status }: { status: string }) => status === "failure");
  expect(new Set(failed.map(({ check }: { check: string }) => check.split(" ")[0]))).toEqual(
    new Set(["port", "network", "account"]),
  );
  expect(code).toBe(1);
});

test("a configuration that is broken makes it fail", async () => {
  const { code, stdout } = await runBinary({ config: { port: "x" }, args: ["doctor"] });
  expect(code).toBe(1);
  expect(stdout).toContain("FAIL  configuration: port: expected");
});
