import type { Objective } from "../../schema/objectives.ts";
import { formatMs } from "../format.ts";
import { percentilesMs } from "../histogram.ts";
import { percentileMetric, thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

const morePower =
  "Measure longer (workload.phases.measure), judge several runs with `orrery compare`, or leave the bound more room.";
const quieter = "Run on a machine with less else to do, or judge less finely.";

/** What is judged is coarser than the noise of the run and of the machine under it. */
export const noiseCheck: Check<WholeRun> = {
  check: "noise-floor",
  title: "Is what is judged coarser than the noise?",
  run: (run) => {
    const { noise, workers, objectives } = run;
    const idle = workers.flatMap(({ index, result }) => {
      const delay = result.health.idle?.eventLoopDelayMs;
      return delay === undefined ? [] : [{ index, delayMs: delay.p99 }];
    });
    const floors = Object.entries(noise);
    if (floors.length === 0 && idle.length === 0) {
      return null;
    }
    const worst = idle.reduce((most, { delayMs }) => Math.max(most, delayMs), 0);
    const findings = objectives.flatMap((objective) => [
      ...withinNoise(run, objective),
      ...byMachine(run, objective, worst),
    ]);
    if (findings.length === 0 && worst > thresholds.eventLoopDelayMs) {
      findings.push(
        warning(
          `before the load began, a driver was woken up to ${formatMs(worst)} late (p99): the machine was busy.`,
          quieter,
        ),
      );
    }
    const told = floors.map(([metric, floor]) => `${metric} ±${formatMs(floor)}`).join(", ");
    const machine = idle.length === 0 ? "" : ` Idle, drivers were woken up to ${formatMs(worst)} late (p99).`;
    return {
      findings,
      text: `${told === "" ? "Too few operations to tell the run's own noise." : `By chance alone (95 %): ${told}.`}${machine}`,
    };
  },
};

/** A value so near its bound that chance decided. */
function withinNoise({ noise, totals }: WholeRun, { metric, min, max }: Objective): Finding[] {
  const floor = noise[metric];
  const wanted = percentileMetric(metric);
  const latency = wanted === undefined ? undefined : totals.get(wanted.operation)?.latency;
  const value = latency === undefined || wanted === undefined ? undefined : percentilesMs(latency)?.[wanted.percentile];
  if (floor === undefined || value === undefined) {
    return [];
  }
  return [min, max].flatMap((bound) =>
    bound === undefined || Math.abs(value - bound) >= floor
      ? []
      : [
          warning(
            `${metric} is ${formatMs(value)}, ${formatMs(Math.abs(value - bound))} from its bound of ${formatMs(bound)}, and chance alone moves it by ${formatMs(floor)}: another run may say otherwise.`,
            morePower,
          ),
        ],
  );
}

/** A missed bound that the machine, with nothing to do, does not keep either. */
function byMachine({ totals }: WholeRun, { metric, max }: Objective, idleMs: number): Finding[] {
  const wanted = percentileMetric(metric);
  const latency = wanted === undefined ? undefined : totals.get(wanted.operation)?.latency;
  const value = latency === undefined || wanted === undefined ? undefined : percentilesMs(latency)?.[wanted.percentile];
  return max === undefined || value === undefined || value <= max || idleMs < max
    ? []
    : [
        failure(
          `the objective on ${metric} is missed, but before the load began a driver was woken up to ${formatMs(idleMs)} late (p99), over the bound of ${formatMs(max)}: this machine cannot show less.`,
          quieter,
        ),
      ];
}
