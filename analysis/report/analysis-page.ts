import type { WholeRun } from "../checks/check.ts";
import { formatCount, formatMs, formatRate, formatRatio } from "../format.ts";
import { type DurationRow, keramikTables } from "../tables.ts";
import { document, type Section } from "./document.ts";
import { html, nothing, table } from "./html.ts";

/** A page with the numbers of Keramik's analysis notebook, or why there are none. */
export function renderAnalysis(run: string, whole: WholeRun | null): string {
  const header = html`<header><h1>Analysis of ${run}</h1>
<p>The numbers of Keramik's analysis notebook, of the measure phase; a request there (path and method) is an operation
here. The same by SQL: <code>orrery sql ${run} --query keramik-summary</code>.</p></header>`;
  return document({ title: `Analysis of ${run}`, header, sections: whole === null ? [damaged] : sectionsOf(whole) });
}

const damaged: Section = {
  id: "damaged",
  title: "No numbers",
  content: html`<p>The results are not whole, so nothing is computed from them; the report says what is missing.</p>`,
};

function sectionsOf(whole: WholeRun): Section[] {
  const { durationS, requests, durations } = keramikTables(whole);
  const requestTable = table(
    "Requests by operation",
    [
      { head: "operation" },
      ...["requests", "succeeded", "failed", "success", "requests/s", "succeeded/s", "failed/s"].map((head) => ({
        head,
        figures: true,
      })),
    ],
    requests.map(({ operation, perSecond, successPercent, ...counts }) => [
      operation,
      ...[counts.requests, counts.succeeded, counts.failed].map(formatCount),
      successPercent === null ? "-" : formatRatio(successPercent / 100),
      ...[perSecond.requests, perSecond.succeeded, perSecond.failed].map(formatRate),
    ]),
  );
  return [
    { id: "requests", title: "Requests", content: html`<p>Duration ${formatMs(durationS * 1000)}.</p>${requestTable}` },
    { id: "durations", title: "Durations", content: durations.length === 0 ? nothing : durationTables(durations) },
  ];
}

function durationTables(durations: readonly DurationRow[]) {
  const operations = [...new Set(durations.map(({ operation }) => operation))];
  const columns = [
    { head: "percentile" },
    { head: "from the due time", figures: true },
    { head: "from the sending", figures: true },
  ];
  return html`${operations.map((name) =>
    table(
      `Durations of ${name}`,
      columns,
      durations
        .filter(({ operation }) => operation === name)
        .map(({ share, latencyMs, serviceMs }) => [`p${share * 100}`, formatMs(latencyMs), formatMs(serviceMs)]),
    ),
  )}<p>A driver that waits for answers, as Keramik's does, sees durations from the sending.</p>`;
}
