import type { WorkerResult } from "../../schema/results.ts";
import type { RunSpec } from "../../schema/run.ts";
import { formatCount, formatMs } from "../format.ts";
import type { WorkerData } from "../read.ts";
import { thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

/** Clocks agree, every worker kept the plan's phases, and no time in the event log is impossible. */
export const clockCheck: Check<WholeRun> = {
  check: "clock",
  title: "Do the clocks agree?",
  run: (run) => {
    const resolution = resolutionOf(run);
    const findings = run.workers.flatMap((worker) => [
      ...roundTrip(worker),
      ...movement(worker, resolution),
      ...phases(worker, run.spec, run.startAtMs),
      ...impossibleTimes(worker, run.spec, run.startAtMs),
    ]);
    const worst = Math.max(0, ...run.workers.map((worker) => worker.result.clock.roundTripMs));
    const drifts = run.workers.flatMap(({ result }) => clockDriftMs(result) ?? []);
    const drift =
      drifts.length === 0 ? "" : ` and moved by at most ${formatMs(Math.max(...drifts.map(Math.abs)))} in the run`;
    return { findings, text: `Every worker's clock is known to ${formatMs(worst / 2)}${drift}.` };
  },
};

function roundTrip({ index, result }: WorkerData): Finding[] {
  const { roundTripMs } = result.clock;
  const text = `worker ${index}'s clock is known to ${formatMs(roundTripMs / 2)} only.`;
  const fix = "Run driver and conductor on less busy nodes, nearer to each other.";
  if (roundTripMs > thresholds.clockRoundTripMs) {
    return [failure(text, fix)];
  }
  return roundTripMs > thresholds.clockRoundTripWarnMs ? [warning(text, fix)] : [];
}

/** The finest time between two machines' clocks that an objective judges, ms, and which objective that is. */
function resolutionOf({ objectives }: WholeRun): { readonly limitMs: number; readonly judged: string } {
  const bounds = objectives.flatMap(({ metric, max }) => (metric === "failover" && max !== undefined ? max : []));
  const limitMs = Math.min(thresholds.clockMovedMs, ...bounds.map((bound) => bound * thresholds.clockShareOfBound));
  return limitMs < thresholds.clockMovedMs
    ? { limitMs, judged: `failover, judged to ${formatMs(Math.min(...bounds))}, cannot be placed so finely` }
    : { limitMs, judged: "phases and faults of the plan cannot be placed on them" };
}

/** How far a worker's clock went away from the conductor's between the two exchanges, ms; null with one exchange. */
export function clockDriftMs({ clock }: WorkerResult): number | null {
  return clock.end == null ? null : clock.end.offsetMs - clock.offsetMs;
}

/** A clock that went away from the conductor's during the run, as far as the exchanges prove it, or that was set. */
function movement({ index, result }: WorkerData, resolution: ReturnType<typeof resolutionOf>): Finding[] {
  const { clock, node } = result;
  const findings: Finding[] = [];
  const drift = clockDriftMs(result);
  if (drift === null) {
    findings.push(
      warning(
        `worker ${index}'s clock was compared before the run only, so nothing is known of its drift.`,
        "See in the worker's log why the conductor did not answer after the measure phase.",
      ),
    );
  } else {
    const doubtMs = (clock.roundTripMs + (clock.end?.roundTripMs ?? 0)) / 2;
    const provenMs = Math.abs(drift) - doubtMs;
    const text = `worker ${index}'s clock (${node}) moved ${formatMs(Math.abs(drift))} ± ${formatMs(doubtMs)} against the conductor's during the run`;
    if (provenMs > resolution.limitMs) {
      findings.push(failure(`${text}: ${resolution.judged}.`, clockFix));
    } else if (provenMs > thresholds.clockRoundTripWarnMs / 2) {
      findings.push(warning(`${text}.`, clockFix));
    }
  }
  const stepMs = Math.abs(clock.wallStepMs ?? 0);
  if (stepMs > thresholds.clockMovedMs) {
    findings.push(
      failure(
        `the wall clock of ${node} was set by ${formatMs(stepMs)} during the run, or the machine slept: times that programs there noted before and after do not compare.`,
        clockFix,
      ),
    );
  }
  return findings;
}

const clockFix =
  "See that a time service (chrony, systemd-timesyncd) slews the clocks of all nodes and nothing else sets them, that no machine sleeps, and that the conductor was not restarted; then run again.";

function phases({ index, result }: WorkerData, spec: RunSpec, startAtMs: number): Finding[] {
  const fix = "Run again; the worker did not follow the shared clock.";
  if (Math.abs(result.startAtMs - startAtMs) > thresholds.clockSlackMs) {
    return [failure(`worker ${index} started ${formatMs(result.startAtMs - startAtMs)} beside the shared start.`, fix)];
  }
  const measure = result.phases.find((phase) => phase.name === "measure");
  const fromMs = spec.phases.warmupMs;
  const toMs = fromMs + spec.phases.measureMs;
  if (
    measure === undefined ||
    Math.abs(measure.startMs - fromMs) > thresholds.phaseSlackMs ||
    Math.abs(measure.endMs - toMs) > thresholds.phaseSlackMs
  ) {
    const found = measure === undefined ? "not at all" : `from ${measure.startMs} to ${measure.endMs} ms`;
    return [failure(`worker ${index} measured ${found}; planned was ${fromMs} to ${toMs} ms.`, fix)];
  }
  return [];
}

function impossibleTimes({ index, events }: WorkerData, spec: RunSpec, startAtMs: number): Finding[] {
  const slackUs = thresholds.clockSlackMs * 1000;
  const startUs = startAtMs * 1000;
  const measureUs = startUs + spec.phases.warmupMs * 1000;
  const endUs = measureUs + spec.phases.measureMs * 1000;
  const latestUs = endUs + (spec.timeoutMs + spec.phases.cooldownMs + thresholds.lateAnswerSlackMs) * 1000;
  let impossible = 0;
  for (let row = 0; row < events.rows; row += 1) {
    const intended = events.intendedUs[row] ?? Number.NaN;
    const sent = events.sentUs[row] ?? Number.NaN;
    const completed = events.completedUs[row] ?? Number.NaN;
    const measured = events.measured[row] === 1;
    const inPhase = measured
      ? intended >= measureUs - slackUs && intended <= endUs + slackUs
      : intended >= startUs - slackUs && intended <= measureUs + slackUs;
    const inOrder = sent >= intended - slackUs && completed >= sent && completed <= latestUs;
    impossible += inPhase && inOrder ? 0 : 1;
  }
  return impossible === 0
    ? []
    : [
        failure(
          `${formatCount(impossible)} of worker ${index}'s events lie outside their phase, or end before they begin.`,
          "A clock jumped during the run: see that nothing sets the time of the node, then run again.",
        ),
      ];
}
