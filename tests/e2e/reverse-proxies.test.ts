import { afterAll, describe, expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stream, text } from "../emulator/answers.ts";
import { startKiro } from "../emulator/kiro.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { ask, follow, post, prompt } from "./client.ts";

const kiro = startKiro();
afterAll(async () => {
  await stopGateways();
  await kiro.stop();
});

const document = await Bun.file(join(import.meta.dir, "../../docs/reverse-proxies.md")).text();

/** The example for this proxy, as it stands in the documentation. */
function example(language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(document)?.[1];
  if (found === undefined) throw new Error(`there is no example for ${language}`);
  return found;
}

function freePort(): number {
  using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  return Number(server.port);
}

type Proxy = { url: string; stop(): Promise<void> };

async function start(command: string[], folder: string, port: number): Promise<Proxy> {
  const child = Bun.spawn(command, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill();
    await child.exited;
    await rm(folder, { recursive: true });
  };
  while (child.exitCode === null) {
    const answer = await fetch(`${url}/healthz`).catch(() => undefined);
    if (answer?.ok) return { url, stop };
    await Bun.sleep(20);
  }
  await stop();
  throw new Error(`${command[0]} did not start`);
}

/** The examples, with the ports of this test and without a certificate, which this machine has not. */
const proxies: Record<string, (gateway: Gateway) => Promise<Proxy>> = {
  async nginx(gateway) {
    const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-nginx-"));
    // Its workers may have another user.
    await chmod(folder, 0o755);
    const port = freePort();
    const sites = example("nginx")
      .replace("127.0.0.1:13000", new URL(gateway.url).host)
      .replace("listen 443 ssl", `listen 127.0.0.1:${port}`)
      .replaceAll(/ *ssl_certificate.*\n/g, "");
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    await Bun.write(
      join(folder, "nginx.conf"),
      `pid ${folder}/pid; error_log stderr crit; daemon off; events {}
http { access_log off; ${paths.join(" ")}
${sites}
}`,
    );
    const command = ["nginx", "-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
    return await start(command, folder, port);
  },
  async caddy(gateway) {
    const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-caddy-"));
    const port = freePort();
    const site = example("caddyfile")
      .replace("127.0.0.1:13000", new URL(gateway.url).host)
      .replace("kiro.example.com", `http://127.0.0.1:${port}`);
    const options = "{\n  admin off\n  auto_https off\n  log {\n    level ERROR\n  }\n}\n";
    await Bun.write(join(folder, "Caddyfile"), options + site);
    return await start(["caddy", "run", "--config", "Caddyfile"], folder, port);
  },
};

describe.each(Object.keys(proxies))("%s, as the documentation has it", (name) => {
  test.skipIf(Bun.which(name) === null)(
    "hands on first words before the rest is there, that a client has left, and a whole answer",
    async () => {
      const gateway = await startGateway({ kiro, config: { trustProxy: ["127.0.0.1"] } });
      const proxy = await proxies[name]?.(gateway);
      if (proxy === undefined) throw new Error(`no such proxy: ${name}`);
      try {
        const through = { ...gateway, url: proxy.url };
        kiro.script(stream([text("First words.")], { ending: [{ type: "silence" }] }));
        const leave = new AbortController();
        const quiet = await post(through, prompt("Hi", { stream: true }), { signal: leave.signal });
        const answer = follow(quiet);
        await until(() => answer.text.includes("First words."));
        const left = kiro.connections.left;
        leave.abort();
        await answer.ended;
        await until(() => kiro.connections.left > left);
        const whole = await ask(through, prompt("Hi", { stream: true }));
        expect(whole).toMatchObject({ status: 200, cut: false });
        expect(whole.events.at(-1)?.event).toBe("message_stop");
      } finally {
        await proxy.stop();
      }
    },
  );
});
