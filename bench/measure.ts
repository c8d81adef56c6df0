import type { LoadOrder, LoadResult } from "./load.ts";
import {
  API_KEY,
  cpuMs,
  type Driver,
  forgetPeak,
  freePort,
  memoryMb,
  type Starter,
  type Target,
} from "./processes.ts";
import { eventsOf, type WorkloadName, workloads } from "./workloads.ts";

/** What one round has measured of one target, or the medians of some. Undefined where it can't be known. */
export type Figures = {
  requestsPerSecond: number;
  eventsPerSecond: number;
  totalP50Ms: number;
  totalP95Ms: number;
  totalP99Ms: number;
  firstEventP50Ms: number;
  firstEventP95Ms: number;
  firstEventP99Ms: number;
  lagP50Ms?: number;
  lagP99Ms?: number;
  stretch?: number;
  cpuMsPerRequest?: number;
  cpuMsPer1000Events?: number;
  peakMb?: number;
  /** Share of one core that the target was busy, and the driver. */
  busy?: number;
  driverBusy: number;
  failures: number;
};

export async function round(
  driver: Driver,
  target: Target,
  workload: WorkloadName,
  scale: Pick<LoadOrder, "seconds" | "events">,
): Promise<Figures> {
  await driver.answerWith(workload, scale.events);
  const { pid } = target;
  if (pid !== undefined) forgetPeak(pid);
  const before = pid === undefined ? 0 : cpuMs(pid);
  const { url, kind } = target;
  const result = await driver.run({ workload, url, kind, apiKey: API_KEY, ...scale });
  const cpu = pid === undefined ? undefined : cpuMs(pid) - before;
  const failures = Object.entries(result.failures);
  for (const [what, count] of failures) {
    console.error(`  ${target.name}, ${workload}: ${count} × ${what}`);
  }
  return {
    ...seen(result, eventsPerRequest(workload, scale.events)),
    ...(cpu !== undefined && spent(cpu, result, eventsPerRequest(workload, scale.events))),
    ...(pid !== undefined && { peakMb: memoryMb(pid).peak }),
    driverBusy: result.busy,
    failures: failures.reduce((sum, [, count]) => sum + count, 0),
  };
}

function eventsPerRequest(name: WorkloadName, events: number | undefined): number {
  const { load, frames } = workloads[name];
  return load.type === "paced" && events !== undefined
    ? frames.length + events
    : eventsOf(workloads[name]);
}

function seen(result: LoadResult, events: number) {
  const { requests, seconds, total, firstEvent, lag, stretch } = result;
  return {
    requestsPerSecond: requests / seconds,
    eventsPerSecond: (requests * events) / seconds,
    totalP50Ms: total.p50,
    totalP95Ms: total.p95,
    totalP99Ms: total.p99,
    firstEventP50Ms: firstEvent.p50,
    firstEventP95Ms: firstEvent.p95,
    firstEventP99Ms: firstEvent.p99,
    ...(lag !== undefined && { lagP50Ms: lag.p50, lagP99Ms: lag.p99 }),
    ...(stretch !== undefined && { stretch }),
  };
}

function spent(cpu: number, { requests, seconds }: LoadResult, events: number) {
  return {
    cpuMsPerRequest: cpu / requests,
    cpuMsPer1000Events: (cpu / (requests * events)) * 1_000,
    busy: cpu / (seconds * 1_000),
  };
}

export type StartFigures = { coldStartMs: number; idleMb: number };

/** From the start of the process to the first 200 for a small request, and its memory a second later. */
export async function startRound(driver: Driver, start: Starter): Promise<StartFigures> {
  await driver.answerWith("small");
  const port = await freePort();
  const startedAt = performance.now();
  const target = await start(port);
  const body = JSON.stringify(workloads.small.request);
  try {
    while (!(await answers(`${target.url}/v1/messages`, body))) await Bun.sleep(1);
    const coldStartMs = performance.now() - startedAt;
    await Bun.sleep(1_000);
    return { coldStartMs, idleMb: memoryMb(target.pid).now };
  } finally {
    await target.stop();
  }
}

async function answers(url: string, body: string): Promise<boolean> {
  try {
    const headers = { "content-type": "application/json", "x-api-key": API_KEY };
    const response = await fetch(url, { method: "POST", body, headers });
    await response.bytes();
    return response.status === 200;
  } catch {
    // Nobody listens there yet.
    return false;
  }
}

/** Of each figure, the median over rounds. */
export function medians<T extends Record<string, number>>(rounds: T[]): T {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((figures) => figures[name] ?? Number.NaN))]),
  ) as T;
}

export function median(values: number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = sorted.slice(Math.max(0, middle - 1));
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN;
  return (low + high) / 2;
}
