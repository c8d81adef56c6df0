import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Baseline, summary, worse } from "../../bench/baseline.ts";
import { type Figures, round } from "../../bench/measure.ts";
import {
  type Driver,
  floorStarter,
  freePort,
  listening,
  startDriver,
  type Started,
} from "../../bench/processes.ts";
import { plot, type Report, tables } from "../../bench/report.ts";

function figures(requestsPerSecond: number, cpuMsPerRequest: number): Figures {
  const times = { totalP50Ms: 1, totalP95Ms: 2, totalP99Ms: 3 };
  const firsts = { firstEventP50Ms: 1, firstEventP95Ms: 2, firstEventP99Ms: 3 };
  const cpu = { cpuMsPerRequest, cpuMsPer1000Events: 1 };
  return {
    requestsPerSecond,
    eventsPerSecond: 1,
    ...times,
    ...firsts,
    ...cpu,
    driverBusy: 0.5,
    failures: 0,
  };
}

const report: Report = {
  machine: "a machine",
  versions: { Bun: "1" },
  rounds: {
    small: {
      floor: [figures(100, 1), figures(200, 2)],
      "kiro-proxy": [figures(20, 4), figures(50, 8)],
    },
  },
  starts: {
    floor: [{ coldStartMs: 10, idleMb: 30 }],
    "kiro-proxy": [{ coldStartMs: 50, idleMb: 60 }],
  },
};

describe("the report", () => {
  test("ratios are medians of the rounds' own", () => {
    expect(summary(report, "kiro-proxy")).toEqual({
      small: { rate: 0.225, cpu: 4 },
      start: { time: 5, memory: 2 },
    });
  });

  test("the table names every target and leaves out what nobody has", () => {
    const text = tables(report);
    expect(text).toContain("| kiro-proxy |");
    expect(text).toContain("0.225");
    expect(text).not.toContain("stretch");
    expect(plot(report)).toContain("kiro-proxy");
  });
});

describe("the guard", () => {
  const then: Baseline = { small: { rate: 0.5, cpu: 4 }, "paced-200": { lagP99Ms: 2 } };

  test.each<[name: string, now: Baseline, found: string[]]>([
    ["the same", then, []],
    ["what is a little worse", { small: { rate: 0.45, cpu: 4.5 } }, []],
    ["what was not measured", {}, []],
    ["a lower rate", { small: { rate: 0.3, cpu: 4 } }, ["small: rate was 0.50 and is 0.30"]],
    ["more CPU", { small: { rate: 0.5, cpu: 6 } }, ["small: cpu was 4.00 and is 6.00"]],
    ["a lag within the noise", { "paced-200": { lagP99Ms: 3.3 } }, []],
    ["a lag", { "paced-200": { lagP99Ms: 9 } }, ["paced-200: lagP99Ms was 2.00 and is 9.00"]],
  ])("%s", (_name, now, found) => {
    expect(worse(now, then)).toEqual(found);
  });
});

// CPU time and memory come from /proc.
describe.skipIf(process.platform !== "linux")("one round", () => {
  let folder: string;
  let driver: Driver;
  let floor: Started;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiro-proxy-bench-test-"));
    driver = await startDriver(0);
    floor = await floorStarter(driver.url, folder)(await freePort());
    await listening(floor);
  });
  afterAll(async () => {
    await floor.stop();
    driver.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(["small", "burst-50", "large"] as const)("of %s fails nobody", async (name) => {
    const found = await round(driver, floor, name, { seconds: 0.2 });
    expect(found.failures).toBe(0);
    expect(found.requestsPerSecond).toBeGreaterThan(0);
  });

  test("of paced streams sees every event", async () => {
    const found = await round(driver, floor, "paced-200", { events: 3 });
    expect(found.failures).toBe(0);
    expect(found.lagP50Ms).toBeGreaterThan(0);
  });
});
