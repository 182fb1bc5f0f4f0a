import { styleText } from "node:util";
import type { Comparison, Finding, MetricComparison } from "../../schema/comparison.ts";
import { formatMetric, formatRatio, plural } from "../format.ts";
import { clean, type RenderOptions, table, wrapText } from "../terminal.ts";

const words: Readonly<Record<Finding, string>> = {
  worse: "worse",
  unclear: "unclear",
  "no-worse": "no worse",
  better: "better",
  shown: "not judged",
};
const styles = { worse: "red", unclear: "yellow", "no-worse": "green", better: "green", shown: "dim" } as const;
const outcomeStyles = { pass: "green", regression: "red", inconclusive: "yellow", invalid: "yellow" } as const;

/** A comparison as text for a terminal; ends with a newline. */
export function renderComparison(comparison: Comparison, options: RenderOptions): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    options.color ? styleText(style, text, { validateStream: false }) : text;
  const wrap = (text: string, indent: number): string => wrapText(clean(text), options.width, indent);
  const rows = inOrder(comparison.metrics).map((metric) => [
    paint(styles[metric.finding], words[metric.finding]),
    clean(metric.metric),
    ...cellsOf(metric),
  ]);
  const outcome = paint(["bold", outcomeStyles[comparison.outcome]], comparison.outcome.toUpperCase());
  const sections = [
    `${outcome}  ${clean(headline(comparison))}`,
    sidesText(comparison)
      .map((line) => wrap(line, 2))
      .join("\n"),
    comparison.metrics.length === 0 ? "" : table(columnsOf(comparison), rows, paint, "llrrrrr"),
    [...notes(comparison), ...comparison.left_out.map(leftOutText)].map((line) => wrap(`- ${line}`, 2)).join("\n"),
    comparison.warnings
      .flatMap(({ check, text, fix }) => [wrap(`- ${check}: ${text}`, 4), paint("dim", wrap(`    ${fix}`, 4))])
      .join("\n"),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** A comparison as Markdown, for a pull request. */
export function renderComparisonMarkdown(comparison: Comparison): string {
  const row = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(" | ")} |`;
  const judged = inOrder(comparison.metrics).filter(({ finding }) => finding !== "shown");
  const sections = [
    `### ${capital(comparison.outcome)}: ${headline(comparison)}`,
    sidesText(comparison)
      .map((line) => `- ${escapeCell(line)}`)
      .join("\n"),
    judged.length === 0
      ? ""
      : [
          row(columnsOf(comparison)),
          "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
          ...judged.map((metric) => row([words[metric.finding], `\`${metric.metric}\``, ...cellsOf(metric)])),
        ].join("\n"),
    [
      ...notes(comparison),
      ...comparison.left_out.map(leftOutText),
      ...comparison.warnings.map(({ text, fix }) => `${text} ${fix}`),
    ]
      .map((line) => `- ${escapeCell(line)}`)
      .join("\n"),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** What matters most first, otherwise as measured. */
const inOrder = (metrics: readonly MetricComparison[]): MetricComparison[] =>
  order.flatMap((finding) => metrics.filter((metric) => metric.finding === finding));
const order = ["worse", "unclear", "better", "no-worse", "shown"] as const;

const columnsOf = ({ alpha }: Comparison): string[] => [
  "finding",
  "metric",
  "baseline",
  "candidate",
  "change",
  `${formatRatio(1 - 2 * alpha)} interval`,
  "p",
];

function cellsOf(metric: MetricComparison): string[] {
  const value = (of: number | null): string => (of === null ? "without end" : formatMetric(metric.kind, of));
  const { interval } = metric;
  return [
    value(metric.baseline.median),
    value(metric.candidate.median),
    changeText(metric, metric.change),
    interval === null ? "-" : `${changeText(metric, interval.low)} to ${changeText(metric, interval.high)}`,
    metric.finding === "shown" ? "-" : pText(metric.p_corrected),
  ];
}

/** `+12.3 %`, `-0.4 pp` for shares, `+2` for counts. */
function changeText({ scale, kind }: MetricComparison, change: number | null): string {
  if (change === null) {
    return "unbounded";
  }
  const unit = scale === "relative" ? " %" : kind === "ratio" ? " pp" : "";
  const rounded = Number((unit === "" ? change : change * 100).toFixed(unit === " pp" ? 3 : 1)) + 0;
  return `${rounded > 0 ? "+" : ""}${rounded.toLocaleString("en-GB")}${unit}`;
}

const pText = (p: number): string => (p < 0.001 ? "< 0.001" : p.toFixed(3));

function headline(comparison: Comparison): string {
  const named = (finding: Finding): string[] =>
    comparison.metrics.filter((metric) => metric.finding === finding).map(({ metric }) => metric);
  switch (comparison.outcome) {
    case "regression":
      return `${list(named("worse"))} worse than the baseline`;
    case "pass":
      return `nothing is worse than the baseline by as much as matters${named("better").length > 0 ? `; ${list(named("better"))} better` : ""}`;
    case "invalid":
      return `${plural(comparison.left_out.length, "run")} cannot be believed, so nothing is compared`;
    case "inconclusive":
      return `${plural(named("unclear").length, "metric")} could not be told from the baseline or from a regression`;
  }
}

const list = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;

function sidesText({ baseline, candidate }: Comparison): string[] {
  const describe = (side: Comparison["baseline"]): string => {
    const ids = side.runs.map(({ experiment, run }) => `${experiment}/${run}`);
    return `${side.name === undefined ? "" : `${side.name}, `}${plural(ids.length, "run")}: ${list(ids)}`;
  };
  const changed = Object.keys({ ...baseline.images, ...candidate.images })
    .filter((name) => baseline.images[name]?.join() !== candidate.images[name]?.join())
    .map((name) => `${name} image: ${imageText(baseline, name)} to ${imageText(candidate, name)}`);
  return [`baseline  ${describe(baseline)}`, `candidate ${describe(candidate)}`, ...changed];
}

const imageText = ({ images }: Comparison["baseline"], name: string): string => images[name]?.join(" and ") ?? "none";

/** What the findings rest on, and what would settle those that are unclear. */
function notes(comparison: Comparison): string[] {
  const { metrics, tests, alpha, outcome, more_runs } = comparison;
  if (outcome === "invalid") {
    return [];
  }
  const lines = [
    `p: Mann-Whitney over runs, corrected over ${plural(tests, "metric")} (Holm); a change needs p of at most ${alpha} and the metric's threshold (${thresholdsText(metrics)}).`,
  ];
  if (outcome !== "inconclusive") {
    return lines;
  }
  const stubborn = metrics.filter(({ finding, more_runs: runs }) => finding === "unclear" && runs === null);
  return [
    ...lines,
    more_runs !== null
      ? `About ${more_runs} more ${more_runs === 1 ? "run" : "runs"} a side would probably settle it.`
      : `More than 100 runs a side would be needed for ${list(stubborn.map(({ metric }) => metric))}: the difference is too near the threshold for runs that vary this much. Measure longer, on a quieter machine, or set another --threshold.`,
  ];
}

function thresholdsText(metrics: readonly MetricComparison[]): string {
  const judged = metrics.filter(({ finding }) => finding !== "shown");
  const texts = judged.map((metric) => {
    const text = changeText(metric, metric.threshold);
    return `${metric.kind} ${metric.threshold === 0 ? "any" : text.replace("+", "")}`;
  });
  return [...new Set(texts)].join(", ");
}

const leftOutText = (run: Comparison["left_out"][number]): string =>
  `${run.experiment}/${run.run} of the ${run.side} is invalid (${run.checks.join(", ")}) and not used.`;

const escapeCell = (text: string): string => clean(text).replaceAll("|", "\\|");
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
