import { expect, test } from "bun:test";
import { createEstimator, estimate } from "../../src/usage/estimate.ts";

const sample = { promptTokens: 10_000, outputTokens: 50, credits: 1 };

test("nothing known is a cautious default", () => {
  expect(estimate([createEstimator()], "m", 100)).toEqual({
    credits: { most: 10, expected: 2 },
    tokens: { most: 16_100, expected: 1_100 },
  });
});

test("the last requests with the model say what the next may cost", () => {
  const one = createEstimator();
  one.learn("m", { ...sample, credits: 100 });
  for (let n = 0; n < 10; n++) {
    one.learn("m", sample);
    one.learn("m", { ...sample, credits: 3, outputTokens: 150 });
  }
  expect(estimate([one], "m", 10_000)).toEqual({
    credits: { most: expect.closeTo(3.15), expected: 2 },
    tokens: { most: 10_158, expected: 10_100 },
  });
  expect(one.credits("other", 1)).toBeUndefined();
});

test("the fewer are known, the more the next one may differ", () => {
  const one = createEstimator();
  one.learn("m", sample);
  expect(one.credits("m", 10_000)).toEqual({ most: 2, expected: 1 });
  for (let n = 0; n < 4; n++) one.learn("m", sample);
  expect(one.credits("m", 10_000)).toEqual({ most: 1.2, expected: 1 });
});

test("a longer prompt costs more, a shorter one may cost as much", () => {
  const one = createEstimator();
  one.learn("m", sample);
  expect(one.credits("m", 50_000)?.expected).toBe(3);
  expect(one.credits("m", 100)?.expected).toBe(1);
});

test("the first estimator that knows the model decides", () => {
  const [own, everybody] = [createEstimator(), createEstimator()];
  everybody.learn("m", sample);
  expect(estimate([own, everybody], "m", 10_000).credits.expected).toBe(1);
  own.learn("m", { ...sample, credits: 2 });
  expect(estimate([own, everybody], "m", 10_000).credits.expected).toBe(2);
});

test("models beyond the hundredth are not learnt, so names can't fill the memory", () => {
  const one = createEstimator();
  for (let n = 0; n < 150; n++) one.learn(`m${n}`, sample);
  expect(one.credits("m99", 1)).toBeDefined();
  expect(one.credits("m100", 1)).toBeUndefined();
});
