/**
 * The service and the load, in one process that takes its orders by messages: `driver.ts PORT [awake]`.
 *
 * With a core of its own (`awake`) it never sleeps while a load runs. To wake a process on another core costs whoever
 * writes to it: 28 % of the CPU time of a gateway's small request on a virtual machine, and next to nothing of a
 * pass-through's, which is so fast that it finds everybody awake. In life the service and the clients are on other
 * machines, and nobody pays for that.
 */
import { answerWith, listen } from "./emulator.ts";
import { type LoadOrder, type LoadResult, run } from "./load.ts";
import type { WorkloadName } from "./workloads.ts";

export type Order = { answer: WorkloadName; events?: number | undefined } | { load: LoadOrder };
export type News = { port: number } | { answers: WorkloadName } | { result: Driven };
/** `busy` is the share of the time in which the driver had something to do. */
export type Driven = LoadResult & { busy: number };

const [port = "0", mode] = process.argv.slice(2);
/** A turn of the event loop that is shorter had nothing to do. */
const IDLE_TURN_MS = 0.006;

/** Keeps the event loop turning; gives how to end that, which gives the milliseconds that were spent idly. */
function stayAwake(): () => number {
  let isOver = false;
  let idleMs = 0;
  let before = performance.now();
  const turn = (): void => {
    const now = performance.now();
    if (now - before < IDLE_TURN_MS) idleMs += now - before;
    before = now;
    if (!isOver) setImmediate(turn);
  };
  turn();
  return () => {
    isOver = true;
    return idleMs;
  };
}

async function drive(order: LoadOrder): Promise<Driven> {
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const end = mode === "awake" ? stayAwake() : undefined;
  const result = await run(order);
  const idleMs = end?.();
  const elapsed = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(before);
  const busyMs = idleMs === undefined ? (user + system) / 1_000 : elapsed - idleMs;
  return { ...result, busy: busyMs / elapsed };
}

function tell(news: News): void {
  process.send?.(news);
}

process.on("message", (order: Order) => {
  if ("load" in order) {
    void drive(order.load).then((result) => tell({ result }));
  } else {
    answerWith(order.answer, order.events);
    tell({ answers: order.answer });
  }
});
process.on("disconnect", () => process.exit());
tell({ port: listen(Number(port)) });
