import type { FaultEvidence, PlannedFault } from "../../schema/run.ts";
import { formatMs, plural } from "../format.ts";
import { thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type Protocol, warning } from "./check.ts";

const runAgain = "Run again; `kubectl get pods` and the pod's log in the results say what became of it.";

/** Every worker joined in time, was there to the end, and delivered. */
export const workersCheck: Check<Protocol> = {
  check: "workers",
  title: "Did every worker take part from start to end?",
  run: ({ spec, conductor }) => {
    const findings: Finding[] = [];
    const { startAtMs, workers } = conductor;
    if (startAtMs === null) {
      findings.push(
        failure(
          "the run never started: the workers did not all reach the barrier.",
          "Give the cluster room for all workers, or ask for fewer in workload.workers.",
        ),
      );
    }
    for (let index = 0; index < spec.workers; index += 1) {
      const worker = workers.find((candidate) => candidate.index === index);
      const joinedAtMs = worker?.joinedAtMs ?? null;
      if (joinedAtMs === null) {
        findings.push(failure(`worker ${index} never joined.`, runAgain));
        continue;
      }
      if (startAtMs !== null && joinedAtMs > startAtMs) {
        findings.push(failure(`worker ${index} joined ${formatMs(joinedAtMs - startAtMs)} after the start.`, runAgain));
      }
      if ((worker?.doneAtMs ?? null) === null) {
        findings.push(failure(`worker ${index} was lost: it never delivered its results.`, runAgain));
      }
    }
    return { findings, text: `${plural(spec.workers, "worker")} joined in time and delivered.` };
  },
};

/** Every planned fault happened, to whom it was meant, when it was meant. */
export const faultsCheck: Check<Protocol> = {
  check: "faults",
  title: "Did every planned fault really happen?",
  run: ({ spec, conductor }) => {
    if (spec.faults.length === 0) {
      return null;
    }
    const findings = spec.faults.flatMap((planned) => {
      const evidence = conductor.faults.find((fault) => fault.index === planned.index);
      return evidence === undefined
        ? [failure(`fault ${planned.index} (${planned.kind}): there is no evidence of it.`, faultFix)]
        : faultFindings(planned, evidence, spec.phases.measureMs, conductor.startAtMs ?? 0, spec.phases.warmupMs);
    });
    const delays = conductor.faults.flatMap((fault) =>
      fault.actedAtMs === null ? [] : fault.actedAtMs - fault.plannedAtMs,
    );
    return {
      findings,
      text: `${plural(spec.faults.length, "fault")} proved applied, at most ${formatMs(Math.max(0, ...delays))} after the planned time.`,
    };
  },
};

const faultFix = "Look at the observations of the fault in conductor.json, then run again.";

function faultFindings(
  planned: PlannedFault,
  evidence: FaultEvidence,
  measureMs: number,
  startAtMs: number,
  warmupMs: number,
): Finding[] {
  const name = `fault ${planned.index} (${planned.kind})`;
  if (!evidence.applied || evidence.actedAtMs === null) {
    return [failure(`${name} was not applied: ${evidence.reason ?? "the conductor gives no reason"}.`, faultFix)];
  }
  const findings: Finding[] = [];
  const wanted = "count" in planned.target ? planned.target.count : 1;
  const gone = evidence.members.filter((member) => member.goneAtMs !== null);
  if (gone.length !== wanted) {
    findings.push(failure(`${name} was to hit ${plural(wanted, "pod")}, but ${gone.length} are seen gone.`, faultFix));
  }
  for (const member of evidence.members) {
    const { target } = planned;
    if ("ordinal" in target ? member.ordinal !== target.ordinal : member.role !== target.role) {
      const meant = "ordinal" in target ? `ordinal ${target.ordinal}` : `a ${target.role}`;
      findings.push(failure(`${name} hit ${member.pod}, a ${member.role}; meant was ${meant}.`, faultFix));
    }
    if (member.replacementUid === member.uid) {
      findings.push(failure(`${name}: ${member.pod} is still the pod it was.`, faultFix));
    }
    if (member.goneAtMs !== null && member.readyAtMs === null) {
      findings.push(
        warning(
          `${name}: ${member.pod} was not ready again before the run ended.`,
          "Measure longer after the fault, or see why the pod does not come back.",
        ),
      );
    }
  }
  const delayMs = evidence.actedAtMs - evidence.plannedAtMs;
  if (evidence.actedAtMs >= startAtMs + warmupMs + measureMs || evidence.actedAtMs < startAtMs) {
    findings.push(failure(`${name} acted outside the measure phase, so its effect was not measured.`, faultFix));
  } else if (delayMs > thresholds.faultDelayMs) {
    findings.push(
      warning(`${name} acted ${formatMs(delayMs)} after its time.`, "Give the conductor and the API server more CPU."),
    );
  }
  return findings;
}
