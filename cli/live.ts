import { styleText } from "node:util";
import { formatCount, formatMs, formatRate, plural } from "../analysis/format.ts";
import type { FaultEvidence, RunSpec, RunStatus } from "../schema/run.ts";

/** A worker as those who watch see it. */
interface LiveWorker {
  readonly index: number;
  /** `silent`: nothing heard of it for a while, though it should be at work. */
  readonly state: "not here" | "waiting" | "loading" | "silent" | "delivered";
  readonly ratePerSecond: number;
  readonly p99Ms: number | null;
  readonly failed: number;
  readonly inFlight: number;
}

interface LiveFault {
  readonly index: number;
  readonly kind: FaultEvidence["kind"];
  readonly state: "planned" | "under way" | "proved" | "not applied";
  /** ms until it acts, negative since it did. */
  readonly inMs: number;
  readonly members: readonly string[];
}

interface LiveMember {
  readonly pod: string;
  readonly state: "gone" | "leader" | "back" | "untouched";
}

/** A run in progress; everything the conductor's status and the run's spec say about this moment. */
export interface LiveView {
  readonly run: string;
  readonly experiment: string;
  readonly phase: "waiting" | "about to start" | "warm-up" | "measure" | "finishing" | "complete";
  /** Of warm-up and measure phase together. */
  readonly elapsedMs: number;
  readonly totalMs: number;
  /** Since the load began, all workers. */
  readonly offered: number;
  readonly completed: number;
  readonly failed: number;
  readonly inFlight: number;
  /** Of the last second: all workers, and the p99 of the slowest one; percentiles of workers cannot be added up. */
  readonly ratePerSecond: number;
  readonly p99Ms: number | null;
  readonly workers: readonly LiveWorker[];
  readonly faults: readonly LiveFault[];
  readonly members: readonly LiveMember[];
}

/** A worker that reports every second and was not heard of for this long is called silent. */
const silentAfterMs = 5_000;

/** What a status means, by the plan of its run. */
export function liveView(status: RunStatus, spec: RunSpec): LiveView {
  const { warmupMs, measureMs } = spec.phases;
  const totalMs = warmupMs + measureMs;
  const sinceMs = status.startAtMs === null ? Number.NEGATIVE_INFINITY : status.nowMs - status.startAtMs;
  const progress = status.workers.flatMap((worker) => worker.progress ?? []);
  const sum = (pick: (one: (typeof progress)[number]) => number): number =>
    progress.reduce((all, one) => all + pick(one), 0);
  const p99s = progress.flatMap((one) => one.p99Ms ?? []);
  return {
    run: status.run,
    experiment: spec.experiment,
    phase: phaseOf(status, sinceMs, spec),
    elapsedMs: Math.min(Math.max(sinceMs, 0), totalMs),
    totalMs,
    offered: sum((one) => one.offered),
    completed: sum((one) => one.completed),
    failed: sum((one) => one.failed),
    inFlight: sum((one) => one.inFlight),
    ratePerSecond: sum((one) => one.ratePerSecond),
    p99Ms: p99s.length === 0 ? null : Math.max(...p99s),
    workers: status.workers.map((worker) => liveWorker(worker, status, sinceMs)),
    faults: status.faults.map((fault) => liveFault(fault, status.nowMs)),
    members: membersOf(status, spec),
  };
}

function phaseOf(status: RunStatus, sinceMs: number, { phases }: RunSpec): LiveView["phase"] {
  if (status.state === "complete" || status.state === "waiting") {
    return status.state;
  }
  if (sinceMs < 0) {
    return "about to start";
  }
  return sinceMs < phases.warmupMs ? "warm-up" : sinceMs < phases.warmupMs + phases.measureMs ? "measure" : "finishing";
}

function liveWorker(worker: RunStatus["workers"][number], status: RunStatus, sinceMs: number): LiveWorker {
  const { index, joinedAtMs, lastSeenAtMs, doneAtMs, progress } = worker;
  const unheardMs = status.nowMs - (lastSeenAtMs ?? joinedAtMs ?? status.nowMs);
  const silent = unheardMs > silentAfterMs && sinceMs > silentAfterMs;
  const working = silent ? "silent" : sinceMs >= 0 ? "loading" : "waiting";
  return {
    index,
    state: doneAtMs !== null ? "delivered" : joinedAtMs === null ? "not here" : working,
    ratePerSecond: progress?.ratePerSecond ?? 0,
    p99Ms: progress?.p99Ms ?? null,
    failed: progress?.failed ?? 0,
    inFlight: progress?.inFlight ?? 0,
  };
}

function liveFault(fault: FaultEvidence, nowMs: number): LiveFault {
  const { index, kind, actedAtMs, plannedAtMs, applied, members } = fault;
  const recovered = members.length > 0 && members.every(({ readyAtMs }) => readyAtMs !== null);
  const overdue = actedAtMs === null && nowMs > plannedAtMs + silentAfterMs;
  const acted = actedAtMs === null ? "planned" : recovered ? "not applied" : "under way";
  return {
    index,
    kind,
    state: applied ? "proved" : overdue ? "not applied" : acted,
    inMs: (actedAtMs ?? plannedAtMs) - nowMs,
    members: members.map(({ pod }) => pod),
  };
}

/** Members by what faults did to them; who leads is known only from what a fault's watch saw last. */
function membersOf(status: RunStatus, spec: RunSpec): LiveMember[] {
  const hurt = status.faults.flatMap(({ actedAtMs, members }) => (actedAtMs === null ? [] : members));
  const leaders = [...status.faults]
    .sort((a, b) => (a.actedAtMs ?? Infinity) - (b.actedAtMs ?? Infinity))
    .flatMap(({ leaderBefore, leaderAfter }) => [leaderBefore ?? [], leaderAfter ?? []].flat());
  return spec.endpoints.map(({ pod }) => {
    const own = hurt.filter((member) => member.pod === pod);
    const gone = own.some(({ readyAtMs }) => readyAtMs === null);
    const calm = leaders.at(-1) === pod ? "leader" : own.length > 0 ? "back" : "untouched";
    return { pod, state: gone ? "gone" : calm };
  });
}

/** The whole view in one line, for logs and for the moving line of `orrery run`. */
export function describeLive(view: LiveView): string {
  const applied = view.faults.filter(({ state }) => state === "proved").length;
  return [
    `${view.phase} ${Math.floor(view.elapsedMs / 1000)} of ${view.totalMs / 1000} s`,
    formatRate(view.ratePerSecond),
    `p99 ${view.p99Ms === null ? "none" : formatMs(view.p99Ms)}`,
    `${formatCount(view.failed)} failed`,
    ...(view.faults.length > 0 ? [`${applied} of ${plural(view.faults.length, "fault")} done`] : []),
  ].join(" · ");
}

/** How a view is drawn on a terminal. */
export interface LiveStyle {
  readonly width: number;
  readonly height: number;
  readonly color: boolean;
  /** Rates of the last seconds, oldest first. */
  readonly rates: readonly number[];
}

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string;

/** The whole view as lines that fit a terminal; workers and members beyond its height are counted, not listed. */
export function renderLive(view: LiveView, { width, height, color, rates }: LiveStyle): string {
  const paint: Paint = (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
  const left = Math.max(0, view.totalMs - view.elapsedMs) / 1000;
  const bar = progressBar(view.elapsedMs / view.totalMs, Math.max(10, Math.min(50, width - 44)));
  const head = [
    `${paint("bold", view.experiment)}  ${paint("dim", `run ${view.run}`)}`,
    "",
    `${view.phase.padEnd(14)} ${paint("cyan", bar)} ${Math.floor(view.elapsedMs / 1000)} of ${view.totalMs / 1000} s, ${Math.ceil(left)} s left`,
    "",
    `rate      ${formatRate(view.ratePerSecond).padEnd(12)} ${paint("cyan", sparkline(rates.slice(-Math.max(10, width - 26))))}`,
    `p99       ${view.p99Ms === null ? "none" : `${formatMs(view.p99Ms)}, slowest worker, last second`}`,
    `answered  ${formatCount(view.completed)} of ${formatCount(view.offered)}, ${formatCount(view.inFlight)} in flight`,
    `failed    ${view.failed > 0 ? paint("red", formatCount(view.failed)) : "0"}`,
  ];
  const room = Math.max(2, height - head.length - view.faults.length - 7);
  const workers = view.workers.map((worker) => workerLine(worker, paint));
  const lines = [
    ...head,
    "",
    ...limited(workers, Math.ceil(room / 2), "worker"),
    "",
    ...limited(memberLines(view, width, paint), Math.floor(room / 2), "line"),
    ...(view.faults.length > 0 ? ["", ...view.faults.map((fault) => faultLine(fault, paint))] : []),
  ];
  return lines.join("\n");
}

function progressBar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return "█".repeat(full) + "░".repeat(width - full);
}

const levels = "▁▂▃▄▅▆▇█";

/** Values as bars one character wide, from zero to the largest. */
function sparkline(values: readonly number[]): string {
  const most = Math.max(...values, 1);
  return values.map((value) => levels[Math.round((value / most) * (levels.length - 1))] ?? "").join("");
}

function limited(lines: readonly string[], most: number, what: string): string[] {
  return lines.length <= most
    ? [...lines]
    : [...lines.slice(0, most - 1), `and ${plural(lines.length - most + 1, what)} more`];
}

function workerLine(worker: LiveWorker, paint: Paint): string {
  const { index, state, ratePerSecond, p99Ms, failed, inFlight } = worker;
  const bad = state === "silent" || state === "not here";
  const figures = `${formatRate(ratePerSecond).padStart(10)}  p99 ${(p99Ms === null ? "none" : formatMs(p99Ms)).padStart(8)}  ${formatCount(failed)} failed, ${formatCount(inFlight)} in flight`;
  return `worker ${String(index).padEnd(3)} ${paint(bad ? "yellow" : state === "delivered" ? "green" : "dim", state.padEnd(10))} ${figures}`;
}

const memberStyles = { gone: "red", leader: "bold", back: "green", untouched: "dim" } as const;

/** Members side by side, as many a line as fit. */
function memberLines({ members }: LiveView, width: number, paint: Paint): string[] {
  const cell = Math.max(...members.map(({ pod }) => pod.length), 4) + 12;
  const perLine = Math.max(1, Math.floor(width / cell));
  const texts = members.map(({ pod, state }) => {
    const text = state === "untouched" ? pod : `${pod} ${state}`;
    return paint(memberStyles[state], text) + " ".repeat(Math.max(1, cell - text.length));
  });
  return Array.from({ length: Math.ceil(texts.length / perLine) }, (_, line) =>
    texts
      .slice(line * perLine, (line + 1) * perLine)
      .join("")
      .trimEnd(),
  );
}

const faultStyles = { planned: "dim", "under way": "yellow", proved: "green", "not applied": "red" } as const;

function faultLine({ index, kind, state, inMs, members }: LiveFault, paint: Paint): string {
  const when = inMs > 0 ? `in ${Math.ceil(inMs / 1000)} s` : `${Math.floor(-inMs / 1000)} s ago`;
  const whom = members.length === 0 ? "" : ` of ${members.join(", ")}`;
  return `fault ${index + 1}   ${paint(faultStyles[state], state.padEnd(11))} ${kind}${whom}, ${when}`;
}
