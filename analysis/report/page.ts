import type { Reason, Summary } from "../../schema/summary.ts";
import type { WholeRun } from "../checks/check.ts";
import { failoverText, formatBounds, formatCount, formatMetric, formatMs, formatRate, plural } from "../format.ts";
import { memberGrid } from "../members.ts";
import type { Analysis } from "../summary.ts";
import type { Traces } from "../traces.ts";
import { document, type Section } from "./document.ts";
import { distributionFigure, type NamedOverlay, timeFigures } from "./figures.ts";
import { memberFigures } from "./heatmap.ts";
import { type Html, html, nothing, table } from "./html.ts";
import { replicationSection } from "./replication.ts";
import { topologyFigure } from "./topology.ts";
import { traceFigures } from "./waterfall.ts";
import { headline, keyFigures, originOf, whyOf } from "./words.ts";

/** What a report shows beside the analysis itself. */
export interface Extras {
  readonly overlay?: NamedOverlay | null;
  readonly traces?: Traces;
}

/**
 * The report of a run as one HTML document: no script, no request, readable on a phone, in the dark and on paper. The
 * same analysis gives the same bytes.
 */
export function renderReport({ data, whole, summary }: Analysis, extras: Extras = {}): string {
  const { overlay = null, traces = null } = extras;
  const run = whole !== null && whole.totals.size > 0 ? whole : null;
  const grid = run === null ? null : memberGrid(run);
  const sections: (Section | null)[] = [
    objectives(summary),
    run && { id: "time", title: "Over time", content: timeFigures(run, summary, overlay) },
    run && {
      id: "percentiles",
      title: "Latency",
      content: html`${distributionFigure(run, overlay)}${operations(summary)}`,
    },
    run &&
      grid && {
        id: "members",
        title: "Members",
        content: html`${topologyFigure(grid, run, summary)}${memberFigures(grid, run, summary)}`,
      },
    run && sampled(traces, run),
    faults(summary),
    durability(summary),
    replicationSection(summary),
    validity(summary),
    circumstances(summary, data.experimentSource),
  ];
  return document({
    title: `${summary.experiment}: ${summary.verdict} (${summary.run})`,
    header: opening(summary),
    sections: sections.filter((section) => section !== null),
  });
}

function sampled(traces: Traces, run: WholeRun): Section | null {
  if (traces === null) {
    return null;
  }
  const content =
    "reason" in traces
      ? html`<p class="note">${traces.reason}</p>`
      : traceFigures(traces, run.startAtMs + run.spec.phases.warmupMs);
  return { id: "sampled", title: "Sampled operations", content };
}

/** Keeps a number and its unit on one line. */
const unbroken = (text: string): string => text.replaceAll(/(\d) (?=ms\b|s\b|min\b|%)/g, "$1\u00a0");

function opening(summary: Summary): Html {
  const { verdict } = summary;
  const { sign, word } = headline[verdict];
  const figures = keyFigures(summary);
  return html`<header class="verdict ${verdict}">
<p class="origin">${originOf(summary)}</p>
<h1><span class="sign" aria-hidden="true"><span>${sign}</span></span> ${word}</h1>
<p class="lead">${whyOf(summary)}</p>
${reasonList(summary.reasons)}
${
  figures.length === 0
    ? nothing
    : html`<dl class="figure-row">${figures.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
</header>`;
}

function reasonList(reasons: readonly Reason[]): Html {
  return reasons.length === 0
    ? nothing
    : html`<ul class="reasons">
${reasons.map(({ text, fix }) => html`<li>${text} <span class="fix">${fix}</span></li>\n`)}</ul>`;
}

function objectives({ objectives: results, valid }: Summary): Section | null {
  if (results.length === 0) {
    return null;
  }
  const rows = results.map((result) => [
    html`<code>${result.metric}</code>`,
    unbroken(formatBounds(result)),
    result.value === null ? `no value: ${result.reason ?? ""}` : unbroken(formatMetric(result.kind, result.value)),
    html`<span class="state ${valid ? (result.met ? "met" : "missed") : "skipped"}">${result.met ? "✓ met" : "✕ missed"}</span>`,
  ]);
  const caption = valid
    ? "What the network was to achieve, and did"
    : "The run is invalid, so these results decide nothing";
  const columns = ["metric", "wanted", "measured", "result"].map((head) => ({ head }));
  return { id: "objectives", title: "Objectives", content: table(caption, columns, rows) };
}

function operations(summary: Summary): Html {
  const entries = Object.entries(summary.operations);
  const figures = (head: string) => ({ head, figures: true });
  const latency = table(
    "Latency from the intended send time; failed operations count with their duration",
    [{ head: "operation" }, ...["p50", "p90", "p95", "p99", "p99.9", "max"].map(figures)],
    entries.map(([name, { latency_ms: found }]) => [
      name,
      ...(found === null
        ? ["none", "", "", "", "", ""]
        : [found.p50, found.p90, found.p95, found.p99, found.p999, found.max].map(formatMs)),
    ]),
  );
  const service = table(
    "Service time from the actual sending: what a driver that waits would have reported",
    [{ head: "operation" }, ...["p50", "p90", "p95", "p99", "p99.9", "max"].map(figures)],
    entries.map(([name, { service_ms: found }]) => [
      name,
      ...(found === null
        ? ["none", "", "", "", "", ""]
        : [found.p50, found.p90, found.p95, found.p99, found.p999, found.max].map(formatMs)),
    ]),
  );
  const counts = table(
    "Operations of the measure phase",
    [
      { head: "operation" },
      ...["offered", "achieved", "answered", "failed", "never sent"].map(figures),
      { head: "errors" },
    ],
    entries.map(([name, operation]) => [
      name,
      formatRate(operation.offered_rate),
      formatRate(operation.achieved_rate),
      formatCount(operation.count),
      formatCount(operation.errors),
      formatCount(operation.dropped),
      Object.entries(operation.errors_by_code)
        .map(([code, count]) => `${code} ${formatCount(count)}`)
        .join(", ") || "none",
    ]),
  );
  return html`${latency}${counts}${service}`;
}

function faults(summary: Summary): Section | null {
  if (summary.faults.length === 0) {
    return null;
  }
  const after = (fault: Summary["faults"][number], atMs: number | null): string =>
    atMs === null || fault.actedAtMs === null ? "not seen" : `+${formatMs(atMs - fault.actedAtMs)}`;
  const rows = summary.faults.map((fault, position) => [
    `${position + 1}: ${fault.kind} ${"role" in fault.target ? `${fault.target.count} × ${fault.target.role}` : `ordinal ${fault.target.ordinal}`}`,
    html`<span class="state ${fault.applied ? "passed" : "failed"}">${fault.applied ? "proved" : "not applied"}</span>`,
    fault.members.map((member) => member.pod).join(", ") || "nobody",
    failoverText(fault),
    `${formatCount(fault.failover.failed)} failed, ${formatCount(fault.failover.delayed)} late`,
    fault.failover.threshold_ms === null ? "unknown" : formatMs(fault.failover.threshold_ms),
  ]);
  const history = summary.faults.map((fault, position) => {
    const events: (readonly [number | null, string])[] = [
      [fault.actedAtMs, `acted; leader was ${fault.leaderBefore ?? "unknown"}`],
      ...fault.members.flatMap((member): (readonly [number | null, string])[] => [
        [member.goneAtMs, `${member.pod} ${fault.kind === "pause" ? "silent" : "gone"}`],
        [member.readyAtMs, `${member.pod} ${fault.kind === "pause" ? "answers again" : "ready again"}`],
      ]),
      [fault.leaderAfterAtMs, `${fault.leaderAfter ?? "nobody"} leads`],
      ...fault.observations.map((seen): readonly [number, string] => [seen.atMs, seen.what]),
    ];
    if (fault.failover_ms !== null && fault.actedAtMs !== null) {
      events.push([fault.actedAtMs + fault.failover_ms, "writes served as before"]);
    }
    const ordered = [...events].sort(([a], [b]) => (a ?? Infinity) - (b ?? Infinity));
    return table(
      `Fault ${position + 1}, counted from the act`,
      [{ head: "when" }, { head: "what was seen" }],
      ordered.map(([atMs, what]) => [after(fault, atMs), what]),
    );
  });
  const content = html`${table(
    "What was done, and what it did to writes",
    [
      { head: "fault" },
      { head: "evidence" },
      { head: "hit" },
      { head: "failover", figures: true },
      { head: "writes disturbed" },
      { head: "late means over", figures: true },
    ],
    rows,
  )}
${history}
<p class="note">Failover is counted from the act to the first acknowledged write that began after the last failed or late one.</p>`;
  return { id: "faults", title: "Faults", content };
}

function durability({ durability: found }: Summary): Section | null {
  if (found === null) {
    return null;
  }
  const unread =
    found.keys_unread === 0 ? "every one could be read" : `${plural(found.keys_unread, "key")} could not be read`;
  const content = html`<p>After the load, ${plural(found.keys_checked, "key")} were read back and compared with ${plural(found.acknowledged, "acknowledged write")}; ${unread}.
<span class="state ${found.lost === 0 ? "passed" : "failed"}">${found.lost === 0 ? "No acknowledged write was lost." : `${plural(found.lost, "key")} held a value that acknowledged writes rule out.`}</span></p>`;
  return { id: "durability", title: "Durability", content };
}

const outcomes: Readonly<Record<Summary["checks"][number]["outcome"], string>> = {
  passed: "✓ passed",
  warned: "! remark",
  failed: "✕ failed",
  skipped: "– not asked",
};

function validity(summary: Summary): Section {
  const answers = summary.checks.map(
    (check) => html`<li><span class="state ${check.outcome}">${outcomes[check.outcome]}</span>
<span class="question">${check.title}</span> <span class="measured">${check.text}</span></li>\n`,
  );
  const content = html`<ul class="checks">
${answers}</ul>
${summary.warnings.length === 0 ? nothing : html`<h3 class="note">Remarks, which do not make the run invalid</h3>${reasonList(summary.warnings)}`}`;
  return { id: "validity", title: "Can this run be believed?", content };
}

function facts(entries: readonly (readonly [string, Html | string])[]): Html {
  return html`<dl class="facts">${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}

function circumstances(summary: Summary, source: string | null): Section {
  const { environment, phases } = summary;
  const how: (readonly [string, Html | string])[] = [
    ["run", summary.run],
    ["system", summary.system],
    ["target", summary.target],
  ];
  if (phases !== null) {
    how.push([
      "phases",
      `warm-up ${formatMs(phases.warmup_ms)}, measure ${formatMs(phases.measure_ms)}, cool-down up to ${formatMs(phases.cooldown_ms)}`,
    ]);
  }
  if (summary.workers !== null) {
    how.push(["drivers", `${plural(summary.workers, "worker")}, ${summary.arrival ?? "unknown"} arrival`]);
  }
  if (environment !== null) {
    how.push(
      ["Kubernetes", `${environment.kubernetes}, context ${environment.context}`],
      [
        "plugin",
        environment.kubernetesPlugin === "official"
          ? "official Pulumi Kubernetes plugin"
          : "orrery's own Pulumi Kubernetes plugin",
      ],
      ["NetworkPolicy", environment.networkPolicyEnforced ? "enforced" : "rendered, not enforced by this cluster"],
      [
        "versions",
        Object.entries(environment.versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(", "),
      ],
    );
  }
  const content = html`${facts(how)}
${
  environment === null
    ? html`<p class="note">The environment was not recorded.</p>`
    : html`${table(
        "Nodes",
        ["node", "CPU", "memory", "kernel", "system", "runtime"].map((head) => ({ head })),
        environment.nodes.map((node) => [node.name, node.cpu, node.memory, node.kernel, node.os, node.runtime]),
      )}${table(
        "Images",
        ["image", "reference", "digest"].map((head) => ({ head })),
        environment.images.map((image) => [image.name, image.image, html`<code>${image.digest ?? "unknown"}</code>`]),
      )}`
}
${
  source === null
    ? nothing
    : html`<details><summary>The experiment as written</summary>
<pre tabindex="0">${source}</pre></details>`
}
<details><summary>What the numbers mean</summary>
<p>Latency runs from the moment an operation was due, not from when it was sent, so that a driver held up by a slow network cannot hide the wait. Percentiles come from histograms merged over all workers, or from the events themselves; none is an average of percentiles. They are exact to 0.1 %.</p>
<p>Offered counts operations due in the measure phase; achieved counts those answered well in it. Answered well is the share of the offered ones, so that operations never sent count against it.</p>
</details>`;
  return { id: "where", title: "How and where it ran", content };
}
