import type { Summary } from "../../schema/summary.ts";
import { failoverText, formatBounds, formatCount, formatMetric, formatMs, formatRate, plural } from "../format.ts";
import { headline, keyFigures, originOf, whyOf } from "./words.ts";

const signs: Readonly<Record<Summary["verdict"], string>> = { pass: "✅", fail: "❌", invalid: "⚠️" };

/**
 * A summary as GitHub-flavoured Markdown for a pull request: the verdict and why, what was judged, what was measured.
 * Nothing that comes from outside can open a tag, a link, a mention or a table cell.
 */
export function renderMarkdown(summary: Summary): string {
  const sections = [
    `## ${signs[summary.verdict]} ${headline[summary.verdict].word}: ${inline(summary.experiment)}`,
    inline(whyOf(summary)),
    list(summary.reasons),
    keyFigures(summary)
      .map(([name, value]) => `**${inline(value)}** ${inline(name)}`)
      .join(" · "),
    objectives(summary),
    operations(summary),
    faults(summary),
    checks(summary),
    `<sub>${inline(originOf(summary))}</sub>`,
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** Text without power over the page: control characters gone, everything with a meaning in Markdown escaped. */
function inline(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
      .replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ")
      .replace(/[&<>]/g, (character) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[character] ?? "")
      .replace(/[\\`*_~[\]|!#]/g, "\\$&")
      // An empty comment keeps names, numbers and addresses from becoming mentions and links.
      .replace(/@(?=\w)|:(?=\/\/)|\bwww(?=\.)/g, "$&<!-- -->")
  );
}

function code(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  return `\`${text.replace(/[\u0000-\u001f\u007f-\u009f`|]+/g, " ")}\``;
}

const list = (reasons: Summary["reasons"]): string =>
  reasons.map(({ check, text, fix }) => `- ${code(check)} ${inline(text)} *${inline(fix)}*`).join("\n");

/** A table; columns whose head ends with `:` hold figures. Cells are Markdown already. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(heads.map((head) => head.replace(/:$/, ""))),
    line(heads.map((head) => (head.endsWith(":") ? "---:" : "---"))),
    ...rows.map(line),
  ].join("\n");
}

function objectives({ objectives: results, valid }: Summary): string {
  if (results.length === 0) {
    return "";
  }
  const sign = (met: boolean): string => `${valid ? (met ? "✅" : "❌") : "–"} ${met ? "met" : "missed"}`;
  return table(
    ["objective", "wanted", "measured", "result"],
    results.map((result) => [
      code(result.metric),
      inline(formatBounds(result)),
      result.value === null ? "no value" : inline(formatMetric(result.kind, result.value)),
      sign(result.met),
    ]),
  );
}

function operations(summary: Summary): string {
  const entries = Object.entries(summary.operations);
  return entries.length === 0
    ? ""
    : table(
        ["operation", "offered:", "achieved:", "failed:", "p50:", "p99:", "p99.9:", "max:"],
        entries.map(([name, { offered_rate, achieved_rate, errors, latency_ms: found }]) => [
          inline(name),
          formatRate(offered_rate),
          formatRate(achieved_rate),
          formatCount(errors),
          ...(found === null ? ["–", "–", "–", "–"] : [found.p50, found.p99, found.p999, found.max].map(formatMs)),
        ]),
      );
}

function faults(summary: Summary): string {
  return summary.faults.length === 0
    ? ""
    : table(
        ["fault", "hit", "evidence", "failover:"],
        summary.faults.map((fault) => [
          inline(fault.kind),
          inline(fault.members.map(({ pod }) => pod).join(", ") || "nobody"),
          fault.applied ? "proved" : "not applied",
          failoverText(fault),
        ]),
      );
}

function checks({ checks: made, warnings }: Summary): string {
  const asked = made.filter(({ outcome }) => outcome !== "skipped");
  const passed = asked.filter(({ outcome }) => outcome === "passed").length;
  const head = `${passed} of ${plural(asked.length, "validity check")} passed`;
  return [
    `<details><summary>${head}${warnings.length === 0 ? "" : `, ${plural(warnings.length, "remark")}`}</summary>`,
    table(
      ["check", "outcome", "measured"],
      made.map(({ check, outcome, text }) => [code(check), outcome, inline(text)]),
    ),
    list(warnings),
    "</details>",
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}
