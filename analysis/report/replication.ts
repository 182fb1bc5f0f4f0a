import type { Summary } from "../../schema/summary.ts";
import { formatCount, formatMs, formatRate, formatRatio, plural, spreadText } from "../format.ts";
import type { Section } from "./document.ts";
import { html, table } from "./html.ts";
import { replicationFigure } from "./spread.ts";

const percentiles = ["p50", "p90", "p95", "p99", "p999", "max"] as const;
const figures = (head: string) => ({ head, figures: true });
const share = (ratio: number | null): string => (ratio === null ? "none" : formatRatio(ratio));

/** How acknowledged writes spread; null where it was not observed, or nothing was written. */
export function replicationSection({ replication: found, nodes = [] }: Summary): Section | null {
  if (found === undefined || found.events === 0) {
    return null;
  }
  const times = (spread: typeof found.all_ms): string[] =>
    percentiles.map((name) => spreadText(spread[name], found.deadline_ms));
  const content = html`<p>${plural(found.events, "acknowledged write")} were followed to every member: ${share(found.persisted_ratio)} showed at the member that acknowledged them, ${share(found.replicated_ratio)} at every member within ${formatMs(found.deadline_ms)}.</p>
${replicationFigure(found, nodes)}
${table(
  "From the acknowledgement of a write until it showed there",
  [{ head: "at" }, ...["p50", "p90", "p95", "p99", "p99.9", "max"].map(figures)],
  [
    ["every member", ...times(found.all_ms)],
    [`${found.majority} of ${nodes.length}, a majority`, ...times(found.majority_ms)],
    ...nodes.map((node) => [node.pod, ...times(node.replication_ms)]),
  ],
)}
${table(
  "Shares of writes by member",
  [{ head: "member" }, ...["acknowledged", "persisted there", "replicated there", "unknown"].map(figures)],
  nodes.map((node) => [
    node.pod,
    formatCount(node.accepted),
    share(node.persisted_ratio),
    share(node.replicated_ratio),
    formatCount(node.unknown),
  ]),
)}
${writesTable(nodes)}
<p class="note">0 ms: it showed there before its writer was told. Each time may be off by ${formatMs(found.error_ms)} to either side.</p>`;
  return { id: "replication", title: "Replication", content };
}

/** What each member made of writes; nothing in summaries that do not tell it. */
function writesTable(nodes: NonNullable<Summary["nodes"]>) {
  const told = nodes.flatMap(({ pod, writes }) => (writes === undefined ? [] : [{ pod, ...writes }]));
  return told.length === 0
    ? html``
    : table(
        "Writes by the member that answered",
        [{ head: "member" }, ...["answered", "rate", "success", "p50", "p90", "p95", "p99", "p99.9"].map(figures)],
        told.map(({ pod, count, rate, success_ratio, latency_ms: latency }) => [
          pod,
          formatCount(count),
          formatRate(rate),
          share(success_ratio),
          ...(["p50", "p90", "p95", "p99", "p999"] as const).map((name) =>
            latency === null ? "none" : formatMs(latency[name]),
          ),
        ]),
      );
}
