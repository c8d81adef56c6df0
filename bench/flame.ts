/**
 * Where the CPU time of a workload goes, as a flame graph: `bun run flame WORKLOAD OUT.svg [CHECKOUT]`. The gateway runs
 * from its source, here or in another checkout, under Bun's sampling profiler.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_KEY, freePort, gatewayStarter, listening, startDriver } from "./processes.ts";
import { isWorkload, type WorkloadName } from "./workloads.ts";

const [workload = "", out = "", checkout = join(import.meta.dir, "..")] = process.argv.slice(2);
if (!isWorkload(workload) || out === "") {
  console.error("bun run flame WORKLOAD OUT.svg [CHECKOUT]");
  process.exit(2);
}

const WARM_UP_SECONDS = 6;
const SECONDS = 6;
/** Narrower boxes are left out: a share of all samples. */
const LEAST = 0.003;
const WIDTH = 1_200;
const ROW = 16;

type Profile = {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  timeDeltas: number[];
  startTime: number;
};
type Box = { name: string; us: number; inner: Map<string, Box> };

const folder = await mkdtemp(join(tmpdir(), "kiro-proxy-flame-"));
try {
  await Bun.write(out, svg(await profile(workload)));
  console.log(out);
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();

async function profile(name: WorkloadName): Promise<Box> {
  const driver = await startDriver(0);
  const start = gatewayStarter(driver.url, folder, "profiled", [
    process.execPath,
    "--cpu-prof",
    `--cpu-prof-dir=${folder}`,
    "--cpu-prof-interval=500",
    join(checkout, "src/main.ts"),
  ]);
  const gateway = await start(await freePort());
  await listening(gateway);
  await driver.answerWith(name);
  const { url, kind } = gateway;
  const load = { workload: name, url, kind, apiKey: API_KEY };
  await driver.run({ ...load, seconds: WARM_UP_SECONDS, events: 100 });
  await driver.run({ ...load, seconds: SECONDS, events: 300 });
  // The profile is written at a proper end only.
  process.kill(gateway.pid, "SIGTERM");
  for (;;) {
    for await (const file of new Bun.Glob("*.cpuprofile").scan(folder)) {
      const text = await Bun.file(join(folder, file)).text();
      if (text.endsWith("}")) return rootOf(JSON.parse(text) as Profile);
    }
    await Bun.sleep(200);
  }
}

/** The calls of the second half, when the engine has compiled what is hot; what waits is left out. */
function rootOf({ nodes, samples, timeDeltas }: Profile): Box {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  );
  const total = timeDeltas.reduce((sum, us) => sum + us, 0);
  const root: Box = { name: "all", us: 0, inner: new Map() };
  let at = 0;
  for (const [index, sample] of samples.entries()) {
    const us = timeDeltas[index] ?? 0;
    at += us;
    const path: string[] = [];
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const frame = byId.get(id)?.callFrame;
      if (frame !== undefined && frame.functionName !== "(root)") path.unshift(nameOf(frame));
    }
    if (at < total / 2 || path[0] === "(idle)") continue;
    let box = root;
    box.us += us;
    for (const name of path) {
      const inner: Box = box.inner.get(name) ?? { name, us: 0, inner: new Map() };
      box.inner.set(name, inner);
      inner.us += us;
      box = inner;
    }
  }
  return root;
}

function nameOf({ functionName, url }: Profile["nodes"][number]["callFrame"]): string {
  const file = /(?:src|node_modules)\/(.+)$/.exec(url)?.[1];
  const name = functionName === "" ? "anonymous" : functionName;
  return file === undefined ? name : `${name} ${file}`;
}

function svg(root: Box): string {
  const boxes: string[] = [];
  let depth = 0;
  const draw = (box: Box, x: number, level: number): void => {
    const width = (box.us / root.us) * WIDTH;
    if (box.us < root.us * LEAST) return;
    depth = Math.max(depth, level);
    const share = `${((box.us / root.us) * 100).toFixed(1)} %`;
    // Ours, the packages', the engine's.
    const fill = box.name.includes("dist/")
      ? "#e3b341"
      : box.name.includes(".ts")
        ? "#e8835c"
        : "#c9c9c9";
    const label = box.name.slice(0, Math.floor(width / 6.2));
    boxes.push(
      `<g><title>${escaped(box.name)}: ${share}</title>` +
        `<rect x="${x.toFixed(1)}" y="${level * ROW}" width="${Math.max(0.5, width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${fill}"/>` +
        (label.length > 2
          ? `<text x="${(x + 2).toFixed(1)}" y="${level * ROW + 11}">${escaped(label)}</text>`
          : "") +
        "</g>",
    );
    let next = x;
    for (const inner of [...box.inner.values()].toSorted((a, b) => b.us - a.us)) {
      draw(inner, next, level + 1);
      next += (inner.us / root.us) * WIDTH;
    }
  };
  draw(root, 0, 0);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${(depth + 1) * ROW}" font-family="monospace" font-size="10">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${boxes.join("\n")}\n</svg>\n`
  );
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
