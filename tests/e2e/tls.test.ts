import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { connect } from "node:tls";
import { startKiro } from "../emulator/kiro.ts";
import { renewedTls, tls } from "../support/tls.ts";
import { runBinary, startGateway, stopGateways } from "./binary.ts";
import { prompt, readAll } from "./client.ts";

const kiro = startKiro();
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const config = { tls: { cert: "server.crt", key: "server.key" } };
const files = { "server.crt": tls.cert, "server.key": tls.key };

/** The name in the certificate that a port shows. */
async function shownBy(url: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const options = { port: Number(new URL(url).port), host: "127.0.0.1", rejectUnauthorized: false };
  const socket = connect(options, () => resolve(socket.getPeerCertificate().subject.CN));
  socket.on("error", reject);
  return await promise.finally(() => socket.destroy());
}

test("with a certificate it speaks HTTPS, and takes over the next one without a restart", async () => {
  const gateway = await startGateway({ kiro, config, files });
  expect(gateway.url).toStartWith("https://");
  const ask = async (): Promise<number> => {
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": gateway.apiKey, "content-type": "application/json" },
      body: JSON.stringify(prompt("Hi")),
      tls: { rejectUnauthorized: false },
    });
    return (await readAll(response)).status;
  };
  expect(await ask()).toBe(200);
  expect(await shownBy(gateway.url)).toBe("localhost");

  await Bun.write(join(gateway.folder, "server.key"), "half of a key");
  await gateway.logged(({ event }) => event === "certificate-refused");
  expect(await shownBy(gateway.url)).toBe("localhost");

  await Bun.write(join(gateway.folder, "server.crt"), renewedTls.cert);
  await Bun.write(join(gateway.folder, "server.key"), renewedTls.key);
  await gateway.logged(({ event }) => event === "certificate-renewed");
  expect(await shownBy(gateway.url)).toBe("renewed");
  expect(await ask()).toBe(200);

  gateway.process.kill("SIGTERM");
  expect(await gateway.process.exited).toBe(0);
}, 20_000);

test.each([
  { name: "is not there", given: { "server.crt": tls.cert }, says: "server.key" },
  {
    name: "belongs to another certificate",
    given: { "server.crt": tls.cert, "server.key": renewedTls.key },
    says: "can't be used together",
  },
])("a key that $name stops the start with the reason", async ({ given, says }) => {
  const run = await runBinary({ config, files: given });
  expect(run.code).toBe(1);
  expect(run.stderr).toContain(says);
});

test("a certificate without a key stops the start and names the missing one", async () => {
  const run = await runBinary({ config: { tls: { cert: "server.crt" } }, files });
  expect(run.code).toBe(1);
  expect(run.stderr).toContain("tls.key: expected a path");
});
