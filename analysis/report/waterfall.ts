import type { Span, TracesFile } from "../../schema/observed.ts";
import { formatMs, plural } from "../format.ts";
import { escapeHtml, type Html, html, table } from "./html.ts";
import { type Caption, drawing, framed, type Key, px, type Size, shortened, sizes } from "./svg.ts";

type Trace = TracesFile["traces"][number];

/** A trace that is shown, and why this one. */
interface Shown {
  readonly trace: Trace;
  readonly root: Span;
  readonly why: string;
}

const shownOperations = 3;
const shownSpans = 12;

/** A few sampled operations as waterfalls, from the driver's sending through the members: of each the median and the slowest. */
export function traceFigures({ traces }: TracesFile, measureFromMs: number): Html {
  const shown = choose(traces);
  const services = [...new Set(shown.flatMap(({ trace }) => trace.spans.map(({ service }) => service)))];
  const colors = new Map(services.map((service, index) => [service, looks[index % looks.length] ?? looks[0]]));
  const caption: Caption = {
    id: "traces",
    title: "Sampled operations, from driver to member",
    description: `${shown.length} of ${plural(traces.length, "sampled operation")}. ${shown.map(({ root, why }) => `${root.operation}, ${why}: ${formatMs(root.durationUs / 1000)}.`).join(" ")}`,
  };
  const keys: Key[] = [
    ...[...colors].map(([name, color]): Key => ({ name, color, shape: "swatch" })),
    ...(shown.some(({ trace }) => trace.spans.some(({ failed }) => failed))
      ? [{ name: "failed", color: "var(--bad)", shape: "ring" as const }]
      : []),
  ];
  return html`${framed(caption.title, keys, (size) => draw(caption, shown, colors, measureFromMs, size))}
<p class="note">Each bar is placed by the clock of the node it was made on; what begins before the bar above it does so by a difference of clocks.</p>
<details><summary>Sampled operations in numbers</summary>
${shown.map((one) => spanTable(one, measureFromMs))}</details>
`;
}

const looks = ["var(--line-1)", "var(--line-2)", "var(--line-3)", "var(--line-4)"] as const;

/** The span without a parent that began first. */
function rootOf(trace: Trace): Span | undefined {
  return trace.spans.find(({ parent }) => parent === null) ?? trace.spans[0];
}

/** Of each operation the median and the slowest; those of the measure phase, where a span says so. */
function choose(traces: readonly Trace[]): Shown[] {
  const byOperation = new Map<string, Shown[]>();
  for (const trace of traces) {
    const root = rootOf(trace);
    if (root !== undefined && root.attributes["orrery.phase"] !== "warmup") {
      const known = byOperation.get(root.operation) ?? [];
      byOperation.set(root.operation, [...known, { trace, root, why: "" }]);
    }
  }
  return [...byOperation.values()]
    .sort((a, b) => b.length - a.length)
    .slice(0, shownOperations)
    .flatMap((all) => {
      const ordered = [...all].sort((a, b) => a.root.durationUs - b.root.durationUs);
      const median = ordered[Math.ceil(ordered.length / 2) - 1];
      const slowest = ordered.at(-1);
      return median === undefined || slowest === undefined || median === slowest
        ? ordered.slice(-1).map((one) => ({ ...one, why: "the only one" }))
        : [
            { ...median, why: "the median" },
            { ...slowest, why: "the slowest" },
          ];
    });
}

const rowHeight = 20;
const headHeight = 26;
const gapHeight = 14;

function draw(
  caption: Caption,
  shown: readonly Shown[],
  colors: ReadonlyMap<string, string>,
  measureFromMs: number,
  size: Size,
): Html {
  let y = 4;
  const parts: string[] = [];
  for (const one of shown) {
    const { spans } = one.trace;
    const rows = spans.slice(0, shownSpans);
    parts.push(heading(one, y, measureFromMs, size));
    y += headHeight;
    const startUs = Math.min(...spans.map((span) => span.startUs));
    const endUs = Math.max(...spans.map((span) => span.startUs + span.durationUs));
    for (const span of rows) {
      parts.push(
        spanRow(span, depthOf(span, spans), { y, startUs, lengthUs: Math.max(1, endUs - startUs), size, colors }),
      );
      y += rowHeight;
    }
    if (spans.length > rows.length) {
      parts.push(
        `<text class="tick" x="0" y="${px(y + 13)}">and ${plural(spans.length - rows.length, "span")} more</text>`,
      );
      y += rowHeight;
    }
    y += gapHeight;
  }
  return drawing(caption, size, Math.max(20, y), parts.join(""));
}

function heading({ root, why }: Shown, y: number, measureFromMs: number, size: Size): string {
  const at = `${((root.startUs / 1000 - measureFromMs) / 1000).toFixed(2)} s`;
  const text = `${root.operation}, ${why}: ${formatMs(root.durationUs / 1000)}`;
  return `<text class="tick strong" x="0" y="${px(y + 14)}">${escapeHtml(shortened(text, size === "wide" ? 90 : 44))}</text><text class="tick" x="${sizes[size]}" y="${px(y + 14)}" text-anchor="end">${size === "wide" ? `sent at ${at}` : ""}</text>`;
}

interface Row {
  readonly y: number;
  readonly startUs: number;
  readonly lengthUs: number;
  readonly size: Size;
  readonly colors: ReadonlyMap<string, string>;
}

/** Where the bars begin, and where they end to leave room for their lengths. */
const bars = { wide: { from: 250, to: 800, name: 32 }, narrow: { from: 130, to: 296, name: 16 } } as const;

function spanRow(span: Span, depth: number, { y, startUs, lengthUs, size, colors }: Row): string {
  const { from, to, name } = bars[size];
  const scale = (to - from) / lengthUs;
  const x = from + (span.startUs - startUs) * scale;
  const width = Math.max(2, span.durationUs * scale);
  const indent = Math.min(depth, 6) * (size === "wide" ? 12 : 6);
  const label = shortened(`${span.service} ${span.operation}`, name - Math.round(indent / 7));
  const stroke = span.failed ? ' stroke="var(--bad)" stroke-width="2.5"' : "";
  const hint = `${span.service} ${span.operation}: ${formatMs(span.durationUs / 1000)}${span.failed ? ", failed" : ""}`;
  return `<g><path d="M${from} ${px(y + rowHeight - 0.5)}H${to}" stroke="var(--rule)"/><text class="tick" x="${indent}" y="${px(y + 14)}">${escapeHtml(label)}</text><rect x="${px(x)}" y="${px(y + 4)}" width="${px(width)}" height="12" rx="2" fill="${colors.get(span.service) ?? looks[0]}"${stroke}/><text class="tick" x="${px(Math.max(x + width, from) + 6)}" y="${px(y + 14)}">${formatMs(span.durationUs / 1000)}</text><title>${escapeHtml(hint)}</title></g>`;
}

/** Spans above this one; a parent that is its own ancestor ends the count. */
function depthOf(span: Span, spans: readonly Span[]): number {
  let depth = 0;
  let at: Span | undefined = span;
  while (at?.parent != null && depth < spans.length) {
    const { parent }: Span = at;
    at = spans.find(({ id }) => id === parent);
    depth += 1;
  }
  return depth;
}

function spanTable({ trace, root, why }: Shown, measureFromMs: number): Html {
  const at = ((root.startUs / 1000 - measureFromMs) / 1000).toFixed(2);
  return table(
    `${root.operation}, ${why}, sent ${at} s after the measure phase began; trace ${trace.id}`,
    [
      { head: "service" },
      { head: "span" },
      { head: "begins", figures: true },
      { head: "takes", figures: true },
      { head: "outcome" },
    ],
    trace.spans
      .slice(0, shownSpans)
      .map((span) => [
        span.service,
        span.operation,
        `+${formatMs((span.startUs - root.startUs) / 1000)}`,
        formatMs(span.durationUs / 1000),
        span.failed ? "failed" : "well",
      ]),
  );
}
