import type { Summary, Verdict } from "../../schema/summary.ts";
import { formatCount, formatMs, formatRate, formatRatio, plural } from "../format.ts";

/** A verdict as a headline, with a sign for those who do not see its colour. */
export const headline: Readonly<Record<Verdict, { readonly sign: string; readonly word: string }>> = {
  pass: { sign: "✓", word: "Pass" },
  fail: { sign: "✕", word: "Fail" },
  invalid: { sign: "?", word: "Invalid" },
};

/** Experiment, system, target, time and run in one line. */
export function originOf({ experiment, system, target, started, run }: Summary): string {
  const when = started === null ? "never started" : `${started.slice(0, 16).replace("T", " ")} UTC`;
  return `${experiment} · ${system} on ${target} · ${when} · run ${run}`;
}

/** The verdict's reason in a sentence. */
export function whyOf({ verdict, objectives: results, reasons, warnings }: Summary): string {
  const missed = results.filter((result) => !result.met);
  switch (verdict) {
    case "invalid":
      return `This run cannot be believed, for ${plural(reasons.length, "reason")}. Whatever its numbers say, they are no evidence for or against the network.`;
    case "fail":
      return `${plural(missed.length, "objective")} of ${results.length} missed: ${missed.map((result) => `${result.metric} (${result.reason ?? ""})`).join("; ")}.`;
    case "pass": {
      const met =
        results.length === 0
          ? "The run is valid; the experiment states no objectives"
          : results.length === 1
            ? "The one objective was met"
            : `All ${results.length} objectives were met`;
      const doubts =
        warnings.length === 0 ? "every validity check passed" : `${plural(warnings.length, "remark")} below`;
      return `${met}, with ${doubts}.`;
    }
  }
}

/** The five or six numbers a reader looks for first, with their names; none when results are damaged. */
export function keyFigures(summary: Summary): (readonly [name: string, value: string])[] {
  const { metrics, durability: found } = summary;
  const operations = Object.values(summary.operations);
  if (operations.length === 0) {
    return [];
  }
  const rate = operations.reduce((sum, operation) => sum + operation.achieved_rate, 0);
  const figures: (readonly [string, string])[] = [["achieved rate", formatRate(rate)]];
  if (metrics.success_ratio !== undefined) {
    figures.push(["answered well", formatRatio(metrics.success_ratio)]);
  }
  for (const [name, operation] of Object.entries(summary.operations).slice(0, 2)) {
    if (operation.latency_ms !== null) {
      figures.push([`${name} p99`, formatMs(operation.latency_ms.p99)]);
    }
  }
  if (metrics.failover !== undefined) {
    figures.push(["longest failover", metrics.failover === 0 ? "none" : formatMs(metrics.failover)]);
  }
  if (found !== null) {
    figures.push(["writes lost", formatCount(found.lost)]);
  }
  return figures;
}
