import { usageLimits } from "../tests/emulator/management.ts";
import { workloads } from "./workloads.ts";

/** Pieces of one answer; where they are cut has nothing to do with the frames. */
const PIECES = 6;
const GAP_MIN_MS = 1;
const GAP_MAX_MS = 30_000;

/** The service for the soak: it takes its time before the head and between pieces, from a moment to half a minute. */
export function startUnsteadyService(faster: number): {
  url: string;
  /** Answers that are wanted and not over. */
  running(): number;
} {
  const bytes = Buffer.concat(workloads["burst-50"].frames);
  const gap = async (): Promise<void> => {
    // Most gaps are short, as in life.
    const ms = GAP_MIN_MS * (GAP_MAX_MS / GAP_MIN_MS) ** (Math.random() ** 2);
    await Bun.sleep(ms / faster);
  };
  let running = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      if (request.method === "GET") {
        return Response.json(
          request.url.includes("getUsageLimits") ? usageLimits() : { models: [] },
        );
      }
      await request.bytes();
      running += 1;
      const ended = Promise.withResolvers<void>();
      request.signal.addEventListener("abort", () => ended.resolve(), { once: true });
      void ended.promise.then(() => (running -= 1));
      await gap();
      const body = new ReadableStream<Uint8Array>({
        async start(controller) {
          const cuts = Array.from({ length: PIECES - 1 }, () =>
            Math.floor(Math.random() * bytes.length),
          );
          const ends = [...cuts.toSorted((a, b) => a - b), bytes.length];
          let from = 0;
          for (const end of ends) {
            await gap();
            if (request.signal.aborted) return;
            if (end > from) controller.enqueue(bytes.subarray(from, end));
            from = end;
          }
          ended.resolve();
          controller.close();
        },
      });
      return new Response(body, {
        headers: { "content-type": "application/vnd.amazon.eventstream" },
      });
    },
  });
  return { url: server.url.origin, running: () => running };
}
