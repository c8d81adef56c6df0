import { afterAll, beforeAll, expect, test } from "bun:test";
import { startKiro } from "../emulator/kiro.ts";
import { stream, text, trailer } from "../emulator/answers.ts";
import { type Gateway, startGateway, stopGateways, until } from "./binary.ts";
import { prompt } from "./client.ts";

const kiro = startKiro();
let gateway: Gateway;
beforeAll(async () => {
  const limits = { bodyTimeoutMs: 300, stalledTimeoutMs: 300 };
  gateway = await startGateway({ kiro, config: { limits } });
});
afterAll(stopGateways);
afterAll(async () => await kiro.stop());

/** A bare connection: what came in, and whether it has ended. */
async function connect(request: string) {
  const state = { received: "", closed: false };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(new URL(gateway.url).port),
    socket: {
      open: (opened) => void opened.write(request),
      data: (_, bytes) => void (state.received += bytes.toString()),
      close: () => void (state.closed = true),
      error: () => undefined,
    },
  });
  return { socket, state };
}

function head(length: number): string {
  return (
    "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" +
    `x-api-key: ${gateway.apiKey}\r\ncontent-length: ${length}\r\n\r\n`
  );
}

test("a request that does not come to its end is a 408, and the connection goes", async () => {
  const { state } = await connect(`${head(1_000)}{"model":`);
  await until(() => state.received.endsWith("}"));
  expect(state.received).toStartWith("HTTP/1.1 408 ");
  expect(state.received).toContain('"timeout_error"');
  await until(() => state.closed);
});

test("a client that reads nothing of its answer is cut off, and so is what the service still sends", async () => {
  kiro.otherwise(
    stream([...Array.from({ length: 400 }, () => text("x".repeat(65_536))), ...trailer()]),
  );
  const body = JSON.stringify(prompt("Hi", { stream: true, max_tokens: 64_000_000 }));
  const { socket, state } = await connect(head(body.length) + body);
  socket.pause();
  const line = await gateway.logged(({ outcome }) => outcome === "cancelled");
  expect(line).toMatchObject({ event: "request", status: 499 });
  await until(() => kiro.connections.open === 0);
  socket.resume();
  await until(() => state.closed);
  expect(state.received).not.toContain("message_stop");
  expect(gateway.output()).not.toContain("at pull");
});
