import type { FaultEvidence, PlannedFault } from "../../schema/run.ts";
import { formatMs, plural } from "../format.ts";
import { thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type Protocol, warning } from "./check.ts";

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
  const findings = evidenceChecks[planned.kind](planned, evidence);
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

/** Questions to the evidence of one kind of fault that did act; when it acted is asked of every kind. */
type EvidenceCheck = (planned: PlannedFault, evidence: FaultEvidence) => Finding[];

/** Those hit are of the asked-for number, role and ordinal. */
function meantMembers(planned: PlannedFault, evidence: FaultEvidence, seen: string): Finding[] {
  const name = `fault ${planned.index} (${planned.kind})`;
  const { target } = planned;
  const wanted = "count" in target ? target.count : 1;
  const hit = evidence.members.filter((member) => member.goneAtMs !== null);
  const wrong = evidence.members.filter((member) =>
    "ordinal" in target ? member.ordinal !== target.ordinal : member.role !== target.role,
  );
  const meant = "ordinal" in target ? `ordinal ${target.ordinal}` : `a ${target.role}`;
  return [
    ...(hit.length === wanted
      ? []
      : [failure(`${name} was to hit ${plural(wanted, "pod")}, but ${hit.length} are seen ${seen}.`, faultFix)]),
    ...wrong.map((member) => failure(`${name} hit ${member.pod}, a ${member.role}; meant was ${meant}.`, faultFix)),
  ];
}

/** Pods are seen gone, and other ones took their place. */
const killEvidence: EvidenceCheck = (planned, evidence) => {
  const name = `fault ${planned.index} (${planned.kind})`;
  const findings = meantMembers(planned, evidence, "gone");
  for (const member of evidence.members) {
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
  return findings;
};

/** Pods fell silent and answered again no earlier than asked for, and not much later. */
const pauseEvidence: EvidenceCheck = (planned, evidence) => {
  const name = `fault ${planned.index} (${planned.kind})`;
  const findings = meantMembers(planned, evidence, "silent");
  const wantedMs = planned.forMs ?? 0;
  for (const { pod, readyAtMs } of evidence.members) {
    const lastedMs = (readyAtMs ?? 0) - (evidence.actedAtMs ?? 0);
    if (readyAtMs !== null && lastedMs - wantedMs > thresholds.pauseOverrunMs) {
      const text = `${name}: ${pod} answered again after ${formatMs(lastedMs)}; asked for were ${formatMs(wantedMs)}.`;
      findings.push(warning(text, "Give the members more CPU, or read the longer time as what was done."));
    }
  }
  return findings;
};

/** A new kind of fault does not compile until it says here what proves it. */
const evidenceChecks: Readonly<Record<PlannedFault["kind"], EvidenceCheck>> = {
  kill: killEvidence,
  pause: pauseEvidence,
};
