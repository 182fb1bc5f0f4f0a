import type { FaultEvidence } from "../../schema/run.ts";
import { systems } from "../../schema/systems/index.ts";
import { formatMs, plural } from "../format.ts";
import type { WorkerData } from "../read.ts";
import { type Replication, timesOf } from "../replication.ts";
import { type Finding, type WholeRun, warning } from "./check.ts";

/** A stretch in which a fault kept a member from serving, ms since 1970 on the conductor's clock. */
interface Absence {
  readonly kind: FaultEvidence["kind"];
  readonly fromMs: number;
  /** Infinity when it was not seen to come back. */
  readonly toMs: number;
}

const deeds: Readonly<Record<FaultEvidence["kind"], string>> = { kill: "killed", pause: "paused" };

/**
 * Members that a fault took away and at which writes did not show in time. The share of writes that did is right as it
 * is; this says why it is what it is, so that nobody takes it for slow replication.
 */
export function missedByReturned(run: WholeRun, { deadlineMs, members }: Replication): Finding[] {
  const { returning } = systems[run.experiment.network.system];
  return members.flatMap(({ endpoint, events }, place) => {
    const absences = absencesOf(run, endpoint.ordinal);
    const missed = run.workers.flatMap((worker) => missedAt(worker, place, members.length, deadlineMs));
    if (absences.length === 0 || missed.length === 0) {
      return [];
    }
    const meanwhile = missed.filter((atMs) => absences.some(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs));
    const away = absences.map((absence) => toldOf(absence, run)).join(", and ");
    const text = `${plural(missed.length, "write")} of ${events} did not show at ${endpoint.pod} within ${formatMs(deadlineMs)}. It was ${away}; ${meanwhile.length} of them were acknowledged meanwhile.`;
    return [
      warning(
        returning === undefined ? text : `${text} ${returning.text}`,
        returning?.fix ??
          "See what the member logged after its return; a longer deadline shows whether it is only late.",
      ),
    ];
  });
}

function absencesOf({ conductor }: WholeRun, ordinal: number): Absence[] {
  return conductor.faults.flatMap(({ kind, applied, actedAtMs, members }) =>
    members
      .filter((member) => applied && member.ordinal === ordinal)
      .map(({ readyAtMs }) => ({
        kind,
        fromMs: actedAtMs ?? Number.NEGATIVE_INFINITY,
        toMs: readyAtMs ?? Number.POSITIVE_INFINITY,
      })),
  );
}

function toldOf({ kind, fromMs, toMs }: Absence, { startAtMs, spec }: WholeRun): string {
  const at = formatMs(Math.max(0, fromMs - startAtMs - spec.phases.warmupMs));
  const away = Number.isFinite(toMs) ? `ready again ${formatMs(toMs - fromMs)} later` : "not seen to be ready again";
  return `${deeds[kind]} ${at} into the measure phase, ${away}`;
}

/** When the writes that did not show in time at the member at `place` were acknowledged, on the conductor's clock. */
function missedAt({ replication, result }: WorkerData, place: number, members: number, deadlineMs: number): number[] {
  if (replication === null) {
    return [];
  }
  return timesOf(replication, members, deadlineMs).flatMap((row, event) =>
    row[place] === Number.POSITIVE_INFINITY
      ? [(replication.acceptedUs[event] ?? Number.NaN) / 1000 - result.clock.offsetMs]
      : [],
  );
}
