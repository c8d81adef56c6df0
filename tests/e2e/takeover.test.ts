import { afterAll, expect, test } from "bun:test";
import { startKiro } from "../emulator/kiro.ts";
import { runBinary, startGateway, stopGateways, until } from "./binary.ts";
import { type Answer, ask, prompt } from "./client.ts";

const kiro = startKiro();
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

const apiKey = "key-of-both-0123456789";

function isServed({ status, cut, text }: Answer): boolean {
  return status === 200 && !cut && /message_stop|end_turn/.test(text);
}

test.skipIf(process.platform !== "linux")(
  "with reusePort a second start takes over, and not one request fails under load",
  async () => {
    const first = await startGateway({ kiro, config: { apiKey, reusePort: true } });
    const port = Number(new URL(first.url).port);
    const target = { ...first, apiKey };
    const failed: unknown[] = [];
    let answered = 0;
    const end = new AbortController();
    const load = Array.from({ length: 16 }, async (_, at) => {
      // Half of the clients keep their connections, half open one for each request.
      const headers: Record<string, string> = at % 2 === 0 ? {} : { connection: "close" };
      while (!end.signal.aborted) {
        try {
          const answer = await ask(target, prompt("Hi", { stream: at % 4 > 1 }), { headers });
          if (isServed(answer)) answered += 1;
          else failed.push(answer);
        } catch (error) {
          failed.push(error);
        }
      }
    });

    let old = first;
    for (let round = 0; round < 3; round += 1) {
      const before = answered;
      await until(() => answered > before + 50);
      const next = await startGateway({ kiro, config: { apiKey, port, reusePort: true } });
      old.process.kill("SIGTERM");
      expect(await old.process.exited).toBe(0);
      old = next;
    }
    end.abort();
    await Promise.all(load);
    expect(failed).toEqual([]);
    expect(old.logs.filter(({ event }) => event === "request").length).toBeGreaterThan(0);
  },
  60_000,
);

test("without reusePort a second start is told that the port is in use", async () => {
  const { port } = new URL((await startGateway({ kiro, config: { reusePort: true } })).url);
  const { code, stderr } = await runBinary({ args: ["-port", port] });
  expect(code).toBe(1);
  expect(stderr).toContain(`Port ${port} is in use`);
});
