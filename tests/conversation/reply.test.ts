import { describe, expect, test } from "bun:test";
import { type Batches, forEachBatch } from "../../src/conversation/reply.ts";

function numbers() {
  const seen: string[] = [];
  async function* batches(): AsyncGenerator<number, void, undefined> {
    try {
      yield 1;
      yield 2;
      yield 3;
    } finally {
      seen.push("closed");
    }
  }
  return { seen, batches: batches() };
}

describe("every batch of a generator", () => {
  test("is taken, in order, and the generator is closed", async () => {
    const { seen, batches } = numbers();
    await forEachBatch(batches, (batch) => seen.push(String(batch)) > 0);
    expect(seen).toEqual(["1", "2", "3", "closed"]);
  });

  test("is taken until one is the last that is wanted, also if that turns out late", async () => {
    for (const answer of [false, Promise.resolve(false)]) {
      const { seen, batches } = numbers();
      await forEachBatch(batches, (batch) => {
        seen.push(String(batch));
        return batch === 1 ? true : answer;
      });
      expect(seen).toEqual(["1", "2", "closed"]);
    }
  });

  test("waits until the one before has been dealt with", async () => {
    const { seen, batches } = numbers();
    await forEachBatch(batches, async (batch) => {
      await Bun.sleep(1);
      seen.push(String(batch));
      return true;
    });
    expect(seen).toEqual(["1", "2", "3", "closed"]);
  });

  test("is not taken any more when taking one has failed", async () => {
    const { seen, batches } = numbers();
    const taking = forEachBatch(batches, () => {
      throw new Error("no");
    });
    expect(await taking.catch(String)).toBe("Error: no");
    expect(seen).toEqual(["closed"]);
  });
});

test("what can hand batches over itself does", async () => {
  const batches: Batches<number> = {
    ...numbers().batches,
    next: async () => ({ done: true, value: undefined }),
    return: async () => ({ done: true, value: undefined }),
    [Symbol.asyncIterator]: () => batches,
    forEach: async (take) => void take(7),
  };
  const taken: number[] = [];
  await forEachBatch(batches, (batch) => taken.push(batch) > 0);
  expect(taken).toEqual([7]);
});
