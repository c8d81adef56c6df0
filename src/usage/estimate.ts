/** What a metered request has cost. `promptTokens` by our own count where it is known, else the service's. */
export type Sample = { promptTokens: number; outputTokens: number; credits: number };

/** What a request may cost (`most`), and what it will cost if it is like the others (`expected`). */
export type Estimate = { most: number; expected: number };

/** Credits of a request of which nothing is known; hardly any costs more than `most`. */
const DEFAULT_CREDITS: Estimate = { most: 10, expected: 2 };
const DEFAULT_OUTPUT_TOKENS: Estimate = { most: 16_000, expected: 1_000 };
/** Every request costs something besides its prompt; as tokens of the prompt. */
const FIXED_TOKENS = 10_000;
const SAMPLES = 20;
/** Models whose samples are kept apart. */
const MODELS = 100;

/** Learns from metered requests what others will cost. */
export type Estimator = {
  learn(model: string, sample: Sample): void;
  credits(model: string, promptTokens: number): Estimate | undefined;
  outputTokens(model: string): Estimate | undefined;
};

export function createEstimator(): Estimator {
  const byModel = new Map<string, Sample[]>();
  return {
    learn(model, sample) {
      const samples = byModel.get(model) ?? [];
      if (!byModel.has(model) && byModel.size >= MODELS) return;
      byModel.set(model, [...samples, sample].slice(-SAMPLES));
    },
    credits(model, promptTokens) {
      return over(byModel.get(model), (sample) => {
        const longer = (promptTokens + FIXED_TOKENS) / (sample.promptTokens + FIXED_TOKENS);
        return sample.credits * Math.max(1, longer);
      });
    },
    outputTokens: (model) => over(byModel.get(model), (sample) => sample.outputTokens),
  };
}

/** The first of the estimators that knows the model, else the default. */
export function estimate(
  estimators: Estimator[],
  model: string,
  promptTokens: number,
): { credits: Estimate; tokens: Estimate } {
  const knowing = estimators.find((one) => one.outputTokens(model) !== undefined);
  const output = knowing?.outputTokens(model) ?? DEFAULT_OUTPUT_TOKENS;
  return {
    credits: knowing?.credits(model, promptTokens) ?? DEFAULT_CREDITS,
    tokens: {
      most: Math.ceil(promptTokens + output.most),
      expected: Math.ceil(promptTokens + output.expected),
    },
  };
}

function over(samples: Sample[] | undefined, cost: (sample: Sample) => number) {
  if (samples === undefined) return undefined;
  const costs = samples.map(cost);
  const sum = costs.reduce((all, one) => all + one, 0);
  // The fewer have been seen, the more the next one may differ.
  const margin = 1 + 1 / costs.length;
  return { most: Math.max(...costs) * margin, expected: sum / costs.length };
}
