import { type Figures, median, medians, type StartFigures } from "./measure.ts";
import { isWorkload, workloads } from "./workloads.ts";

/** All of one run: by workload and target, a round each; the floor first. */
export type Report = {
  machine: string;
  versions: Record<string, string>;
  rounds: Record<string, Record<string, Figures[]>>;
  starts: Record<string, StartFigures[]>;
};

export const FLOOR = "floor";

/** Against the floor of the same rounds. Smaller is better for all but `rate`. */
export type Ratios = {
  rate?: number;
  cpu?: number;
  addedP50Ms?: number;
  lagP99Ms?: number;
  stretch?: number;
};

export function ratios(of: Figures[], floor: Figures[]): Ratios {
  const paired = (read: (one: Figures, base: Figures) => number | undefined): number =>
    median(of.map((one, at) => (floor[at] && read(one, floor[at])) ?? Number.NaN));
  const cpu = paired(({ cpuMsPerRequest: mine }, { cpuMsPerRequest: base }) =>
    mine === undefined || base === undefined ? undefined : mine / base,
  );
  const { lagP99Ms, stretch } = medians(of);
  return {
    ...(Number.isNaN(cpu) ? {} : { cpu }),
    ...(lagP99Ms === undefined || stretch === undefined
      ? {
          rate: paired((one, base) => one.requestsPerSecond / base.requestsPerSecond),
          addedP50Ms: paired((one, base) => one.totalP50Ms - base.totalP50Ms),
        }
      : { lagP99Ms, stretch }),
  };
}

const COLUMNS: { head: string; text: (figures: Figures, ratios: Ratios) => string }[] = [
  { head: "req/s", text: (one) => number(one.requestsPerSecond) },
  { head: "× floor", text: (_one, { rate }) => number(rate) },
  { head: "events/s", text: (one) => number(one.eventsPerSecond) },
  { head: "CPU ms/req", text: (one) => number(one.cpuMsPerRequest) },
  { head: "× floor", text: (_one, { cpu }) => number(cpu) },
  { head: "CPU ms/1k ev.", text: (one) => number(one.cpuMsPer1000Events) },
  {
    head: "total p50/p95/p99 ms",
    text: (one) => [one.totalP50Ms, one.totalP95Ms, one.totalP99Ms].map(number).join(" / "),
  },
  { head: "added p50", text: (_one, { addedP50Ms }) => number(addedP50Ms) },
  {
    head: "first event p50/p95/p99 ms",
    text: (one) =>
      [one.firstEventP50Ms, one.firstEventP95Ms, one.firstEventP99Ms].map(number).join(" / "),
  },
  {
    head: "lag p50/p99 ms",
    text: ({ lagP50Ms, lagP99Ms }) => [lagP50Ms, lagP99Ms].map(number).join(" / "),
  },
  { head: "stretch", text: ({ stretch }) => (stretch === undefined ? "" : stretch.toFixed(3)) },
  { head: "peak MB", text: (one) => number(one.peakMb) },
  { head: "busy", text: ({ busy, driverBusy }) => [busy, driverBusy].map(percent).join(" / ") },
  { head: "failed", text: ({ failures }) => String(failures) },
];

/** The whole run as Markdown. */
export function tables({ machine, versions, rounds, starts }: Report): string {
  const parts = Object.entries(rounds).map(([name, byTarget]) => {
    const floor = byTarget[FLOOR] ?? [];
    const rows = Object.entries(byTarget).map(([target, figures]) => {
      const one = medians(figures);
      const against = target === FLOOR ? {} : ratios(figures, floor);
      return [target, ...COLUMNS.map(({ text }) => text(one, against))];
    });
    const title = isWorkload(name) ? workloads[name].title : name;
    return `**${name}**: ${title}\n\n${table(["", ...COLUMNS.map(({ head }) => head)], rows)}`;
  });
  if (Object.keys(starts).length > 0) {
    const rows = Object.entries(starts).map(([target, figures]) => {
      const { coldStartMs, idleMb } = medians(figures);
      return [target, number(coldStartMs), number(idleMb)];
    });
    parts.push(`**start**\n\n${table(["", "first 200 after ms", "idle MB"], rows)}`);
  }
  const about = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${[machine, ...about].join("; ")}\n\n${parts.join("\n\n")}\n`;
}

/** Columns in which nobody has a value are left out. */
function table(heads: string[], rows: string[][]): string {
  const used = heads.map((_, at) => at === 0 || rows.some((row) => (row[at] ?? "").match(/\d/)));
  const kept = [heads, ...rows].map((row) => row.filter((_, at) => used[at]));
  const widths = (kept[0] ?? []).map((_, at) =>
    Math.max(3, ...kept.map((row) => (row[at] ?? "").length)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, at) => "-".repeat(width + 1) + (at === 0 ? "-" : ":")).join("|")}|`;
  const [head = [], ...rest] = kept;
  return [line(head), rule, ...rest.map(line)].join("\n");
}

/** Three figures that mean something. */
function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

function percent(share: number | undefined): string {
  return share === undefined ? "–" : `${(share * 100).toFixed(0)} %`;
}

/** CPU per request against the floor, a bar for each workload and target, as SVG. */
export function plot({ rounds }: Report): string {
  const bars = Object.entries(rounds).flatMap(([workload, byTarget]) =>
    Object.entries(byTarget).flatMap(([target, figures]) => {
      const cpu = ratios(figures, byTarget[FLOOR] ?? []).cpu;
      return cpu === undefined ? [] : [{ workload, target, cpu }];
    }),
  );
  const scale = 420 / Math.max(1, ...bars.map(({ cpu }) => cpu));
  const colours = ["#8a8a8a", "#2f6fde", "#d9822b", "#2f9e5b", "#b0458f"];
  const targets = [...new Set(bars.map(({ target }) => target))];
  const rows = bars.map(({ workload, target, cpu }, at) => {
    const y = 40 + at * 18;
    const isFirst = bars[at - 1]?.workload !== workload;
    const fill = colours[targets.indexOf(target) % colours.length];
    return (
      (isFirst ? `<text x="8" y="${y + 11}" font-weight="bold">${escaped(workload)}</text>` : "") +
      `<text x="190" y="${y + 11}" text-anchor="end">${escaped(target)}</text>` +
      `<rect x="196" y="${y}" width="${(cpu * scale).toFixed(1)}" height="14" fill="${fill}"/>` +
      `<text x="${(200 + cpu * scale).toFixed(1)}" y="${y + 11}">${cpu.toFixed(2)}</text>`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="680" height="${50 + bars.length * 18}" font-family="sans-serif" font-size="11">` +
    `<rect width="100%" height="100%" fill="white"/>` +
    `<text x="8" y="20" font-size="13">CPU time per request, as a multiple of a plain pass-through</text>` +
    `${rows.join("\n")}</svg>\n`
  );
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
