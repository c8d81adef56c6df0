import type { Runtime } from "../runtime.ts";
import { realRuntime } from "../runtime.ts";
import type { DemoEvent } from "./answer.ts";
import { demoAnswer } from "./answer.ts";

const WORD_EVERY_MS = 30;
const USAGE = {
  usageBreakdownList: [{ resourceType: "CREDIT", currentUsage: 0, usageLimit: 1_000 }],
  subscriptionInfo: { subscriptionTitle: "DEMO" },
};

export type DemoUpstream = {
  /** Base URL that takes the place of the service's API host. */
  url: string;
  /** The content of a `credentials.json` that works with it, as parsed JSON. */
  credentials: unknown;
  stop(): void;
};

/** A stand-in for the service on a loopback port of its own, so that the whole path can be seen without an account. */
export function startDemoUpstream(runtime: Pick<Runtime, "sleep"> = realRuntime()): DemoUpstream {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/getUsageLimits") return Response.json(USAGE);
      if (pathname === "/ListAvailableModels") return Response.json({ models: [] });
      if (pathname !== "/generateAssistantResponse") {
        return Response.json({ message: "The demo answers chat requests only." }, { status: 404 });
      }
      const events = demoAnswer(await request.json());
      return new Response(spoken(events, runtime, request.signal), {
        headers: { "content-type": "application/vnd.amazon.eventstream" },
      });
    },
    // A body that is not JSON; the gateway sends none, so only a person with curl sees this.
    error: () => Response.json({ message: "Improperly formed request." }, { status: 400 }),
  });
  return {
    url: server.url.origin,
    credentials: [
      { id: "demo", authMethod: "api_key", kiroApiKey: "ksk_demo", proxyUrl: "direct" },
    ],
    stop: () => void server.stop(true),
  };
}

/** One event a write, at the pace of somebody talking. */
async function* spoken(
  events: DemoEvent[],
  runtime: Pick<Runtime, "sleep">,
  client: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const event of events) {
    if (client.aborted) return;
    yield frame(event);
    await runtime.sleep(WORD_EVERY_MS);
  }
}

/** `application/vnd.amazon.eventstream`: two lengths, their checksum, headers, payload, checksum of all before. */
function frame({ type, payload }: DemoEvent): Uint8Array {
  const headers = Buffer.concat(
    [
      [":event-type", type],
      [":content-type", "application/json"],
      [":message-type", "event"],
    ].flatMap(([name = "", value = ""]) => [
      Uint8Array.of(name.length),
      Buffer.from(name),
      Uint8Array.of(7, 0, value.length),
      Buffer.from(value),
    ]),
  );
  const content = Buffer.from(JSON.stringify(payload));
  const bytes = Buffer.alloc(16 + headers.length + content.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(headers.length, 4);
  bytes.writeUInt32BE(Bun.hash.crc32(bytes.subarray(0, 8)), 8);
  bytes.set(headers, 12);
  bytes.set(content, 12 + headers.length);
  const end = bytes.length - 4;
  bytes.writeUInt32BE(Bun.hash.crc32(bytes.subarray(0, end)), end);
  return bytes;
}
