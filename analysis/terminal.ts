import { stripVTControlCharacters, styleText } from "node:util";
import type { ObjectiveResult, Reason, Summary, Verdict } from "../schema/summary.ts";
import {
  failoverText,
  formatBounds,
  formatCount,
  formatMetric,
  formatMs,
  formatRate,
  formatRatio,
  plural,
  spreadText,
} from "./format.ts";

/** How a summary is drawn. */
export interface RenderOptions {
  /** ANSI colours; off for CI and files. */
  readonly color: boolean;
  /** Columns to wrap sentences at; tables keep their natural width. */
  readonly width: number;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const verdictStyle: Readonly<Record<Verdict, Style>> = { pass: "green", fail: "red", invalid: "yellow" };

/** A summary as text for a terminal; plain without `color`, the same characters otherwise. Ends with a newline. */
export function renderSummary(summary: Summary, options: RenderOptions): string {
  // The caller has decided about colour; what the environment says must not change a golden text.
  const paint: Paint = (style, text) => (options.color ? styleText(style, text, { validateStream: false }) : text);
  const wrap = (text: string, indent: number): string => wrapText(clean(text), options.width, indent);
  const sections = [
    heading(summary, paint),
    remarks("Why the run cannot be believed", summary.reasons, paint, wrap),
    objectives(summary.objectives, paint, wrap),
    operations(summary.operations, paint),
    faults(summary, paint),
    durability(summary),
    replication(summary, paint),
    remarks("Warnings", summary.warnings, paint, wrap),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** Text from outside, without what would steer a terminal. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}

function heading(summary: Summary, paint: Paint): string {
  const { verdict } = summary;
  const missed = summary.objectives.filter((objective) => !objective.met).length;
  const why: Readonly<Record<Verdict, string>> = {
    pass:
      summary.objectives.length === 0
        ? "valid, no objectives"
        : `${plural(summary.objectives.length, "objective")} met`,
    fail: `${missed} of ${plural(summary.objectives.length, "objective")} missed`,
    invalid: `${plural(summary.reasons.length, "reason")} against it`,
  };
  const name = [summary.experiment, summary.run].map(clean).join(" ");
  return `${paint("bold", paint(verdictStyle[verdict], verdict.toUpperCase()))}  ${why[verdict]}  ${paint("dim", `${name} on ${clean(summary.target)}`)}`;
}

function remarks(
  title: string,
  reasons: readonly Reason[],
  paint: Paint,
  wrap: (text: string, indent: number) => string,
): string {
  if (reasons.length === 0) {
    return "";
  }
  const lines = reasons.flatMap(({ check, text, fix }) => [
    wrap(`- ${check}: ${text}`, 4),
    paint("dim", wrap(`    ${fix}`, 4)),
  ]);
  return [paint("bold", title), ...lines].join("\n");
}

function objectives(
  results: readonly ObjectiveResult[],
  paint: Paint,
  wrap: (text: string, indent: number) => string,
): string {
  if (results.length === 0) {
    return "";
  }
  const rows = results.map((result) => [
    result.met ? paint("green", "met") : paint("red", "missed"),
    clean(result.metric),
    result.value === null ? "no value" : formatMetric(result.kind, result.value),
    formatBounds(result),
  ]);
  const without = results.filter((result) => result.value === null);
  const whys = [...new Set(without.map((result) => result.reason ?? "nothing gave it one"))].map((why) => {
    const metrics = without.filter((result) => (result.reason ?? "nothing gave it one") === why);
    return wrap(`  ${metrics.map((result) => result.metric).join(", ")} without value: ${why}.`, 4);
  });
  return [table(["objective", "metric", "value", "wanted"], rows, paint, "llll"), ...whys].join("\n");
}

function operations(results: Summary["operations"], paint: Paint): string {
  const entries = Object.entries(results);
  if (entries.length === 0) {
    return "";
  }
  const rows = entries.map(([name, operation]) => {
    const latency = operation.latency_ms;
    const times =
      latency === null ? ["-", "-", "-", "-"] : [latency.p50, latency.p99, latency.p999, latency.max].map(formatMs);
    const errors =
      operation.count === 0
        ? "-"
        : `${formatCount(operation.errors)} (${formatRatio(operation.errors / operation.count, 1)})`;
    return [
      clean(name),
      formatCount(operation.count),
      errors,
      formatRate(operation.offered_rate),
      formatRate(operation.achieved_rate),
      ...times,
    ];
  });
  return table(
    ["operation", "answered", "errors", "offered", "achieved", "p50", "p99", "p99.9", "max"],
    rows,
    paint,
    "lrrrrrrrr",
  );
}

function faults(summary: Summary, paint: Paint): string {
  if (summary.faults.length === 0) {
    return "";
  }
  const rows = summary.faults.map((fault) => {
    const since = (atMs: number | null): string =>
      atMs === null || fault.actedAtMs === null ? "-" : `+${formatMs(atMs - fault.actedAtMs)}`;
    const ready = fault.members.map((member) => member.readyAtMs);
    const allReady = ready.length === 0 || ready.includes(null) ? null : Math.max(...ready.map((atMs) => atMs ?? 0));
    return [
      `${fault.kind} ${clean(fault.members.map((member) => member.pod).join(", ")) || "nobody"}`,
      fault.applied ? "applied" : paint("red", "not applied"),
      failoverText(fault),
      since(fault.leaderAfterAtMs),
      since(allReady),
      `${formatCount(fault.failover.failed)} failed, ${formatCount(fault.failover.delayed)} late`,
    ];
  });
  return table(["fault", "evidence", "failover", "new leader", "pod back", "writes"], rows, paint, "llrrrl");
}

function durability({ durability: found }: Summary): string {
  if (found === null) {
    return "";
  }
  const unread = found.keys_unread === 0 ? "" : `, ${plural(found.keys_unread, "key")} could not be read`;
  return `${plural(found.acknowledged, "acknowledged write")} checked on ${plural(found.keys_checked, "key")}: ${formatCount(found.lost)} lost${unread}.`;
}

function replication({ replication: found, nodes }: Summary, paint: Paint): string {
  if (found === undefined || found.events === 0) {
    return "";
  }
  const share = (ratio: number | null): string => (ratio === null ? "-" : formatRatio(ratio));
  const times = (spread: typeof found.all_ms): string[] =>
    [spread.p50, spread.p99, spread.p999, spread.max].map((ms) => spreadText(ms, found.deadline_ms));
  const rows = [
    [
      "every member",
      formatCount(found.events),
      share(found.persisted_ratio),
      share(found.replicated_ratio),
      ...times(found.all_ms),
    ],
    [`${found.majority} of ${nodes?.length ?? 0}`, "", "", "", ...times(found.majority_ms)],
    ...(nodes ?? []).map((node) => [
      clean(node.pod),
      formatCount(node.accepted),
      share(node.persisted_ratio),
      share(node.replicated_ratio),
      ...times(node.replication_ms),
    ]),
  ];
  return table(
    ["replication to", "accepted", "persisted", "replicated", "p50", "p99", "p99.9", "max"],
    rows,
    paint,
    "lrrrrrrr",
  );
}

const visibleLength = (text: string): number => stripVTControlCharacters(text).length;

/** Columns two spaces apart; `align` has one letter a column, l or r. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  paint: Paint,
  align: string,
): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => visibleLength(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const space = " ".repeat((widths[column] ?? 0) - visibleLength(cell));
        return align[column] === "r" ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return [paint("dim", line(head)), ...rows.map(line)].join("\n");
}

/** Breaks a sentence at spaces; lines after the first are indented. */
export function wrapText(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  let line = text.slice(0, text.length - text.trimStart().length);
  for (const word of text.trimStart().split(" ")) {
    const candidate = line.trim() === "" ? line + word : `${line} ${word}`;
    if (candidate.length > width && line.trim() !== "") {
      lines.push(line);
      line = " ".repeat(indent) + word;
    } else {
      line = candidate;
    }
  }
  return [...lines, line].join("\n");
}
