import type { Summary } from "../../schema/summary.ts";
import type { WholeRun } from "../checks/check.ts";
import { formatCount, formatMs, formatRate, formatRatio, plural } from "../format.ts";
import type { MemberCell, MemberGrid, MemberRow } from "../members.ts";
import { escapeHtml, type Html, html, table } from "./html.ts";
import { type Caption, drawing, framed, type Key, px, type Size, shortened, sizes } from "./svg.ts";

/** Colours of a scale, from least to most; see style.ts. */
const shades = 6;

/** What a heat map shows of each cell. */
interface Measure extends Caption {
  /** Family of colours. */
  readonly family: "rate" | "heat";
  readonly value: (cell: MemberCell) => number | null;
  readonly format: (value: number) => string;
  /** Where one shade ends and the next begins, ascending. */
  readonly bounds: readonly number[];
}

/** Members by time, once by rate and once by latency, and the members' totals as a table. */
export function memberFigures(grid: MemberGrid, run: WholeRun, summary: Summary): Html {
  const { rows } = grid;
  const rate = (cell: MemberCell): number => (cell.count * 1000) / grid.widthMs;
  const rates = valuesOf(rows, rate);
  const p99s = valuesOf(rows, (cell) => cell.p99Ms);
  const busiest = [...rows].sort((a, b) => b.count - a.count)[0];
  const slowest = [...rows].sort((a, b) => (b.p99Ms ?? 0) - (a.p99Ms ?? 0))[0];
  return html`${heatMap(grid, run, summary, {
    id: "memberrate",
    title: "Operations per second by member",
    description: `${plural(rows.length, "row")}, one a member. ${busiest?.pod ?? "Nobody"} answered most, ${formatCount(busiest?.count ?? 0)} operations.`,
    family: "rate",
    value: (cell) => (cell.count === 0 ? null : rate(cell)),
    format: formatRate,
    bounds: evenBounds(Math.max(...rates, 1)),
  })}${heatMap(grid, run, summary, {
    id: "memberlatency",
    title: "Latency p99 by member",
    description: `${plural(rows.length, "row")}, one a member. ${slowest?.pod ?? "Nobody"} was slowest, with a p99 of ${formatMs(slowest?.p99Ms ?? 0)} over the whole run.`,
    family: "heat",
    value: (cell) => cell.p99Ms,
    format: formatMs,
    bounds: decadeBounds(p99s),
  })}
<details><summary>Members in numbers</summary>
${memberTable(grid)}</details>
`;
}

function valuesOf(rows: readonly MemberRow[], pick: (cell: MemberCell) => number | null): number[] {
  return rows.flatMap((row) => row.cells.flatMap((cell) => pick(cell) ?? []));
}

/** Even steps of a round size up to a largest value. */
function evenBounds(largest: number): number[] {
  const rough = largest / shades;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * scale >= rough) ?? 10) * scale;
  return Array.from({ length: shades - 1 }, (_, index) => step * (index + 1)).filter((bound) => bound < largest);
}

/** Round values, evenly spread on a logarithmic scale over these values. */
function decadeBounds(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const low = positive.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = positive.reduce((most, value) => Math.max(most, value), 0);
  const round: number[] = [];
  for (let decade = -3; decade < 7; decade += 1) {
    round.push(...[1, 2, 5].map((factor) => factor * 10 ** decade).filter((bound) => bound > low && bound < high));
  }
  const keepEvery = Math.ceil(round.length / (shades - 1));
  return round.filter((_, index) => index % keepEvery === keepEvery - 1);
}

function heatMap(grid: MemberGrid, run: WholeRun, summary: Summary, measure: Measure): Html {
  const { bounds, family, format } = measure;
  const names = [...bounds.map((bound) => `under ${format(bound)}`), bounds.length === 0 ? "any" : "more"];
  const keys: Key[] = names.map((name, shade) => ({
    name,
    color: `var(--${family}-${shadeOf(shade, bounds.length)})`,
    shape: "swatch",
  }));
  const away = summary.faults.some((fault) => fault.actedAtMs !== null && fault.members.length > 0);
  return framed(
    measure.title,
    [...keys, ...(away ? [{ name: "hit, until back", color: "var(--bad)", shape: "ring" as const }] : [])],
    (size) => drawMap(grid, run, summary, measure, size),
  );
}

/** Spreads few shades over the whole family, so that the extremes are told apart whatever their number. */
const shadeOf = (index: number, boundCount: number): number =>
  boundCount === 0 ? Math.ceil(shades / 2) : 1 + Math.round((index * (shades - 1)) / boundCount);

interface Layout {
  readonly left: number;
  readonly top: number;
  readonly cellWidth: number;
  readonly rowHeight: number;
  readonly height: number;
}

function layoutOf(grid: MemberGrid, size: Size): Layout {
  const longest = Math.max(...grid.rows.map((row) => row.pod.length), 4);
  const left = Math.min(longest, labelLength[size]) * 7 + 10;
  const rowHeight = Math.min(26, Math.max(5, 420 / grid.rows.length));
  const height = 4 + rowHeight * grid.rows.length + 24;
  return { left, top: 4, cellWidth: (sizes[size] - left - 14) / grid.columns, rowHeight, height };
}

const labelLength = { wide: 20, narrow: 9 } as const;

function drawMap(grid: MemberGrid, run: WholeRun, summary: Summary, measure: Measure, size: Size): Html {
  const layout = layoutOf(grid, size);
  const paths = new Map<number, string>();
  const { left, top, cellWidth, rowHeight } = layout;
  const gap = rowHeight > 8 ? 1 : 0;
  for (const [y, row] of grid.rows.entries()) {
    for (const [x, cell] of row.cells.entries()) {
      const value = measure.value(cell);
      if (value !== null) {
        const reached = measure.bounds.filter((bound) => value >= bound).length;
        const shade = shadeOf(reached, measure.bounds.length);
        // A hair wider than its place, or the paper shines through between two cells.
        const [across, down] = [px(cellWidth + 0.3), px(rowHeight - gap)];
        const square = `M${px(left + x * cellWidth)} ${px(top + y * rowHeight)}h${across}v${down}h-${across}z`;
        paths.set(shade, (paths.get(shade) ?? "") + square);
      }
    }
  }
  const cells = [...paths].map(([shade, path]) => `<path fill="var(--${measure.family}-${shade})" d="${path}"/>`);
  const body = [
    ground(grid, layout),
    ...cells,
    awayStretches(grid, run, summary, layout),
    timeTicks(grid, layout, size),
    memberLabels(grid, layout, size),
    hints(grid, layout, size),
  ];
  return drawing(measure, size, layout.height, body.join(""));
}

function ground(grid: MemberGrid, { left, top, cellWidth, rowHeight }: Layout): string {
  const [width, height] = [px(cellWidth * grid.columns), px(rowHeight * grid.rows.length)];
  return `<rect x="${px(left)}" y="${top}" width="${width}" height="${height}" fill="var(--wash)"/>`;
}

/** A box around the time in which a member was gone. */
function awayStretches(grid: MemberGrid, run: WholeRun, summary: Summary, layout: Layout): string {
  const { left, top, cellWidth, rowHeight } = layout;
  const end = left + cellWidth * grid.columns;
  const at = (ms: number): number => Math.min(end, left + ((ms - run.startAtMs) / grid.widthMs) * cellWidth);
  const boxes = summary.faults.flatMap(({ actedAtMs, members }) =>
    members.flatMap((member) => {
      const y = grid.rows.findIndex((row) => row.pod === member.pod);
      if (actedAtMs === null || y < 0) {
        return [];
      }
      const from = at(actedAtMs);
      const width = Math.max(3, (member.readyAtMs === null ? end : at(member.readyAtMs)) - from);
      return `<rect x="${px(from)}" y="${px(top + y * rowHeight)}" width="${px(width)}" height="${px(rowHeight)}" fill="none" stroke="var(--bad)" stroke-width="2"/>`;
    }),
  );
  return boxes.join("");
}

function timeTicks(grid: MemberGrid, { left, top, cellWidth, rowHeight }: Layout, size: Size): string {
  const y = top + rowHeight * grid.rows.length;
  const seconds = (grid.columns * grid.widthMs) / 1000;
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400];
  const step = steps.find((candidate) => seconds / candidate <= (size === "wide" ? 12 : 5)) ?? seconds;
  const first = Math.ceil(grid.fromMs / 1000 / step) * step;
  const ticks: string[] = [];
  for (let at = first; at <= grid.fromMs / 1000 + seconds; at += step) {
    const x = px(left + ((at * 1000 - grid.fromMs) / grid.widthMs) * cellWidth);
    ticks.push(
      `<path d="M${x} ${px(y)}v4" stroke="var(--rule-strong)"/><text class="tick" x="${x}" y="${px(y + 17)}" text-anchor="middle">${at} s</text>`,
    );
  }
  return ticks.join("");
}

/** Names of the members, as many as have room. */
function memberLabels(grid: MemberGrid, { left, top, rowHeight }: Layout, size: Size): string {
  const every = Math.ceil(14 / rowHeight);
  return grid.rows
    .map((row, y) =>
      y % every === 0
        ? `<text class="tick" x="${px(left - 8)}" y="${px(top + (y + 0.5) * rowHeight)}" text-anchor="end" dominant-baseline="central">${escapeHtml(shortened(row.pod, labelLength[size]))}</text>`
        : "",
    )
    .join("");
}

/** What a pointer that rests on a row is told. */
function hints(grid: MemberGrid, { left, top, cellWidth, rowHeight }: Layout, size: Size): string {
  if (size === "narrow") {
    return ""; // there is no pointer to rest on a phone
  }
  const width = px(cellWidth * grid.columns);
  return grid.rows
    .map((row, y) => {
      const text = `${row.pod}: ${plural(row.count, "operation")} answered, ${formatCount(row.failed)} badly; p50 ${optional(row.p50Ms)}, p99 ${optional(row.p99Ms)}`;
      return `<rect x="${px(left)}" y="${px(top + y * rowHeight)}" width="${width}" height="${px(rowHeight)}" fill="transparent"><title>${escapeHtml(text)}</title></rect>`;
    })
    .join("");
}

const optional = (ms: number | null): string => (ms === null ? "none" : formatMs(ms));

function memberTable({ rows }: MemberGrid): Html {
  const all = rows.reduce((sum, row) => sum + row.count, 0);
  return table(
    "Operations by the member that answered last, warm-up included",
    [
      { head: "member" },
      { head: "group" },
      ...["answered", "share", "failed", "p50", "p99"].map((head) => ({ head, figures: true })),
    ],
    rows.map((row) => [
      row.pod,
      row.group === "" ? "none" : row.group,
      formatCount(row.count),
      all === 0 ? "none" : formatRatio(row.count / all, 1),
      formatCount(row.failed),
      optional(row.p50Ms),
      optional(row.p99Ms),
    ]),
  );
}
