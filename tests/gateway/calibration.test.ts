import { describe, expect, test } from "bun:test";
import { createCalibration } from "../../src/gateway/calibration.ts";

// Of a window of 1.47 million where we know of one.
const shown = (tokens: number): number => Math.round(tokens / 1.47);

describe("the service's share of the window", () => {
  test("is believed as long as it is near our own count", () => {
    const { correct } = createCalibration();
    for (let reply = 0; reply < 40; reply += 1) expect(correct("m", 50_000, 60_000)).toBe(60_000);
  });

  test("is put right where it is off all the time, for that model alone", () => {
    const { correct } = createCalibration();
    const errors = [20_000, 40_000, 80_000, 160_000, 320_000, 640_000].map((tokens) => {
      const counted = tokens * 1.05;
      return Math.abs(correct("m", counted, shown(tokens)) - tokens) / tokens;
    });
    expect(errors[0]).toBeGreaterThan(0.3);
    expect(errors.at(-1)).toBeLessThan(0.1);
    expect(correct("other", 20_000, shown(20_000))).toBe(shown(20_000));
  });

  test("once learnt is forgotten when it is right again", () => {
    const { correct } = createCalibration();
    for (let reply = 0; reply < 31; reply += 1) correct("m", 50_000, 25_000);
    expect(correct("m", 50_000, 25_000)).toBe(50_000);
    for (let reply = 0; reply < 31; reply += 1) correct("m", 50_000, 50_000);
    expect(correct("m", 50_000, 50_000)).toBe(50_000);
  });

  test("never makes a prompt less than half or more than double of our count, but for what the service adds", () => {
    const { correct } = createCalibration();
    expect(correct("m", 10_000, 3)).toBe(5_000);
    expect(correct("m", 10_000, 900_000)).toBe(30_000);
    expect(correct("m", 5, 4_000)).toBe(4_000);
  });

  test("of small prompts teaches nothing", () => {
    const { correct } = createCalibration();
    for (let reply = 0; reply < 31; reply += 1) correct("m", 100, 4_000);
    expect(correct("m", 100_000, 100_000)).toBe(100_000);
  });
});
