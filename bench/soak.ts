/**
 * Whether the gateway stays as it is: `bun bench/soak.ts`. Streams come with gaps and cuts anywhere, three in ten clients
 * leave in the middle, and at the end everything must be back where it was. Prints its own verdict.
 */
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "./measure.ts";
import { API_KEY, freePort, gatewayStarter, listening, memoryMb } from "./processes.ts";
import { startUnsteadyService } from "./unsteady.ts";
import { workloads } from "./workloads.ts";

const { values: options } = parseArgs({
  options: {
    streams: { type: "string", default: "200000" },
    connections: { type: "string", default: "200" },
    /** By how much the gaps between events, 1 ms to 30 s in life, are shortened. */
    faster: { type: "string", default: "100" },
  },
});
const streams = Number(options.streams);
const connections = Number(options.connections);
const faster = Number(options.faster);
if (![streams, connections, faster].every((value) => value >= 1)) {
  console.error("bun bench/soak.ts [--streams 200000] [--connections 200] [--faster 100]");
  process.exit(2);
}

const ABORTED = 0.3;
/** Streams after which memory counts: a fifth of all, but not fewer than it takes until the heap has its size. */
const WARM_UP = Math.max(streams / 5, 15_000);
const SAMPLES = 100;
const GROWTH_MAX = { share: 0.1, mb: 50 };
/** A little for the files of the ledger. */
const KEPT_OPEN = 6;
/** Half seconds: connections to the service are kept for a minute. */
const SETTLE_TRIES = 150;
const GAUGES = ["requests_in_flight", "streams_open", "leases", "queue_length"];

const body = JSON.stringify(workloads["burst-50"].request);
const request = `POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-api-key: ${API_KEY}\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

type End = "whole" | "left" | "failed";
type Sample = { done: number; mb: number };

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-soak-"));
try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();

async function soak(): Promise<boolean> {
  const service = startUnsteadyService(faster);
  const gateway = await gatewayStarter(service.url, folder)(await freePort());
  const { port } = new URL(gateway.url);
  await listening(gateway);
  const base = await descriptors(gateway.pid);
  const ends: Record<End, number> = { whole: 0, left: 0, failed: 0 };
  const samples: Sample[] = [];
  let begun = 0;
  let done = 0;

  async function client(): Promise<void> {
    while (begun < streams) {
      begun += 1;
      ends[await stream(Number(port))] += 1;
      done += 1;
      if (done % Math.ceil(streams / SAMPLES) === 0) {
        samples.push({ done, mb: memoryMb(gateway.pid).now });
        if (samples.length % 10 === 0)
          console.log(`${done} streams, ${samples.at(-1)?.mb.toFixed(0)} MB`);
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, client));

  let now = await descriptors(gateway.pid);
  let gauges = await readGauges(gateway.url);
  const isBack = (): boolean =>
    now.all <= base.all + KEPT_OPEN &&
    gauges.every(({ value }) => value === 0) &&
    service.running() === 0;
  for (let tries = 0; tries < SETTLE_TRIES && !isBack(); tries++) {
    await Bun.sleep(500);
    now = await descriptors(gateway.pid);
    gauges = await readGauges(gateway.url);
  }

  const counted = samples.filter(({ done: at }) => at >= WARM_UP).map(({ mb }) => mb);
  const tenth = Math.max(1, Math.floor(counted.length / 10));
  const [before, after] = [median(counted.slice(0, tenth)), median(counted.slice(-tenth))];
  const growth = after - before;
  const checks: [string, boolean][] = [
    [`${ends.whole} whole, ${ends.left} left, ${ends.failed} failed`, ends.failed === 0],
    // Of a short run it can't be told.
    ...(streams < 2 * WARM_UP
      ? []
      : [
          [
            `memory ${before.toFixed(0)} MB after the warm-up, ${after.toFixed(0)} MB at the end`,
            growth <= before * GROWTH_MAX.share && growth <= GROWTH_MAX.mb,
          ] satisfies [string, boolean],
        ]),
    [
      `descriptors ${base.all} at first, ${now.all} at the end (sockets ${base.sockets}, ${now.sockets})`,
      now.all <= base.all + KEPT_OPEN,
    ],
    [`${service.running()} answers of the service still wanted`, service.running() === 0],
    ...gauges.map(({ name, value }): [string, boolean] => [`${name} ${value}`, value === 0]),
  ];
  for (const [what, holds] of checks) console.log(`${holds ? "ok  " : "FAIL"} ${what}`);
  await gateway.stop();
  const holds = checks.every(([, good]) => good);
  console.log(holds ? "PASSED" : "FAILED");
  return holds;
}

/** One request. The client leaves, if it is to leave, before the head, after some bytes, or at the last event. */
async function stream(port: number): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  const leaves = Math.random() < ABORTED ? Math.floor(Math.random() * 3) : undefined;
  const enough = leaves === 1 ? Math.random() * 8_000 : Number.POSITIVE_INFINITY;
  let received = 0;
  let tail = "";
  const leave = (socket: Bun.Socket): void => {
    resolve("left");
    socket.terminate();
  };
  try {
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          socket.write(request);
          if (leaves === 0) setTimeout(leave, Math.random() * 20, socket);
        },
        data(socket, bytes) {
          received += bytes.length;
          tail = (tail + bytes.toString("latin1")).slice(-400);
          if (received > enough || (leaves === 2 && tail.includes("message_delta"))) leave(socket);
        },
        close: () => resolve(tail.includes("message_stop") ? "whole" : "failed"),
        error: () => resolve("failed"),
      },
    });
  } catch {
    resolve("failed");
  }
  return await promise;
}

/** Open file descriptors, and how many of them are sockets. */
async function descriptors(pid: number): Promise<{ all: number; sockets: number }> {
  const open = `/proc/${pid}/fd`;
  const names = await readdir(open);
  const links = await Promise.all(
    // One may be closed while the others are read.
    names.map(async (name) => await readlink(join(open, name)).catch(() => "")),
  );
  return { all: links.length, sockets: links.filter((link) => link.startsWith("socket:")).length };
}

async function readGauges(url: string): Promise<{ name: string; value: number }[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return GAUGES.map((name) => ({
    name,
    // One that is missing must not pass for a zero.
    value: Number(new RegExp(`^kiro_proxy_${name} (\\d+)`, "m").exec(text)?.[1] ?? Number.NaN),
  }));
}
