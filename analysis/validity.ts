import type { CheckResult, Reason } from "../schema/summary.ts";
import type { Check, CheckOutcome, Protocol, WholeRun } from "./checks/check.ts";
import { clockCheck } from "./checks/clock.ts";
import { agreementCheck, durabilityCheck, failoverCheck, sampleCheck } from "./checks/data.ts";
import { busyCheck, saturationCheck } from "./checks/driver.ts";
import { faultsCheck } from "./checks/faults.ts";
import { noiseCheck } from "./checks/noise.ts";
import { workersCheck } from "./checks/protocol.ts";
import { referenceCheck } from "./checks/reference.ts";
import { replicationCheck } from "./checks/replication.ts";
import { warmupCheck } from "./checks/warm-up.ts";
import { plural } from "./format.ts";
import type { RunData } from "./read.ts";

/** Asked whenever spec and conductor's record could be read. */
export const protocolChecks: readonly Check<Protocol>[] = [workersCheck, faultsCheck];
/** Asked only when every file is whole. */
export const dataChecks: readonly Check<WholeRun>[] = [
  saturationCheck,
  busyCheck,
  referenceCheck,
  clockCheck,
  agreementCheck,
  sampleCheck,
  durabilityCheck,
  failoverCheck,
  replicationCheck,
  warmupCheck,
  noiseCheck,
];

export interface Validity {
  /** Why the run cannot be believed; empty when it can. */
  readonly reasons: readonly Reason[];
  readonly warnings: readonly Reason[];
  /** Every check in order, passed ones included. */
  readonly checks: readonly CheckResult[];
}

/** Asks every question that can be asked of this run. `whole` is null when results are damaged. */
export function judgeValidity(data: RunData, whole: WholeRun | null): Validity {
  const { spec, conductor } = data;
  const protocol = spec === null || conductor === null ? null : { spec, conductor };
  const judged = [
    completeness(data),
    ...protocolChecks.map((check) => judge(check, protocol)),
    ...dataChecks.map((check) => judge(check, whole)),
  ];
  return {
    reasons: judged.flatMap((one) => one.reasons),
    warnings: [...data.warnings, ...judged.flatMap((one) => one.warnings)],
    checks: judged.map((one) => one.result),
  };
}

interface Judged {
  readonly result: CheckResult;
  readonly reasons: readonly Reason[];
  readonly warnings: readonly Reason[];
}

function judge<Run extends Protocol>(check: Check<Run>, run: Run | null): Judged {
  const { check: name, title } = check;
  const none = { reasons: [], warnings: [] };
  if (run === null) {
    return {
      result: { check: name, title, outcome: "skipped", text: "The results are not whole, so this cannot be said." },
      ...none,
    };
  }
  const outcome: CheckOutcome | null = check.run(run);
  if (outcome === null) {
    return { result: { check: name, title, outcome: "skipped", text: "It does not arise in this run." }, ...none };
  }
  const reasonsOf = (severity: "failure" | "warning"): Reason[] =>
    outcome.findings
      .filter((finding) => finding.severity === severity)
      .map(({ text, fix }) => ({ check: name, text: sentence(text), fix }));
  const reasons = reasonsOf("failure");
  const warnings = reasonsOf("warning");
  const found = [...reasons, ...warnings].map((reason) => reason.text).join(" ");
  const state = reasons.length > 0 ? "failed" : warnings.length > 0 ? "warned" : "passed";
  return {
    result: { check: name, title, outcome: state, text: state === "passed" ? sentence(outcome.text) : found },
    reasons,
    warnings,
  };
}

function completeness(data: RunData): Judged {
  const { damage } = data;
  return {
    result: {
      check: "results",
      title: "Are all results there and whole?",
      outcome: damage.length === 0 ? "passed" : "failed",
      text:
        damage.length === 0
          ? `Every file of ${plural(data.workers.length, "worker")}, the conductor and the plan is there and reads whole.`
          : damage.map((reason) => reason.text).join(" "),
    },
    reasons: damage,
    warnings: [],
  };
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
