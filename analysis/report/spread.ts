import type { Summary } from "../../schema/summary.ts";
import { formatMs, formatRatio } from "../format.ts";
import { escapeHtml, type Html } from "./html.ts";
import { type Caption, drawing, framed, px, type Size, shortened, sizes } from "./svg.ts";

type Percentiles = NonNullable<Summary["replication"]>["all_ms"];

/** How long writes took to show at one member, or at several. */
interface Row {
  readonly name: string;
  readonly percentiles: Percentiles;
  readonly ratio: number | null;
}

/** A logarithmic axis of ms: decades, and where they are. */
interface Scale {
  readonly left: number;
  readonly right: number;
  readonly decades: readonly number[];
  readonly x: (ms: number) => number;
}

/** Time to replicate as a range for a majority, for all members and for each: from the median over p99 to p99.9. */
export function replicationFigure(
  found: NonNullable<Summary["replication"]>,
  nodes: NonNullable<Summary["nodes"]>,
): Html {
  const rows: Row[] = [
    { name: `majority (${found.majority})`, percentiles: found.majority_ms, ratio: null },
    { name: "all members", percentiles: found.all_ms, ratio: found.replicated_ratio },
    ...nodes.map(({ pod, replication_ms, replicated_ratio }) => ({
      name: pod,
      percentiles: replication_ms,
      ratio: replicated_ratio,
    })),
  ];
  const words = (ms: number | null): string => (ms === null ? `over ${formatMs(found.deadline_ms)}` : formatMs(ms));
  const caption: Caption = {
    id: "replication",
    title: "Time from acknowledgement to being seen elsewhere",
    description: rows
      .slice(0, 12)
      .map(
        ({ name, percentiles: { p50, p99 } }) =>
          `${name}: half within ${words(p50)}, 99 % ${p99 === null ? "not within the deadline" : `within ${formatMs(p99)}`}.`,
      )
      .join(" "),
  };
  return framed(
    caption.title,
    [
      { name: "median", color: "var(--line-1)", shape: "swatch" },
      { name: "p99", color: "var(--line-2)", shape: "swatch" },
      { name: "up to p99.9", color: "var(--quiet)", shape: "solid" },
      { name: "deadline", color: "var(--bad)", shape: "upright dashed" },
    ],
    (size) => draw(caption, rows, found.deadline_ms, size),
  );
}

function draw(caption: Caption, rows: readonly Row[], deadlineMs: number, size: Size): Html {
  const rowHeight = Math.min(26, Math.max(6, 460 / rows.length));
  const bottom = 6 + rowHeight * rows.length;
  const scale = scaleOf(rows, deadlineMs, size);
  const every = Math.ceil(14 / rowHeight);
  const body = [
    ...scale.decades.map((ms) => decade(scale.x(ms), ms, bottom)),
    deadline(scale, deadlineMs, bottom),
    ...rows.map((row, index) => {
      const y = 6 + (index + 0.5) * rowHeight;
      return (
        (index % every === 0 ? label(row, y, scale, size) : "") +
        range(row, y, scale, Math.min(5, rowHeight / 2.4), deadlineMs)
      );
    }),
  ];
  return drawing(caption, size, bottom + 24, body.join(""));
}

const names = { wide: 20, narrow: 11 } as const;

function scaleOf(rows: readonly Row[], deadlineMs: number, size: Size): Scale {
  const values = rows
    .flatMap(({ percentiles }) => Object.values(percentiles))
    .flatMap((ms) => (ms !== null && ms > 0 ? ms : []));
  const low = Math.floor(Math.log10(Math.min(deadlineMs / 10, ...values)));
  const high = Math.ceil(Math.log10(Math.max(deadlineMs, ...values)));
  const left = Math.min(names[size], Math.max(...rows.map(({ name }) => name.length))) * 7 + 10;
  const right = sizes[size] - (size === "wide" ? 90 : 16);
  const decades = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  const x = (ms: number): number =>
    left + ((Math.log10(Math.max(ms, 10 ** low)) - low) / Math.max(1, high - low)) * (right - left);
  return { left, right, decades, x };
}

function decade(x: number, ms: number, bottom: number): string {
  return `<path d="M${px(x)} 4V${px(bottom)}" stroke="var(--rule)"/><text class="tick" x="${px(x)}" y="${px(bottom + 16)}" text-anchor="middle">${formatMs(ms)}</text>`;
}

function deadline(scale: Scale, deadlineMs: number, bottom: number): string {
  const x = px(scale.x(deadlineMs));
  return `<path d="M${x} 4V${px(bottom)}" stroke="var(--bad)" stroke-dasharray="5 4"/>`;
}

function label({ name, ratio }: Row, y: number, { left, right }: Scale, size: Size): string {
  const share =
    size === "wide" && ratio !== null
      ? `<text class="tick" x="${right + 10}" y="${px(y)}" dominant-baseline="central">${formatRatio(ratio, 2)}</text>`
      : "";
  return `<text class="tick" x="${px(left - 8)}" y="${px(y)}" text-anchor="end" dominant-baseline="central">${escapeHtml(shortened(name, names[size]))}</text>${share}`;
}

/** The range of one row; what is over the deadline ends there with an arrow. */
function range({ name, percentiles }: Row, y: number, scale: Scale, dot: number, deadlineMs: number): string {
  const { p50, p99, p999 } = percentiles;
  const end = scale.x(p999 ?? deadlineMs);
  const arrow =
    p999 === null
      ? `<path d="M${px(end - 4)} ${px(y - 4)}l5 4l-5 4" fill="none" stroke="var(--bad)" stroke-width="2"/>`
      : "";
  const mark = (ms: number | null, color: string): string =>
    ms === null ? "" : `<circle cx="${px(scale.x(ms))}" cy="${px(y)}" r="${px(dot)}" fill="${color}"/>`;
  const words = (ms: number | null): string => (ms === null ? "over the deadline" : formatMs(ms));
  const hint = `${name}: p50 ${words(p50)}, p99 ${words(p99)}, p99.9 ${words(p999)}`;
  return `<g><path d="M${px(scale.x(p50 ?? deadlineMs))} ${px(y)}H${px(end)}" stroke="var(--quiet)" stroke-width="2"/>${arrow}${mark(p99, "var(--line-2)")}${mark(p50, "var(--line-1)")}<title>${escapeHtml(hint)}</title></g>`;
}
