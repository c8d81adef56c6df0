import { expect, test } from "bun:test";
import { BoundedMap } from "../src/bounded-map.ts";

test("the entry that nobody asked for or set for longest makes room", () => {
  const map = new BoundedMap<string, number>(3);
  for (const [index, key] of ["a", "b", "c"].entries()) map.set(key, index);
  expect(map.get("a")).toBe(0);
  map.set("b", 7);
  map.set("d", 3);
  expect([...map]).toEqual([
    ["a", 0],
    ["b", 7],
    ["d", 3],
  ]);
  expect(map.get("c")).toBeUndefined();
  expect([map.delete("a"), map.delete("a")]).toEqual([true, false]);
});
