import type { Summary } from "../../schema/summary.ts";
import type { WholeRun } from "../checks/check.ts";
import type { Overlay } from "../compare/baseline.ts";
import { formatMs, formatRate, plural } from "../format.ts";
import { type CurvePoint, percentileCurve, percentilesMs } from "../histogram.ts";
import { type TimePoint, timeline } from "../merge.ts";
import { type Axis, type Band, type Chart, figure, type Mark, type Series } from "./chart.ts";
import { type Html, html, table } from "./html.ts";

/** What is drawn behind a run to compare it with. */
export interface NamedOverlay extends Overlay {
  readonly name: string;
}

/** The figures over time, and their numbers as a table. */
export function timeFigures(run: WholeRun, summary: Summary, overlay: NamedOverlay | null = null): Html {
  const points = timeline(run.workers, run.spec.phases.warmupMs);
  const charts = [throughput(points, run, summary), latencyOverTime(points, run, summary)];
  const behind = overlay === null ? [null, null] : overlaySeries(overlay, points);
  return html`${charts.map((chart, index) => figure(withSeries(chart, behind[index] ?? null)))}
<details><summary>The same in numbers</summary>
${table(
  "Rates and latency over time; the measure phase begins at 0 s, latency is of what was answered in that second",
  [
    { head: "from", figures: true },
    { head: "offered", figures: true },
    { head: "achieved", figures: true },
    { head: "failed", figures: true },
    { head: "p50", figures: true },
    { head: "p99", figures: true },
  ],
  points.map((point) => [
    `${point.startMs / 1000} s`,
    formatRate(point.offeredRate),
    formatRate(point.achievedRate),
    formatRate(point.failedRate),
    point.p50Ms === null ? "none" : formatMs(point.p50Ms),
    point.p99Ms === null ? "none" : formatMs(point.p99Ms),
  ]),
)}</details>
`;
}

/** The same two charts' main lines of an overlay, as far as the run itself goes. */
function overlaySeries({ name, timeline: other }: NamedOverlay, points: readonly TimePoint[]): Series[] {
  const shown = other.filter((point) => point.startMs < endOf(points));
  const look = { color: "var(--line-4)", dash: "dotted", width: 1.75 } as const;
  const rate = { name: `achieved, ${name}`, points: levels(shown, (point) => point.achievedRate), level: true };
  const p99 = { name: `p99, ${name}`, points: shown.map((point) => [middle(point), point.p99Ms] as const) };
  return [
    { ...rate, ...look },
    { ...p99, ...look },
  ];
}

const withSeries = (chart: Chart, series: Series | null): Chart =>
  series === null ? chart : { ...chart, series: [...chart.series, series] };

const seconds = (value: number): string => `${value} s`;
const middle = (point: TimePoint): number => (point.startMs + point.widthMs / 2) / 1000;

const niceSteps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400];

/** End of the last stretch, ms after the measure phase began. */
function endOf(points: readonly TimePoint[]): number {
  const last = points.at(-1);
  return last === undefined ? 1_000 : last.startMs + last.widthMs;
}

function timeAxis(points: readonly TimePoint[]): Axis {
  const end = endOf(points) / 1000;
  const length = end - (points[0]?.startMs ?? 0) / 1000;
  const step = niceSteps.find((candidate) => length / candidate <= 10) ?? length;
  // A whole number of steps before zero, so that ticks fall on the start of the measure phase.
  return { min: step * Math.floor((points[0]?.startMs ?? 0) / 1000 / step), max: end, step, format: seconds };
}

function throughput(points: readonly TimePoint[], run: WholeRun, summary: Summary): Chart {
  const line = (name: string, rate: (point: TimePoint) => number, look: Omit<Series, "name" | "points">): Series => ({
    name,
    points: levels(points, rate),
    level: true,
    ...look,
  });
  const { low, high } = extremes(points, run.spec.phases.measureMs, (point) => point.achievedRate);
  const worst = extremes(points, run.spec.phases.measureMs, (point) => point.failedRate).high;
  return {
    id: "throughput",
    title: "Operations per second",
    description: [
      `Achieved between ${formatRate(low?.value ?? 0)} (at ${low?.at ?? 0} s) and ${formatRate(high?.value ?? 0)}.`,
      worst === undefined || worst.value === 0
        ? "None failed."
        : `At most ${formatRate(worst.value)} failed, at ${worst.at} s.`,
      faultSentence(summary, run),
    ].join(" "),
    x: timeAxis(points),
    y: { min: 0, format: (value) => value.toLocaleString("en-GB") },
    series: [
      line("offered", (point) => point.offeredRate, { color: "var(--quiet)", dash: "dashed" }),
      line("achieved", (point) => point.achievedRate, { color: "var(--line-1)", width: 2 }),
      line("failed", (point) => point.failedRate, { color: "var(--bad)" }),
    ],
    ...timeLayer(summary, run, endOf(points)),
  };
}

/** Middles of all stretches, with the outer edges, so that the first and last are drawn in full. */
function levels(points: readonly TimePoint[], rate: (point: TimePoint) => number): [number, number][] {
  const [first] = points;
  const last = points.at(-1);
  return first === undefined || last === undefined
    ? []
    : [
        [first.startMs / 1000, rate(first)],
        ...points.map((point): [number, number] => [middle(point), rate(point)]),
        [(last.startMs + last.widthMs) / 1000, rate(last)],
      ];
}

function latencyOverTime(points: readonly TimePoint[], run: WholeRun, summary: Summary): Chart {
  const { low, high } = extremes(points, run.spec.phases.measureMs, (point) => point.p99Ms);
  return {
    id: "latency",
    title: "Latency, p50 and p99 of each second",
    description: `The p99 of a second lies between ${formatMs(low?.value ?? 0)} and ${formatMs(high?.value ?? 0)}, highest at ${high?.at ?? 0} s. ${faultSentence(summary, run)}`,
    x: timeAxis(points),
    y: decades(points.flatMap((point) => [point.p50Ms ?? [], point.p99Ms ?? []].flat())),
    series: [
      { name: "p50", color: "var(--line-3)", points: points.map((point) => [middle(point), point.p50Ms]) },
      { name: "p99", color: "var(--line-1)", width: 2, points: points.map((point) => [middle(point), point.p99Ms]) },
    ],
    ...timeLayer(summary, run, endOf(points)),
  };
}

/** A logarithmic axis of ms over whole decades. */
function decades(values: readonly number[]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(positive.reduce((least, value) => Math.min(least, value), 1_000_000)));
  const high = Math.ceil(Math.log10(positive.reduce((most, value) => Math.max(most, value), 0.001)));
  return { log: true, min: 10 ** low, max: 10 ** Math.max(high, low + 1), format: formatMs };
}

interface Extreme {
  readonly value: number;
  /** Start of the second, s. */
  readonly at: number;
}

/** Lowest and highest value of the measure phase. */
function extremes(
  points: readonly TimePoint[],
  measureMs: number,
  pick: (point: TimePoint) => number | null,
): { low: Extreme | undefined; high: Extreme | undefined } {
  const found = points.flatMap((point) => {
    const value = pick(point);
    return value === null || point.startMs < 0 || point.startMs >= measureMs ? [] : { value, at: point.startMs / 1000 };
  });
  const best = (better: (a: number, b: number) => boolean): Extreme | undefined =>
    found.reduce<Extreme | undefined>(
      (kept, one) => (kept === undefined || better(one.value, kept.value) ? one : kept),
      undefined,
    );
  return { low: best((a, b) => a < b), high: best((a, b) => a > b) };
}

function faultSentence(summary: Summary, run: WholeRun): string {
  const acts = summary.faults.flatMap((fault) => fault.actedAtMs ?? []);
  const fromMs = run.startAtMs + run.spec.phases.warmupMs;
  return acts.length === 0
    ? "No fault acted."
    : `${plural(acts.length, "fault")} acted, at ${acts.map((atMs) => `${((atMs - fromMs) / 1000).toFixed(1)} s`).join(", ")}.`;
}

/** Warm-up, cool-down, failover and what was seen of each fault, as shading and vertical lines. */
function timeLayer(summary: Summary, run: WholeRun, endMs: number): Pick<Chart, "marks" | "bands" | "keys"> {
  const measureFromMs = run.startAtMs + run.spec.phases.warmupMs;
  const at = (atMs: number): number => (atMs - measureFromMs) / 1000;
  const marks: Mark[] = [];
  const bands: Band[] = [];
  const { warmupMs, measureMs } = run.spec.phases;
  if (warmupMs > 0) {
    bands.push({ from: -warmupMs / 1000, to: 0, color: "var(--unmeasured)" });
  }
  if (endMs > measureMs) {
    bands.push({ from: measureMs / 1000, to: endMs / 1000, color: "var(--unmeasured)" });
  }
  for (const [position, fault] of summary.faults.entries()) {
    const { actedAtMs } = fault;
    if (actedAtMs === null) {
      continue;
    }
    marks.push({ at: at(actedAtMs), label: `fault ${position + 1}`, color: "var(--bad)" });
    if (fault.failover_ms !== null) {
      bands.push({ from: at(actedAtMs), to: at(actedAtMs + fault.failover_ms), color: "var(--shade)" });
    }
    if (fault.leaderAfterAtMs !== null) {
      marks.push({ at: at(fault.leaderAfterAtMs), color: "var(--ink)", dash: "dashed", width: 1 });
    }
    for (const member of fault.members) {
      if (member.readyAtMs !== null) {
        marks.push({ at: at(member.readyAtMs), color: "var(--good)", dash: "dotted", width: 1.5 });
      }
    }
  }
  const seen = (dash: Mark["dash"]): boolean => marks.some((mark) => mark.dash === dash);
  return {
    marks,
    bands,
    keys: [
      ...(marks.length > 0 ? [{ name: "fault acts", color: "var(--bad)", shape: "upright solid" as const }] : []),
      ...(seen("dashed") ? [{ name: "new leader", color: "var(--ink)", shape: "upright dashed" as const }] : []),
      ...(seen("dotted") ? [{ name: "pod back", color: "var(--good)", shape: "upright dotted" as const }] : []),
      ...(bands.some((band) => band.color === "var(--shade)")
        ? [{ name: "failover", color: "var(--shade)", shape: "band" as const }]
        : []),
      ...(bands.some((band) => band.color === "var(--unmeasured)")
        ? [{ name: "not judged", color: "var(--unmeasured)", shape: "band" as const }]
        : []),
    ],
  };
}

const looks = [
  { color: "var(--line-1)", dash: "solid" },
  { color: "var(--line-2)", dash: "dashed" },
  { color: "var(--line-3)", dash: "dotted" },
  { color: "var(--line-4)", dash: "solid" },
] as const;

/** Percentile curve of each operation; each nine to the right looks at ten times fewer operations. */
export function distributionFigure(run: WholeRun, overlay: NamedOverlay | null = null): Html {
  const curves = [...run.totals].flatMap(([name, operation]) => {
    const percentiles = percentilesMs(operation.latency);
    return percentiles === null ? [] : [{ name, percentiles, points: percentileCurve(operation.latency) }];
  });
  const others = curves.map(({ name }) => overlay?.curves.get(name) ?? []);
  const all = [...curves.flatMap((curve) => curve.points), ...others.flat()];
  const odds = all.reduce((most, point) => Math.max(most, point.odds), 10);
  return figure({
    id: "distribution",
    title: "Latency by percentile",
    description: curves
      .map(
        ({ name, percentiles: { p50, p99, max } }) =>
          `${name}: half within ${formatMs(p50)}, 99 % within ${formatMs(p99)}, all within ${formatMs(max)}.`,
      )
      .join(" "),
    x: { log: true, min: 1, max: 10 ** Math.ceil(Math.log10(odds)), format: percentileName },
    y: decades(all.map((point) => point.ms)),
    series: [
      ...curves.map(({ name, points }, index) => curveSeries(name, points, index, false)),
      ...others.flatMap((points, index) =>
        points.length === 0 ? [] : curveSeries(`${curves[index]?.name}, ${overlay?.name}`, points, index, true),
      ),
    ],
  });
}

function curveSeries(name: string, points: readonly CurvePoint[], index: number, behind: boolean): Series {
  const look = looks[index % looks.length] ?? looks[0];
  return {
    name,
    width: behind ? 1.25 : 2,
    ...look,
    ...(behind ? { color: "var(--line-4)" } : {}),
    points: points.map((point) => [point.odds, point.ms] as const),
  };
}

/** 1 is p0, 10 is p90, 100 is p99, 1,000 is p99.9. */
function percentileName(odds: number): string {
  const nines = Math.round(Math.log10(odds));
  return `p${nines === 0 ? "0" : nines === 1 ? "90" : nines === 2 ? "99" : `99.${"9".repeat(nines - 2)}`}`;
}
