import type { Summary } from "../../schema/summary.ts";
import { formatMs, formatRate, formatRatio, plural } from "../format.ts";
import { type Chart, figure } from "./chart.ts";
import { document } from "./document.ts";
import { type Html, html, nothing, table } from "./html.ts";
import { headline } from "./words.ts";

/** A run folder's name, and its summary where it has one that can be read. */
export interface KeptRun {
  readonly folder: string;
  readonly summary: Summary | undefined;
}

/** A number that is followed over runs. */
interface Trend {
  readonly id: string;
  readonly title: string;
  readonly format: (value: number) => string;
  readonly value: (summary: Summary) => number | undefined;
}

/** The runs of one experiment on one page: verdicts, and how the key figures went. Oldest first in, newest first out. */
export function renderIndex(experiment: string, runs: readonly KeptRun[]): string {
  const valid = runs.flatMap(({ summary }) => (summary?.valid === true ? summary : []));
  const last = runs.at(-1)?.summary;
  const header = html`<header class="verdict ${last?.verdict ?? ""}">
<p class="origin">${plural(runs.length, "run")}, ${valid.length} of them valid</p>
<h1>${experiment}</h1>
<p class="lead">${last === undefined ? "There is no run with a summary yet." : `The newest run: ${headline[last.verdict].word.toLowerCase()}.`}</p>
</header>`;
  const trends = trendsOf(valid);
  return document({
    title: `${experiment}: ${plural(runs.length, "run")}`,
    header,
    sections: [
      { id: "runs", title: "Runs", content: runTable(runs, trends) },
      {
        id: "trend",
        title: "Over runs",
        content:
          valid.length < 2
            ? html`<p class="note">A trend needs two valid runs.</p>`
            : html`<p class="note">Valid runs only, oldest on the left; every run of each is in the table above.</p>${trends.map((one) => trendFigure(one, valid))}`,
      },
    ],
  });
}

/** The achieved rate, the share answered well, and of each operation the p99; failover where there were faults. */
function trendsOf(runs: readonly Summary[]): Trend[] {
  const operations = [...new Set(runs.flatMap((summary) => Object.keys(summary.operations)))].slice(0, 4);
  const all: Trend[] = [
    {
      id: "rate",
      title: "achieved rate",
      format: formatRate,
      value: ({ operations: done }) => Object.values(done).reduce((sum, operation) => sum + operation.achieved_rate, 0),
    },
    { id: "success", title: "answered well", format: formatRatio, value: ({ metrics }) => metrics.success_ratio },
    ...operations.map(
      (name, index): Trend => ({
        id: `latency${"abcd"[index] ?? ""}`,
        title: `${name} p99`,
        format: formatMs,
        value: ({ metrics }) => metrics[`${name}.latency.p99`],
      }),
    ),
    { id: "failover", title: "failover", format: formatMs, value: ({ metrics }) => metrics.failover },
  ];
  return all.filter(({ value }) => runs.some((summary) => value(summary) !== undefined));
}

function runTable(runs: readonly KeptRun[], trends: readonly Trend[]): Html {
  const rows = [...runs].reverse().map(({ folder, summary }) => {
    const name = html`<a href="${encodeURIComponent(folder)}/report.html">${folder}</a>`;
    if (summary === undefined) {
      return [name, html`<span class="state skipped">no summary</span>`, ...trends.map(() => "")];
    }
    const { sign, word } = headline[summary.verdict];
    return [
      name,
      html`<span class="state ${summary.verdict}">${sign} ${word.toLowerCase()}</span>`,
      ...trends.map(({ value, format }) => {
        const found = value(summary);
        return found === undefined ? "none" : format(found);
      }),
    ];
  });
  return table(
    "Newest first",
    [{ head: "run" }, { head: "verdict" }, ...trends.map(({ title }) => ({ head: title, figures: true }))],
    rows,
  );
}

function trendFigure({ id, title, format, value }: Trend, runs: readonly Summary[]): Html {
  const points = runs.map((summary, index) => [index + 1, value(summary) ?? null] as const);
  const values = points.flatMap(([, found]) => found ?? []);
  if (values.length < 2) {
    return nothing;
  }
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const chart: Chart = {
    id,
    title,
    description: `${plural(values.length, "run")}: between ${format(low)} and ${format(high)}, at last ${format(values.at(-1) ?? 0)}.`,
    x: { min: 1, max: runs.length, step: Math.ceil(runs.length / 10), format: (run) => `run ${run}` },
    y: { min: 0, format },
    series: [{ name: title, color: "var(--line-1)", width: 2, points }],
  };
  return figure(chart);
}
